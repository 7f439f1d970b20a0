//! What an interruption costs: from the decision (the word that cuts) to the last action that makes us silent, and how
//! many frames of the cut reply leave after it (none).
//!
//! `cargo bench --no-default-features --bench interruption`

#![expect(clippy::print_stdout, reason = "a benchmark prints")]

mod line;

use std::time::Duration;

use line::{Desk, silence, spread, voice};
use pronto::{
    audio::{Format, Line},
    call::{Input, SttEvent},
};

const CUTS: usize = 300;

fn main() {
    let (speech, quiet) = (voice(500), silence());
    for (name, line) in [("clearing", Line::twilio()), ("continuous", Line::vapi(Format::MULAW_PHONE))] {
        let mut desk = Desk::new(line);
        let mut cuts = Vec::new();
        for _ in 0..CUTS {
            desk.reset();
            desk.says("vorrei prenotare un tagliando", &speech, &quiet);
            desk.answers("Certo, la prenoto per martedì alle nove e le mando subito una conferma.", 4_000);
            for _ in 0..50 {
                desk.frame(&quiet);
            }
            for packet in &speech[..5] {
                desk.frame(packet);
            }
            let cut = desk.turn;
            desk.spent = Duration::ZERO;
            desk.handle(Input::Stt(SttEvent::Partial { text: "no aspetti".into() }));
            cuts.push(desk.spent);
            assert!(desk.stopped >= Some(cut), "the words cut the reply");
            // What the caller said is answered, so that the next round begins anew.
            desk.reset();
            desk.says("no aspetti", &speech, &quiet);
            desk.answers("Mi dica.", 300);
            for _ in 0..60 {
                desk.frame(&quiet);
            }
        }
        println!("{name} line, mu-law, neural ear, {CUTS} interruptions");
        println!("  from the word to silence    {}", spread(cuts));
        println!("  stale frames                {}", desk.stale);
        assert_eq!(desk.stale, 0, "a frame of a cut reply left");
    }
}
