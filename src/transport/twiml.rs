//! TwiML: the answers to Twilio's voice webhook.

use std::{borrow::Cow, fmt::Write as _};

/// The answer that makes Twilio open a two-way media stream to us. What follows it in the call is up to `action`, or
/// the call ends when the stream does.
///
/// ```
/// use pronto::transport::twiml::ConnectStream;
/// let answer = ConnectStream {
///     url: "wss://gw.example.it/twilio/media",
///     action: None,
///     status_callback: None,
///     parameters: &[("tenant", "officina-rossi")],
/// };
/// assert!(answer.to_xml().unwrap().contains(r#"<Parameter name="tenant" value="officina-rossi"/>"#));
/// ```
#[derive(Debug, Clone, Copy)]
pub struct ConnectStream<'a> {
    /// Where Twilio dials: `wss://`, and no query, which Twilio rejects. What the stream must know goes into
    /// `parameters`.
    pub url: &'a str,
    /// What Twilio asks when the stream has ended, for instance to put the caller through to a person.
    pub action: Option<&'a str>,
    /// Where Twilio tells of failed handshakes, and nowhere else.
    pub status_callback: Option<&'a str>,
    /// Arrive as `customParameters` of the stream's `start`. Twilio itself tells neither the caller's nor the called
    /// number there: give them here, as `from` and `to`.
    pub parameters: &'a [(&'a str, &'a str)],
}

/// An answer that Twilio would reject.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TwimlError {
    /// The stream's address.
    #[error("the stream's url must begin with wss:// and have no query: put what it carries into parameters")]
    Url,
    /// A parameter over Twilio's limit.
    #[error("parameter {name}: name and value must be under 500 characters together")]
    Parameter {
        /// Which.
        name: String,
    },
}

/// Name and value of a parameter together are shorter than this.
const PARAMETER_CHARS_MAX: usize = 500;

impl ConnectStream<'_> {
    /// As a document.
    pub fn to_xml(&self) -> Result<String, TwimlError> {
        if !self.url.starts_with("wss://") || self.url.contains(['?', '#']) {
            return Err(TwimlError::Url);
        }
        let attribute = |name: &str, value: Option<&str>| {
            value.map_or_else(String::new, |value| format!(" {name}=\"{}\"", escaped(value)))
        };
        let mut parameters = String::new();
        for (name, value) in self.parameters {
            if name.chars().count() + value.chars().count() >= PARAMETER_CHARS_MAX {
                return Err(TwimlError::Parameter { name: (*name).to_owned() });
            }
            let (name, value) = (escaped(name), escaped(value));
            let _infallible = write!(parameters, "<Parameter name=\"{name}\" value=\"{value}\"/>");
        }
        Ok(document(&format!(
            "<Connect{}><Stream url=\"{}\"{}>{parameters}</Stream></Connect>",
            attribute("action", self.action),
            escaped(self.url),
            attribute("statusCallback", self.status_callback),
        )))
    }
}

/// The longest text that Twilio speaks, in characters; of a longer one the rest is left out.
const SAY_CHARS_MAX: usize = 4_000;

/// The answer that puts the caller through to a number, or to a `sip:` address.
pub fn dial(to: &str) -> String {
    document(&dialled(to))
}

/// The same, after these words in the carrier's own voice. The language is as Twilio has it: `it-IT`.
pub fn say_and_dial(text: &str, language: &str, to: &str) -> String {
    document(&(spoken(text, language) + &dialled(to)))
}

/// The answer that speaks a text in the carrier's own voice, and hangs up.
pub fn say_and_hang_up(text: &str, language: &str) -> String {
    document(&(spoken(text, language) + "<Hangup/>"))
}

fn dialled(to: &str) -> String {
    let address = escaped(to);
    if to.starts_with("sip:") || to.starts_with("sips:") {
        format!("<Dial><Sip>{address}</Sip></Dial>")
    } else {
        format!("<Dial>{address}</Dial>")
    }
}

fn spoken(text: &str, language: &str) -> String {
    let text: String = text.chars().take(SAY_CHARS_MAX).collect();
    format!("<Say language=\"{}\">{}</Say>", escaped(language), escaped(&text))
}

/// The answer that refuses a call without answering it: the caller hears the busy tone and pays nothing.
pub fn reject_busy() -> String {
    document("<Reject reason=\"busy\"/>")
}

fn document(verbs: &str) -> String {
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response>{verbs}</Response>\n")
}

/// Text for an attribute or an element. Characters that XML cannot carry at all are left out; white space that an
/// attribute would lose is written as a reference.
fn escaped(text: &str) -> Cow<'_, str> {
    let plain = |c: char| c >= ' ' && !matches!(c, '&' | '<' | '>' | '"' | '\'' | '\u{fffe}' | '\u{ffff}');
    if text.chars().all(plain) {
        return Cow::Borrowed(text);
    }
    let mut xml = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => xml.push_str("&amp;"),
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            '"' => xml.push_str("&quot;"),
            '\'' => xml.push_str("&apos;"),
            '\t' => xml.push_str("&#9;"),
            '\n' => xml.push_str("&#10;"),
            '\r' => xml.push_str("&#13;"),
            c if plain(c) => xml.push(c),
            _ => {}
        }
    }
    Cow::Owned(xml)
}
