//! Reads of an assistant what we honour, and checks it: the ranges are those of Vapi's schema. What a wish means for a
//! call is not said here, but in `fit`.

use serde_json::{Map, Value};

use super::{Server, Tool, tools};
use crate::vapi::read::Reader;

/// Who speaks first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FirstMessage {
    /// The assistant, with its first message; without one, the caller.
    #[default]
    Speaks,
    /// The assistant, with what the model says.
    Generated,
    /// The caller.
    Waits,
}

/// What is kept of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactPlan {
    /// The sound; only where the shop keeps recordings.
    pub recording: bool,
    /// The transcript.
    pub transcript: bool,
    /// What stands before our words in it.
    pub assistant_name: String,
    /// What stands before the caller's.
    pub user_name: String,
}

impl Default for ArtifactPlan {
    fn default() -> Self {
        Self { recording: true, transcript: true, assistant_name: "AI".into(), user_name: "User".into() }
    }
}

/// What an assistant asks for; absent fields keep what the shop has.
#[derive(Debug, Default)]
pub(super) struct Wishes<'a> {
    pub(super) first_message: Option<&'a str>,
    pub(super) first_mode: FirstMessage,
    pub(super) first_interruptible: bool,
    /// The contents of the model's system messages.
    pub(super) system: Vec<&'a str>,
    pub(super) tools: Vec<Tool>,
    /// The transcriber's.
    pub(super) language: Option<&'a str>,
    pub(super) start: StartSpeaking,
    pub(super) stop: StopSpeaking<'a>,
    pub(super) duration_s: Option<f64>,
    pub(super) silence_s: Option<f64>,
    pub(super) idle: Option<Idle<'a>>,
    pub(super) silence_message: Option<&'a str>,
    pub(super) end_message: Option<&'a str>,
    pub(super) end_phrases: Option<Vec<&'a str>>,
    pub(super) keys_pause_s: Option<f64>,
    pub(super) keys_end: Option<String>,
    pub(super) clients: Option<Vec<&'a str>>,
    pub(super) servers: Option<Vec<&'a str>>,
    pub(super) server: Option<Server>,
    /// Listening and control: allowed, and whether each wants a key.
    pub(super) listen: (bool, bool),
    pub(super) control: (bool, bool),
    pub(super) artifact: ArtifactPlan,
    /// A recording is asked for in so many words.
    pub(super) recording: bool,
    pub(super) metadata: Option<&'a Map<String, Value>>,
}

/// `startSpeakingPlan`
#[derive(Debug, Default)]
pub(super) struct StartSpeaking {
    pub(super) wait_s: Option<f64>,
    pub(super) punctuation_s: Option<f64>,
    pub(super) no_punctuation_s: Option<f64>,
    pub(super) number_s: Option<f64>,
}

/// `stopSpeakingPlan`
#[derive(Debug, Default)]
pub(super) struct StopSpeaking<'a> {
    pub(super) words: Option<u32>,
    pub(super) voice_s: Option<f64>,
    pub(super) backoff_s: Option<f64>,
    pub(super) acknowledgements: Vec<&'a str>,
    pub(super) interruptions: Vec<&'a str>,
}

/// What is asked of a caller who stays silent: of the legacy `messagePlan`, or of a hook.
#[derive(Debug)]
pub(super) struct Idle<'a> {
    pub(super) texts: Vec<&'a str>,
    pub(super) after_s: f64,
    pub(super) times: u32,
}

const TEXT_CHARS_MAX: usize = 100_000;
const MESSAGES_MAX: usize = 64;
const PHRASES_MAX: usize = 200;
const HOOKS_MAX: usize = 32;
const TYPES_MAX: usize = 64;

impl<'a> Wishes<'a> {
    /// Reads a document. Mistakes go where the reader has them go.
    pub(super) fn read(top: &Reader<'a>) -> Self {
        top.text("name", 0, 40);
        top.text("voicemailMessage", 0, 1_000);
        tools::check_appended(top);
        top.object("variableValues");
        let model = top.object("model");
        let keypad = top.object("keypadInputPlan");
        keypad.flag("enabled");
        let monitor = top.object("monitorPlan");
        let switches =
            |one: &str, other: &str| (monitor.flag(one).unwrap_or(true), monitor.flag(other).unwrap_or(false));
        let plan = top.object("messagePlan");
        let artifact = top.object("artifactPlan");
        Self {
            first_message: top.text("firstMessage", 0, TEXT_CHARS_MAX),
            first_mode: match top.word("firstMessageMode", &MODES) {
                Some(mode) if mode == MODES[1] => FirstMessage::Generated,
                Some(mode) if mode == MODES[2] => FirstMessage::Waits,
                Some(_) | None => FirstMessage::Speaks,
            },
            first_interruptible: top.flag("firstMessageInterruptionsEnabled").unwrap_or(false),
            system: system(&model),
            tools: tools::read(&model),
            language: top.object("transcriber").text("language", 0, 40),
            start: StartSpeaking::read(&top.object("startSpeakingPlan")),
            stop: StopSpeaking::read(&top.object("stopSpeakingPlan")),
            duration_s: top.number("maxDurationSeconds", 10.0, 43_200.0),
            silence_s: top.number("silenceTimeoutSeconds", 10.0, 3_600.0),
            idle: Idle::of_hooks(top).or_else(|| Idle::of_plan(&plan)),
            silence_message: plan.text("silenceTimeoutMessage", 0, 1_000),
            end_message: top.text("endCallMessage", 0, 1_000),
            end_phrases: top.texts("endCallPhrases", PHRASES_MAX, 2, 140),
            keys_pause_s: keypad.number("timeoutSeconds", 0.0, 10.0),
            keys_end: delimiters(&keypad),
            clients: top.texts("clientMessages", TYPES_MAX, 0, 100),
            servers: top.texts("serverMessages", TYPES_MAX, 0, 100),
            server: Server::read(&top.object("server")),
            listen: switches("listenEnabled", "listenAuthenticationEnabled"),
            control: switches("controlEnabled", "controlAuthenticationEnabled"),
            artifact: ArtifactPlan::read(&artifact),
            recording: artifact.value("recordingEnabled") == Some(&Value::Bool(true)),
            metadata: top.object("metadata").written(),
        }
    }
}

const MODES: [&str; 3] =
    ["assistant-speaks-first", "assistant-speaks-first-with-model-generated-message", "assistant-waits-for-user"];

fn system<'a>(model: &Reader<'a>) -> Vec<&'a str> {
    let messages = model.objects("messages", MESSAGES_MAX);
    let of = |message: &Reader<'a>| match message.text("role", 0, 40) {
        Some("system") => message.text("content", 0, TEXT_CHARS_MAX),
        Some(_) | None => None,
    };
    messages.iter().filter_map(of).collect()
}

impl StartSpeaking {
    fn read(plan: &Reader<'_>) -> Self {
        let transcription = plan.object("transcriptionEndpointingPlan");
        Self {
            wait_s: plan.number("waitSeconds", 0.0, 5.0),
            punctuation_s: transcription.number("onPunctuationSeconds", 0.0, 3.0),
            no_punctuation_s: transcription.number("onNoPunctuationSeconds", 0.0, 3.0),
            number_s: transcription.number("onNumberSeconds", 0.0, 3.0),
        }
    }
}

impl<'a> StopSpeaking<'a> {
    fn read(plan: &Reader<'a>) -> Self {
        Self {
            words: plan.whole("numWords", 0, 10),
            voice_s: plan.number("voiceSeconds", 0.0, 0.5),
            backoff_s: plan.number("backoffSeconds", 0.0, 10.0),
            acknowledgements: plan.texts("acknowledgementPhrases", PHRASES_MAX, 0, 240).unwrap_or_default(),
            interruptions: plan.texts("interruptionPhrases", PHRASES_MAX, 0, 240).unwrap_or_default(),
        }
    }
}

impl<'a> Idle<'a> {
    /// The first hook on a silent caller that says something.
    fn of_hooks(top: &Reader<'a>) -> Option<Self> {
        top.objects("hooks", HOOKS_MAX).iter().find_map(|hook| {
            let options = hook.object("options");
            let after_s = options.number("timeoutSeconds", 1.0, 1_000.0).unwrap_or(7.5);
            let times = options.whole("triggerMaxCount", 1, 10).unwrap_or(3);
            let texts: Vec<_> = hook.objects("do", MESSAGES_MAX).iter().flat_map(said).collect();
            let silent = hook.value("on").and_then(Value::as_str) == Some("customer.speech.timeout");
            (silent && !texts.is_empty()).then_some(Self { texts, after_s, times })
        })
    }

    fn of_plan(plan: &Reader<'a>) -> Option<Self> {
        let after_s = plan.number("idleTimeoutSeconds", 5.0, 60.0).unwrap_or(10.0);
        let times = plan.whole("idleMessageMaxSpokenCount", 1, 10).unwrap_or(3);
        plan.flag("idleMessageResetCountOnUserSpeechEnabled");
        let texts = plan.texts("idleMessages", PHRASES_MAX, 0, 1_000)?;
        (!texts.is_empty()).then_some(Self { texts, after_s, times })
    }
}

/// The sentences of a hook's `say`: one, or several to choose from.
fn said<'a>(action: &Reader<'a>) -> Vec<&'a str> {
    if action.value("type").and_then(Value::as_str) != Some("say") {
        return vec![];
    }
    match action.value("exact") {
        Some(Value::Array(_)) => action.texts("exact", PHRASES_MAX, 0, 1_000).unwrap_or_default(),
        Some(_) => action.text("exact", 0, 1_000).into_iter().collect(),
        None => vec![],
    }
}

/// The keys that end an entry: a text in the schema, a list in older documents.
fn delimiters(keypad: &Reader<'_>) -> Option<String> {
    let written = if keypad.value("delimiters")?.is_array() {
        keypad.texts("delimiters", 2, 0, 1)?.concat()
    } else {
        keypad.text("delimiters", 0, 2)?.to_owned()
    };
    if written.chars().any(|key| key != '#' && key != '*') {
        keypad.must("delimiters", "must be one of the following values: #, *, ");
    }
    Some(written)
}

impl ArtifactPlan {
    fn read(plan: &Reader<'_>) -> Self {
        let (usual, transcript) = (Self::default(), plan.object("transcriptPlan"));
        plan.word("recordingFormat", &["wav;l16", "mp3"]);
        let name = |field: &str, usual: String| transcript.text(field, 0, 100).map_or(usual, ToOwned::to_owned);
        Self {
            recording: plan.flag("recordingEnabled").unwrap_or(usual.recording),
            transcript: transcript.flag("enabled").unwrap_or(usual.transcript),
            assistant_name: name("assistantName", usual.assistant_name),
            user_name: name("userName", usual.user_name),
        }
    }
}
