//! The callers: one thread, plain sockets, no library, so that they cost far less than those they call.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    thread::sleep,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use pronto::audio::Line;

use super::{
    Result, State,
    servers::TOKEN,
    track::{Track, Wire, stream_name},
};

/// Frames are sent in this many bundles, spread over 20 ms.
const SLOTS: usize = 20;

/// Everybody who is on the telephone now.
pub struct Callers {
    wire: Wire,
    /// Each with the number of the server it calls.
    lines: Vec<Caller>,
    /// What they say, as payloads; base64 for Twilio.
    says: Vec<Vec<u8>>,
    servers: usize,
    /// Bundles sent.
    sent: usize,
    message: Vec<u8>,
    read: Vec<u8>,
}

struct Caller {
    line: TcpStream,
    server: usize,
    /// Where in the track this one began.
    offset: usize,
    /// Messages that have begun to arrive.
    heard: u64,
    /// Bytes of the present message that are still to come.
    rest: usize,
    /// The beginning of a header.
    head: Vec<u8>,
}

impl Callers {
    /// So many calls to each of these servers, in pairs that say the same at the same time.
    pub fn dial(track: &Track, wire: Wire, state: State, calls: usize, servers: &[SocketAddr]) -> Result<Self> {
        let packets = track.packets(state, wire.format())?;
        let says = match wire {
            Wire::Twilio => packets.iter().map(|packet| STANDARD.encode(packet).into_bytes()).collect(),
            Wire::VapiPcm | Wire::VapiMulaw => packets,
        };
        let mut lines = Vec::new();
        for call in 0..calls {
            for (server, address) in servers.iter().enumerate() {
                let line = dial(*address, &wire.path(if state.agent { "parla" } else { "tace" }))?;
                lines.push(Caller { line, server, offset: call * 37, heard: 0, rest: 0, head: Vec::new() });
            }
        }
        let mut callers =
            Self { wire, lines, says, servers: servers.len(), sent: 0, message: Vec::new(), read: vec![0; 1 << 16] };
        if wire == Wire::Twilio {
            callers.describe()?;
        }
        for caller in &callers.lines {
            caller.line.set_nonblocking(true)?;
        }
        Ok(callers)
    }

    /// Twilio's first messages.
    fn describe(&mut self) -> Result<()> {
        for (at, caller) in self.lines.iter_mut().enumerate() {
            let stream = stream_name(at);
            let start = format!(
                r#"{{"event":"start","sequenceNumber":"1","start":{{"streamSid":"{stream}","callSid":"CA{at:032x}","tracks":["inbound"],"mediaFormat":{{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1}},"customParameters":{{}}}},"streamSid":"{stream}"}}"#
            );
            for text in [r#"{"event":"connected","protocol":"Call","version":"1.0.0"}"#, &start] {
                write_frame(&mut self.message, 0x81, text.as_bytes());
                caller.line.write_all(&self.message)?;
            }
        }
        Ok(())
    }

    /// Everybody speaks and listens for a while.
    pub fn talk(&mut self, time: Duration) -> Result<()> {
        let (begin, until) = (Instant::now(), self.sent + (time.as_millis() as usize * SLOTS / 20).max(1));
        let from = self.sent;
        while self.sent < until {
            let (frame, slot) = (self.sent / SLOTS, self.sent % SLOTS);
            for at in 0..self.lines.len() {
                if at / self.servers.max(1) % SLOTS == slot {
                    self.say(at, frame)?;
                }
            }
            self.sent += 1;
            let due = Line::FRAME * (self.sent - from) as u32 / SLOTS as u32;
            sleep(due.saturating_sub(begin.elapsed()));
        }
        Ok(())
    }

    /// Messages that came from each server, so far.
    pub fn heard(&self) -> [u64; 2] {
        let of = |server| self.lines.iter().filter(|caller| caller.server == server).map(|caller| caller.heard).sum();
        [of(0), of(1)]
    }

    fn say(&mut self, at: usize, frame: usize) -> Result<()> {
        let caller = &mut self.lines[at];
        let payload = &self.says[(frame + caller.offset) % self.says.len()];
        match self.wire {
            Wire::VapiPcm | Wire::VapiMulaw => write_frame(&mut self.message, 0x82, payload),
            Wire::Twilio => {
                let (number, time, stream) = (frame + 2, frame * 20, stream_name(at));
                let payload = std::str::from_utf8(payload)?;
                let text = format!(
                    r#"{{"event":"media","sequenceNumber":"{number}","media":{{"track":"inbound","chunk":"{number}","timestamp":"{time}","payload":"{payload}"}},"streamSid":"{stream}"}}"#
                );
                write_frame(&mut self.message, 0x81, text.as_bytes());
            }
        }
        caller.line.write_all(&self.message)?;
        loop {
            match caller.line.read(&mut self.read) {
                Ok(0) => return Err("a server hung up".into()),
                Ok(count) => caller.hear(&self.read[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Caller {
    /// Counts messages. Servers do not mask.
    fn hear(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.rest > 0 {
                let now = self.rest.min(bytes.len());
                self.rest -= now;
                bytes = &bytes[now..];
                continue;
            }
            self.head.push(bytes[0]);
            bytes = &bytes[1..];
            let length = match self.head[..] {
                [_, short] if short < 126 => usize::from(short),
                [_, 126, high, low] => usize::from(u16::from_be_bytes([high, low])),
                _ => continue,
            };
            self.rest = length;
            // An event is no frame.
            self.heard += u64::from(self.head[0] & 15 < 8);
            self.head.clear();
        }
    }
}

/// One masked frame, its mask all zeros.
fn write_frame(into: &mut Vec<u8>, kind: u8, payload: &[u8]) {
    into.clear();
    into.push(kind);
    if payload.len() < 126 {
        into.push(0x80 | payload.len() as u8);
    } else {
        into.push(0xFE);
        into.extend_from_slice(&(payload.len() as u16).to_be_bytes());
    }
    into.extend_from_slice(&[0; 4]);
    into.extend_from_slice(payload);
}

fn dial(address: SocketAddr, path: &str) -> Result<TcpStream> {
    let mut line = TcpStream::connect(address)?;
    line.set_nodelay(true)?;
    line.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(
        line,
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Authorization: Bearer {TOKEN}\r\n\r\n"
    )?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        line.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    if head.starts_with(b"HTTP/1.1 101") { Ok(line) } else { Err("the call was refused".into()) }
}
