//! Twilio Media Streams from the carrier's end: what a simulated caller sends and how it reads our answers.
//!
//! It plays nothing itself: whoever holds it keeps the audio, gives marks back when it has been played
//! ([`TwilioClient::mark`]) and drops it on [`FromServer::Clear`], giving the pending marks back at once, as Twilio
//! does.

use std::{fmt::Write as _, time::Duration};

use super::{
    Message, Started, TEXT_BYTES_MAX, TransportError,
    twilio_wire::{Envelope, decode, quoted, start_over, write_media},
    within,
};
use crate::audio::Key;

/// What the application says to the carrier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromServer<'a> {
    /// Play this, mu-law at 8 kHz, after what is queued.
    Audio(&'a [u8]),
    /// Give this name back when everything so far has been played.
    Mark(String),
    /// Drop what is queued, and give its marks back.
    Clear,
}

/// The carrier's side of one stream.
#[derive(Debug)]
pub struct TwilioClient {
    /// The stream's id, as JSON.
    stream: String,
    /// The same without quotes: answers must name it.
    stream_plain: String,
    /// The call's id, as JSON.
    call: String,
    /// Number of the next message of the stream, from 1.
    sequence: u64,
    /// Number of the next piece of audio, from 1.
    chunk: u64,
    /// The message written last, and what a `media` begins with.
    text: String,
    /// See `text`.
    head: String,
    /// The application's audio of the last message.
    audio: Vec<u8>,
}

impl TwilioClient {
    /// A stream with these ids, which are Twilio's `MZ...` and `CA...` with 32 hexadecimal digits.
    pub fn new(stream: &str, call: &str) -> Self {
        Self {
            stream: quoted(stream),
            stream_plain: stream.to_owned(),
            call: quoted(call),
            sequence: 1,
            chunk: 1,
            text: String::new(),
            head: String::new(),
            audio: Vec::new(),
        }
    }

    /// The first message on the socket.
    pub fn connected(&mut self) -> Message<'_> {
        Message::Text(r#"{"event":"connected","protocol":"Call","version":"1.0.0"}"#)
    }

    /// The second: the stream, with the parameters of the TwiML that opened it. Of `started` only the parameters are
    /// used.
    pub fn start(&mut self, started: &Started) -> Message<'_> {
        let sequence = next(&mut self.sequence);
        let own = [
            ("tenant", started.tenant.as_deref()),
            ("token", started.token.as_ref().map(|token| token.reveal().as_str())),
            ("from", started.from.as_ref().map(|from| from.reveal().as_str())),
            ("to", started.to.as_ref().map(|to| to.reveal().as_str())),
        ];
        let own: serde_json::Map<_, _> =
            own.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into()))).collect();
        start_over(&mut self.text);
        let (stream, call) = (&self.stream, &self.call);
        let _infallible = write!(
            self.text,
            r#"{{"event":"start","sequenceNumber":"{sequence}","start":{{"accountSid":"AC00000000000000000000000000000000","streamSid":{stream},"callSid":{call},"tracks":["inbound"],"mediaFormat":{{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1}},"customParameters":{}}},"streamSid":{stream}}}"#,
            serde_json::Value::Object(own),
        );
        Message::Text(&self.text)
    }

    /// The caller's audio, which begins this long after the stream did.
    pub fn media(&mut self, audio: &[u8], at: Duration) -> Message<'_> {
        let (sequence, chunk) = (next(&mut self.sequence), next(&mut self.chunk));
        start_over(&mut self.head);
        let _infallible = write!(
            self.head,
            r#"{{"event":"media","sequenceNumber":"{sequence}","media":{{"track":"inbound","chunk":"{chunk}","timestamp":"{}","payload":""#,
            at.as_millis(),
        );
        write_media(&mut self.text, &self.head, audio, "\"},\"streamSid\":");
        self.text.push_str(&self.stream);
        self.text.push('}');
        Message::Text(&self.text)
    }

    /// The same with audio that is base64 already.
    pub fn media_encoded(&mut self, base64: &str, at: Duration) -> Message<'_> {
        let (sequence, chunk) = (next(&mut self.sequence), next(&mut self.chunk));
        start_over(&mut self.text);
        let (stream, at) = (&self.stream, at.as_millis());
        let _infallible = write!(
            self.text,
            r#"{{"event":"media","sequenceNumber":"{sequence}","media":{{"track":"inbound","chunk":"{chunk}","timestamp":"{at}","payload":"{base64}"}},"streamSid":{stream}}}"#,
        );
        Message::Text(&self.text)
    }

    /// A key the caller pressed.
    pub fn key(&mut self, key: Key) -> Message<'_> {
        let sequence = next(&mut self.sequence);
        start_over(&mut self.text);
        let _infallible = write!(
            self.text,
            r#"{{"event":"dtmf","streamSid":{},"sequenceNumber":"{sequence}","dtmf":{{"track":"inbound_track","digit":"{}"}}}}"#,
            self.stream,
            key.label(),
        );
        Message::Text(&self.text)
    }

    /// Gives a mark back.
    pub fn mark(&mut self, name: &str) -> Message<'_> {
        let sequence = next(&mut self.sequence);
        start_over(&mut self.text);
        let _infallible = write!(
            self.text,
            r#"{{"event":"mark","sequenceNumber":"{sequence}","streamSid":{},"mark":{{"name":{}}}}}"#,
            self.stream,
            quoted(name),
        );
        Message::Text(&self.text)
    }

    /// The last message: the caller hung up.
    pub fn stop(&mut self) -> Message<'_> {
        let sequence = next(&mut self.sequence);
        start_over(&mut self.text);
        let (stream, call) = (&self.stream, &self.call);
        let _infallible = write!(
            self.text,
            r#"{{"event":"stop","sequenceNumber":"{sequence}","stop":{{"accountSid":"AC00000000000000000000000000000000","callSid":{call}}},"streamSid":{stream}}}"#,
        );
        Message::Text(&self.text)
    }

    /// Reads one message of the application. As strict as Twilio is: what does not fit its protocol is an error (31950,
    /// 31951), so a test sees it.
    pub fn receive<'a>(&'a mut self, message: Message<'a>) -> Result<FromServer<'a>, TransportError> {
        let text = match message {
            Message::Text(text) => text,
            Message::Binary(_) => return Err(TransportError::WrongFrame { got: "binary", expected: "text" }),
        };
        within(text.len(), TEXT_BYTES_MAX)?;
        let message: Envelope<'a> =
            serde_json::from_str(text).map_err(|_| TransportError::Garbage("not a message of the protocol"))?;
        if message.stream.is_none_or(|stream| stream.0 != self.stream_plain) {
            return Err(TransportError::Garbage("`streamSid` is not this stream's"));
        }
        match message.event.0.as_ref() {
            "media" => {
                let payload = message.media.and_then(|media| media.payload);
                let payload = payload.ok_or(TransportError::Garbage("`media` has no `payload`"))?;
                if !decode(&payload.0, &mut self.audio) {
                    return Err(TransportError::Garbage("`payload` is not base64"));
                }
                Ok(FromServer::Audio(&self.audio))
            }
            "mark" => {
                let name = message.mark.and_then(|mark| mark.name);
                let name = name.ok_or(TransportError::Garbage("`mark` has no `name`"))?;
                Ok(FromServer::Mark(name.0.into_owned()))
            }
            "clear" => Ok(FromServer::Clear),
            _ => Err(TransportError::Garbage("an application sends only media, mark and clear")),
        }
    }
}

/// Counts up, and tells where it stood.
fn next(count: &mut u64) -> u64 {
    let at = *count;
    *count += 1;
    at
}
