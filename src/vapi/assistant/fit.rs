//! What a call of ours does for an assistant of Vapi's: the shop's own settings, with the assistant's wishes laid over
//! them. Where the two count differently, the table of [`settings`](super::settings) says how.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{
    ArtifactPlan, FirstMessage, Server, Tool, Variables, Warnings,
    wishes::{Idle, StartSpeaking, StopSpeaking, Wishes},
};
use crate::{
    call::{EndpointingPolicy, InterruptingPolicy, Opening, Settings},
    language::Language,
    transport::vapi::{Kind, Wanted},
};

/// What the shop has of its own: what an assistant does not ask for stays as it is here.
#[derive(Debug, Clone, Copy)]
pub struct Shop<'a> {
    /// How its calls behave.
    pub call: &'a Settings,
    /// What it says first.
    pub greeting: &'a str,
    /// Its system prompt.
    pub instructions: &'a str,
    /// It keeps recordings of its calls.
    pub records: bool,
}

/// One call for one assistant.
#[derive(Debug, Clone)]
pub struct Fitted {
    /// How it behaves.
    pub call: Settings,
    /// What is said first, or when it is asked for. Vapi's rule: without a first message there is none, whatever the shop's
    /// own greeting is.
    pub greeting: Arc<str>,
    /// The system prompt.
    pub instructions: Arc<str>,
    /// The assistant's tools. None: the shop's own.
    pub tools: Vec<Tool>,
    /// Which events the client gets.
    pub clients: Wanted,
    /// Which messages the server URL gets.
    pub servers: Wanted,
    /// The server URL.
    pub server: Option<Server>,
    /// Who may listen and control.
    pub monitoring: Monitoring,
    /// What is kept.
    pub artifact: ArtifactPlan,
    /// For the customer's own use: goes with what its servers are told.
    pub metadata: Map<String, Value>,
    /// What the customer should know: fields without effect, values that were changed.
    pub warnings: Vec<String>,
}

/// Who may listen to a call and control it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Monitoring {
    /// There is an address to listen at.
    pub listen: bool,
    /// It wants a key.
    pub listen_authenticated: bool,
    /// There is an address to control it at.
    pub control: bool,
    /// It wants a key.
    pub control_authenticated: bool,
}

/// The longest silence that ends an utterance: a longer one would be dead air, which we promise not to have.
const SILENCE_MS_MAX: u64 = 2_400;

/// A run of speech that cuts without words, where words were asked for: none does.
const NEVER_MS: u64 = 60_000;

/// The least speech that holds our voice: less is not sure.
const HOLD_MS_MIN: u64 = 40;

/// Vapi's own silence timeout, against which idle messages are counted where none is given.
const SILENCE_S: u64 = 30;

/// Vapi's own wait before an answer.
const WAIT_MS: u64 = 400;

pub(super) fn fit(wishes: Wishes<'_>, shop: &Shop<'_>, variables: &Variables, mut warnings: Warnings) -> Fitted {
    let mut call = shop.call.clone();
    let mut fill = |text: &str| variables.fill(text, &mut warnings);
    let system: Vec<_> = wishes.system.iter().map(|text| fill(text)).collect();
    let mut greeting = wishes.first_message.map(&mut fill).unwrap_or_default();
    call.sayings.goodbye = wishes.end_message.map(&mut fill).or(call.sayings.goodbye);
    call.sayings.goodbye_silence = wishes.silence_message.map(&mut fill).or(call.sayings.goodbye_silence);
    if let Some(idle) = &wishes.idle {
        call.sayings.still_there = idle.texts.iter().map(|text| fill(text)).collect();
    }
    let mut tools = wishes.tools;
    for message in tools.iter_mut().flat_map(|tool| &mut tool.messages) {
        message.text = fill(&message.text);
    }

    unlike(&mut tools, &mut warnings);
    language(wishes.language, &mut call, &mut warnings);
    if greeting.starts_with("https://") || greeting.starts_with("http://") {
        warnings.add("firstMessage has no effect: a recording at an address is not played, write the words".into());
        greeting.clear();
    }
    if !greeting.is_empty() && !greeting.contains(call.language.phrases().text("call.disclosure")) {
        warnings.add(
            "firstMessage is spoken as it is written: see that it tells callers that an automated assistant answers \
             (EU AI Act, article 50)"
                .into(),
        );
    }
    call.opening = match wishes.first_mode {
        FirstMessage::Speaks if greeting.is_empty() => Opening::Caller,
        FirstMessage::Speaks => Opening::Greeting,
        FirstMessage::Generated => Opening::Model,
        FirstMessage::Waits => Opening::Caller,
    };
    call.greeting_interruptible = wishes.first_interruptible;
    start_speaking(&wishes.start, &mut call, &mut warnings);
    stop_speaking(&wishes.stop, &mut call, &mut warnings);
    silence(wishes.idle.as_ref(), wishes.silence_s, &mut call, &mut warnings);
    if let Some(duration) = wishes.duration_s {
        call.duration_max_s = duration as u64;
    }
    if let Some(phrases) = wishes.end_phrases {
        call.end_phrases = false;
        call.sayings.end_phrases = owned(&phrases);
    }
    if let Some(pause) = wishes.keys_pause_s {
        call.keys_pause_ms = ms(pause);
    }
    call.keys_end = wishes.keys_end.unwrap_or(call.keys_end);

    if wishes.recording && !shop.records {
        warnings.add("artifactPlan.recordingEnabled has no effect: this shop keeps no recordings".into());
    }
    let artifact = ArtifactPlan { recording: wishes.artifact.recording && shop.records, ..wishes.artifact };

    let clients = chosen("clientMessages", wishes.clients, Wanted::CLIENT, &mut warnings);
    let servers = chosen("serverMessages", wishes.servers, Wanted::SERVER, &mut warnings);
    Fitted {
        greeting: greeting.into(),
        instructions: if system.is_empty() { shop.instructions.into() } else { system.join("\n\n").into() },
        tools,
        clients,
        servers,
        server: wishes.server,
        monitoring: Monitoring {
            listen: wishes.listen.0,
            listen_authenticated: wishes.listen.1,
            control: wishes.control.0,
            control_authenticated: wishes.control.1,
        },
        artifact,
        metadata: wishes.metadata.cloned().unwrap_or_default(),
        warnings: warnings.list().to_vec(),
        call,
    }
}

/// Engines refuse a question with two tools of one name: the first of them is kept.
fn unlike(tools: &mut Vec<Tool>, warnings: &mut Warnings) {
    let mut names: Vec<String> = Vec::new();
    tools.retain(|tool| {
        let first = !names.contains(&tool.spec.name);
        if first {
            names.push(tool.spec.name.clone());
        } else {
            warnings.add(format!("model.tools: a second tool named {} has no effect", tool.spec.name));
        }
        first
    });
}

fn language(code: Option<&str>, call: &mut Settings, warnings: &mut Warnings) {
    let Some(code) = code else { return };
    match code.split(['-', '_']).next().unwrap_or_default().to_lowercase().as_str() {
        "it" => call.language = Language::Italian,
        "en" => call.language = Language::English,
        _ => warnings.add("transcriber.language has no effect: we speak it and en, and the shop's own is kept".into()),
    }
}

/// Vapi counts from the last transcript and then waits; we count silence in the sound, so both are one silence.
fn start_speaking(plan: &StartSpeaking, call: &mut Settings, warnings: &mut Warnings) {
    let wait = plan.wait_s.map_or(WAIT_MS, ms);
    let mut limited = |field: &str, silence: u64| {
        if silence > SILENCE_MS_MAX {
            warnings.add(format!("startSpeakingPlan: {field} and waitSeconds together are limited to 2.4 seconds"));
        }
        silence.min(SILENCE_MS_MAX)
    };
    let silences = &mut call.endpointing;
    if plan.punctuation_s.or(plan.no_punctuation_s).or(plan.number_s).is_some() {
        silences.policy = EndpointingPolicy::Text;
    }
    if let Some(seconds) = plan.punctuation_s {
        silences.complete_ms = limited("onPunctuationSeconds", wait + ms(seconds));
    }
    if let Some(seconds) = plan.no_punctuation_s {
        silences.silence_ms = limited("onNoPunctuationSeconds", wait + ms(seconds));
        silences.unfinished_ms = silences.unfinished_ms.max(silences.silence_ms);
    }
    if let Some(seconds) = plan.number_s {
        silences.dictation_ms = limited("onNumberSeconds", wait + ms(seconds));
    }
    if plan.wait_s.is_some() {
        let wait = limited("waitSeconds", wait);
        for silence in [
            &mut silences.complete_ms,
            &mut silences.silence_ms,
            &mut silences.unfinished_ms,
            &mut silences.dictation_ms,
        ] {
            *silence = (*silence).max(wait);
        }
    }
}

fn stop_speaking(plan: &StopSpeaking<'_>, call: &mut Settings, warnings: &mut Warnings) {
    let cut = &mut call.interruption;
    match plan.words {
        Some(0) => (cut.policy, cut.words_min) = (InterruptingPolicy::Words, 1),
        Some(words) => {
            (cut.policy, cut.words_min, cut.cut_ms) = (InterruptingPolicy::Words, words, NEVER_MS);
        }
        None => {}
    }
    if let Some(seconds) = plan.voice_s {
        cut.hold_ms = ms(seconds).max(HOLD_MS_MIN);
    }
    if let Some(seconds) = plan.backoff_s {
        if ms(seconds) > SILENCE_MS_MAX {
            warnings.add("stopSpeakingPlan.backoffSeconds is limited to 2.4 seconds".into());
        }
        cut.backoff_ms = ms(seconds).min(SILENCE_MS_MAX);
    }
    call.sayings.backchannels.extend(owned(&plan.acknowledgements));
    call.sayings.stops.extend(owned(&plan.interruptions));
}

/// Vapi counts one long silence and puts its idle messages into it; we count from each time we ask. The sum is the same.
fn silence(idle: Option<&Idle<'_>>, timeout_s: Option<f64>, call: &mut Settings, warnings: &mut Warnings) {
    let timeout = timeout_s.map(|seconds| seconds as u64);
    let Some(idle) = idle else {
        if let Some(timeout) = timeout {
            (call.silence_s, call.reprompts, call.goodbye_s) = (timeout, 0, None);
        }
        return;
    };
    let (timeout, after) = (timeout.unwrap_or(SILENCE_S), (idle.after_s.round() as u64).max(1));
    let fit = timeout.saturating_sub(1) / after;
    let times = u64::from(idle.times).min(fit);
    if times < u64::from(idle.times) {
        warnings.add(format!(
            "of {} idle messages {times} are spoken: the call ends after {timeout} seconds of silence \
             (silenceTimeoutSeconds)",
            idle.times
        ));
    }
    call.silence_s = after.min(timeout);
    call.reprompts = times as u32;
    call.goodbye_s = Some(timeout - times * after);
}

fn chosen(field: &str, names: Option<Vec<&str>>, usual: Wanted, warnings: &mut Warnings) -> Wanted {
    let Some(names) = names else { return usual };
    let unknown: Vec<_> = names.iter().filter(|name| Kind::of(name).is_none()).copied().collect();
    if !unknown.is_empty() {
        warnings.add(format!("{field}: we have no messages of the type {}", unknown.join(", ")));
    }
    Wanted::only(names)
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().filter(|text| !text.trim().is_empty()).map(ToString::to_string).collect()
}

/// Seconds that have been checked, in milliseconds.
fn ms(seconds: f64) -> u64 {
    (seconds * 1_000.0).round() as u64
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::vapi::assistant::Assistant;

    fn fitted(assistant: Value) -> Fitted {
        fitted_by(false, assistant)
    }

    /// By a shop that keeps recordings, or does not.
    fn fitted_by(records: bool, assistant: Value) -> Fitted {
        let assistant = Assistant::parse(&assistant.to_string()).unwrap();
        let variables = assistant.variables("2026-09-01T10:30[Europe/Rome]".parse().unwrap());
        let own = Settings::default();
        let shop = Shop { call: &own, greeting: "Pronto", instructions: "Sei la receptionist.", records };
        assistant.fit(&shop, &variables)
    }

    #[test]
    fn an_empty_assistant_is_the_shop_but_does_not_greet() {
        let fitted = fitted(json!({}));
        let quiet = Settings { opening: Opening::Caller, greeting_interruptible: false, ..Settings::default() };
        assert_eq!(fitted.call, quiet);
        assert_eq!((&*fitted.greeting, &*fitted.instructions), ("", "Sei la receptionist."));
        assert_eq!(fitted.warnings, [""; 0]);
    }

    #[test]
    fn who_speaks_first() {
        let check = |assistant: Value, opening, greeting: &str| {
            let fitted = fitted(assistant);
            assert_eq!((fitted.call.opening, &*fitted.greeting), (opening, greeting));
        };
        check(json!({"firstMessage": "Ciao"}), Opening::Greeting, "Ciao");
        let waits = json!({"firstMessage": "Ciao", "firstMessageMode": "assistant-waits-for-user"});
        check(waits, Opening::Caller, "Ciao");
        let model = "assistant-speaks-first-with-model-generated-message";
        check(json!({"firstMessageMode": model}), Opening::Model, "");
        check(json!({"firstMessage": "https://a/b.wav"}), Opening::Caller, "");
    }

    #[test]
    fn silences_are_sums_and_no_dead_air() {
        let plan = |wait: f64, no: f64| {
            fitted(json!({"startSpeakingPlan": {
                "waitSeconds": wait,
                "transcriptionEndpointingPlan": {"onPunctuationSeconds": 0.1, "onNoPunctuationSeconds": no, "onNumberSeconds": 0.5},
            }}))
        };
        let silences = plan(0.4, 1.5).call.endpointing;
        let silences = (silences.complete_ms, silences.silence_ms, silences.unfinished_ms, silences.dictation_ms);
        assert_eq!(silences, (500, 1_900, 1_900, 900));
        let long = plan(1.0, 3.0);
        assert_eq!((long.call.endpointing.silence_ms, long.warnings.len()), (2_400, 1));
        let wait = fitted(json!({"startSpeakingPlan": {"waitSeconds": 0.6}})).call.endpointing;
        assert_eq!((wait.complete_ms, wait.silence_ms), (600, 700));
    }

    #[test]
    fn words_and_voice_that_cut() {
        let stop = |plan: Value| fitted(json!({"stopSpeakingPlan": plan})).call;
        let words = stop(json!({"numWords": 3.0, "backoffSeconds": 1, "interruptionPhrases": ["aspetti", " "]}));
        assert_eq!((words.interruption.words_min, words.interruption.cut_ms), (3, NEVER_MS));
        assert_eq!((words.interruption.backoff_ms, words.sayings.stops), (1_000, vec!["aspetti".to_owned()]));
        let voice = stop(json!({"numWords": 0, "voiceSeconds": 0.2, "acknowledgementPhrases": ["dica"]}));
        assert_eq!((voice.interruption.words_min, voice.interruption.hold_ms), (1, 200));
        assert_eq!(voice.sayings.backchannels, ["dica"]);
    }

    #[test]
    fn a_call_is_recorded_where_the_shop_keeps_recordings_unless_the_assistant_wants_none() {
        let check = |records, assistant: Value, recorded, warnings: &[&str]| {
            let fitted = fitted_by(records, assistant);
            assert_eq!(fitted.artifact.recording, recorded);
            let fields: Vec<_> = fitted.warnings.iter().map(|it| it.split(' ').next().unwrap()).collect();
            assert_eq!(fields, warnings);
        };
        let plan = |enabled: bool| json!({"artifactPlan": {"recordingEnabled": enabled}});
        check(true, json!({}), true, &[]);
        check(true, plan(true), true, &[]);
        check(true, plan(false), false, &[]);
        check(false, json!({}), false, &[]);
        check(false, plan(false), false, &[]);
        check(false, plan(true), false, &["artifactPlan.recordingEnabled"]);
        let format = |format: &str| json!({"artifactPlan": {"recordingFormat": format}});
        check(true, format("wav;l16"), true, &[]);
        check(true, format("mp3"), true, &["artifactPlan.recordingFormat"]);
    }

    #[test]
    fn idle_messages_fit_into_the_silence() {
        let silence = |assistant: Value| {
            let fitted = fitted(assistant);
            let call = fitted.call;
            (call.silence_s, call.reprompts, call.goodbye_s, call.sayings.still_there.len(), fitted.warnings.len())
        };
        assert_eq!(silence(json!({"silenceTimeoutSeconds": 45})), (45, 0, None, 0, 0));
        let plan = json!({"idleMessages": ["È ancora lì?", "Pronto?"], "idleTimeoutSeconds": 10, "idleMessageMaxSpokenCount": 2});
        assert_eq!(silence(json!({"messagePlan": plan, "silenceTimeoutSeconds": 45})), (10, 2, Some(25), 2, 0));
        assert_eq!(silence(json!({"messagePlan": plan, "silenceTimeoutSeconds": 15})), (10, 1, Some(5), 2, 1));
        let hook = json!({
            "on": "customer.speech.timeout", "options": {"timeoutSeconds": 8, "triggerMaxCount": 1},
            "do": [{"type": "say", "exact": "Pronto?"}],
        });
        assert_eq!(silence(json!({"hooks": [hook]})), (8, 1, Some(22), 1, 0));
    }

    #[test]
    fn of_two_tools_of_one_name_the_first_is_kept() {
        let fitted = fitted(json!({"model": {"tools": [{"type": "endCall", "async": true}, {"type": "endCall"}]}}));
        assert!(fitted.tools.len() == 1 && fitted.tools[0].background);
        assert!(fitted.warnings.iter().any(|it| it == "model.tools: a second tool named endCall has no effect"));
    }

    #[test]
    fn the_rest_reaches_the_call_too() {
        let fitted = fitted(json!({
            "transcriber": {"provider": "deepgram", "language": "en-US"}, "maxDurationSeconds": 120.0,
            "endCallPhrases": ["a risentirci"], "endCallMessage": "Grazie, {{name | default: \"a presto\"}}.",
            "keypadInputPlan": {"enabled": true, "timeoutSeconds": 3, "delimiters": "*"},
            "clientMessages": ["transcript"], "serverMessages": ["end-of-call-report", "tool.completed"],
            "monitorPlan": {"listenEnabled": false}, "artifactPlan": {"recordingEnabled": false},
            "model": {"messages": [{"role": "system", "content": "Oggi: {{date}}"}, {"role": "user", "content": "x"}]},
            "metadata": {"shop": 7},
        }));
        assert_eq!((fitted.call.language, fitted.call.duration_max_s), (Language::English, 120));
        assert_eq!((fitted.call.end_phrases, fitted.call.sayings.end_phrases.len()), (false, 1));
        assert_eq!(fitted.call.sayings.goodbye.as_deref(), Some("Grazie, a presto."));
        assert_eq!((fitted.call.keys_end.as_str(), fitted.call.keys_pause_ms), ("*", 3_000));
        assert!(fitted.clients.has_kind(Kind::Transcript) && !fitted.clients.has_kind(Kind::StatusUpdate));
        assert!(fitted.servers.has_kind(Kind::EndOfCallReport) && !fitted.servers.has_kind(Kind::StatusUpdate));
        assert!(!fitted.monitoring.listen && fitted.monitoring.control && !fitted.artifact.recording);
        assert_eq!((&*fitted.instructions, &fitted.metadata["shop"]), ("Oggi: Sep 1, 2026", &json!(7)));
        let told = ["serverMessages: we have no messages of the type tool.completed", "transcriber.* has no effect"];
        for told in told {
            assert!(fitted.warnings.iter().any(|it| it.starts_with(told)), "{told}: {:?}", fitted.warnings);
        }
    }
}
