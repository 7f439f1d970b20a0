//! A tool takes its time: the caller hears that we are checking.

use pronto::{
    call::Control,
    sim::story::{asks, done, ms, says, says_and_asks, story},
};

/// Regression: with no patience at all every filler and every apology was due in the same moment, and that was a panic.
#[test]
fn a_shop_without_patience_ends_no_call() {
    story()
        .caller(0.5..2.0, "mi prenoti per martedì")
        .read("find_slots", ms(4_000), done())
        .model(asks("find_slots"))
        .model(says("Alle nove."))
        .settings(|settings| (settings.filler_ms, settings.patience_ms) = (0, 0))
        .until(20.0)
        .expect("something is said", |t| t.voice() > ms(500))
        .play();
}

#[test]
fn a_quick_tool_needs_no_filler() {
    story()
        .caller(1.0..2.0, "vorrei prenotare un tagliando")
        .read("find_slots", ms(300), done())
        .model(asks("find_slots"))
        .model(says("Martedì alle nove?"))
        .expect("no filler", |t| t.spoken() == ["Martedì alle nove?"])
        .expect("one outcome", |t| t.tool_outcomes("find_slots") == 1)
        .play();
}

#[test]
fn a_slow_one_gets_a_filler_after_the_patience_and_further_ones() {
    story()
        .caller(1.0..2.0, "vorrei prenotare un tagliando")
        .read("find_slots", ms(7_000), done())
        .model(asks("find_slots"))
        .model(says("Martedì alle nove?"))
        .until(16.0)
        .expect("the first after the patience", |t| {
            // The tool's patience would end at 4.2 s; the caller's own, counted from the last word, ends before.
            t.spoken_at("Un attimo").is_some_and(|at| at <= ms(2_000 + 1_800 + 20))
        })
        .expect("a second one", |t| t.spoken_at("Ancora un istante").is_some())
        .expect("they are not the same", |t| {
            let mut spoken = t.spoken();
            spoken.dedup();
            spoken.len() == t.spoken().len()
        })
        .expect("never silent for longer than the limit", |t| {
            t.heard().windows(2).all(|pair| pair[1].from.saturating_sub(pair[0].to) <= ms(2_500))
        })
        .expect("the answer in the end", |t| t.said() == ["Martedì alle nove?"])
        .play();
}

#[test]
fn who_runs_the_tool_may_say_something_meanwhile() {
    story()
        .caller(1.0..2.0, "vorrei prenotare un tagliando")
        .read("find_slots", ms(3_000), done())
        .model(asks("find_slots"))
        .model(says("Martedì alle nove?"))
        .control(3.0, Control::Aside("Guardo nell'agenda.".into()))
        .control(9.0, Control::Aside("Nessuno aspetta.".into()))
        .until(16.0)
        .expect("said at once", |t| t.spoken_at("Guardo nell'agenda.").is_some_and(|at| at <= ms(3_020)))
        .expect("nothing where nobody waits", |t| t.spoken_at("Nessuno aspetta.").is_none())
        .expect("it is no part of the answer", |t| t.said() == ["Martedì alle nove?"])
        .play();
}

#[test]
fn the_patience_is_the_shops() {
    story()
        .settings(|settings| settings.patience_ms = 400)
        .caller(1.0..2.0, "vorrei prenotare un tagliando")
        .read("find_slots", ms(3_000), done())
        .model(asks("find_slots"))
        .model(says("Martedì alle nove?"))
        .expect("400 ms after the tool began to run", |t| t.spoken_at("Un attimo") == Some(ms(3_400)))
        .play();
}

#[test]
fn what_the_model_says_before_the_tool_is_heard_first_and_needs_no_filler_at_once() {
    story()
        .caller(1.0..2.0, "vorrei prenotare un tagliando")
        .read("find_slots", ms(1_500), done())
        .model(says_and_asks("Certo, guardo subito l'agenda per lei.", "find_slots"))
        .model(says("Martedì alle nove?"))
        .expect("no filler", |t| t.spoken().iter().all(|text| !text.contains("attimo")))
        .expect("in order", |t| t.said() == ["Certo, guardo subito l'agenda per lei.", "Martedì alle nove?"])
        .play();
}
