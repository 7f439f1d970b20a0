//! The brain: the tenant's model as the custom LLM of an assistant that lives at Vapi, with our tools run on our side.
//!
//! One request is one stream of [`Part`]s, polled in place: **dropping it is the cancellation**. The model's answer and the
//! look-ups end with it; a write runs on to its end, and the next request of the same call knows what came of it. A newer
//! request of the same call ends the one before.
//!
//! Whatever happens, something is said: when the model or a tool is late a filler, when the model fails the sentence that
//! the house has for it.

use std::{
    collections::VecDeque,
    future::pending,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{
    FutureExt, StreamExt,
    future::{BoxFuture, join_all},
    stream::{self, BoxStream, FuturesUnordered},
};
use tokio::time::{Sleep, sleep, timeout};

use super::{
    hands::Now,
    kept::AtVapi,
    question::Question,
    runs::Caller,
    said::Said,
    thread::{Fate, Present},
};
use crate::{
    call::{
        Ask, LlmEvent, Message, Outcome, Then, ToolAsk, ToolKind, Turn,
        limits::{FAILURES_MAX, TOOL_ROUNDS_MAX},
        tool_calls::{Asked, ToolCalls},
    },
    language::Phrases,
    providers::{Kind, ProviderError},
    tenant::{Tenant, ToolEnd, running},
};

/// Answers to a custom LLM's questions, by how they ended.
pub const ANSWERS: &str = "pronto_vapi_answers_total";

/// A piece of an answer.
#[derive(Debug)]
pub enum Part {
    /// Words to speak.
    Words(String),
    /// The platform is to end the call. The last part.
    End,
    /// The platform is to put the caller through to this number or address. The last part.
    Transfer(String),
    /// The model failed: for the count. Words follow.
    Failed(ProviderError),
    /// A bug of ours: for the count. Words follow.
    Panicked,
}

/// Answers one question.
pub fn answer(tenant: &Arc<Tenant>, question: Question, now: Now) -> BoxStream<'static, Part> {
    let reply = Reply::new(Arc::clone(tenant), question, now);
    stream::unfold(reply, |mut reply| async move {
        let part = match AssertUnwindSafe(reply.next()).catch_unwind().await {
            Ok(part) => part?,
            Err(_panic) => reply.panicked(),
        };
        Some((part, reply))
    })
    .boxed()
}

/// One answer in progress.
struct Reply {
    tenant: Arc<Tenant>,
    phrases: &'static Phrases,
    /// The call it belongs to.
    call: Arc<AtVapi>,
    /// Its place among the requests of the call.
    present: Present,
    caller: Caller,
    begun: Instant,
    /// The conversation as Vapi tells it.
    heard: Vec<Message>,
    can_end: bool,
    can_transfer: bool,
    /// What this answer did so far: earlier rounds.
    own: Vec<Message>,
    /// What the model asked for in this answer.
    tools: ToolCalls,
    /// Rounds of tools so far.
    rounds: u32,
    /// What the model said in this round.
    words: String,
    /// What it asked for in this round.
    asked: Vec<Tool>,
    step: Step,
    /// Parts to give out before anything else.
    ready: VecDeque<Part>,
    said: Said,
    /// How it ended, for the count.
    end: End,
}

/// How an answer ended, as a label.
#[derive(Debug, Clone, Copy)]
enum End {
    /// Nobody waited for its end.
    Dropped,
    /// A newer request took over.
    Replaced,
    /// All is said.
    Said,
    /// The call leaves us.
    Closed,
    /// The caller was told that something has failed.
    Trouble,
}

/// A tool of this round.
struct Tool {
    ask: ToolAsk,
    kind: ToolKind,
    outcome: Option<Outcome>,
    /// Its run, until it is waited for.
    run: Option<BoxFuture<'static, Outcome>>,
}

type Late = Pin<Box<Sleep>>;

/// What is waited for.
enum Step {
    /// Writes of earlier requests: the model is to know what came of them.
    Writes(BoxFuture<'static, ()>),
    /// The model.
    Model(BoxStream<'static, Result<LlmEvent, ProviderError>>, Late),
    /// The tools of this round, by their place in it.
    Tools(FuturesUnordered<BoxFuture<'static, (usize, Outcome)>>, Late),
    /// Nothing.
    Over,
}

/// What has come.
enum Event {
    /// A newer request.
    Replaced,
    /// Nothing for too long.
    Silence,
    /// The earlier writes have ended, or were waited for long enough.
    Written,
    /// Something of the model; nothing when its stream has ended.
    Model(Option<Result<LlmEvent, ProviderError>>),
    /// The model takes too long.
    ModelLate,
    /// An outcome.
    Tool(usize, Outcome),
    /// Every outcome is there, or was waited for long enough.
    ToolsEnded,
}

impl Step {
    /// May be dropped at any time without loss.
    async fn next(&mut self) -> Event {
        match self {
            Self::Writes(written) => {
                written.await;
                Event::Written
            }
            Self::Model(answer, late) => tokio::select! {
                biased;
                event = answer.next() => Event::Model(event),
                () = late => Event::ModelLate,
            },
            Self::Tools(running, late) => tokio::select! {
                biased;
                ended = running.next() => ended.map_or(Event::ToolsEnded, |(at, outcome)| Event::Tool(at, outcome)),
                () = late => Event::ToolsEnded,
            },
            Self::Over => pending().await,
        }
    }
}

impl Reply {
    fn new(tenant: Arc<Tenant>, question: Question, now: Now) -> Self {
        let call = tenant.at_vapi().call(now.instant, question.call.as_deref());
        let (present, earlier) = {
            let mut thread = call.thread();
            (thread.begin(), thread.pending())
        };
        let settings = &tenant.profile().call;
        let written = async move {
            join_all(earlier.into_iter().map(|mut write| async move { write.ended().await })).await;
        };
        let patience = Duration::from_millis(settings.patience_ms);
        let filler = Duration::from_millis(settings.filler_ms);
        Self {
            phrases: settings.language.phrases(),
            present,
            call,
            caller: Caller { call: question.call, number: question.caller, now: now.zoned },
            begun: now.instant,
            heard: question.heard.into_inner(),
            can_end: question.can_end,
            can_transfer: question.can_transfer,
            own: Vec::new(),
            tools: ToolCalls::default(),
            rounds: 0,
            words: String::new(),
            asked: Vec::new(),
            step: Step::Writes(async move { timeout(patience, written).await.unwrap_or(()) }.boxed()),
            ready: VecDeque::new(),
            // A whole answer is read at once: nobody waits for its beginning.
            said: Said::new(filler, question.stream),
            end: End::Dropped,
            tenant,
        }
    }

    /// The next part.
    async fn next(&mut self) -> Option<Part> {
        loop {
            if let Some(part) = self.ready.pop_front() {
                return Some(part);
            }
            if matches!(self.step, Step::Over) {
                return None;
            }
            let event = tokio::select! {
                biased;
                _ = &mut self.present.over => Event::Replaced,
                event = self.step.next() => event,
                () = self.said.silence() => Event::Silence,
            };
            self.handle(event);
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Replaced => {
                tracing::debug!("a newer request of the call has taken over");
                self.over(End::Replaced);
            }
            Event::Silence => self.ready.extend(self.said.fill(self.phrases).map(Part::Words)),
            Event::Written => self.think(),
            Event::Model(Some(Ok(LlmEvent::Words(text)))) => {
                if !text.is_empty() {
                    self.words.push_str(&text);
                    self.ready.push_back(Part::Words(self.said.answer(text)));
                }
                self.patient();
            }
            Event::Model(Some(Ok(LlmEvent::Tool { id, name, arguments }))) => {
                self.tool(ToolAsk { id, name, arguments });
                self.patient();
            }
            Event::Model(Some(Ok(LlmEvent::Done(_)))) => self.said(),
            Event::Model(Some(Err(error))) => self.failed(error),
            Event::Model(None) => self.failed(self.upstream(Kind::Cut, "the stream ended early")),
            Event::ModelLate => self.failed(self.upstream(Kind::Stalled, "no word in time")),
            Event::Tool(at, outcome) => self.ended(at, outcome),
            Event::ToolsEnded => self.tools_ended(),
        }
    }

    /// Asks the model, with everything that is known by now.
    fn think(&mut self) {
        let profile = self.tenant.profile();
        let mut messages = self.call.thread().woven(&self.heard, self.present.request);
        messages.extend(self.own.iter().cloned());
        let ask = Ask {
            turn: Turn(self.said_by_caller() as u32),
            instructions: Arc::clone(&profile.instructions),
            messages,
            tools: self.tenant.tools().specs(),
            now: self.caller.now.clone(),
            language: profile.call.language,
            caller: self.caller.number.clone(),
        };
        let late = Box::pin(sleep(Duration::from_millis(profile.call.answer_ms)));
        self.step = Step::Model(self.tenant.engines().llm.reply(ask), late);
    }

    /// The model speaks: it has its time again.
    fn patient(&mut self) {
        if let Step::Model(_, late) = &mut self.step {
            let answer = Duration::from_millis(self.tenant.profile().call.answer_ms);
            late.as_mut().reset(tokio::time::Instant::now() + answer);
        }
    }

    /// The model asks for a tool.
    fn tool(&mut self, ask: ToolAsk) {
        let specs = self.tenant.tools().specs();
        let mut run: Option<BoxFuture<'static, Outcome>> = None;
        let (kind, outcome) = match self.tools.ask(self.begun, Turn(0), &ask, &specs) {
            Asked::Repeated => return,
            Asked::Refused(outcome) => (ToolKind::Read, Some(outcome)),
            Asked::Run(..) if !self.call.thread().has_room() => {
                let refused = running::refused("too many tools in this call: answer with what you have");
                (ToolKind::Read, Some(refused))
            }
            Asked::Run(_, ToolKind::Write) => {
                let mut write = self.call.runs().run(&self.tenant, &self.caller, ToolKind::Write, &ask);
                let fate = Fate::Write(write.clone());
                self.call.thread().record(self.present.request, self.said_by_caller(), ask.clone(), fate);
                run = Some(async move { write.ended().await }.boxed());
                (ToolKind::Write, None)
            }
            Asked::Run(_, kind @ (ToolKind::Read | ToolKind::Call)) => {
                let running = running::run(Arc::clone(self.tenant.tools()), self.caller.run(&ask));
                run = Some(running.map(|ran| ran.outcome()).boxed());
                (kind, None)
            }
        };
        self.asked.push(Tool { ask, kind, outcome, run });
    }

    /// The model has finished.
    fn said(&mut self) {
        if !self.asked.is_empty() {
            let runs = self.asked.iter_mut().enumerate().filter_map(|(at, tool)| Some((at, tool.run.take()?)));
            let running = runs.map(|(at, run)| run.map(move |outcome| (at, outcome)).boxed()).collect();
            self.step = Step::Tools(running, Box::pin(sleep(self.tenant.profile().vapi.tools_wait)));
        } else if self.said.has_answered() {
            self.call.thread().answered();
            self.over(End::Said);
        } else {
            self.trouble();
        }
    }

    /// A tool has its outcome.
    fn ended(&mut self, at: usize, outcome: Outcome) {
        let said = self.said_by_caller();
        let Some(tool) = self.asked.get_mut(at) else { return };
        // Writes were recorded when they began. A look-up that is cut off was never made.
        if tool.kind == ToolKind::Read {
            let fate = Fate::Known(outcome.content.clone());
            self.call.thread().record(self.present.request, said, tool.ask.clone(), fate);
        }
        tool.outcome = Some(outcome);
    }

    /// The round is over: the model goes on, or the call ends.
    fn tools_ended(&mut self) {
        let text = std::mem::take(&mut self.words);
        if !text.trim().is_empty() {
            self.own.push(Message::Agent { text, interrupted: false, estimated: true });
        }
        let mut then = Then::GoOn;
        for tool in std::mem::take(&mut self.asked) {
            let mut content = match (tool.outcome, tool.kind) {
                (Some(outcome), _) => {
                    if then == Then::GoOn {
                        then = outcome.then;
                    }
                    Some(outcome.content)
                }
                // It goes on, and the next question will know.
                (None, ToolKind::Write) => None,
                (None, ToolKind::Read | ToolKind::Call) => Some(running::late().content),
            };
            if matches!(then, Then::Transfer(_)) && !self.can_transfer {
                then = Then::GoOn;
                let say = self.phrases.text("booking.nobody_to_transfer_to");
                content = Some(serde_json::json!({ "ok": false, "error": "no_transfer", "say": say }).to_string());
            }
            let id = tool.ask.id.clone();
            self.own.push(Message::Asked { tools: vec![tool.ask] });
            self.own.push(Message::Outcome { id, content });
        }
        self.said.pause();
        self.rounds += 1;
        match then {
            Then::GoOn if self.rounds > TOOL_ROUNDS_MAX => self.trouble(),
            Then::GoOn => self.think(),
            Then::EndCall => self.close("call.goodbye", self.can_end.then_some(Part::End)),
            Then::Transfer(to) => self.close("call.transfer", Some(Part::Transfer(to))),
        }
    }

    /// The call leaves us. Nobody is left without a word.
    fn close(&mut self, goodbye: &'static str, last: Option<Part>) {
        if !self.said.has_answered() {
            self.say(goodbye);
        }
        self.call.thread().answered();
        self.ready.extend(last);
        self.over(End::Closed);
    }

    fn failed(&mut self, error: ProviderError) {
        self.ready.push_back(Part::Failed(error));
        self.trouble();
    }

    /// There is no answer, or no end of it: the caller is told, and after too many of these the call ends.
    fn trouble(&mut self) {
        self.said.pause();
        self.over(End::Trouble);
        if self.call.thread().failed() < FAILURES_MAX {
            self.say("call.trouble");
        } else {
            self.say("call.apology");
            self.ready.extend(self.can_end.then_some(Part::End));
        }
    }

    /// Nothing more is waited for; what is ready is still given out.
    fn over(&mut self, end: End) {
        self.step = Step::Over;
        self.end = end;
    }

    fn panicked(&mut self) -> Part {
        self.ready.clear();
        self.trouble();
        Part::Panicked
    }

    /// A sentence of the house.
    fn say(&mut self, phrase: &'static str) {
        self.ready.push_back(Part::Words(self.said.say(self.phrases.text(phrase).to_owned())));
    }

    fn said_by_caller(&self) -> usize {
        self.heard.iter().filter(|message| matches!(message, Message::Caller { .. })).count()
    }

    fn upstream(&self, kind: Kind, what: &'static str) -> ProviderError {
        ProviderError::upstream(self.tenant.engines().llm.name(), kind, what)
    }
}

impl Drop for Reply {
    /// Look-ups end with their answer, and are counted; writes go on.
    fn drop(&mut self) {
        let looks_up = |tool: &&Tool| tool.outcome.is_none() && tool.kind != ToolKind::Write;
        for _ in self.asked.iter().filter(looks_up) {
            ToolEnd::Dropped.count();
        }
        let end = match self.end {
            End::Dropped => "dropped",
            End::Replaced => "replaced",
            End::Said => "said",
            End::Closed => "closed",
            End::Trouble => "trouble",
        };
        metrics::counter!(ANSWERS, "end" => end).increment(1);
    }
}
