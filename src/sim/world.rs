//! Invents calls from a seed: impatient callers, noise, hostile engines, bad lines. Each is played with every promise
//! checked at each step; the seed of a failure is all that is needed to see it again.

use std::{ops::Range, time::Duration};

use super::{
    random::Random,
    script::{Answer, Ears, Ends, Script, Tool, Utterance, Voice, spec},
    stage::{Broken, Stage},
    trace::Trace,
};
use crate::{
    audio::{Codec, Format, Key, Line, Rate},
    call::{Control, Failed, Finish, InterruptingPolicy, Outcome, Then, ToolKind},
};

/// What callers say.
const SAID: [&str; 14] = [
    "vorrei prenotare un tagliando",
    "sì",
    "no",
    "ok",
    "domani alle nove",
    "anzi no, facciamo giovedì",
    "la targa è A B uno due tre C D",
    "mi chiamo",
    "quanto costa?",
    "mm-hm",
    "un momento che controllo",
    "arrivederci",
    "pronto, mi sente?",
    "ho l'auto ferma sulla tangenziale e non parte più da questa mattina",
];

/// What models say.
const ANSWERS: [&str; 8] = [
    "Certo. Per che giorno?",
    "Un attimo, controllo subito l'agenda per lei.",
    "Perfetto, le va bene alle 15.30 di martedì? Il prezzo è EUR 1.200,50 in tutto.",
    "Mi dice la targa?",
    "Grazie.",
    "La ringrazio. Allora confermo: tagliando, martedì 14 aprile alle 9. Le mando un messaggio di conferma.",
    "Arrivederci.",
    "Sì.",
];

/// Plays the call of this seed.
///
/// # Errors
/// The promise that was broken, in words.
pub fn play(seed: u64) -> Result<Trace, Broken> {
    Stage::new(invent(seed), seed).play()
}

/// The call of this seed.
pub fn invent(seed: u64) -> Script {
    let random = &mut Random::new(seed);
    let mut script =
        Script { line: line(random), until: Duration::from_secs(random.between(15, 70)), ..Script::default() };
    if random.percent(60) {
        script.greeting = "Officina Rossi, buongiorno. Sono l'assistente automatico. Come posso aiutarla?".into();
    }
    settings(random, &mut script);
    // Dice of its own: the calls of older seeds stay what they were.
    let dice = &mut Random::new(!seed);
    if dice.percent(40) {
        script.settings.endpointing.ahead_ms = dice.between(1, 700);
    }
    script.unhurried = dice.percent(60);
    callers(random, &mut script);
    engines(random, &mut script);
    network(random, &mut script);
    if random.percent(15) {
        script.twice = random.between(5, 50);
    }
    script.nudged = random.percent(20);
    if dice.percent(12) {
        for _ in 0..dice.between(1, 2) {
            script.drops.push(stretch(dice, 9_000));
        }
    }
    script
}

fn settings(random: &mut Random, script: &mut Script) {
    let settings = &mut script.settings;
    settings.interruption.duck = random.percent(50);
    if random.percent(10) {
        settings.interruption.policy = *random.pick(&[InterruptingPolicy::Speech, InterruptingPolicy::Never]);
    }
    if random.percent(10) {
        settings.duration_max_s = random.between(5, 30);
    }
    settings.silence_s = random.between(4, 12);
    if random.percent(20) {
        settings.endpointing.silence_ms = random.between(0, 1_500);
        settings.endpointing.complete_ms = random.between(0, 800);
        settings.endpointing.commit_ms = random.between(0, 600);
        settings.endpointing.transcript_ms_max = random.between(0, 3_000);
        settings.interruption.hold_ms = random.between(0, 400);
        settings.interruption.cut_ms = random.between(0, 1_500);
        settings.interruption.resume_ms = random.between(0, 1_500);
        settings.interruption.words_min = random.below(4) as u32;
        settings.reprompts = random.below(4) as u32;
        settings.keys_pause_ms = random.between(0, 3_000);
        settings.patience_ms = random.between(0, 3_000);
        settings.filler_ms = random.between(0, 1_800);
    }
}

fn line(random: &mut Random) -> Line {
    let codec = *random.pick(&[Codec::Pcm, Codec::Pcm, Codec::Pcm, Codec::Mulaw]);
    let rate = if codec == Codec::Mulaw || random.percent(20) { Rate::PHONE } else { Rate::WIDE };
    let vapi = Line::vapi(Format { codec, rate });
    let clearing = Line { clears: true, marks: true, continuous: false, lead: Duration::from_millis(200), ..vapi };
    if random.percent(50) { vapi } else { clearing }
}

fn callers(random: &mut Random, script: &mut Script) {
    let mut at = random.ms(0, 6_000);
    while at < script.until && script.utterances.len() < 12 {
        let text = *random.pick(&SAID);
        let length = Duration::from_millis(70) * text.chars().count() as u32;
        script.utterances.push(Utterance { at: at..at + length, text: text.into() });
        at += length + if random.percent(30) { random.ms(300, 1_500) } else { random.ms(1_500, 9_000) };
    }
    for _ in 0..random.below(4) {
        let from = random.ms(0, script.until.as_millis() as u64);
        script.noises.push(from..from + random.ms(10, 500));
    }
    if random.percent(10) {
        let mut at = random.ms(1_000, 20_000);
        for _ in 0..random.between(1, 12) {
            script.keys.push((at, Key::new(*random.pick(&['1', '2', '9', '0', '#'])).expect("these keys exist")));
            at += random.ms(80, 2_500);
        }
    }
    if random.percent(25) {
        script.hang_up = Some(random.ms(500, script.until.as_millis() as u64));
        script.line_breaks = random.percent(30);
    }
    if random.percent(5) {
        script.shutdown = Some((random.ms(500, 20_000), random.ms(0, 8_000)));
    }
    if random.percent(12) {
        let at = random.ms(0, 20_000);
        // A person does one thing, a program that has gone wrong does many.
        let many = if random.percent(20) { random.between(20, 120) } else { random.between(1, 2) };
        for _ in 0..many {
            let control = control(random);
            script.controls.push((at + random.ms(0, 1_500), control));
        }
    }
}

fn control(random: &mut Random) -> Control {
    match random.below(12) {
        0..=4 => Control::Say {
            text: random.pick(&["Un avviso.", "", "Le ricordo che siamo chiusi sabato, e anche domenica."]).to_string(),
            now: random.percent(50),
            interruptible: random.percent(50),
            then_end: random.percent(10),
        },
        5 => Control::Note { text: "Il cliente è noto.".into(), respond: random.percent(50) },
        6 => Control::Transfer { to: "+39061234567".into(), say: None },
        7 => Control::End,
        8 => Control::Greet,
        9 => Control::MuteAgent(random.percent(50)),
        10 => Control::Aside("Controllo subito.".into()),
        _ => Control::Heard { text: "vorrei un preventivo".into(), respond: true },
    }
}

fn engines(random: &mut Random, script: &mut Script) {
    let commits = random.percent(70);
    script.ears = Ears {
        partials: random.percent(70).then(|| random.ms(100, 600)),
        finals: random.ms(20, 600),
        commits,
        turns: (!commits || random.percent(20)).then(|| random.ms(200, 900)),
        dies: random.percent(5).then(|| random.ms(1_000, 30_000)),
        restarts: random.percent(50),
        hostile: if random.percent(15) { random.between(5, 40) } else { 0 },
    };
    script.voice = Voice {
        first: random.ms(5, 500),
        speed: random.between(2, 40) as u32,
        alignment: random.percent(40),
        fails: if random.percent(10) { random.between(5, 60) } else { 0 },
        failing: 0,
        hangs: random.percent(50),
        late: if random.percent(30) { 60 } else { 0 },
    };
    script.voice_rate = random.percent(15).then_some(Rate::VOICE);
    script.marks_lost = random.percent(5);
    if random.percent(5) {
        script.marks_invented.push((random.ms(0, 20_000), *random.pick(&[0, 1, 7, u32::MAX])));
    }
    script.model.clear();
    for number in 0..random.between(1, 8) {
        script.model.push(answer(random, number));
    }
    let outcome = |then| Outcome { content: r#"{"ok":true}"#.into(), then };
    let mut tool = |name: &str, kind, then| {
        let takes = if random.percent(80) { random.ms(1, 800) } else { random.ms(800, 9_000) };
        let again = random.percent(20).then(|| random.ms(0, 4_000));
        script.tools.push(Tool { spec: spec(name, kind), takes, answers: outcome(then), again });
    };
    tool("find_slots", ToolKind::Read, Then::GoOn);
    tool("book_appointment", ToolKind::Write, Then::GoOn);
    tool("end_call", ToolKind::Call, Then::EndCall);
    tool("transfer_to_human", ToolKind::Call, Then::Transfer("+39061234567".into()));
}

fn answer(random: &mut Random, number: u64) -> Answer {
    let text = match random.below(100) {
        0..85 => random.pick(&ANSWERS).to_string(),
        85..87 => random.pick(&ANSWERS).repeat(60),
        _ => String::new(),
    };
    let first = if random.percent(85) { random.ms(50, 1_500) } else { random.ms(1_500, 12_000) };
    let mut answer = Answer { first, gap: random.ms(0, 60), ..Answer::says(&text) };
    if random.percent(45) {
        for place in 0..random.between(1, 2) {
            let name = *random.pick(&[
                "find_slots",
                "find_slots",
                "book_appointment",
                "book_appointment",
                "end_call",
                "transfer_to_human",
                "no_such_tool",
            ]);
            // Models repeat ids, and ask for the same thing under another one.
            let id = if random.percent(10) { "again".to_string() } else { format!("ask-{number}-{place}") };
            answer.tools.push((id, name.into(), "{}".into()));
        }
        answer.ends = Ends::Done(if random.percent(90) { Finish::Tools } else { Finish::Said });
    } else if random.percent(8) {
        answer.ends = *random.pick(&[
            Ends::Hangs,
            Ends::Failed(Failed::TimedOut),
            Ends::Done(Finish::Length),
            Ends::Done(Finish::Tools),
        ]);
    }
    answer
}

/// Some time in the first half minute.
fn stretch(random: &mut Random, longest: u64) -> Range<Duration> {
    let from = random.ms(500, 30_000);
    from..from + random.ms(50, longest)
}

fn network(random: &mut Random, script: &mut Script) {
    if random.percent(12) {
        script.stalls.push(stretch(random, 3_000));
    }
    if random.percent(8) {
        script.mute.push(stretch(random, 8_000));
    }
    if random.percent(12) {
        for _ in 0..random.between(1, 3) {
            script.freezes.push(stretch(random, 4_000));
        }
    }
    if random.percent(20) {
        script.frame = Duration::from_millis(*random.pick(&[5, 7, 10, 30, 60, 100, 200]));
    }
    script.odd_pieces = random.percent(15);
    if random.percent(10) && !script.odd_pieces {
        script.jumbled = Some(random.below(8));
    }
}
