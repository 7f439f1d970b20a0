//! Every bound of a call, and what happens when it is reached.

use std::time::Duration;

/// Turns kept in the report; older ones are dropped (their times are in the metrics by then).
pub const TURNS_MAX: usize = 400;

/// Characters of one clause; a longer one is cut at a space.
pub const CLAUSE_CHARS_MAX: usize = 240;

/// Clauses of one reply; the rest of what the model says is not spoken, and counted.
pub const CLAUSES_MAX: usize = 64;

/// Entries of the history; the oldest are left out of what the model sees.
pub const HISTORY_MAX: usize = 400;

/// Characters of one utterance; the rest is dropped.
pub const UTTERANCE_CHARS_MAX: usize = 4_000;

/// Tools asked for in one call; a further ask is answered with an error at once.
pub const TOOLS_MAX: usize = 100;

/// Rounds of tools in one reply; then the model is told to answer with what it has.
pub const TOOL_ROUNDS_MAX: u32 = 6;

/// Bytes of a tool's arguments; a longer ask is answered with an error at once.
pub const TOOL_ARGUMENTS_MAX: usize = 16 * 1024;

/// Keys of one entry; the entry ends.
pub const KEYS_MAX: usize = 32;

/// Pauses up to this are never taken for the end of an utterance, whatever a policy or an engine says.
pub const PAUSE_KEPT: Duration = Duration::from_millis(450);

/// Nobody who spoke is left in silence for longer.
pub const DEAD_AIR_MAX: Duration = Duration::from_millis(2_500);

/// The caller's audio may be missing for this long before the missing audio counts as silence.
pub const STALL: Duration = Duration::from_millis(400);

/// A caller in the middle of a word when the audio stops is taken to have stopped speaking after this.
pub const STALL_MAX: Duration = Duration::from_millis(1_500);

/// With no audio at all from the caller the call ends after this.
pub const NO_AUDIO: Duration = Duration::from_secs(30);

/// With nobody speaking for so long, and nothing to be answered, nothing is hurried.
pub const LULL: Duration = Duration::from_secs(1);

/// How long what the caller sends may then wait before it is read.
pub const WAIT_LULL: Duration = Duration::from_millis(60);

/// The same while we speak and the caller does not.
pub const WAIT_SPEAKING: Duration = Duration::from_millis(40);

/// A goodbye is cut when it takes longer than this after it was due.
pub const GOODBYE_MAX: Duration = Duration::from_secs(12);

/// Fillers in one reply; then the call gives up on the answer and says so.
pub const FILLERS_MAX: u32 = 4;

/// The same for a reply that follows a failed one.
pub const FILLERS_AFTER_FAILURE: u32 = 1;

/// Replies that failed one after the other before the call ends with an apology.
pub const FAILURES_MAX: u32 = 3;

/// Times in a row that a caller who is not understood is asked to repeat; then we ask for keys.
pub const REPEATS_MAX: u32 = 2;

/// Voice waiting to be heard; above it the voice's stream is not read. At 16 kHz this is 16 KiB, the largest part of a
/// call's memory; a voice that stumbles for longer has more on its way in its stream.
pub const VOICE_AHEAD: Duration = Duration::from_millis(500);

/// The same in samples, for lines above 16 kHz.
pub const VOICE_AHEAD_SAMPLES: usize = 8_000;

/// Memory kept of buffers that one long message may have made long, in samples.
pub const BUFFER_KEPT: usize = 2_048;

/// A mark that has not come back after the audio must have been played counts as played.
pub const MARK_LATE: Duration = Duration::from_secs(2);

/// Frames sent in one go.
pub const FRAMES_BURST: usize = 16;

/// Words of the caller that come this long after the utterance was taken as complete may still belong to it.
pub const STALE_TEXT: Duration = Duration::from_secs(3);

/// Times our voice is muted in one reply; further ones are taken for a single long one.
pub const LOST_MAX: usize = 32;

/// Questions asked ahead for one utterance. More, and the model is asked when the caller has finished.
pub const AHEAD_MAX: u32 = 2;

/// Bytes kept of an answer that was asked for ahead. A longer one is forgotten, and asked for when the caller has
/// finished.
pub const AHEAD_CHARS_MAX: usize = 32 * 1024;

/// Words that stand still for so long may be all that is said.
pub const AHEAD_STABLE: Duration = Duration::from_millis(100);
