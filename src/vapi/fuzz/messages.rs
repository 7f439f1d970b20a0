//! What strangers send to the doors for Vapi: any bytes, and objects with the words of the messages in any place. Nothing
//! panics, nothing that is read is longer than its bound, and what we answer can be read.

use arbitrary::{Arbitrary, Unstructured};

use super::super::peer::{
    chunks::{Answer, Finish},
    dialling::{Created, NotCreated},
    question,
    tool_calls::{self, Answered, Asked, ID_MAX, Matter, NAME_MAX},
    transcriber::{Channel, Sides, Start, Sure, response},
    voice_request,
};
use crate::call::{
    Message,
    limits::{HISTORY_MAX, TOOL_ARGUMENTS_MAX, UTTERANCE_CHARS_MAX},
};

/// A value of JSON, as deep as the bytes allow.
#[derive(Debug, Arbitrary)]
enum Value<'a> {
    /// A word of any message.
    Word(u8),
    /// Any string.
    Text(&'a str),
    /// Any number.
    Number(f64),
    /// Either.
    Flag(bool),
    /// Nothing.
    Null,
    /// A list of the same.
    List(Vec<Value<'a>>),
    /// An object of the same, with words for names.
    Object(Vec<(u8, Value<'a>)>),
    /// The text of one of the same.
    Inside(Box<Value<'a>>),
}

/// Words of all messages, so that random bytes get past the first line of a reader.
const WORDS: [&str; 53] = [
    "message",
    "type",
    "tool-calls",
    "function-call",
    "end-of-call-report",
    "call",
    "customer",
    "number",
    "id",
    "toolCalls",
    "toolCallList",
    "toolWithToolCallList",
    "toolCall",
    "function",
    "functionCall",
    "name",
    "arguments",
    "parameters",
    "messages",
    "role",
    "content",
    "user",
    "assistant",
    "system",
    "tool",
    "tool_calls",
    "tool_call_id",
    "tools",
    "functions",
    "model",
    "stream",
    "text",
    "endCall",
    "transferCall",
    "+390612345678",
    "{}",
    "voice-request",
    "sampleRate",
    "16000.0",
    "start",
    "encoding",
    "linear16",
    "container",
    "channels",
    "message",
    "transport",
    "websocketCallUrl",
    "wss://h/c",
    "monitor",
    "controlUrl",
    "https://h/c",
    "subscriptionLimits",
    "concurrencyBlocked",
];

/// Deeper values are nothing.
const DEPTH_MAX: usize = 12;

impl Value<'_> {
    fn json(&self, depth: usize) -> serde_json::Value {
        let word = |at: &u8| WORDS[usize::from(*at) % WORDS.len()];
        match self {
            _ if depth > DEPTH_MAX => serde_json::Value::Null,
            Self::Word(at) => word(at).into(),
            Self::Text(text) => (*text).into(),
            Self::Number(number) => (*number).into(),
            Self::Flag(flag) => (*flag).into(),
            Self::Null => serde_json::Value::Null,
            Self::List(list) => list.iter().map(|value| value.json(depth + 1)).collect(),
            Self::Object(fields) => {
                let fields = fields.iter().map(|(at, value)| (word(at).to_owned(), value.json(depth + 1)));
                serde_json::Value::Object(fields.collect())
            }
            Self::Inside(value) => value.json(depth + 1).to_string().into(),
        }
    }
}

/// The bytes themselves, or, when they begin with a zero, an object that is made of them.
fn each(data: &[u8], mut read: impl FnMut(&[u8])) {
    match data.split_first() {
        Some((0, rest)) => {
            let mut bytes = Unstructured::new(rest);
            if let Ok(fields) = bytes.arbitrary::<Vec<(u8, Value<'_>)>>() {
                let json = Value::Object(fields).json(0).to_string();
                read(json.as_bytes());
                read(format!(r#"{{"message":{json},"messages":[{json}]}}"#).as_bytes());
            }
        }
        _ => read(data),
    }
}

/// A server message.
pub fn server_message(data: &[u8]) {
    each(data, |json| {
        let Ok(message) = tool_calls::read(json) else { return };
        assert!(message.call.is_none_or(|id| !id.is_empty() && id.len() <= ID_MAX));
        let asks = match message.matter {
            Matter::ToolCalls(asks) => asks,
            Matter::FunctionCall(asked) => vec![asked],
            Matter::EndOfCall => return,
            Matter::Other(kind) => return assert!(kind.chars().count() <= NAME_MAX),
        };
        for Asked { ask, wrong } in &asks {
            assert!(ask.name.chars().count() <= NAME_MAX && ask.arguments.len() <= TOOL_ARGUMENTS_MAX);
            assert!(wrong.is_some() || ask.id.len() <= ID_MAX && ask.arguments.trim_start().starts_with('{'));
        }
        let answered = Answered::Error(String::from_utf8_lossy(json).into_owned());
        let body = tool_calls::results(asks.iter().map(|asked| (&asked.ask, &answered)));
        let body: serde_json::Value = serde_json::from_str(&body).expect("what we answer is JSON");
        let lines = body["results"].as_array().expect("a line for each");
        assert_eq!(lines.len(), asks.len());
        for (line, asked) in lines.iter().zip(&asks) {
            assert_eq!(line["toolCallId"], *asked.ask.id);
            assert!(line["error"].as_str().is_some_and(|text| !text.contains(char::is_control)));
        }
    });
}

/// A question to the model.
pub fn question(data: &[u8]) {
    each(data, |json| {
        let Ok(question) = question::read(json) else { return };
        // An answer of the assistant's may be words and asks.
        assert!(question.heard.reveal().len() <= 2 * HISTORY_MAX);
        for message in question.heard.reveal() {
            match message {
                Message::Caller { text } | Message::Agent { text, .. } | Message::Note { text } => {
                    assert!(!text.trim().is_empty() && text.chars().count() <= UTTERANCE_CHARS_MAX);
                }
                Message::Asked { tools } => {
                    assert!(!tools.is_empty() && tools.iter().all(|ask| ask.arguments.len() <= TOOL_ARGUMENTS_MAX));
                }
                Message::Outcome { .. } => {}
            }
        }
        let answer = Answer { id: "chatcmpl".into(), created_s: 0, model: question.model };
        let text = String::from_utf8_lossy(json);
        let stream = [answer.role(), answer.words(&text), answer.finish(Finish::Stop)].concat();
        let mut said = String::new();
        for event in stream.split_terminator("\n\n") {
            let data = event.strip_prefix("data: ").expect("each event is one line");
            if data != "[DONE]" {
                let chunk: serde_json::Value = serde_json::from_str(data).expect("what we answer is JSON");
                said.push_str(chunk["choices"][0]["delta"]["content"].as_str().unwrap_or_default());
            }
        }
        assert_eq!(said, text, "what is said is said as it was");
    });
}

/// A text to be spoken.
pub fn voice_request(data: &[u8]) {
    each(data, |json| {
        let Ok(request) = voice_request::read(json) else { return };
        assert!(request.text.reveal().chars().count() <= voice_request::TEXT_MAX);
        assert!(voice_request::RATES.contains(&request.rate.hz()));
    });
}

/// The description of a transcriber's sound, then the sound, in messages that are as long as the bytes say.
pub fn transcriber(data: &[u8]) {
    each(data, |json| {
        let text = String::from_utf8_lossy(json);
        let told = response(Channel::Customer, Sure::Final, &text);
        let told: serde_json::Value = serde_json::from_str(&told).expect("what we answer is JSON");
        assert_eq!(told["transcription"], *text, "what is told is told as it was");
        let channels = Start::read(&text).map_or(2, |start| start.channels);
        let (mut sides, mut rest, mut heard) = (Sides::new(channels), json, [0; 2]);
        while let Some((length, after)) = rest.split_first() {
            let (message, after) = after.split_at(usize::from(*length).min(after.len()));
            rest = after;
            for (heard, side) in heard.iter_mut().zip(sides.split(message)) {
                assert_eq!(side.len() % 2, 0, "whole samples");
                *heard += side.len();
            }
        }
        assert!(heard[0] + heard[1] <= json.len() && (channels == 2 && heard[0] == heard[1] || heard[1] == 0));
    });
}

/// What is answered to a call that we create.
pub fn created(data: &[u8]) {
    each(data, |json| {
        let text = String::from_utf8_lossy(json);
        match Created::read(201, &text) {
            Ok(created) => {
                let dialled = created.transport.reveal();
                assert!(!created.id.is_empty() && (dialled.starts_with("ws://") || dialled.starts_with("wss://")));
                assert!(created.control.is_none_or(|control| control.reveal().starts_with("http")));
            }
            Err(NotCreated::Refused { .. }) => panic!("201 is no refusal"),
            Err(NotCreated::Blocked | NotCreated::Garbage(_)) => {}
        }
        let Err(NotCreated::Refused { status: 400, words }) = Created::read(400, &text) else {
            panic!("400 is a refusal");
        };
        assert!(words.chars().count() <= 200 && !words.contains(char::is_control));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEEDS: [&str; 6] = [
        r#"{"id":"c","transport":{"websocketCallUrl":"wss://h/c"},"monitor":{"controlUrl":"https://h/c"},"message":["a\nb"],"subscriptionLimits":{"concurrencyBlocked":false}}"#,
        r#"{"message":{"type":"voice-request","text":"Certo.<flush />","sampleRate":16000.0,"call":{"id":"c"}}}"#,
        r#"{"type":"start","encoding":"linear16","container":"raw","sampleRate":16000,"channels":2}"#,
        r#"{"message":{"type":"tool-calls","call":{"id":"c","customer":{"number":"+39"}},"toolCallList":[{"id":"1","function":{"name":"book","arguments":"{\"a\":1}"}}],"toolWithToolCallList":[{"name":"book","toolCall":{"id":"1","parameters":{}}}]}}"#,
        r#"{"message":{"type":"function-call","functionCall":{"name":"book","parameters":{"plate":"AB123CD"}}}}"#,
        r#"{"model":"m","stream":true,"messages":[{"role":"user","content":[{"type":"text","text":"ciao"}]},{"role":"assistant","content":null,"tool_calls":[{"id":"1","function":{"name":"endCall","arguments":"{}"}}]}],"tools":[{"function":{"name":"endCall"}}],"call":{"id":"c"}}"#,
    ];

    fn all(bytes: &[u8]) {
        [server_message, question, voice_request, transcriber, created].iter().for_each(|target| target(bytes));
    }

    /// Numbers that are the same each time.
    struct Chance(u64);

    impl Chance {
        fn below(&mut self, end: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 % end as u64) as usize
        }
    }

    #[test]
    fn a_stranger_may_send_anything() {
        let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
        for seed in SEEDS {
            all(seed.as_bytes());
        }
        for round in 0..600 {
            let mut bytes = match round % 2 {
                0 => SEEDS[chance.below(SEEDS.len())].as_bytes().to_vec(),
                _ => (0..chance.below(400)).map(|_| chance.below(256) as u8).collect(),
            };
            for _ in 0..chance.below(4) {
                let at = chance.below(bytes.len().max(1));
                match chance.below(3) {
                    0 => bytes.truncate(at),
                    1 => bytes.insert(at.min(bytes.len()), b"{}[]\",:0n\\"[chance.below(10)]),
                    _ => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = byte.wrapping_add(1)),
                }
            }
            if round % 2 == 1 {
                bytes.insert(0, 0);
            }
            all(&bytes);
        }
    }
}
