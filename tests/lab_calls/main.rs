//! Whole calls over loopback: engines emulated by the lab, the real clients and gateway, a caller on a real WebSocket,
//! in real time. An appointment is made with each engine, and whichever engine dies, hangs or drags in the middle of
//! the call, the caller is not left in silence.
#![cfg(all(feature = "daemon", feature = "load"))]
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking, and tells the dialogue then"
)]

mod shop;
mod silence;

use std::fmt::Write;

use pronto::{
    booking::Status,
    load::{
        caller::{Happened, How},
        lab::{
            faults::{Fault, Harm},
            journal::Endpoint,
        },
    },
};

use shop::{Ears, Made, Plan, Voice, When};
use silence::{allowed, longest, silences};

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Becomes {
    /// The appointment is made all the same.
    Booked,
    /// The caller hears an apology, and the line is closed with 1011.
    Apology,
    /// The caller is asked for a number, and dials it.
    Number,
    /// One or the other: half of what the caller says is understood.
    Either,
}

/// An engine that breaks in the middle of a call.
#[derive(Debug, Clone, Copy)]
enum Breaks {
    /// Streams under way are cut, and whoever asks again is refused.
    Killed,
    /// Streams under way fall silent, and whoever asks again hears nothing.
    Stalled,
    /// Everything comes so much later.
    Slowed(u64),
}

impl Breaks {
    fn at(self, endpoint: Endpoint) -> Fault {
        let harm = match self {
            Self::Killed => Harm::Refuse,
            Self::Stalled => Harm::Silent,
            Self::Slowed(ms) => Harm::Drip { ms },
        };
        Fault { endpoint, harm, skip: 0, times: None, open: true }
    }
}

fn call(name: &str, ears: &[Ears], voices: &[Voice]) -> Plan {
    Plan { name: name.into(), ears: ears.into(), voices: voices.into(), fault: None, unheard: false }
}

fn broken(mut plan: Plan, when: When, endpoint: Endpoint, breaks: Breaks) -> Plan {
    let how = match breaks {
        Breaks::Killed => "killed".into(),
        Breaks::Stalled => "stalled".into(),
        Breaks::Slowed(ms) => format!("slowed-{ms}"),
    };
    plan.name = format!("{}-{}-{how}", plan.name, format!("{endpoint:?}").to_lowercase());
    plan.fault = Some((when, breaks.at(endpoint)));
    plan
}

/// Makes these calls, all at once, and says of each what was wrong with it.
async fn judge(plans: Vec<(Plan, Becomes)>) {
    let only = std::env::var("LAB_CALL").ok();
    let plans = plans.into_iter().filter(|(plan, _)| only.as_ref().is_none_or(|only| plan.name.contains(only)));
    let calls: Vec<_> = plans
        .map(|(mut plan, becomes)| {
            plan.unheard = becomes == Becomes::Number;
            tokio::spawn(async move {
                let made = plan.play().await;
                (plan, becomes, made)
            })
        })
        .collect();
    let mut wrong = String::new();
    for call in calls {
        let (plan, becomes, made) = call.await.unwrap();
        let worst = longest(&silences(&made.conversation.recording));
        let length = worst.end - worst.start;
        eprintln!(
            "{:<28} longest silence {:>4} ms at {:>5.1} s, caller's clock late by {:>3} ms, {:?}, {} booked",
            plan.name,
            length.as_millis(),
            worst.start.as_secs_f64(),
            made.conversation.late_max.as_millis(),
            made.conversation.how,
            made.appointments.len(),
        );
        let mut mistakes = mistakes(&made, becomes);
        if length > allowed(&made.conversation) {
            mistakes.push(format!("{} ms of silence", length.as_millis()));
        }
        if plan.fault.is_some() && made.broke.is_none() {
            mistakes.push("nothing broke".into());
        }
        if !mistakes.is_empty() {
            let (name, wav) = (&plan.name, made.wav.display());
            let _ = writeln!(wrong, "{name}: {}; {wav}\n{}", mistakes.join("; "), made.dialogue());
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

fn mistakes(made: &Made, becomes: Becomes) -> Vec<String> {
    let mut mistakes = Vec::new();
    let rows: Vec<_> = made
        .appointments
        .iter()
        .map(|row| (row.status, row.local, row.plate.reveal().as_str(), row.service.as_str()))
        .collect();
    let booked = [(Status::Booked, made.expected, "AB123CD", "tagliando")];
    let how = &made.conversation.how;
    let dialled = made.moments.iter().any(|moment| matches!(moment.what, Happened::Pressed(_)));
    let apology = "ho un problema tecnico. La richiamiamo appena possibile.";
    let apologised = made.moments.iter().any(
        |moment| matches!(&moment.what, Happened::Words { ours: false, last: true, text } if text.ends_with(apology)),
    );
    match becomes {
        Becomes::Booked if rows == booked && *how == How::HungUp => {}
        Becomes::Apology if apologised && matches!(how, How::AgentHungUp { code: 1011, .. }) => {}
        Becomes::Number if dialled && rows.is_empty() && *how == How::HungUp => {}
        Becomes::Either if *how == How::HungUp => {}
        _ => mistakes.push(format!("expected {becomes:?}, but it ended with {how:?} and {rows:?} in the books")),
    }
    mistakes
}

/// Every engine books.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_call_on_every_engine() {
    judge(vec![
        (call("nova", &[Ears::Nova], &[Voice::Aura]), Becomes::Booked),
        (call("flux", &[Ears::Flux], &[Voice::Aura]), Becomes::Booked),
        (call("openai", &[Ears::Whole], &[Voice::Speech]), Becomes::Booked),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whichever_engine_breaks_nobody_is_left_in_silence() {
    judge([models(), voices(), recognisers()].concat()).await;
}

/// A model that breaks is stood in for by the receptionist.
fn models() -> Vec<(Plan, Becomes)> {
    let mut plans = Vec::new();
    for breaks in [Breaks::Killed, Breaks::Stalled, Breaks::Slowed(600)] {
        for plan in [call("nova", &[Ears::Nova], &[Voice::Aura]), call("openai", &[Ears::Whole], &[Voice::Speech])] {
            plans.push((broken(plan, When::AgentSpeaks, Endpoint::Chat, breaks), Becomes::Booked));
        }
    }
    plans
}

/// A voice that breaks is stood in for by another voice, or by the sentences that are kept as sound, for an apology.
fn voices() -> Vec<(Plan, Becomes)> {
    let mut plans = Vec::new();
    for (ears, voice) in [(Ears::Nova, Voice::Aura), (Ears::Whole, Voice::Speech)] {
        let name = if voice == Voice::Aura { "nova" } else { "openai" };
        for (breaks, becomes) in [
            (Breaks::Killed, Becomes::Apology),
            (Breaks::Stalled, Becomes::Apology),
            (Breaks::Slowed(160), Becomes::Booked),
        ] {
            plans.push((broken(call(name, &[ears], &[voice]), When::AgentSpeaks, voice.endpoint(), breaks), becomes));
        }
    }
    for breaks in [Breaks::Killed, Breaks::Stalled] {
        let two = call("two-voices", &[Ears::Nova], &[Voice::Aura, Voice::Speech]);
        plans.push((broken(two, When::AgentSpeaks, Endpoint::Aura, breaks), Becomes::Booked));
    }
    plans
}

/// A recogniser that breaks is stood in for by another one, or the caller is asked for a number.
fn recognisers() -> Vec<(Plan, Becomes)> {
    let mut plans = Vec::new();
    for (name, ears, voice, slow, slower) in [
        ("nova", Ears::Nova, Voice::Aura, 150, Some((400, Becomes::Either))),
        ("flux", Ears::Flux, Voice::Aura, 150, None),
        ("openai", Ears::Whole, Voice::Speech, 500, Some((1_800, Becomes::Booked))),
    ] {
        let breaks = [
            (Breaks::Killed, Becomes::Number),
            (Breaks::Stalled, Becomes::Number),
            (Breaks::Slowed(slow), Becomes::Booked),
        ];
        let slower = slower.map(|(ms, becomes)| (Breaks::Slowed(ms), becomes));
        for (breaks, becomes) in breaks.into_iter().chain(slower) {
            plans.push((broken(call(name, &[ears], &[voice]), When::CallerSpeaks, ears.endpoint(), breaks), becomes));
        }
    }
    // The shortest answer of all: too short to be told from a noise by its length.
    for (breaks, becomes) in [(Breaks::Killed, Becomes::Number), (Breaks::Stalled, Becomes::Number)] {
        let short = call("short-nova", &[Ears::Nova], &[Voice::Aura]);
        plans.push((broken(short, When::CallerAgrees, Endpoint::Nova, breaks), becomes));
    }
    for breaks in [Breaks::Killed, Breaks::Stalled] {
        let two = call("two-ears", &[Ears::Nova, Ears::Whole], &[Voice::Aura]);
        plans.push((broken(two, When::CallerSpeaks, Endpoint::Nova, breaks), Becomes::Booked));
    }
    plans
}
