//! Documents of strangers: any bytes are read as what a customer or a customer's server may send, and what must always
//! hold is asserted. Nothing may panic, be kept without bound, or be understood differently when it is read again.

use serde_json::Value;

use super::super::{
    Violations,
    assistant::{Assistant, Fitted, Shop},
    call::{CreateCall, DeleteCall, ListCalls, Refusal, UpdateCall, Who},
    server_message::{AssistantAnswer, TransferAnswer, assistant as who_answers, endpointing, tool_results, transfer},
};
use crate::{call::Settings, privacy::Pii};

/// An assistant.
pub fn assistant(data: &[u8]) {
    match Assistant::parse(&String::from_utf8_lossy(data)) {
        Ok(assistant) => sound(&assistant),
        Err(violations) => told(violations),
    }
}

/// An assistant and what changes it: the first byte says where one ends and the other begins.
pub fn overrides(data: &[u8]) {
    let Some((share, rest)) = data.split_first() else { return };
    let (one, other) = rest.split_at(rest.len() * usize::from(*share) / 256);
    let read = |bytes| Assistant::parse(&String::from_utf8_lossy(bytes));
    let (Ok(below), Ok(above)) = (read(one), read(other)) else { return };
    match below.overridden(&above) {
        Ok(merged) => {
            assert!(merged.written().keys().all(|name| name != "tools:append" || below.written().contains_key(name)));
            sound(&merged);
        }
        Err(violations) => told(violations),
    }
    // Laid over itself an assistant is the same, but for the tools it appends.
    if !below.written().contains_key("tools:append") && !below.written().contains_key("variableValues") {
        assert_eq!(below.overridden(&below), Ok(below.clone()));
    }
    match below.patched(&above) {
        Ok(patched) => sound(&patched),
        Err(violations) => told(violations),
    }
}

/// A call that is wanted, and the other requests about calls.
pub fn create_call(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match CreateCall::parse(&text) {
        Ok(call) => {
            sound(call.overrides.reveal());
            if let Some(Who::Transient(assistant)) = &call.who {
                sound(assistant);
            }
            assert!(call.number().is_none_or(|number| (3..=40).contains(&number.reveal().chars().count())));
        }
        Err(violations) => told(violations),
    }
    match DeleteCall::parse(&text) {
        Ok(delete) => assert!(delete.ids.is_none_or(|ids| ids.len() <= 1_000)),
        Err(violations) => told(violations),
    }
    if let Err(violations) = UpdateCall::parse(&text) {
        told(violations);
    }
    let pairs = text.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    match ListCalls::parse(pairs) {
        Ok(list) => assert!(list.limit <= 1_000),
        Err(violations) => told(violations),
    }
}

/// What a server answers, to any question.
pub fn answers(data: &[u8]) {
    let Some((status, body)) = data.split_first() else { return };
    let status = if *status < 200 { 200 } else { 300 + u16::from(*status) };
    let body = String::from_utf8_lossy(body);
    let one_line =
        |text: &Pii<String>| assert!(!text.reveal().contains(['\r', '\n']) && text.reveal().len() <= 64 * 1024);
    for ids in [&["a"][..], &["a", "b", "call_7Hq2"], &[]] {
        let results = tool_results(ids, status, &body);
        assert_eq!(results.len(), ids.len(), "each ask has one result");
        for result in &results {
            one_line(&result.text);
            assert!(status == 200 || result.failed);
            result.say.iter().for_each(|say| one_line(&say.text));
        }
    }
    match who_answers(status, &body) {
        Ok(AssistantAnswer::Assistant(named)) => sound(&named.1),
        Ok(AssistantAnswer::Forward(to)) => assert!(!to.address().reveal().is_empty()),
        Ok(AssistantAnswer::Error(error)) => one_line(&error),
        Err(fault) => assert!(!fault.reason().as_str().is_empty()),
    }
    match transfer(status, &body) {
        TransferAnswer::To(to, _) => assert!(!to.address().reveal().contains(char::is_control)),
        TransferAnswer::Failed(why) => one_line(&why),
    }
    assert!(endpointing(status, &body).is_none_or(|wait| wait.as_secs() <= 15));
}

/// What was let in can be stored, read again, and made a call of.
fn sound(assistant: &Assistant) {
    let stored = Value::Object(assistant.written().clone()).to_string();
    if let Ok(again) = Assistant::parse(&stored) {
        assert_eq!(again.written().len(), assistant.written().len());
    }
    assert!(!assistant.shown().contains_key("credentials"));
    let (now, own) = (jiff::Zoned::default(), Settings::default());
    let shop = Shop { call: &own, greeting: "", instructions: "", records: false };
    bounded(&assistant.fit(&shop, &assistant.variables(now)));
}

fn bounded(fitted: &Fitted) {
    let call = &fitted.call;
    let silences = [call.endpointing.complete_ms, call.endpointing.silence_ms, call.endpointing.dictation_ms];
    assert!(silences.iter().all(|ms| *ms <= 2_400) && call.interruption.backoff_ms <= 2_400, "dead air: {silences:?}");
    assert!((10..=43_200).contains(&call.duration_max_s) && (1..=3_600).contains(&call.silence_s));
    assert!(call.reprompts <= 10 && call.goodbye_s != Some(0), "a caller has time to answer");
    assert!(call.interruption.words_min >= 1 && call.interruption.hold_ms >= 40);
    assert!(fitted.tools.len() <= 64 && fitted.warnings.len() <= 64);
    assert!(fitted.greeting.len() <= 256 * 1024, "a template that grows without end");
}

/// A refusal that says something, and not without end.
fn told(violations: Violations) {
    let messages = violations.messages();
    assert!((1..=64).contains(&messages.len()) && messages.iter().all(|message| (1..400).contains(&message.len())));
    assert!(Refusal::invalid(violations).body()["message"].is_array());
}
