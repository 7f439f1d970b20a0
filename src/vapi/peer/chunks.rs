//! The brain's answer as OpenAI's chat completions write it: chunks of server-sent events, or one whole document.
//!
//! ```
//! use pronto::vapi::peer::chunks::{Answer, Finish};
//! let answer = Answer { id: "chatcmpl-1".into(), created_s: 1_788_251_403, model: "booking-it".into() };
//! let stream = [answer.role(), answer.words("Certo!"), answer.finish(Finish::Stop)].concat();
//! assert!(stream.starts_with("data: {") && stream.ends_with("data: [DONE]\n\n"));
//! ```

use serde::Serialize;

/// What every chunk of one answer says of it.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The answer's id.
    pub id: String,
    /// When it was begun, in seconds since 1970.
    pub created_s: i64,
    /// The model's name, as it was asked for.
    pub model: String,
}

/// Why an answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// All is said.
    Stop,
    /// The platform is to run a tool.
    ToolCalls,
}

/// A tool for the platform to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlatformCall {
    /// Our id for it.
    pub id: String,
    /// The tool's name.
    pub name: &'static str,
    /// The text of a JSON object.
    pub arguments: String,
}

#[derive(Serialize)]
struct Chunk<'a, C> {
    id: &'a str,
    object: &'static str,
    created: i64,
    model: &'a str,
    choices: [C; 1],
}

#[derive(Serialize)]
struct Piece<'a> {
    index: u8,
    delta: Delta<'a>,
    finish_reason: Option<Finish>,
}

#[derive(Serialize, Default)]
struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<[Call<'a>; 1]>,
}

#[derive(Serialize)]
struct Whole<'a> {
    index: u8,
    message: Said<'a>,
    finish_reason: Finish,
}

#[derive(Serialize)]
struct Said<'a> {
    role: &'static str,
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<[Call<'a>; 1]>,
}

#[derive(Serialize)]
struct Call<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<u8>,
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'static str,
    arguments: &'a str,
}

impl Answer {
    /// The first chunk: who speaks.
    pub fn role(&self) -> String {
        self.piece(Delta { role: Some("assistant"), ..Delta::default() }, None)
    }

    /// Some words.
    pub fn words(&self, text: &str) -> String {
        self.piece(Delta { content: Some(text), ..Delta::default() }, None)
    }

    /// A tool for the platform.
    pub fn call(&self, call: &PlatformCall) -> String {
        self.piece(Delta { tool_calls: Some([written(call, Some(0))]), ..Delta::default() }, None)
    }

    /// The end.
    pub fn finish(&self, finish: Finish) -> String {
        self.piece(Delta::default(), Some(finish)) + "data: [DONE]\n\n"
    }

    /// The whole answer in one document.
    pub fn whole(&self, words: &str, call: Option<&PlatformCall>) -> String {
        let finish_reason = if call.is_some() { Finish::ToolCalls } else { Finish::Stop };
        let content = (!words.is_empty() || call.is_none()).then_some(words);
        let message = Said { role: "assistant", content, tool_calls: call.map(|call| [written(call, None)]) };
        self.document("chat.completion", Whole { index: 0, message, finish_reason })
    }

    fn piece(&self, delta: Delta<'_>, finish_reason: Option<Finish>) -> String {
        let json = self.document("chat.completion.chunk", Piece { index: 0, delta, finish_reason });
        format!("data: {json}\n\n")
    }

    fn document(&self, object: &'static str, choice: impl Serialize) -> String {
        let chunk = Chunk { id: &self.id, object, created: self.created_s, model: &self.model, choices: [choice] };
        serde_json::to_string(&chunk).expect("strings and numbers are JSON")
    }
}

fn written(call: &PlatformCall, index: Option<u8>) -> Call<'_> {
    let function = Function { name: call.name, arguments: &call.arguments };
    Call { index, id: &call.id, kind: "function", function }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> Answer {
        Answer { id: "chatcmpl-1".into(), created_s: 1_788_251_403, model: "booking-it".into() }
    }

    #[test]
    fn chunks_are_as_the_contract_writes_them() {
        let head = r#"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1788251403,"model":"booking-it","choices":[{"index":0,"delta":"#;
        assert_eq!(answer().role(), format!(r#"{head}{{"role":"assistant"}},"finish_reason":null}}]}}"#) + "\n\n");
        assert_eq!(
            answer().words("Certo!\nQuando?"),
            format!(r#"{head}{{"content":"Certo!\nQuando?"}},"finish_reason":null}}]}}"#) + "\n\n",
            "a line break stays inside its event"
        );
        assert_eq!(
            answer().finish(Finish::Stop),
            format!(r#"{head}{{}},"finish_reason":"stop"}}]}}"#) + "\n\ndata: [DONE]\n\n"
        );
        let call = PlatformCall { id: "call_1".into(), name: "endCall", arguments: "{}".into() };
        assert_eq!(
            answer().call(&call),
            format!(
                r#"{head}{{"tool_calls":[{{"index":0,"id":"call_1","type":"function","function":{{"name":"endCall","arguments":"{{}}"}}}}]}},"finish_reason":null}}]}}"#
            ) + "\n\n"
        );
        assert!(answer().finish(Finish::ToolCalls).contains(r#""finish_reason":"tool_calls""#));
    }

    #[test]
    fn a_whole_answer_has_its_words_or_its_call() {
        let whole = answer().whole("Certo!", None);
        assert!(
            whole.contains(r#""object":"chat.completion","#) && whole.contains(r#""finish_reason":"stop""#),
            "{whole}"
        );
        assert!(whole.contains(r#""message":{"role":"assistant","content":"Certo!"}"#), "{whole}");
        assert!(answer().whole("", None).contains(r#""content":"""#));
        let call = PlatformCall { id: "call_1".into(), name: "endCall", arguments: "{}".into() };
        let whole = answer().whole("", Some(&call));
        assert!(whole.contains(r#""content":null,"tool_calls":[{"id":"call_1","#), "{whole}");
    }
}
