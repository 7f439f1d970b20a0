//! The engines' streams of one call: what the call asked for, under way.
//!
//! Everything here is polled in place; nothing is sent to another task but tools. Dropping a stream is the cancellation.

use std::{
    collections::VecDeque,
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::BoxStream};

use super::{
    limits, metrics,
    recogniser::{Recognised, Recogniser},
    tool_runs::{Caller, ToolRuns},
};
use crate::{
    call::{Ask, ClauseId, Failed, Input, LlmEvent, ToolAsk, ToolKind, TtsEvent, Turn},
    language::Language,
    providers::{Kind, ProviderError, Say, Tts},
    tenant::Tenant,
};

/// A provider's answers.
type Answers<T> = BoxStream<'static, Result<T, ProviderError>>;

/// What one call has under way outside itself.
pub(super) struct Streams {
    /// Whose engines.
    tenant: Arc<Tenant>,
    /// The language of the conversation.
    language: Language,
    /// What hears the caller.
    recogniser: Recogniser,
    /// The model's answer to the last question.
    model: Option<(Turn, Answers<LlmEvent>)>,
    /// The clause being spoken.
    voice: Option<(Turn, ClauseId, Answers<TtsEvent>)>,
    /// A filler beside it; the clause in progress keeps its stream.
    aside: Option<(Turn, ClauseId, Answers<TtsEvent>)>,
    /// The clauses after it.
    clauses: VecDeque<(Turn, ClauseId, String)>,
    /// Failures to hand to the call before anything else.
    failures: VecDeque<Input<'static>>,
    /// The engines' connections that are being opened, so that the first question finds them open.
    warming: Option<BoxFuture<'static, ()>>,
    /// The tools.
    tools: ToolRuns,
}

impl Streams {
    /// Starts the recogniser, and opens the other engines' connections while the caller is greeted.
    pub(super) fn new(tenant: Arc<Tenant>, caller: Caller) -> Self {
        let engines = tenant.engines();
        let recogniser = Recogniser::new(Arc::clone(&engines.stt), caller.language);
        let warming = Some(engines.warm());
        let language = caller.language;
        Self {
            tools: ToolRuns::new(Arc::clone(&tenant), caller),
            tenant,
            language,
            warming,
            recogniser,
            model: None,
            voice: None,
            aside: None,
            clauses: VecDeque::new(),
            failures: VecDeque::new(),
        }
    }

    /// Feeds the recogniser.
    pub(super) fn hear(&self, samples: &[i16]) {
        self.recogniser.hear(samples);
    }

    /// Tells the recogniser to finish what it has.
    pub(super) fn commit(&self, commit: u32) {
        self.recogniser.commit(commit);
    }

    /// Asks the model; an earlier question is dropped.
    pub(super) fn think(&mut self, ask: Ask) {
        self.model = Some((ask.turn, self.tenant.engines().llm.reply(ask)));
    }

    /// Speaks a clause after those before it, or a filler (`aside`) at once.
    pub(super) fn speak(&mut self, turn: Turn, clause: ClauseId, text: String, aside: bool) {
        if aside {
            self.aside = Some((turn, clause, self.voiced(text)));
            return;
        }
        if self.clauses.len() >= limits::CLAUSES_WAITING_MAX {
            self.failures.push_back(Input::TtsFailed(turn, clause, Failed::Broken));
            return;
        }
        self.clauses.push_back((turn, clause, text));
        self.next_clause();
    }

    /// Drops the model and the voice of every turn up to this one.
    pub(super) fn stop(&mut self, turn: Turn) {
        self.model.take_if(|(of, _)| *of <= turn);
        self.voice.take_if(|(of, ..)| *of <= turn);
        self.aside.take_if(|(of, ..)| *of <= turn);
        self.clauses.retain(|(of, ..)| *of > turn);
        self.next_clause();
    }

    /// Runs a tool on the tenant. Its outcome comes back once, if the call is still there.
    pub(super) fn run_tool(&mut self, tool: u32, kind: ToolKind, ask: ToolAsk) {
        self.tools.run(tool, kind, ask);
    }

    /// Nobody waits for this lookup any more.
    pub(super) fn drop_tool(&mut self, tool: u32) {
        self.tools.drop_lookup(tool);
    }

    /// Samples the recogniser never heard.
    pub(super) fn unheard(&self) -> u64 {
        self.recogniser.unheard()
    }

    /// When [`tick`](Self::tick) is to be called.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.recogniser.deadline()
    }

    /// Starts the next recogniser when its time has come.
    pub(super) fn tick(&mut self, now: Instant) {
        self.recogniser.tick(now);
    }

    /// Waits for the next thing any of them says. `hungry`: there is room for the voice's audio; without it the voice
    /// is left alone, a filler apart. May be dropped at any time without loss.
    pub(super) async fn next(&mut self, hungry: bool, now: Instant) -> Input<'static> {
        poll_fn(|cx| self.poll(cx, hungry, now)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>, hungry: bool, now: Instant) -> Poll<Input<'static>> {
        self.recogniser.polled(cx);
        if let Some(failure) = self.failures.pop_front() {
            return Poll::Ready(failure);
        }
        if let Poll::Ready((tool, outcome)) = self.tools.poll(cx) {
            return Poll::Ready(Input::ToolDone(tool, outcome));
        }
        if self.warming.as_mut().is_some_and(|warming| warming.poll_unpin(cx).is_ready()) {
            self.warming = None;
        }
        if let Poll::Ready(recognised) = self.recogniser.poll(cx, now) {
            return Poll::Ready(match recognised {
                Recognised::Said(event) => Input::Stt(event),
                Recognised::Failed { why, restarts } => Input::SttFailed { why, restarts },
            });
        }
        if let Poll::Ready(input) = self.poll_model(cx) {
            return Poll::Ready(input);
        }
        if let Poll::Ready(input) = self.poll_aside(cx) {
            return Poll::Ready(input);
        }
        if hungry { self.poll_voice(cx) } else { Poll::Pending }
    }

    fn poll_model(&mut self, cx: &mut Context<'_>) -> Poll<Input<'static>> {
        let Some((turn, model)) = &mut self.model else { return Poll::Pending };
        let turn = *turn;
        let Poll::Ready(answer) = model.poll_next_unpin(cx) else { return Poll::Pending };
        let error = match answer {
            Some(Ok(event)) => {
                if matches!(event, LlmEvent::Done(_)) {
                    self.model = None;
                }
                return Poll::Ready(Input::Llm(turn, event));
            }
            Some(Err(error)) => error,
            None => cut(self.tenant.engines().llm.name()),
        };
        complain(metrics::Engine::Llm, &error);
        self.model = None;
        Poll::Ready(Input::LlmFailed(turn, error.failed()))
    }

    fn poll_aside(&mut self, cx: &mut Context<'_>) -> Poll<Input<'static>> {
        let Some(aside) = &mut self.aside else { return Poll::Pending };
        let Poll::Ready((input, over)) = poll_speech(aside, &*self.tenant.engines().tts, cx) else {
            return Poll::Pending;
        };
        if over {
            self.aside = None;
        }
        Poll::Ready(input)
    }

    fn poll_voice(&mut self, cx: &mut Context<'_>) -> Poll<Input<'static>> {
        let Some(voice) = &mut self.voice else { return Poll::Pending };
        let Poll::Ready((input, over)) = poll_speech(voice, &*self.tenant.engines().tts, cx) else {
            return Poll::Pending;
        };
        if over {
            self.voice = None;
            self.next_clause();
        }
        Poll::Ready(input)
    }

    fn voiced(&self, text: String) -> Answers<TtsEvent> {
        self.tenant.engines().tts.speak(Say { text, language: self.language })
    }

    /// The next clause begins when the one before has ended.
    fn next_clause(&mut self) {
        if self.voice.is_some() {
            return;
        }
        if let Some((turn, clause, text)) = self.clauses.pop_front() {
            self.voice = Some((turn, clause, self.voiced(text)));
        }
    }
}

/// What a voice says, and whether that was its last word.
fn poll_speech(
    (turn, clause, speech): &mut (Turn, ClauseId, Answers<TtsEvent>),
    tts: &dyn Tts,
    cx: &mut Context<'_>,
) -> Poll<(Input<'static>, bool)> {
    let Poll::Ready(answer) = speech.poll_next_unpin(cx) else { return Poll::Pending };
    let error = match answer {
        Some(Ok(event)) => {
            let over = matches!(event, TtsEvent::Done);
            return Poll::Ready((Input::Tts(*turn, *clause, event), over));
        }
        Some(Err(error)) => error,
        None => cut(tts.capabilities().name),
    };
    complain(metrics::Engine::Tts, &error);
    Poll::Ready((Input::TtsFailed(*turn, *clause, error.failed()), true))
}

/// Counts a failure, and logs it.
pub(super) fn complain(engine: metrics::Engine, error: &ProviderError) {
    metrics::provider_failed(engine, error.kind);
    tracing::warn!(engine = engine.name(), provider = error.provider, kind = ?error.kind, "an engine failed");
}

/// A stream that ended without its last event.
fn cut(provider: &'static str) -> ProviderError {
    ProviderError::upstream(provider, Kind::Cut, "the stream ended early")
}

#[cfg(test)]
pub(super) mod tests;
