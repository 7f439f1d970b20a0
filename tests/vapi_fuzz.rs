//! The fuzz functions of Vapi's documents on documents that are nearly right, so that they are run at every test and not
//! only by a fuzzer.
#![cfg(feature = "fuzz")]

use pronto::vapi::fuzz;
use proptest::prelude::*;

const ASSISTANT: &str = r##"{"name":"Officina","firstMessage":"Ciao {{name | default: \"a tutti\"}} {{\"now\" | date: \"%H:%M\", \"Europe/Rome\"}}",
"firstMessageMode":"assistant-waits-for-user","maxDurationSeconds":600.0,"silenceTimeoutSeconds":30,"endCallPhrases":["ciao"],
"model":{"provider":"openai","messages":[{"role":"system","content":"Oggi {{date}}"}],"tools":[{"type":"function","async":true,
"function":{"name":"book","parameters":{}},"server":{"url":"https://s.test"},"messages":[{"type":"request-start","content":"Un attimo"}]}]},
"startSpeakingPlan":{"waitSeconds":0.4,"transcriptionEndpointingPlan":{"onNoPunctuationSeconds":1.5}},"stopSpeakingPlan":{"numWords":2,
"voiceSeconds":0.2,"backoffSeconds":1},"messagePlan":{"idleMessages":["Pronto?"],"idleTimeoutSeconds":10},"hooks":[{"on":
"customer.speech.timeout","do":[{"type":"say","exact":"Pronto?"}],"options":{"timeoutSeconds":8,"triggerMaxCount":2}}],
"server":{"url":"https://s.test","headers":{"x-a":"b"},"backoffPlan":{"type":"fixed","maxRetries":2,"baseDelaySeconds":1}},
"keypadInputPlan":{"delimiters":"#"},"variableValues":{"name":"Bianchi"},"credentials":[{"apiKey":"k"}]}"##;

const CALL: &str = r#"{"assistant":{"firstMessage":"Ciao"},"assistantOverrides":{"variableValues":{"x":1}},"name":"prova","customer":
{"number":"+390612345678"},"transport":{"provider":"vapi.websocket","conversationType":"voice","audioFormat":{"format":"pcm_s16le",
"container":"raw","sampleRate":16000.0}},"ids":["a","b"],"metadata":{}}"#;

const ANSWERS: [&str; 4] = [
    r#"{"results":[{"toolCallId":"a","name":"book","result":"Prenotato\nalle 9","message":{"type":"request-complete","content":"Fatto"}},
{"toolCallId":"b","error":"Occupato","metadata":{"k":1}}]}"#,
    r#"{"assistantId":"a1","assistantOverrides":{"maxDurationSeconds":60},"destination":null,"error":""}"#,
    r#"{"messageResponse":{"destination":{"type":"number","number":"+390698765432","message":"La passo."}}}"#,
    r#"{"timeoutSeconds":0.4}"#,
];

/// A change: where, and what to do there.
type Change = (prop::sample::Index, u8, char);

fn changed(document: &str, changes: &[Change]) -> Vec<u8> {
    let mut text: Vec<char> = document.chars().collect();
    for (at, how, with) in changes {
        let at = at.index(text.len().max(1)).min(text.len().saturating_sub(1));
        match how % 6 {
            0 => text.insert(at, *with),
            1 => text[at] = *with,
            // Numbers and punctuation are where the readers look.
            2 => text[at] = b"0123456789-.eE{}[]\",:n"[*with as usize % 22] as char,
            3 => drop(text.remove(at)),
            4 => text.truncate(at.max(1)),
            _ => {
                let piece: Vec<char> = text[at..text.len().min(at + 40)].to_vec();
                text.splice(at..at, piece);
            }
        }
        if text.is_empty() {
            text.push(' ');
        }
    }
    text.into_iter().collect::<String>().into_bytes()
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<char>()), 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_customer_may_write_any_assistant(changes in changes()) {
        fuzz::assistant(&changed(ASSISTANT, &changes));
    }

    #[test]
    fn a_customer_may_change_anything(share in 100u8..156, one in changes(), other in changes()) {
        let (one, other) = (changed(ASSISTANT, &one), changed(ASSISTANT, &other));
        fuzz::overrides(&[&[share], one.as_slice(), other.as_slice()].concat());
        // Where they are cut apart exactly.
        let mut both = one.clone();
        both.resize(one.len().max(other.len()), b' ');
        let mut other = other;
        other.resize(both.len(), b' ');
        fuzz::overrides(&[&[128], both.as_slice(), other.as_slice()].concat());
    }

    #[test]
    fn a_customer_may_ask_for_any_call(changes in changes(), pairs in "[a-zA-Z]{0,12}=[-0-9TZ:.a-z]{0,24}(&(limit|createdAtGt|id)=[-0-9TZ:.]{0,20}){0,3}") {
        fuzz::create_call(&changed(CALL, &changes));
        fuzz::create_call(pairs.as_bytes());
    }

    #[test]
    fn a_server_may_answer_anything(which in 0..ANSWERS.len(), status in any::<u8>(), changes in changes()) {
        fuzz::answers(&[&[status], changed(ANSWERS[which], &changes).as_slice()].concat());
    }

    #[test]
    fn anybody_may_send_any_bytes(data in prop::collection::vec(any::<u8>(), 0..300)) {
        fuzz::assistant(&data);
        fuzz::overrides(&data);
        fuzz::create_call(&data);
        fuzz::answers(&data);
    }
}

#[test]
fn the_documents_are_right_before_they_are_changed() {
    assert!(pronto::vapi::assistant::Assistant::parse(ASSISTANT).is_ok());
    assert!(pronto::vapi::call::CreateCall::parse(CALL).is_ok());
}
