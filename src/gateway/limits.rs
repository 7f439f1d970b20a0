//! Every bound of the sockets, and what happens when it is reached.

use std::time::Duration;

use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// The largest message a peer may send; longer ones close the socket with 1009. A test tool sends a whole recording in
/// one frame, hence megabytes.
pub const MESSAGE_MAX: usize = 4 << 20;

/// What the WebSocket may keep of unsent bytes; more means that the caller is too slow, and closes the socket.
pub const WRITE_BUFFER_MAX: usize = 256 << 10;

/// Bytes that are written together rather than one message at a time.
pub const WRITE_BUFFER: usize = 4 << 10;

/// Bytes read at a time: three frames of PCM at 16 kHz. A connection has twice as much, and 256 KiB with the library's own
/// default.
pub const READ_BUFFER: usize = 2 << 10;

/// What the kernel may keep of unsent audio: a second or two. Bigger, and a caller who has stopped reading goes unseen.
pub const SEND_BUFFER: u32 = 64 << 10;

/// Frames of our voice waiting behind the one being sent: 2 s. More means that the caller is too slow.
pub const FRAMES_WAITING_MAX: usize = 100;

/// Events waiting to be sent. More, and the newest is dropped and counted.
pub const EVENTS_WAITING_MAX: usize = 256;

/// Between pings.
pub const PING_EVERY: Duration = Duration::from_secs(20);

/// Pings without a sign of life after which the line is lost.
pub const PINGS_MISSED_MAX: u32 = 2;

/// How long a write may make no progress before the caller is too slow.
pub const WRITE_STALL: Duration = Duration::from_secs(5);

/// The same for an answer over HTTP. Longer: a platform may read what we say as it plays it.
pub const ANSWER_STALL: Duration = Duration::from_secs(30);

/// How long the peer has to answer our close.
pub const CLOSE_WAIT: Duration = Duration::from_secs(2);

/// How long a peer whose dialect describes the stream first may take to do so (then: close 1008).
pub const START_WAIT: Duration = Duration::from_secs(5);

/// Messages handled in a row before everything else had its chance.
pub const MESSAGES_IN_A_ROW: u32 = 32;

/// Caller audio waiting for the recogniser, in samples at 16 kHz: 30 s. More, and the oldest is dropped and counted.
pub const FEED_SAMPLES_MAX: usize = 30 * 16_000;

/// Caller audio gathered before a recogniser that answers commits gets it, in samples at 16 kHz: 60 ms.
pub const FEED_GATHERED: usize = 960;

/// Pieces of audio and commits waiting for the recogniser, whatever their length.
pub const FEED_PIECES_MAX: usize = 4_096;

/// Clauses waiting for the voice. More, and the newest is refused, as a failure of the voice.
pub const CLAUSES_WAITING_MAX: usize = 64;

/// Recognisers tried in one call after the first.
pub const RECOGNISERS_MAX: u32 = 5;

/// The wait before the first of them; doubled each time.
pub const RECOGNISER_PAUSE: Duration = Duration::from_millis(100);

/// Tools that may run at once in one call. More, and the newest has the outcome that it was refused.
pub const TOOLS_MAX: usize = 16;

/// How long a call waits for a tool. Then the model is told so; a write goes on to its end without the call.
pub const TOOL_WAIT: Duration = Duration::from_secs(30);

/// How long the record of a call may take to be kept. Nobody waits for it but the shutdown, which has a bound of its own;
/// when thousands of calls end in the same second, a store keeps the last of them after more than a minute.
pub const RECORD_WAIT: Duration = Duration::from_secs(90);

/// How long the apology after a bug of ours may take.
pub const APOLOGY_WAIT: Duration = Duration::from_secs(10);

/// Connections over the limit that are told so at once; more are dropped without a word.
pub const TURNED_AWAY_MAX: usize = 64;

/// How long a request's header may take.
pub const HEADER_WAIT: Duration = Duration::from_secs(5);

/// How long the body of a request may take.
pub const REQUEST_WAIT: Duration = Duration::from_secs(10);

/// The largest header of a request, and the buffer for it.
pub const HEADER_MAX: usize = 16 << 10;

/// Header lines of a request.
pub const HEADERS_MAX: usize = 64;

/// The largest body of a request.
pub const BODY_MAX: usize = 64 << 10;

/// The largest body of a request of Vapi's: a whole conversation, or the report of a call. Only of those who have shown
/// who they are.
pub const VAPI_BODY_MAX: usize = 2 << 20;

/// Single-use tokens given out and not yet used. More, and the oldest is forgotten.
pub const PASSES_MAX: usize = 4_096;

/// How long a single-use token lives.
pub const PASS_LIFE: Duration = Duration::from_secs(60);

/// A call whose connection broke waits for another one for so long.
pub const AWAY_WAIT: Duration = Duration::from_secs(10);

/// What waits to be handed to a call from outside its own socket.
pub const ERRANDS_WAITING_MAX: usize = 8;

/// How the WebSocket is bounded.
pub fn websocket() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .max_write_buffer_size(WRITE_BUFFER_MAX)
        .max_message_size(Some(MESSAGE_MAX))
        .max_frame_size(Some(MESSAGE_MAX))
}
