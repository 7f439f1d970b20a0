//! The door between the wire and the event parser: lets in only whole, bounded lines of valid JSON.
//!
//! Three reasons. The client library writes what it cannot parse to the log, and that may be what a caller said. It
//! stops reading at `[DONE]`, which costs the connection: here the rest is read first. And it has no bounds.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream::BoxStream};
use serde::de::IgnoredAny;

/// One event; a tool call that arrives whole is the longest.
const LINE_BYTES_MAX: usize = 256 * 1024;
/// A whole answer; two hundred tokens with all their wrapping are a fiftieth of it.
const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;
/// What is still read of an answer that is complete, to keep the connection.
const DRAIN: Duration = Duration::from_millis(500);
const DRAIN_BYTES_MAX: usize = 64 * 1024;

/// What stands for a line that is no JSON; read by [`Assembly`](super::Assembly).
const GARBAGE: &str = "pronto_garbage";
/// What is put in front of `[DONE]`, which the library keeps for itself.
const END: &str = "pronto_end";

type Pieces = BoxStream<'static, Result<Bytes, reqwest::Error>>;

/// The body of a streamed answer, line by line.
pub(super) struct Door {
    /// The wire.
    pieces: Option<Pieces>,
    /// A line that has not ended yet.
    line: Vec<u8>,
    /// How much has come in.
    bytes: usize,
    /// The answer is one JSON document instead of events.
    document: bool,
    /// Nothing of interest will follow: read the rest instead of closing the connection.
    complete: Arc<AtomicBool>,
}

/// Puts the door in front of a response's body. `complete` is set by the reader when it has all it wanted.
pub(super) fn guard(response: reqwest::Response, complete: Arc<AtomicBool>) -> reqwest::Response {
    let document = response
        .headers()
        .get(reqwest::header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.trim_start().starts_with("application/json"));
    let status = response.status();
    let pieces = Some(response.bytes_stream().boxed());
    let door = Door { pieces, line: Vec::new(), bytes: 0, document, complete };
    let mut guarded = http::Response::new(reqwest::Body::wrap_stream(door));
    *guarded.status_mut() = status;
    guarded.into()
}

impl Stream for Door {
    type Item = Result<Bytes, reqwest::Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let Some(pieces) = &mut self.pieces else { return Poll::Ready(None) };
            match ready!(pieces.poll_next_unpin(cx)) {
                Some(Ok(piece)) => {
                    let out = self.pass(&piece);
                    if !out.is_empty() {
                        return Poll::Ready(Some(Ok(out.into())));
                    }
                }
                Some(Err(error)) => {
                    self.pieces = None;
                    return Poll::Ready(Some(Err(error)));
                }
                None => {
                    self.pieces = None;
                    return Poll::Ready(Some(Ok(self.finish().into())));
                }
            }
        }
    }
}

impl Door {
    /// The lines this piece completes.
    fn pass(&mut self, piece: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(piece.len() + 16);
        self.bytes += piece.len();
        if self.document {
            self.line.extend_from_slice(piece);
        } else {
            for part in piece.split_inclusive(|byte| *byte == b'\n') {
                self.line.extend_from_slice(part);
                if part.ends_with(b"\n") {
                    let line = std::mem::take(&mut self.line);
                    self.let_in(&line, &mut out);
                }
            }
        }
        if self.line.len() > LINE_BYTES_MAX || self.bytes > BODY_BYTES_MAX {
            self.line.clear();
            self.pieces = None;
            garbage(&mut out);
        }
        out
    }

    /// What is left when the wire has ended, some servers leave out the last line break.
    fn finish(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        let line = std::mem::take(&mut self.line);
        if self.document {
            event(&line, &mut out);
            out.extend_from_slice(b"data: [DONE]\n\n");
        } else {
            self.let_in(&line, &mut out);
        }
        out.extend_from_slice(b"\n\n");
        out
    }

    /// One line of the event stream. Only `data` matters: names, ids and comments are dropped.
    fn let_in(&self, line: &[u8], out: &mut Vec<u8>) {
        let Some(data) = line.strip_prefix(b"data:") else { return };
        if data.trim_ascii() == b"[DONE]" {
            self.complete.store(true, Ordering::Relaxed);
            out.extend_from_slice(format!("data: {{\"{END}\":true}}\n\ndata: [DONE]\n\n").as_bytes());
        } else {
            event(data, out);
        }
    }
}

/// Writes a JSON text as one event.
fn event(data: &[u8], out: &mut Vec<u8>) {
    let data = data.trim_ascii();
    if data.is_empty() {
        return;
    }
    match std::str::from_utf8(data) {
        Ok(text) if serde_json::from_str::<IgnoredAny>(text).is_ok() => {
            out.extend_from_slice(b"data: ");
            // Line breaks in JSON are only white space.
            out.extend(data.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }));
            out.extend_from_slice(b"\n\n");
        }
        _ => garbage(out),
    }
}

fn garbage(out: &mut Vec<u8>) {
    out.extend_from_slice(format!("data: {{\"{GARBAGE}\":true}}\n\n").as_bytes());
}

/// What a body in pieces of this size lets in, event by event.
#[cfg(feature = "fuzz")]
pub(in crate::providers) fn lines(body: &[u8], piece: usize) -> Vec<String> {
    let complete = Arc::new(AtomicBool::new(false));
    let mut door = Door { pieces: None, line: Vec::new(), bytes: 0, document: body.len().is_multiple_of(5), complete };
    let mut out: Vec<u8> = body.chunks(piece).flat_map(|piece| door.pass(piece)).collect();
    out.extend(door.finish());
    let text = String::from_utf8(out).expect("the door lets in only text");
    text.split("\n\n")
        .filter_map(|event| event.strip_prefix("data: "))
        .filter(|data| *data != "[DONE]")
        .map(Into::into)
        .collect()
}

impl Drop for Door {
    fn drop(&mut self) {
        let Some(mut pieces) = self.pieces.take() else { return };
        if !self.complete.load(Ordering::Relaxed) {
            return; // given up in the middle: the connection closes, and the server stops
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(tokio::time::timeout(DRAIN, async move {
            let mut bytes = 0;
            while let Some(Ok(piece)) = pieces.next().await {
                bytes += piece.len();
                if bytes > DRAIN_BYTES_MAX {
                    break;
                }
            }
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(body: &[u8], piece: usize, document: bool) -> String {
        let mut door =
            Door { pieces: None, line: Vec::new(), bytes: 0, document, complete: Arc::new(AtomicBool::new(false)) };
        let mut out = Vec::new();
        for piece in body.chunks(piece) {
            out.extend(door.pass(piece));
        }
        out.extend(door.finish());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines_are_whole_and_json_however_they_are_cut() {
        let body = ": ping\r\nevent: keepalive\r\n\r\ndata:{\"a\":\"è\"}\r\n\r\ndata: not json\n\nid: 3\ndata: [DONE]"
            .as_bytes();
        let expected = "data: {\"a\":\"è\"}\n\ndata: {\"pronto_garbage\":true}\n\n\
                        data: {\"pronto_end\":true}\n\ndata: [DONE]\n\n\n\n";
        for piece in 1..=body.len() {
            assert_eq!(through(body, piece, false), expected, "pieces of {piece}");
        }
    }

    #[test]
    fn a_document_becomes_one_event() {
        assert_eq!(through(b"{\n \"a\": 1\n}\n", 3, true), "data: {  \"a\": 1 }\n\ndata: [DONE]\n\n\n\n");
    }

    #[test]
    fn an_endless_line_is_cut_off() {
        let out = through(&vec![b'x'; LINE_BYTES_MAX + 10], 4096, false);
        assert!(out.starts_with("data: {\"pronto_garbage\":true}"));
    }
}
