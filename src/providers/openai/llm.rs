//! Thinks, through streamed Chat Completions.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_openai::{
    Client, config::OpenAIConfig, error::OpenAIError, middleware::HttpRequestFactory, types::stream::StreamResponse,
};
use futures_util::{StreamExt, future::BoxFuture, stream::BoxStream};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};
use tokio::time::{Instant, timeout_at};

use super::{
    Assembly, Connections, chat, door,
    http::{Account, NAME, broken},
};
use crate::{
    call::{Ask, LlmEvent, Message},
    providers::{
        Address, HedgeSettings, Key, KeyError, Kind, Llm, ProviderError,
        flow::{Out, flow},
    },
};

/// Settings of a language model behind Chat Completions.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenAiLlmSettings {
    /// The API's address, up to and with `/v1`.
    #[serde(default = "super::base_url")]
    pub base_url: Address,
    /// The key; local servers need none.
    #[serde(default)]
    pub key: Option<Key>,
    /// The model. Models retire: the name is a setting and has no default.
    pub model: String,
    /// Which fields the server takes: `openai`, or `compatible` for the others. Without it, judged by the address and
    /// the model's name.
    #[serde(default)]
    pub dialect: Option<Dialect>,
    /// How hard the model thinks before it speaks. `none` for talking; `omit` leaves the field out for servers that do
    /// not know it.
    #[serde(default = "none")]
    pub reasoning_effort: String,
    /// The longest answer, in tokens.
    #[serde(default = "tokens_max")]
    pub tokens_max: u32,
    /// Sampling temperature, where the model takes one.
    #[serde(default)]
    pub temperature: Option<f64>,
    /// `low`, `medium` or `high`, where the model takes it.
    #[serde(default)]
    pub verbosity: Option<String>,
    /// The paid lever for a faster first token.
    #[serde(default)]
    pub service_tier: Option<String>,
    /// Milliseconds from the question to the first word.
    #[serde(default = "first_ms")]
    pub first_ms: u64,
    /// Milliseconds between two pieces of an answer.
    #[serde(default = "stall_ms")]
    pub stall_ms: u64,
    /// Milliseconds for a whole answer.
    #[serde(default = "total_ms")]
    pub total_ms: u64,
    /// Asks once more when the model is slow to begin.
    #[serde(default)]
    pub hedge: Option<HedgeSettings>,
    /// Further fields of the request, for servers with wishes of their own.
    #[serde(default)]
    pub extra: Map<String, Value>,
}

/// OpenAI refuses some fields that other servers need, and the other way round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// OpenAI itself, also behind a proxy.
    Openai,
    /// vLLM, llama.cpp, Ollama and the like.
    Compatible,
}

fn none() -> String {
    "none".into()
}

const fn tokens_max() -> u32 {
    400
}

const fn first_ms() -> u64 {
    2_000
}

const fn stall_ms() -> u64 {
    3_000
}

const fn total_ms() -> u64 {
    30_000
}

impl OpenAiLlmSettings {
    /// Which fields the server takes.
    pub(super) fn dialect(&self) -> Dialect {
        let host = self.base_url.host();
        let at_openai = host == "openai.com" || host.ends_with(".openai.com");
        // A proxy has another address, but keeps the models' names. The open models are served by the others.
        let of_openai = self.model.starts_with("gpt-") && !self.model.starts_with("gpt-oss");
        self.dialect.unwrap_or(if at_openai || of_openai { Dialect::Openai } else { Dialect::Compatible })
    }
}

/// A language model behind Chat Completions. Cheap to clone.
#[derive(Debug, Clone)]
pub struct OpenAiLlm(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: OpenAiLlmSettings,
    account: Account,
}

impl OpenAiLlm {
    /// A model with these settings.
    ///
    /// # Errors
    /// When the key is not where the settings say.
    pub fn new(settings: OpenAiLlmSettings, connections: Connections) -> Result<Self, KeyError> {
        let account = Account::new(&settings.base_url, settings.key.as_ref(), connections)?;
        Ok(Self(Arc::new(Inner { settings, account })))
    }
}

impl Llm for OpenAiLlm {
    fn name(&self) -> &'static str {
        NAME
    }

    fn reply(&self, ask: Ask) -> BoxStream<'static, Result<LlmEvent, ProviderError>> {
        let inner = self.0.clone();
        flow(move |out| async move { inner.reply(ask, out).await })
    }

    fn warm(&self) -> BoxFuture<'static, ()> {
        let inner = self.0.clone();
        Box::pin(async move { inner.account.warm().await })
    }
}

type Pieces = StreamResponse<Box<RawValue>>;

impl Inner {
    async fn reply(&self, ask: Ask, out: Out<LlmEvent>) -> Result<(), ProviderError> {
        let asked_at = Instant::now();
        let first = asked_at + Duration::from_millis(self.settings.first_ms);
        let last = asked_at + Duration::from_millis(self.settings.total_ms);
        let late = |begun: bool| {
            if begun {
                ProviderError::upstream(NAME, Kind::Stalled, "the answer stopped coming")
            } else {
                let detail = "no first word in time: raise first_ms, or take a faster model";
                ProviderError::upstream(NAME, Kind::FirstTimeout, detail)
            }
        };
        let complete = Arc::new(AtomicBool::new(false));
        let body = chat::request(&self.settings, &ask);
        let mut pieces =
            timeout_at(first.min(last), self.open(body, complete.clone())).await.map_err(|_| late(false))??;
        let mut assembly = Assembly::new(taken_ids(&ask));
        let mut events = Vec::new();
        while !assembly.finished() {
            let until =
                if assembly.begun() { Instant::now() + Duration::from_millis(self.settings.stall_ms) } else { first };
            match timeout_at(until.min(last), pieces.next()).await {
                Err(_) => return Err(late(assembly.begun())),
                Ok(None) => return assembly.end(),
                Ok(Some(Err(error))) => return Err(mapped(error)),
                Ok(Some(Ok(piece))) => {
                    let taken = assembly.take(piece.get(), &mut events);
                    if assembly.finished() {
                        // Only the final mark is to come: the door reads it and keeps the connection.
                        complete.store(true, Ordering::Relaxed);
                    }
                    for event in events.drain(..) {
                        out.put(event).await;
                    }
                    taken?;
                }
            }
        }
        Ok(())
    }

    /// Sends the question; the pieces of the answer follow.
    async fn open(&self, body: Value, complete: Arc<AtomicBool>) -> Result<Pieces, ProviderError> {
        let Account { base, key, connections } = &self.account;
        // What is not set, the library would take from the environment, whoever this tenant is.
        let config = OpenAIConfig::new()
            .with_api_base(base.http())
            .with_api_key(key.as_ref().map_or("none", |key| key.expose_secret()))
            .with_org_id("")
            .with_project_id("");
        // A client of our own a request, because the library's answers neither headers nor our own errors: it is a few
        // allocations; the connections are in the pool.
        let client = connections.client().clone();
        let connections = connections.clone();
        let service = tower::service_fn(move |request: HttpRequestFactory| {
            let (connections, complete) = (connections.clone(), complete.clone());
            async move {
                let request = request.build().await?;
                let response = connections.send(request).await.map_err(|error| OpenAIError::Boxed(Box::new(error)))?;
                Ok::<_, OpenAIError>(door::guard(response, complete))
            }
        });
        let client = Client::build(client, config).with_http_service(service);
        client.chat().create_stream_byot(body).await.map_err(mapped)
    }
}

/// The ids of tool calls that the conversation has seen.
fn taken_ids(ask: &Ask) -> impl Iterator<Item = String> + '_ {
    ask.messages
        .iter()
        .flat_map(|message| match message {
            Message::Asked { tools } => tools.as_slice(),
            Message::Caller { .. } | Message::Agent { .. } | Message::Outcome { .. } | Message::Note { .. } => &[],
        })
        .map(|tool| tool.id.clone())
}

/// The library's errors, without their texts: those repeat what was said.
fn mapped(error: OpenAIError) -> ProviderError {
    match error {
        OpenAIError::Boxed(error) => match error.downcast::<ProviderError>() {
            Ok(error) => *error,
            Err(_) => ProviderError::upstream(NAME, Kind::Cut, "the exchange failed"),
        },
        OpenAIError::Reqwest(error) => broken(&error),
        OpenAIError::StreamError(_) => ProviderError::upstream(NAME, Kind::Cut, "the answer broke off"),
        OpenAIError::JSONDeserialize(..) => {
            ProviderError::upstream(NAME, Kind::Garbage, "it sent a piece that is no JSON")
        }
        OpenAIError::ApiError(error) => {
            ProviderError::upstream(NAME, Kind::Status(error.status_code.as_u16()), "it has trouble of its own")
        }
        OpenAIError::InvalidArgument(_) | OpenAIError::FileSaveError(_) | OpenAIError::FileReadError(_) => {
            ProviderError::refused(NAME, "the request cannot be built: check the settings")
        }
    }
}
