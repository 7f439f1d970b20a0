//! What becomes of each field of an assistant: one table, from which the page for customers is written
//! (`config/vapi/settings.md`) and from which the warnings of each call are taken, so that nothing is ignored in silence.

use serde_json::{Map, Value};

use super::{Warnings, tools};

/// What becomes of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It does what Vapi says it does.
    Honoured,
    /// It becomes a setting of ours that comes close; the sentence says how.
    Mapped,
    /// It is kept and shown, and does nothing; who writes it is told.
    Ignored,
}

/// One line of the table.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The field's path; `.*` at the end stands for the fields that have no row of their own.
    pub field: &'static str,
    /// What becomes of it.
    pub effect: Effect,
    /// The sentence.
    pub says: &'static str,
    /// The value, as JSON, of which nobody need be told that it does nothing.
    harmless: &'static str,
}

const fn honoured(field: &'static str, says: &'static str) -> Row {
    Row { field, effect: Effect::Honoured, says, harmless: "" }
}

const fn mapped(field: &'static str, says: &'static str) -> Row {
    Row { field, effect: Effect::Mapped, says, harmless: "" }
}

const fn ignored(field: &'static str, says: &'static str) -> Row {
    Row { field, effect: Effect::Ignored, says, harmless: "" }
}

const fn ignored_but(field: &'static str, harmless: &'static str, says: &'static str) -> Row {
    Row { field, effect: Effect::Ignored, says, harmless }
}

/// The table. A field that is an object has a row for itself, which speaks for what is inside unless that has its own.
pub const TABLE: &[Row] = &[
    honoured("name", "Shown with the call."),
    honoured("firstMessage", "Spoken word for word, variables filled in; a recording at an address is not played."),
    honoured("firstMessageMode", "All three: we speak, the model speaks, the caller speaks."),
    honoured("firstMessageInterruptionsEnabled", "Off unless it is on, as at Vapi."),
    mapped("model", "The shop's own engine answers; the conversation's wishes are read from here."),
    honoured("model.messages", "System messages become the instructions; others are told about and left out."),
    honoured("model.tools", "`function`, `endCall` and `transferCall`; other types are told about and not run."),
    mapped(
        "model.tools.messages",
        "`request-start` (never waited for) and `request-response-delayed` are said where nothing else can be heard; what \
         follows a result is given to the model to say, and what ends the call the call says itself.",
    ),
    ignored("model.toolIds", "There is no `/tool` here: write the tools into `model.tools`."),
    ignored("model.*", "The shop's own engine answers, with its own model and settings."),
    mapped("transcriber", "The shop's own recogniser listens."),
    mapped("transcriber.language", "Italian and English, with or without a region; the whole call speaks it."),
    ignored("transcriber.*", "The shop's own recogniser listens, with its own settings."),
    ignored("voice", "The shop's own voice speaks."),
    mapped("startSpeakingPlan", "Becomes silences in the caller's sound."),
    mapped("startSpeakingPlan.waitSeconds", "The least silence before an answer; 2.4 s is the most."),
    mapped("startSpeakingPlan.transcriptionEndpointingPlan", "See its fields."),
    mapped(
        "startSpeakingPlan.transcriptionEndpointingPlan.onPunctuationSeconds",
        "With waitSeconds: the silence after a sentence that is surely complete.",
    ),
    mapped(
        "startSpeakingPlan.transcriptionEndpointingPlan.onNoPunctuationSeconds",
        "With waitSeconds: the silence after any other sentence.",
    ),
    mapped(
        "startSpeakingPlan.transcriptionEndpointingPlan.onNumberSeconds",
        "With waitSeconds: the silence while a number, plate or name is being dictated.",
    ),
    ignored("startSpeakingPlan.smartEndpointingPlan", "What was said is always weighed, by our own rules for Italian."),
    ignored_but(
        "startSpeakingPlan.smartEndpointingEnabled",
        "false",
        "What was said is always weighed, by our own rules.",
    ),
    ignored_but("startSpeakingPlan.customEndpointingRules", "[]", "Our own rules know what was asked for."),
    mapped("stopSpeakingPlan", "The voice is held on sound and cut on words."),
    mapped(
        "stopSpeakingPlan.numWords",
        "So many words cut; 0: one word that is no backchannel, or a long run of speech.",
    ),
    mapped("stopSpeakingPlan.voiceSeconds", "So much sure speech holds our voice, until words decide."),
    mapped("stopSpeakingPlan.backoffSeconds", "The least silence after the words of who cut us; 2.4 s is the most."),
    honoured("stopSpeakingPlan.acknowledgementPhrases", "Never interrupt; added to the language's own."),
    honoured("stopSpeakingPlan.interruptionPhrases", "Always interrupt, at once."),
    mapped("silenceTimeoutSeconds", "After so much silence we say goodbye and end, with `silence-timed-out`."),
    mapped(
        "maxDurationSeconds",
        "Counted from the answer; we say a sentence before we end, with `exceeded-max-duration`.",
    ),
    honoured(
        "endCallMessage",
        "Spoken when the assistant ends the call and has said nothing else; absent, the language's.",
    ),
    honoured("endCallPhrases", "Anywhere in what the assistant said. Absent: the shop's own, at the end of it."),
    mapped("keypadInputPlan", "Keys are always read, from the line or from the sound."),
    ignored_but("keypadInputPlan.enabled", "true", "Keys are always read."),
    honoured("keypadInputPlan.timeoutSeconds", "The pause that ends an entry."),
    honoured("keypadInputPlan.delimiters", "The keys that end an entry."),
    mapped("hooks", "`customer.speech.timeout` with a `say` of exact words asks a silent caller; others do nothing."),
    mapped("messagePlan", "The form before hooks. Its count begins again when the caller speaks."),
    honoured("messagePlan.idleMessages", "One after the other, from the first."),
    honoured("messagePlan.idleTimeoutSeconds", "Silence before each."),
    honoured("messagePlan.idleMessageMaxSpokenCount", "As many as fit into silenceTimeoutSeconds."),
    ignored_but("messagePlan.idleMessageResetCountOnUserSpeechEnabled", "true", "The count always begins again."),
    honoured("messagePlan.silenceTimeoutMessage", "The goodbye to a silent caller."),
    honoured("clientMessages", "The types that we have; others are told about."),
    honoured("serverMessages", "The types that we have; others are told about."),
    honoured("server", "Where messages go."),
    honoured("server.url", "`https://` or `http://`."),
    honoured("server.timeoutSeconds", "For the whole request; 20 s where absent."),
    honoured("server.secret", "Sent as `x-vapi-secret`; not shown again."),
    honoured("server.headers", "Sent with every request."),
    honoured("server.credentialId", "The credential of this name in the shop's settings."),
    honoured("server.backoffPlan", "No retry where absent."),
    ignored_but("server.staticIpAddressesEnabled", "false", "Requests leave from where this gateway runs."),
    ignored_but("server.encryptedPaths", "[]", "Refused where it is not empty: single fields are not encrypted."),
    honoured("monitorPlan", "Whether there are addresses to listen and to control, and whether they want a key."),
    honoured("monitorPlan.listenEnabled", "On where absent."),
    honoured("monitorPlan.listenAuthenticationEnabled", "Off where absent; the address itself cannot be guessed."),
    honoured("monitorPlan.controlEnabled", "On where absent."),
    honoured("monitorPlan.controlAuthenticationEnabled", "Off where absent; the address itself cannot be guessed."),
    ignored_but("monitorPlan.monitorIds", "[]", "There are no monitors."),
    mapped("artifactPlan", "What is kept of a call."),
    honoured(
        "artifactPlan.recordingEnabled",
        "On where absent, in a shop that keeps recordings; a shop that keeps none is not made to, and who asks is told.",
    ),
    ignored_but("artifactPlan.recordingFormat", "\"wav;l16\"", "Recordings are WAV."),
    honoured("artifactPlan.transcriptPlan", "Whether there is a transcript, and the names in it."),
    ignored(
        "artifactPlan.*",
        "Neither video, packet captures, logs, other storage, structured outputs nor scorecards.",
    ),
    honoured("metadata", "Kept, shown, and told to servers with the call."),
    honoured(
        "variableValues",
        "An override: fills `{{names}}` in first message, system messages and spoken sentences.",
    ),
    honoured("tools:append", "An override: added to `model.tools`."),
    ignored("voicemailMessage", "Calls come in: there is no answering machine at the other end."),
    ignored_but("voicemailDetection", "\"off\"", "Calls come in: there is no answering machine at the other end."),
    ignored_but("backgroundSound", "\"off\"", "There is none."),
    ignored_but("modelOutputInMessagesEnabled", "false", "History holds what was heard, and nothing else."),
    ignored("backgroundSpeechDenoisingPlan", "Noise is always suppressed for the detectors, never for the recogniser."),
    ignored_but("transportConfigurations", "[]", "The transport is the call's own."),
    ignored("observabilityPlan", "See the gateway's own metrics."),
    ignored("credentials", "Never stored with an assistant, never shown; a shop's keys stand in its settings."),
    ignored_but("credentialIds", "[]", "A shop's keys stand in its settings."),
    ignored("compliancePlan", "Nothing of it is done; the greeting says that an assistant answers."),
    ignored("analysisPlan", "Calls are not analysed; the report carries an empty analysis."),
];

/// The most fields of a document that are looked at.
const FIELDS_MAX: usize = 4_096;

/// Tells what of a document has no effect.
pub(super) fn without_effect(written: &Map<String, Value>, warnings: &mut Warnings) {
    let mut left = FIELDS_MAX;
    look("", written, &mut left, warnings);
    tools::without_effect(written, warnings);
    hooks(written, warnings);
    let messages = written.get("model").and_then(|model| model.get("messages")?.as_array());
    for (at, message) in messages.into_iter().flatten().enumerate() {
        if message.get("role").and_then(Value::as_str) != Some("system") {
            warnings.add(format!("model.messages.{at} has no effect: only system messages become instructions"));
        }
    }
}

fn look(path: &str, fields: &Map<String, Value>, left: &mut usize, warnings: &mut Warnings) {
    for (name, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
        let Some(rest) = left.checked_sub(1) else { return };
        *left = rest;
        let field = format!("{path}{name}");
        let others = format!("{path}*");
        let row = row(&field).or_else(|| row(&others));
        let Some(row) = row else {
            // A name of a stranger's may be long, or anything.
            let field: String = field.chars().take(100).collect();
            warnings.add(format!("{field} is no setting that we know: it is kept and has no effect"));
            continue;
        };
        if row.effect == Effect::Ignored && !is_written(value, row.harmless) {
            warnings.add(format!("{} has no effect: {}", row.field, row.says));
        }
        let inside = format!("{field}.");
        if let Some(fields) = value.as_object().filter(|_| TABLE.iter().any(|row| row.field.starts_with(&inside))) {
            look(&inside, fields, left, warnings);
        }
    }
}

/// The value is this JSON.
fn is_written(value: &Value, json: &str) -> bool {
    serde_json::from_str::<Value>(json).is_ok_and(|json| json == *value)
}

fn row(field: &str) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.field == field)
}

/// Only the first hook on a silent caller that says exact words is one.
fn hooks(written: &Map<String, Value>, warnings: &mut Warnings) {
    let mut taken = false;
    let hooks = written.get("hooks").and_then(Value::as_array).into_iter().flatten();
    for (at, hook) in hooks.enumerate() {
        let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(ToOwned::to_owned);
        let does = hook.get("do").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let says = |action: &Value| text(action, "type").as_deref() == Some("say") && action.get("exact").is_some();
        let silent = text(hook, "on").as_deref() == Some("customer.speech.timeout") && !taken;
        if !silent || !does.iter().any(says) {
            warnings.add(format!(
                "hooks.{at} has no effect: of hooks one customer.speech.timeout that says exact words is run"
            ));
            continue;
        }
        taken = true;
        for action in (0..does.len()).filter(|action| !says(&does[*action])) {
            warnings.add(format!("hooks.{at}.do.{action} has no effect: only a say of exact words is done"));
        }
    }
}

/// The page for customers.
pub fn page() -> String {
    let mut page = String::from(
        "# What becomes of each field of a Vapi assistant\n\n\
         *Honoured*: it does what Vapi says. *Mapped*: it becomes a setting of ours that comes close. *Ignored*: it is kept\n\
         and shown, does nothing, and each call that brings it is answered with a warning. Fields that are not in this table\n\
         are ignored in the same way. `x.*` are the fields of `x` without a row of their own.\n\n\
         This page is written by the tests from the table in `src/vapi/assistant/settings.rs`.\n\n\
         | field | | |\n|---|---|---|\n",
    );
    for row in TABLE {
        let effect = match row.effect {
            Effect::Honoured => "honoured",
            Effect::Mapped => "mapped",
            Effect::Ignored => "ignored",
        };
        page.push_str(&format!("| `{}` | {effect} | {} |\n", row.field, row.says));
    }
    page
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_page_says_what_the_table_says() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/config/vapi/settings.md");
        if std::env::var_os("PRONTO_WRITE_PAGES").is_some() {
            std::fs::write(path, page()).unwrap();
        }
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(written == page(), "the page is old: run this test with PRONTO_WRITE_PAGES=1 and commit {path}");
    }

    #[test]
    fn no_field_stands_in_it_twice_and_each_has_its_parent() {
        for (at, row) in TABLE.iter().enumerate() {
            assert!(TABLE[..at].iter().all(|before| before.field != row.field), "{} is there twice", row.field);
            let parent = row.field.rsplit_once('.').map(|(parent, _)| parent);
            assert!(parent.is_none_or(|parent| super::row(parent).is_some()), "{} has no parent", row.field);
        }
    }

    fn check(written: &Value, expected: &[&str]) {
        let mut warnings = Warnings::default();
        without_effect(written.as_object().unwrap(), &mut warnings);
        let fields: Vec<_> = warnings.list().iter().map(|it| it.split(' ').next().unwrap()).collect();
        assert_eq!(fields, expected);
    }

    #[test]
    fn nothing_is_ignored_in_silence() {
        check(
            &json!({
                "voice": {"provider": "x"}, "model": {"provider": "openai", "model": "m", "messages": [{"role": "user"}]},
                "artifactPlan": {"recordingEnabled": true, "pcapEnabled": true}, "brandNew": 1,
                "startSpeakingPlan": {"waitSeconds": 1, "brandNew": 2}, "metadata": {"anything": 1},
            }),
            &["artifactPlan.*", "brandNew", "model.*", "startSpeakingPlan.brandNew", "voice", "model.messages.0"],
        );
    }

    #[test]
    fn what_does_no_harm_is_not_told() {
        check(&json!({"backgroundSound": "off", "voicemailDetection": "off", "hooks": [], "voice": null}), &[]);
        check(&json!({"backgroundSound": "office"}), &["backgroundSound"]);
    }

    #[test]
    fn hooks_that_are_not_run_are_told() {
        let say = json!({"type": "say", "exact": "Pronto?"});
        check(
            &json!({"hooks": [
                {"on": "call.ending", "do": [say]},
                {"on": "customer.speech.timeout", "do": [say, {"type": "tool"}]},
                {"on": "customer.speech.timeout", "do": [say]},
            ]}),
            &["hooks.0", "hooks.1.do.1", "hooks.2"],
        );
    }
}
