//! What the call itself costs, on a mu-law line with the neural ear: a frame while nobody speaks, while the caller does
//! and while we do; and one whole turn, from the frame that ends the utterance to the first frame of the answer, with
//! engines that answer at once.
//!
//! `cargo bench --no-default-features --bench turn`

#![expect(clippy::print_stdout, reason = "a benchmark prints")]

mod line;

use std::time::Duration;

use line::{Desk, silence, spread, voice};
use pronto::audio::{Format, Line};

const TURNS: usize = 300;

/// A sentence of four seconds.
const ANSWER: &str = "Certo, la prenoto per martedì alle nove e le mando subito una conferma.";

fn main() {
    let (speech, quiet) = (voice(500), silence());
    for (name, line) in [("clearing", Line::twilio()), ("continuous", Line::vapi(Format::MULAW_PHONE))] {
        let mut desk = Desk::new(line);
        let (mut idle, mut hearing, mut speaking, mut turns) = (vec![], vec![], vec![], vec![]);
        for _ in 0..TURNS {
            for _ in 0..25 {
                desk.reset();
                desk.frame(&quiet);
                idle.push(desk.spent);
            }
            for packet in &speech {
                desk.reset();
                desk.frame(packet);
                hearing.push(desk.spent);
            }
            desk.reset();
            desk.says("vorrei prenotare un tagliando", &speech, &quiet);
            desk.spent = Duration::ZERO;
            desk.answers(ANSWER, 4_000);
            assert!(desk.voiced > 0, "the first frame left with the first sound");
            turns.push(desk.spent);
            for _ in 0..230 {
                desk.reset();
                desk.frame(&quiet);
                speaking.push(desk.spent);
            }
        }
        println!("{name} line, mu-law, neural ear, {TURNS} turns");
        println!("  a frame of silence          {}", spread(idle));
        println!("  a frame of the caller       {}", spread(hearing));
        println!("  a frame while we speak      {}", spread(speaking));
        println!("  a turn, engines taken away  {}", spread(turns));
    }
}
