//! What is around a caller besides its own lines: the room it stands in, other people, the telephone it holds.

use std::time::Duration;

/// What happens in one frame, before it is sent.
#[derive(Debug, Clone, Copy)]
pub struct Now<'a> {
    /// When the frame ends, from the beginning of the call.
    pub at: Duration,
    /// The sample of the caller's side it begins at.
    pub sample: usize,
    /// What comes out of the telephone meanwhile; shorter where nothing does.
    pub heard: &'a [i16],
    /// The agent is in the middle of its speech.
    pub agent_speaks: bool,
    /// The caller is in the middle of one of its lines.
    pub speaks: bool,
}

/// The surroundings of one caller. Asked every frame: be quick, and never wait.
pub trait Around: Send {
    /// What the caller understands of the agent besides what the wire tells: a text, and whether it is the whole of what
    /// was said rather than a part of what is being said.
    fn words(&mut self) -> Option<(String, bool)>;

    /// The frame as the caller speaks it becomes the frame as the telephone sends it.
    fn frame(&mut self, now: Now<'_>, frame: &mut [i16]);

    /// The caller is busy with something else: its next line waits.
    fn busy(&self) -> bool {
        false
    }
}
