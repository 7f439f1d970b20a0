//! Targets that send anything: any bytes are read as a series of pieces that come at any time, some of them framed, and
//! what must always hold is asserted. Nothing a target sends may panic, or grow a caller without bound.

use std::sync::Arc;

use super::{
    desk::Desk,
    phone::{FRAME_US, Phone, Setup},
    plan::{Behaviour, LineKind},
    sounds::Said,
};
use crate::{
    audio::signal,
    load::{caller::Scenario, chance::Chance},
};

/// What the caller does meanwhile: everything once.
const DOES: &str = r#"
    patience_s = 1
    pause_ms = 100
    repeat_on = ["come"]
    [[steps]]
    say = "a"
    expect = ["b"]
    again = 3
    [[steps]]
    while_agent_speaks_ms = 10
    say = "c"
    [[steps]]
    while_agent_speaks_ms = 10
    say = "mm"
    backchannel = true
    [[steps]]
    after_s = 0.1
    keys = "1#"
    [[steps]]
    after_s = 3
    hang_up = true
"#;

/// Plays a call with a target that sends this.
pub fn fuzz(data: &[u8]) {
    let Some((&first, mut rest)) = data.split_first() else { return };
    let kinds = LineKind::ALL.into_iter().filter(|kind| cfg!(feature = "opus") || *kind != LineKind::VapiOpus);
    let kinds: Vec<_> = kinds.collect();
    let kind = kinds[usize::from(first) % kinds.len()];
    let mut behaviour = Behaviour::new("any", Scenario::parse(DOES).expect("a scenario"));
    behaviour.must_hear = vec!["b".into()];
    let rate = kind.format().rate;
    let line: Arc<[i16]> = signal::sine(300.0, rate, 8_000.0, 0, rate.hz() as usize / 10).into();
    let spoken: Vec<_> = behaviour.scenario.steps.iter().map(|_| Some(line.clone())).collect();
    let said = Said::new(&behaviour, &spoken, &vec![0; rate.hz() as usize / 50], kind).expect("a codec of this build");
    let mut desk = Desk::new(Some(300_000), &["un attimo".to_owned()]);
    let setup = Setup {
        kind,
        does: Arc::new(behaviour),
        said: Arc::new(said),
        due: 0,
        start: FRAME_US,
        token: None,
        from: "+39333".into(),
        counted: first & 0x80 != 0,
        chance: Chance::new(u64::from(first)),
    };
    let mut phone = Phone::new(setup, &mut desk).expect("a codec of this build");
    let mut now = 0;
    // Each piece: how long after the last, how it is framed, how long it is.
    while let [wait, framed, length, more @ ..] = rest {
        let (piece, behind) = more.split_at(more.len().min(usize::from(*length)));
        rest = behind;
        now += u64::from(*wait) * 3_000;
        while phone.next_frame() <= now && phone.fate().is_none() {
            phone.tick(phone.next_frame(), &mut desk);
            desk.out.clear();
        }
        let bytes = match framed % 4 {
            0 => piece.to_vec(),
            kind => [
                &[[0x82, 0x81, 0x88][usize::from(kind) - 1], piece.len().min(125) as u8][..],
                &piece[..piece.len().min(125)],
            ]
            .concat(),
        };
        if phone.fate().is_some() {
            break;
        }
        phone.received(now, &bytes, &mut desk);
        desk.out.clear();
    }
    phone.hang_up(&mut desk);
    let counts = &desk.tally.counts;
    let ends = counts.completed
        + counts.wrong
        + counts.gave_up
        + counts.dropped
        + counts.ended_by_target
        + counts.unfinished
        + counts.cut_off;
    assert_eq!(ends, 1, "a call ends once: {counts:?}");
    assert!(counts.voiced_ms <= counts.heard_ms + 1, "{counts:?}");
    assert!(counts.asked >= counts.unanswered, "{counts:?}");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::fuzz;

    proptest! {
        #[test]
        fn anything_is_survived(data in proptest::collection::vec(any::<u8>(), 0..2_000)) {
            fuzz(&data);
        }

        /// Messages of the dialects, whole and in parts, in any order.
        #[test]
        fn words_of_the_dialects_are_survived(
            first in any::<u8>(),
            picks in proptest::collection::vec((0..12usize, any::<u8>(), any::<u8>()), 0..60),
        ) {
            let words: [&[u8]; 12] = [
                br#"{"event":"media","streamSid":"MZ","media":{"payload":"AAAA"}}"#,
                br#"{"event":"media","media":{"payload":"%"}}"#,
                br#"{"event":"mark","streamSid":"MZ","mark":{"name":"x"}}"#,
                br#"{"event":"clear","streamSid":"MZ"}"#,
                br#"{"type":"transcript","role":"assistant","transcriptType":"final","transcript":"b come"}"#,
                br#"{"type":"status-update","status":"ended"}"#,
                br#"{"type":"user-interrupted"}"#,
                &[0x10; 120],
                &[0x00; 100],
                &[0xFF; 33],
                b"{",
                &[3, 232],
            ];
            let mut data = vec![first];
            for (word, wait, framed) in picks {
                data.extend([wait, framed, words[word].len() as u8]);
                data.extend(words[word]);
            }
            fuzz(&data);
        }
    }
}
