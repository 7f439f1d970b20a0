//! WebSocket frames (RFC 6455) as a client writes and reads them: just what a call needs.
//!
//! A client masks what it sends with a key of its own choice. We choose 0, which leaves the bytes as they are: a message
//! is framed once and sent by thousands of callers. Browsers must not do that (a proxy could be fooled); a load
//! generator may.

/// The longest message that is read; a longer one ends the call.
const MESSAGE_MAX: usize = 4 << 20;
/// What a reader keeps between messages; what a long one needed beyond it is given back.
const KEPT_MAX: usize = 4 << 10;

/// What a frame carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

/// A whole message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub(super) kind: Kind,
    pub(super) payload: &'a [u8],
}

/// The stream is not what RFC 6455 describes, or a message is too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotWebSocket;

/// Appends a whole frame of a client.
pub(super) fn write(kind: Kind, payload: &[u8], out: &mut Vec<u8>) {
    let opcode: u8 = match kind {
        Kind::Text => 1,
        Kind::Binary => 2,
        Kind::Close => 8,
        Kind::Ping => 9,
        Kind::Pong => 10,
    };
    out.push(0x80 | opcode);
    match payload.len() {
        len @ 0..=125 => out.push(0x80 | len as u8),
        len @ 126..=0xFFFF => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(payload);
}

/// Appends the frame that closes a call in order.
pub(super) fn write_close(code: u16, reason: &str, out: &mut Vec<u8>) {
    let mut payload = code.to_be_bytes().to_vec();
    payload.extend_from_slice(&reason.as_bytes()[..reason.len().min(123)]);
    write(Kind::Close, &payload, out);
}

/// The code of a close frame; 1005 where there is none.
pub(super) fn close_code(payload: &[u8]) -> u16 {
    payload.first_chunk().map_or(1005, |code| u16::from_be_bytes(*code))
}

/// Reads a server's frames from pieces of any length.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// The beginning of a frame whose end has not come.
    rest: Vec<u8>,
    /// A message in several frames, as far as it has come, and what it is.
    message: Option<(Kind, Vec<u8>)>,
}

/// What stands before a payload.
struct Head {
    last: bool,
    opcode: u8,
    /// Of the head itself.
    bytes: usize,
    payload: usize,
}

impl Reader {
    /// Hands over every message that is whole. Stops when `each` says so, which is told by `false`.
    pub(super) fn read(&mut self, bytes: &[u8], each: &mut dyn FnMut(Frame<'_>) -> bool) -> Result<bool, NotWebSocket> {
        if self.rest.is_empty() {
            let (used, on) = self.frames(bytes, each)?;
            self.rest.extend_from_slice(&bytes[used..]);
            return Ok(on);
        }
        let mut joined = std::mem::take(&mut self.rest);
        joined.extend_from_slice(bytes);
        let (used, on) = self.frames(&joined, each)?;
        joined.drain(..used);
        if joined.capacity() > KEPT_MAX && joined.len() <= KEPT_MAX / 2 {
            joined.shrink_to(KEPT_MAX);
        }
        self.rest = joined;
        Ok(on)
    }

    /// The whole frames at the beginning of these bytes: how many bytes they were, and whether to go on.
    fn frames(&mut self, bytes: &[u8], each: &mut dyn FnMut(Frame<'_>) -> bool) -> Result<(usize, bool), NotWebSocket> {
        let mut at = 0;
        while let Some(head) = head(&bytes[at..])? {
            let from = at + head.bytes;
            let Some(payload) = bytes.get(from..from + head.payload) else { break };
            at = from + head.payload;
            if !self.frame(&head, payload, each)? {
                return Ok((at, false));
            }
        }
        Ok((at, true))
    }

    fn frame(
        &mut self,
        head: &Head,
        payload: &[u8],
        each: &mut dyn FnMut(Frame<'_>) -> bool,
    ) -> Result<bool, NotWebSocket> {
        let kind = match head.opcode {
            0 => {
                let (kind, mut message) = self.message.take().ok_or(NotWebSocket)?;
                if message.len() + payload.len() > MESSAGE_MAX {
                    return Err(NotWebSocket);
                }
                message.extend_from_slice(payload);
                if head.last {
                    return Ok(each(Frame { kind, payload: &message }));
                }
                self.message = Some((kind, message));
                return Ok(true);
            }
            1 => Kind::Text,
            2 => Kind::Binary,
            8 => Kind::Close,
            9 => Kind::Ping,
            10 => Kind::Pong,
            _ => return Err(NotWebSocket),
        };
        if head.last {
            // A message may not begin inside another; a control frame may come between its parts.
            if self.message.is_some() && head.opcode < 8 {
                return Err(NotWebSocket);
            }
            return Ok(each(Frame { kind, payload }));
        }
        if head.opcode >= 8 || self.message.is_some() {
            return Err(NotWebSocket);
        }
        self.message = Some((kind, payload.to_vec()));
        Ok(true)
    }
}

/// The head of a frame; none while it has not wholly come.
fn head(bytes: &[u8]) -> Result<Option<Head>, NotWebSocket> {
    let &[first, second, ref rest @ ..] = bytes else { return Ok(None) };
    // Reserved bits, or a server that masks.
    if first & 0x70 != 0 || second & 0x80 != 0 {
        return Err(NotWebSocket);
    }
    let (last, opcode) = (first & 0x80 != 0, first & 0x0F);
    let (more, payload) = match second {
        126 => match rest.first_chunk::<2>() {
            Some(len) => (2, u64::from(u16::from_be_bytes(*len))),
            None => return Ok(None),
        },
        127 => match rest.first_chunk::<8>() {
            Some(len) => (8, u64::from_be_bytes(*len)),
            None => return Ok(None),
        },
        len => (0, u64::from(len)),
    };
    let payload = usize::try_from(payload).ok().filter(|len| *len <= MESSAGE_MAX).ok_or(NotWebSocket)?;
    if opcode >= 8 && payload > 125 {
        return Err(NotWebSocket);
    }
    Ok(Some(Head { last, opcode, bytes: 2 + more, payload }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a server writes it.
    fn server(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![first];
        match payload.len() {
            len @ 0..=125 => frame.push(len as u8),
            len @ 126..=0xFFFF => frame.extend([126, (len >> 8) as u8, len as u8]),
            len => {
                frame.push(127);
                frame.extend((len as u64).to_be_bytes());
            }
        }
        frame.extend_from_slice(payload);
        frame
    }

    fn read_in(pieces: &[&[u8]]) -> Result<Vec<(Kind, Vec<u8>)>, NotWebSocket> {
        let (mut reader, mut seen) = (Reader::default(), vec![]);
        for piece in pieces {
            reader.read(piece, &mut |frame| {
                seen.push((frame.kind, frame.payload.to_vec()));
                true
            })?;
        }
        Ok(seen)
    }

    #[test]
    fn frames_are_read_wherever_they_are_split() {
        let long = vec![7; 70_000];
        let all = [
            server(0x81, b"hello"),
            server(0x82, &[1; 640]),
            server(0x01, b"in two "),
            server(0x89, b"?"),
            server(0x80, b"parts"),
            server(0x82, &long),
            server(0x88, &1013u16.to_be_bytes()),
        ]
        .concat();
        let expected = [
            (Kind::Text, b"hello".to_vec()),
            (Kind::Binary, vec![1; 640]),
            (Kind::Ping, b"?".to_vec()),
            (Kind::Text, b"in two parts".to_vec()),
            (Kind::Binary, long),
            (Kind::Close, vec![3, 245]),
        ];
        assert_eq!(read_in(&[&all]).unwrap(), expected);
        for size in [1, 2, 3, 7, 641, 4_096] {
            let pieces: Vec<_> = all.chunks(size).collect();
            assert_eq!(read_in(&pieces).unwrap(), expected, "in pieces of {size}");
        }
        assert_eq!(close_code(&[3, 245]), 1013);
    }

    #[test]
    fn what_is_no_websocket_is_told() {
        let masked = [0x82, 0x81, 0, 0, 0, 0, 1];
        let endless = [&[0x82, 127][..], &u64::MAX.to_be_bytes()].concat();
        let cases: [&[u8]; 6] = [&masked, &[0xC2, 0], &[0x83, 0], &[0x80, 0], &[0x09, 0], &endless];
        for bad in cases {
            assert_eq!(read_in(&[bad]), Err(NotWebSocket), "{bad:?}");
        }
        let inside = [server(0x01, b"a"), server(0x81, b"b")].concat();
        assert_eq!(read_in(&[&inside]), Err(NotWebSocket));
    }

    #[test]
    fn what_is_written_is_read_by_a_server() {
        use tokio_tungstenite::tungstenite::{
            Message,
            protocol::{Role, WebSocket},
        };
        for len in [0, 5, 125, 126, 640, 70_000] {
            let (payload, mut bytes) = (vec![9; len], vec![]);
            write(Kind::Binary, &payload, &mut bytes);
            let mut socket = WebSocket::from_raw_socket(std::io::Cursor::new(bytes), Role::Server, None);
            assert_eq!(socket.read().unwrap(), Message::Binary(payload.into()));
        }
    }
}
