//! A tenant as an assistant at Vapi: the body of `POST /assistant` that makes Vapi use our doors.
//!
//! What Vapi decides by itself (when the customer has finished, when the assistant is cut off, how long a silence may be) is
//! set as the tenant has it for its own calls. Secrets are not in there: servers name a credential that is kept at Vapi.

use serde::Serialize;

use crate::{
    booking::tools::{self, Kind, Tool as OurTool},
    call::{EndpointingPolicy, InterruptingPolicy},
    language::Phrases,
    tenant::Settings,
};

/// Which doors the assistant uses; the others are Vapi's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Doors {
    /// Our model.
    pub brain: bool,
    /// Our tools.
    pub hands: bool,
    /// Our recogniser.
    pub ears: bool,
    /// Our voice.
    pub mouth: bool,
}

impl Doors {
    /// All of them.
    pub const ALL: Self = Self { brain: true, hands: true, ears: true, mouth: true };
}

/// The address by which Vapi reaches us: `https://` and a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl(String);

/// No such address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "is no address that Vapi can reach: write https:// and the host, without a path, such as https://voice.example.it"
)]
pub struct NoPublicUrl;

impl std::str::FromStr for PublicUrl {
    type Err = NoPublicUrl;

    fn from_str(written: &str) -> Result<Self, NoPublicUrl> {
        let host = written.strip_prefix("https://").ok_or(NoPublicUrl)?;
        let host = host.strip_suffix('/').unwrap_or(host);
        let fits = !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b));
        if fits { Ok(Self(host.to_owned())) } else { Err(NoPublicUrl) }
    }
}

/// Describes a tenant. `credential`: the id of what is kept at Vapi, for every server of ours.
pub fn assistant(settings: &Settings, doors: Doors, url: &PublicUrl, credential: &str) -> impl Serialize {
    let (profile, shop) = (&settings.profile, &settings.shop);
    let (call, phrases) = (&profile.call, profile.call.language.phrases());
    let door = |scheme: &str, name: &str| format!("{scheme}://{}/vapi/{}{name}", url.0, profile.id);
    let server = |url, timeout_seconds| Server { url, timeout_seconds, credential_id: credential.to_owned() };
    let tools_wait = profile.vapi.tools_wait.as_secs() + SPARE_S;
    let tools_server = || server(door("https", "/tools"), tools_wait.min(SERVER_WAIT_MAX_S));

    let mut tools = Vec::new();
    if doors.hands {
        let ours = tools::tools(shop, call.language).into_iter().filter(|tool| tool.kind != Kind::Call);
        tools.extend(ours.map(|tool| Tool::ours(tool, phrases, tools_server())));
    }
    if doors.brain || doors.hands {
        tools.push(Tool::EndCall);
        tools.extend(shop.transfer_to.clone().map(|number| Tool::TransferCall {
            destinations: [Destination { r#type: "number", number }],
            messages: [Spoken::start(phrases.text("call.transfer"))],
        }));
    }
    let model = if doors.brain {
        Some(Model::CustomLlm {
            url: door("https", ""),
            model: profile.id.to_string(),
            credential_id: credential.to_owned(),
            timeout_seconds: WAIT_S,
            tools,
        })
    } else if doors.hands {
        let zone = profile.zone.iana_name().unwrap_or("UTC");
        let content = format!("{}\n{}", profile.instructions.trim(), phrases.fill("vapi.now", &[("zone", zone)]));
        Some(Model::Openai { model: THEIR_MODEL, messages: [System { role: "system", content }], tools })
    } else {
        None
    };
    let silence_s = call.silence_s * (u64::from(call.reprompts) + 1);
    Assistant {
        name: shop.name.chars().take(NAME_MAX).collect(),
        first_message: profile.greeting.to_string(),
        first_message_mode: match profile.greeting.is_empty() {
            true => "assistant-waits-for-user",
            false => "assistant-speaks-first",
        },
        first_message_interruptions_enabled: call.interruption.policy != InterruptingPolicy::Never,
        model,
        transcriber: doors.ears.then(|| Transcriber {
            provider: "custom-transcriber",
            server: server(door("wss", "/transcriber"), WAIT_S),
        }),
        voice: doors.mouth.then(|| Voice {
            provider: "custom-voice",
            server: server(door("https", "/voice"), WAIT_S),
            // Numbers and dates are spoken as the model has written them.
            chunk_plan: ChunkPlan { enabled: true, format_plan: FormatPlan { enabled: false } },
        }),
        // The report of a call lets go of what is kept of it here.
        server: (doors.brain || doors.hands).then(tools_server),
        server_messages: (doors.brain || doors.hands).then_some(["tool-calls", "end-of-call-report"]),
        start_speaking_plan: start_speaking(settings, doors),
        stop_speaking_plan: stop_speaking(settings, phrases),
        hooks: (call.reprompts > 0).then(|| {
            let options = SilenceOptions {
                timeout_seconds: call.silence_s.clamp(1, 1_000),
                trigger_max_count: call.reprompts.min(10),
                trigger_reset_mode: "onUserSpeech",
            };
            let say = Say { r#type: "say", exact: phrases.text("call.still_there").to_owned() };
            [Hook { on: "customer.speech.timeout", options, r#do: [say] }]
        }),
        silence_timeout_seconds: silence_s.clamp(10, 3_600),
        max_duration_seconds: call.duration_max_s.clamp(10, 43_200),
        end_call_phrases: match call.end_phrases {
            true => phrases.list("call.end_phrases").map(ToOwned::to_owned).collect(),
            false => Vec::new(),
        },
        background_sound: "off",
        metadata: Metadata { tenant: profile.id.to_string() },
    }
}

/// Where Vapi's model answers instead of ours, it is this one; to be changed at will.
const THEIR_MODEL: &str = "gpt-4.1";

/// Characters of an assistant's name at Vapi.
const NAME_MAX: usize = 40;

/// Seconds that Vapi waits for a server of ours.
const WAIT_S: u64 = 20;

/// Seconds that Vapi waits longer for a tool than we do.
const SPARE_S: u64 = 5;

/// The most seconds that Vapi waits for a server.
const SERVER_WAIT_MAX_S: u64 = 300;

/// The silence after which a delayed tool says so, in milliseconds; what Vapi takes for it.
const DELAYED_MS: u64 = 4_000;

/// The silence that ends an utterance, as in a call of our own. Vapi counts it from the last text. Ours comes after the
/// silence in which the recogniser was asked to finish, so that is taken off.
fn start_speaking(settings: &Settings, doors: Doors) -> StartSpeakingPlan {
    let plan = &settings.profile.call.endpointing;
    let counted = if doors.ears { plan.commit_ms } else { 0 };
    let seconds = |ms: u64| (ms.saturating_sub(counted) as f64 / 1_000.0).min(3.0);
    let [complete, plain, number] = match plan.policy {
        EndpointingPolicy::Text => [plan.complete_ms, plan.silence_ms, plan.dictation_ms],
        EndpointingPolicy::Silence => [plan.silence_ms; 3],
    };
    StartSpeakingPlan {
        wait_seconds: 0.0,
        transcription_endpointing_plan: TranscriptionEndpointingPlan {
            on_punctuation_seconds: seconds(complete),
            on_no_punctuation_seconds: seconds(plain),
            on_number_seconds: seconds(number),
        },
    }
}

/// When the assistant is cut off. The words are those of the language: Vapi's own are English.
fn stop_speaking(settings: &Settings, phrases: &Phrases) -> StopSpeakingPlan {
    let plan = &settings.profile.call.interruption;
    let words = |key| phrases.list(key).map(ToOwned::to_owned).collect();
    StopSpeakingPlan {
        num_words: match plan.policy {
            InterruptingPolicy::Words => plan.words_min.clamp(1, 10),
            InterruptingPolicy::Speech => 0,
            InterruptingPolicy::Never => 10,
        },
        voice_seconds: (plan.cut_ms as f64 / 1_000.0).min(0.5),
        backoff_seconds: (plan.resume_ms as f64 / 1_000.0).min(10.0),
        acknowledgement_phrases: words("call.backchannels"),
        interruption_phrases: words("vapi.interruptions"),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Assistant {
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    first_message: String,
    first_message_mode: &'static str,
    first_message_interruptions_enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<Model>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transcriber: Option<Transcriber>,
    #[serde(skip_serializing_if = "Option::is_none")]
    voice: Option<Voice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<Server>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_messages: Option<[&'static str; 2]>,
    start_speaking_plan: StartSpeakingPlan,
    stop_speaking_plan: StopSpeakingPlan,
    #[serde(skip_serializing_if = "Option::is_none")]
    hooks: Option<[Hook; 1]>,
    silence_timeout_seconds: u64,
    max_duration_seconds: u64,
    end_call_phrases: Vec<String>,
    background_sound: &'static str,
    metadata: Metadata,
}

#[derive(Serialize)]
struct Metadata {
    tenant: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Server {
    url: String,
    timeout_seconds: u64,
    credential_id: String,
}

#[derive(Serialize)]
#[serde(tag = "provider", rename_all = "kebab-case", rename_all_fields = "camelCase")]
enum Model {
    CustomLlm { url: String, model: String, credential_id: String, timeout_seconds: u64, tools: Vec<Tool> },
    Openai { model: &'static str, messages: [System; 1], tools: Vec<Tool> },
}

#[derive(Serialize)]
struct System {
    role: &'static str,
    content: String,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "camelCase")]
enum Tool {
    Function { r#async: bool, function: Function, messages: [Spoken; 3], server: Server },
    EndCall,
    TransferCall { destinations: [Destination; 1], messages: [Spoken; 1] },
}

impl Tool {
    /// One of the tenant's. What is said while it runs is in its language: Vapi would say something in English.
    fn ours(tool: OurTool, phrases: &Phrases, server: Server) -> Self {
        let mut fillers = phrases.list("call.fillers");
        let (first, later) = (fillers.next().unwrap_or(""), fillers.next().unwrap_or(""));
        let failed = phrases.text("booking.unavailable").to_owned();
        Self::Function {
            r#async: false,
            function: Function { name: tool.name, description: tool.description, parameters: tool.parameters },
            messages: [
                Spoken::start(first),
                Spoken::Delayed { timing_milliseconds: DELAYED_MS, content: later.to_owned() },
                Spoken::Failed { content: failed },
            ],
            server,
        }
    }
}

#[derive(Serialize)]
struct Function {
    name: &'static str,
    description: String,
    /// A JSON Schema.
    parameters: serde_json::Value,
}

/// What is said while a tool runs.
#[derive(Serialize)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
enum Spoken {
    #[serde(rename = "request-start")]
    Start { content: String, blocking: bool },
    #[serde(rename = "request-response-delayed")]
    Delayed { timing_milliseconds: u64, content: String },
    #[serde(rename = "request-failed")]
    Failed { content: String },
}

impl Spoken {
    fn start(content: &str) -> Self {
        Self::Start { content: content.to_owned(), blocking: false }
    }
}

#[derive(Serialize)]
struct Destination {
    r#type: &'static str,
    number: String,
}

#[derive(Serialize)]
struct Transcriber {
    provider: &'static str,
    server: Server,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Voice {
    provider: &'static str,
    server: Server,
    chunk_plan: ChunkPlan,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ChunkPlan {
    enabled: bool,
    format_plan: FormatPlan,
}

#[derive(Serialize)]
struct FormatPlan {
    enabled: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StartSpeakingPlan {
    wait_seconds: f64,
    transcription_endpointing_plan: TranscriptionEndpointingPlan,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TranscriptionEndpointingPlan {
    on_punctuation_seconds: f64,
    on_no_punctuation_seconds: f64,
    on_number_seconds: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StopSpeakingPlan {
    num_words: u32,
    voice_seconds: f64,
    backoff_seconds: f64,
    acknowledgement_phrases: Vec<String>,
    interruption_phrases: Vec<String>,
}

#[derive(Serialize)]
struct Hook {
    on: &'static str,
    options: SilenceOptions,
    r#do: [Say; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SilenceOptions {
    timeout_seconds: u64,
    trigger_max_count: u32,
    trigger_reset_mode: &'static str,
}

#[derive(Serialize)]
struct Say {
    r#type: &'static str,
    exact: String,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::language::Language;

    const EXAMPLE: &str = include_str!("../../../config/tenants/officina-rossi.toml");

    fn described(tenant: &str, doors: Doors) -> Value {
        let settings = Settings::parse(tenant).unwrap();
        let url: PublicUrl = "https://voice.example.it/".parse().unwrap();
        serde_json::to_value(assistant(&settings, doors, &url, "cred-1")).unwrap()
    }

    const NONE: Doors = Doors { brain: false, hands: false, ears: false, mouth: false };

    #[test]
    fn every_door_has_its_address_and_no_secret() {
        let all = described(EXAMPLE, Doors::ALL);
        assert_eq!(all["model"]["provider"], "custom-llm");
        assert_eq!(all["model"]["url"], "https://voice.example.it/vapi/officina-rossi");
        assert_eq!(all["transcriber"]["server"]["url"], "wss://voice.example.it/vapi/officina-rossi/transcriber");
        assert_eq!(all["voice"]["server"]["url"], "https://voice.example.it/vapi/officina-rossi/voice");
        assert_eq!(all["server"]["url"], "https://voice.example.it/vapi/officina-rossi/tools");
        assert_eq!(all["server"]["timeoutSeconds"], 20);
        assert_eq!(all["serverMessages"], json!(["tool-calls", "end-of-call-report"]));
        for server in [&all["server"], &all["voice"]["server"], &all["transcriber"]["server"], &all["model"]] {
            assert_eq!(server["credentialId"], "cred-1");
        }
        assert!(!all.to_string().contains("officina-rossi-demo-token"));
        assert!(all["firstMessage"].as_str().unwrap().contains("assistente automatico"), "the disclosure");
    }

    #[test]
    fn the_tools_are_functions_of_ours_and_two_of_the_platform() {
        let all = described(EXAMPLE, Doors::ALL);
        let tools = all["model"]["tools"].as_array().unwrap();
        let name = |tool: &Value| tool["function"]["name"].as_str().or(tool["type"].as_str()).unwrap().to_owned();
        let names: Vec<_> = tools.iter().map(name).collect();
        let ours = ["find_slots", "book_appointment", "move_appointment", "cancel_appointment", "find_appointments"];
        assert_eq!(names[..5], ours);
        assert_eq!(names[5..], ["take_message", "endCall", "transferCall"]);
        assert_eq!(tools[0]["server"]["url"], "https://voice.example.it/vapi/officina-rossi/tools");
        assert_eq!(tools[0]["messages"][0]["content"], "Un attimo, controllo.");
        assert_eq!(tools[7]["destinations"][0]["number"], "+390612345678");
    }

    #[test]
    fn a_door_that_is_not_wanted_is_left_to_vapi() {
        let hands = described(EXAMPLE, Doors { hands: true, ..NONE });
        assert_eq!((&hands["transcriber"], &hands["voice"]), (&Value::Null, &Value::Null));
        assert_eq!(hands["model"]["provider"], "openai");
        let prompt = hands["model"]["messages"][0]["content"].as_str().unwrap();
        assert!(prompt.contains("Officina Rossi") && prompt.ends_with("{{now}}. Il fuso dell'officina è Europe/Rome."));
        let brain = described(EXAMPLE, Doors { brain: true, ..NONE });
        assert_eq!(brain["model"]["tools"].as_array().unwrap().len(), 2, "the platform's");
        let mouth = described(EXAMPLE, Doors { mouth: true, ..NONE });
        assert_eq!((&mouth["model"], &mouth["server"]), (&Value::Null, &Value::Null));
    }

    #[test]
    fn vapi_waits_as_long_as_a_call_of_ours_would() {
        let ours = described(EXAMPLE, Doors::ALL);
        let plan = |assistant: &Value, field: &str| {
            assistant["startSpeakingPlan"]["transcriptionEndpointingPlan"][field].as_f64().unwrap()
        };
        let theirs = described(EXAMPLE, NONE);
        let commit = Settings::parse(EXAMPLE).unwrap().profile.call.endpointing.commit_ms as f64 / 1_000.0;
        for field in ["onPunctuationSeconds", "onNoPunctuationSeconds", "onNumberSeconds"] {
            assert!((plan(&ours, field) + commit - plan(&theirs, field)).abs() < 1e-9, "{field}");
        }
        assert_eq!(ours["stopSpeakingPlan"]["numWords"], 1);
        let phrases = ours["stopSpeakingPlan"]["acknowledgementPhrases"].as_array().unwrap();
        assert!(phrases.contains(&json!("va bene")) && !phrases.contains(&json!("okay then")));
        let stop = ours["stopSpeakingPlan"]["interruptionPhrases"].as_array().unwrap();
        assert!(stop.contains(&json!("aspetti")));
        let never = EXAMPLE.replace("policy = \"words\"", "policy = \"never\"");
        let never = described(&never, Doors::ALL);
        assert_eq!(never["stopSpeakingPlan"]["numWords"], 10);
        assert_eq!(never["firstMessageInterruptionsEnabled"], false);
    }

    #[test]
    fn both_languages_have_what_is_said_and_heard() {
        for language in [Language::Italian, Language::English] {
            for key in ["vapi.now", "vapi.interruptions"] {
                assert!(language.phrases().has(key), "{key} is missing in {}", language.code());
            }
        }
    }

    #[test]
    fn an_address_is_https_and_a_host() {
        for good in ["https://voice.example.it", "https://voice.example.it/", "https://10.0.0.1:8443", "https://[::1]"]
        {
            assert!(good.parse::<PublicUrl>().is_ok(), "{good}");
        }
        for bad in ["http://x.it", "voice.example.it", "https://", "https:///", "https://x.it/path", "https://x y", ""]
        {
            assert_eq!(bad.parse::<PublicUrl>(), Err(NoPublicUrl), "{bad}");
        }
    }
}
