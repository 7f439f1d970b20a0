//! Our own process is late: the machine is overloaded, and wakes come long after they were due.

use pronto::sim::story::{hangs, ms, s, says, story};

/// Regression: a filler and an answer that were both due after a freeze, while the last word was still leaving, was a
/// deadline that nobody handled, and a panic.
#[test]
fn several_deadlines_passed_at_once_are_all_handled() {
    for end in [2.9, 3.5, 4.4, 6.0, 13.0, 20.0] {
        story()
            .caller(0.5..2.0, "vorrei prenotare un tagliando")
            .model(says("Un attimo.").ending(pronto::sim::script::Ends::Hangs))
            .model(hangs())
            .script(|script| script.freezes.push(s(2.8)..s(end)))
            .until(30.0)
            .expect("the caller hears something", |t| t.voice() > ms(500))
            .play();
    }
}
