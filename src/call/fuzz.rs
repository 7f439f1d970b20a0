//! Any sequence of inputs, at any times, must leave the promises whole.

use std::time::{Duration, Instant};

use arbitrary::{Arbitrary, Unstructured};

use super::{Action, Actions, Call, Input, Settings, Setup, ToolKind, ToolSpec, Turn};
use crate::audio::{Detector, Format, Line, Rate, VadSettings};

/// Longest gap between two inputs.
const GAP_MS_MAX: u64 = 5_000;

/// Plays arbitrary bytes as a call: no panic, no stale byte, every wake in the future, one outcome a tool.
pub fn call(data: &[u8]) {
    let mut data = Unstructured::new(data);
    let _ = play(&mut data);
}

fn play(data: &mut Unstructured<'_>) -> arbitrary::Result<()> {
    #[expect(clippy::disallowed_methods, reason = "a fuzzed call needs one real instant to count from")]
    let mut now = Instant::now();
    let line = if bool::arbitrary(data)? { Line::twilio() } else { Line::vapi(Format::PCM_WIDE) };
    let tool = |name: &str, kind| ToolSpec {
        name: name.into(),
        description: String::new(),
        parameters: serde_json::Value::Null,
        kind,
    };
    let setup = Setup {
        line,
        clock: jiff::Zoned::default(),
        caller: None,
        settings: std::sync::Arc::new(Settings {
            vad: VadSettings { detector: Detector::Energy, noise_suppression: false, ..VadSettings::default() },
            ..Settings::default()
        }),
        instructions: "".into(),
        greeting: if bool::arbitrary(data)? { "Buongiorno." } else { "" }.into(),
        tools: [tool("read", ToolKind::Read), tool("write", ToolKind::Write)].into(),
        stt_partials: bool::arbitrary(data)?,
        stt_commits: bool::arbitrary(data)?,
        voice: if bool::arbitrary(data)? { Rate::WIDE } else { Rate::VOICE },
        complete: |_, _, _| false,
    };
    let mut call = Call::new(setup).expect("these lines can be carried");
    let mut actions = Actions::new();
    let mut stopped: Option<Turn> = None;
    while !data.is_empty() {
        now += Duration::from_millis(u64::arbitrary(data)? % GAP_MS_MAX);
        let input = Input::arbitrary(data)?;
        actions.clear();
        let wake = call.handle(now, input, &mut actions);
        assert!(wake.is_none_or(|wake| wake.at > now), "a wake lies in the future");
        for action in actions.list() {
            match action {
                Action::Stop(turn) => stopped = stopped.max(Some(*turn)),
                Action::Send { turn: Some(turn), .. } => assert!(Some(*turn) > stopped, "a byte of a stopped turn"),
                Action::Hear(_)
                | Action::Commit(_)
                | Action::Think(_)
                | Action::Speak { .. }
                | Action::RunTool { .. }
                | Action::DropTool(_)
                | Action::Send { turn: None, .. }
                | Action::Clear
                | Action::Mark(_)
                | Action::Tell(_)
                | Action::Transfer(_)
                | Action::Close(_) => {}
            }
        }
    }
    Ok(())
}
