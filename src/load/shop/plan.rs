//! One caller, made from a seed: what it wants, what it says and when, and what is heard besides it. Pure: the same seed
//! is the same caller as long as the calendar is the same.

use std::time::Duration;

use jiff::civil::DateTime;

use super::{
    diary::{self, Diary},
    persona::{Goal, NoiseKind, Others, Persona, personas},
};
use crate::{
    language::Language,
    load::{
        caller::{Scenario, Step, Turn, When},
        chance::Chance,
        lab::speech::Voice,
    },
};

/// Callers of one run: the number of a caller and the seed of its run are one number.
pub const CALLERS_MAX: usize = 1_000;

/// A caller, before it calls.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Which of the run, from 0.
    pub number: usize,
    /// Who it is.
    pub persona: &'static Persona,
    /// Its voice.
    pub voice: Voice,
    /// What should be in the books afterwards.
    pub wish: Wish,
    /// When the appointment is that it has already.
    pub standing: Option<DateTime>,
    /// The line tells its number.
    pub from: Option<String>,
    /// What it says, and when.
    pub scenario: Scenario,
    /// What it says piece by piece.
    pub dictations: Vec<Dictation>,
    /// What it says, or others say, into the agent's speech.
    pub besides: Vec<Beside>,
    /// What is said to somebody else before this line of its own.
    pub before: Option<(String, Beside)>,
    /// The noise around it, and how far below its voice in dB.
    pub noise: Option<(NoiseKind, f64)>,
    /// Of what is still left to chance when the call is made.
    pub seed: u64,
}

/// What a caller wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// The id of the service.
    pub service: &'static str,
    /// When.
    pub at: DateTime,
    /// The car.
    pub plate: String,
    /// Who.
    pub name: &'static str,
}

/// A plate or a number, said piece by piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dictation {
    /// The line of the scenario.
    pub line: String,
    /// The pieces, each with the pause behind it.
    pub pieces: Vec<(String, Duration)>,
}

/// Something that is heard besides the caller's lines.
#[derive(Debug, Clone, PartialEq)]
pub struct Beside {
    /// What it is.
    pub kind: Heard,
    /// The words.
    pub text: &'static str,
    /// Who says it.
    pub voice: Voice,
    /// How far below the caller's voice, in dB.
    pub below_db: f64,
    /// How long the agent has been speaking then; the silence behind it where it comes before a line.
    pub after: Duration,
}

/// What is heard besides the caller's lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// "Mh": go on, I am listening.
    Nod,
    /// Meant for somebody else.
    Other,
}

/// What the work is called, in the shop's books and by callers.
const WORKS: [(&str, &[&str]); 3] = [
    (
        "tagliando",
        &["vorrei prenotare un tagliando", "devo fare il tagliando", "buongiorno, vorrei prenotare un tagliando"],
    ),
    ("cambio_gomme", &["devo cambiare le gomme", "vorrei cambiare le gomme", "buongiorno, devo cambiare le gomme"]),
    ("elettrauto", &["devo cambiare la batteria", "buongiorno, devo cambiare la batteria"]),
];
/// Only rivals want it: there is one bay for it.
const RIVALS: (&str, &[&str]) = ("revisione", &["devo fare la revisione", "vorrei prenotare la revisione"]);
const MOVES: [&str; 2] = ["vorrei spostare l'appuntamento", "devo spostare l'appuntamento"];
const CANCELS: [&str; 2] = ["vorrei cancellare l'appuntamento", "devo annullare l'appuntamento"];
const NAMES: [&str; 6] =
    ["Mario Rossi", "Giulia Bianchi", "Franco Esposito", "Anna Conti", "Luca Ferrari", "Paola Ricci"];
const YES: [&str; 4] = ["sì confermo", "sì va bene", "confermo", "sì"];
const THANKS: [&str; 2] = ["no grazie", "no grazie, arrivederci"];
const NODS: [&str; 6] = ["mm-hm", "sì sì", "certo", "ok", "ho capito", "sì"];
const ASIDES: [&str; 4] = ["un attimo, arrivo", "lascia le chiavi sul banco", "mettilo lì per favore", "arrivo subito"];
const RADIO: [&str; 3] =
    ["traffico intenso sulla tangenziale", "e adesso un po' di musica", "cielo nuvoloso su tutto il nord"];
/// The letters a plate may have.
const LETTERS: [&str; 22] =
    ["A", "B", "C", "D", "E", "F", "G", "H", "J", "K", "L", "M", "N", "P", "R", "S", "T", "V", "W", "X", "Y", "Z"];
const DIGITS: [&str; 10] = ["zero", "uno", "due", "tre", "quattro", "cinque", "sei", "sette", "otto", "nove"];
/// What the agent says of a day that cannot be.
const REFUSES: [&str; 9] = [
    "chius",
    "passat",
    "esiste",
    "festa",
    "lontano",
    "prossimi",
    "quale altro giorno",
    "quale preferisce",
    "le va bene?",
];

/// The callers of a run.
pub fn plans(seed: u64, callers: usize, diary: &Diary) -> Vec<Plan> {
    (0..callers.min(CALLERS_MAX)).map(|number| Plan::new(seed, number, diary)).collect()
}

impl Plan {
    /// The caller of this number in the run of this seed.
    pub fn new(seed: u64, number: usize, diary: &Diary) -> Self {
        let personas = personas();
        let turn = |number: usize| (seed as usize).wrapping_mul(2).wrapping_add(number) % personas.len();
        let persona = &personas[turn(number)];
        let mut chance = Chance::new(seed.wrapping_mul(0x5851_F42D_4C95_7F2D) ^ number as u64);
        let voices = Voice::callers(Language::Italian);
        let voice = chance.pick(&voices);
        let at = match pair(number, |number| personas[turn(number)].rival) {
            Some(first) => diary.contested(first),
            None => diary.wished(number),
        };
        let (service, openings) = if persona.rival { RIVALS } else { chance.pick(&WORKS) };
        let opening = match persona.goal {
            Goal::Book => chance.pick(openings),
            Goal::Move => chance.pick(&MOVES),
            Goal::Cancel => chance.pick(&CANCELS),
        };
        let (plate, plate_pieces) = plate(&mut chance);
        let (phone, phone_pieces) = phone(&mut chance);
        let wish = Wish { service, at, plate, name: chance.pick(&NAMES) };
        let mut pauses = |pieces: Vec<String>| {
            let mut pause = || Duration::from_secs_f64(chance.between(persona.pause_s[0], persona.pause_s[1]));
            Dictation::of(pieces.into_iter().map(|piece| (piece, pause())).collect())
        };
        let dictations = vec![pauses(plate_pieces), pauses(phone_pieces)];
        let scenario = scenario(persona, opening, &wish, &dictations, diary, &mut chance);
        let besides = besides(persona, &voice, &mut chance);
        let before = persona.others.map(|others| {
            let after = chance.ms(1_600, 2_200);
            (wish.name.to_owned(), Beside { after, ..other(others, &voice, &mut chance) })
        });
        Self {
            number,
            persona,
            standing: (persona.goal != Goal::Book).then(|| diary.standing(number)),
            from: persona.number.then_some(phone),
            scenario: Scenario { voice: Some(voice.name.into()), ..scenario },
            voice,
            wish,
            dictations,
            besides,
            before,
            noise: persona.noise.map(|noise| (noise.kind, chance.between(noise.snr_db[0], noise.snr_db[1]))),
            seed: chance.roll(),
        }
    }

    /// Another plate, or another number, with the same pauses.
    pub fn redraw(&mut self, which: usize, chance: &mut Chance) {
        let (written, pieces) = if which == 0 { plate(chance) } else { phone(chance) };
        let Some(dictation) = self.dictations.get_mut(which) else { return };
        let old = dictation.line.clone();
        for (piece, new) in dictation.pieces.iter_mut().zip(pieces) {
            piece.0 = new;
        }
        *dictation = Dictation::of(std::mem::take(&mut dictation.pieces));
        for step in &mut self.scenario.steps {
            if step.turn == Turn::Say(old.clone()) {
                step.turn = Turn::Say(dictation.line.clone());
            }
        }
        if which == 0 {
            self.wish.plate = written;
        }
    }

    /// What a caller listens for when it is read back, and what it has heard where that is missing.
    pub fn checks(&self) -> Vec<(String, &'static str)> {
        let Wish { plate, at, .. } = &self.wish;
        let spelled = plate.chars().map(|letter| letter.to_string()).collect::<Vec<_>>().join(" ").to_lowercase();
        let hour = (format!("alle {}", at.hour()), "[ora]");
        match self.persona.goal {
            Goal::Book if self.persona.rival => vec![(spelled, "[targa]")],
            Goal::Book => vec![(spelled, "[targa]"), hour],
            Goal::Move => vec![hour],
            Goal::Cancel => vec![],
        }
    }

    /// Everything that is said in it and is not dictated: what the lab has to understand.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        let said = self.scenario.steps.iter().filter_map(|step| match &step.turn {
            Turn::Say(text) => Some(text.as_str()),
            Turn::Wav(_) | Turn::Keys(_) | Turn::HangUp => None,
        });
        let said = said.filter(|text| !self.dictations.iter().any(|one| one.line == **text));
        said.chain(self.besides.iter().map(|one| one.text)).chain(self.before.iter().map(|(_, one)| one.text))
    }
}

/// The number of the pair of rivals this caller belongs to, told by its first.
fn pair(number: usize, rival: impl Fn(usize) -> bool) -> Option<usize> {
    if !rival(number) {
        return None;
    }
    // Rivals come two by two; one whose other has called in another diary's time is alone.
    let first = if !number.is_multiple_of(diary::CALLERS) && rival(number - 1) { number - 1 } else { number };
    Some(first % diary::CALLERS)
}

impl Dictation {
    fn of(pieces: Vec<(String, Duration)>) -> Self {
        let line = pieces.iter().map(|(piece, _)| piece.as_str()).collect::<Vec<_>>().join(", ");
        Self { line, pieces }
    }
}

/// A plate, as it is written and as it is dictated.
fn plate(chance: &mut Chance) -> (String, Vec<String>) {
    let mut letters = || format!("{} {}", chance.pick(&LETTERS), chance.pick(&LETTERS));
    let (front, back) = (letters(), letters());
    let (digits, said) = digits(3, chance);
    let bare = |letters: &str| letters.replace(' ', "");
    (format!("{}{digits}{}", bare(&front), bare(&back)), vec![front, said, back])
}

/// A mobile number, as the line tells it and as it is dictated.
fn phone(chance: &mut Chance) -> (String, Vec<String>) {
    let ((middle, said_middle), (last, said_last)) = (digits(3, chance), digits(4, chance));
    (format!("+39333{middle}{last}"), vec!["tre tre tre".into(), said_middle, said_last])
}

fn digits(count: usize, chance: &mut Chance) -> (String, String) {
    let digits: Vec<usize> = (0..count).map(|_| (chance.roll() % 10) as usize).collect();
    let written = digits.iter().map(|digit| char::from(b'0' + *digit as u8)).collect();
    (written, digits.iter().map(|digit| DIGITS[*digit]).collect::<Vec<_>>().join(" "))
}

/// What this caller says, and when.
fn scenario(
    persona: &Persona,
    opening: &str,
    wish: &Wish,
    dictations: &[Dictation],
    diary: &Diary,
    chance: &mut Chance,
) -> Scenario {
    let mut scenario = persona.goal.scenario();
    let first = if persona.corrects { diary.beside(wish.at) } else { wish.at };
    let when = persona.wrong.map_or_else(|| diary.when(first), |wrong| diary.wrong(wrong, wish.at));
    let meant = diary.when(first);
    let find = |scenario: &Scenario, text: &str| {
        scenario.steps.iter().position(|step| step.turn == Turn::Say(text.into())).unwrap_or(0)
    };
    if persona.wrong.is_some() {
        let at = find(&scenario, "{when}");
        scenario.steps[at].again = 0;
        let expect = REFUSES.map(ToOwned::to_owned).to_vec();
        let right =
            Step { turn: Turn::Say(diary.when(wish.at)), when: When::AgentDone, expect, again: 2, backchannel: false };
        scenario.steps.insert(at + 1, right);
    }
    if persona.corrects {
        let said = match chance.roll() % 2 {
            0 => format!("non {}, {}", diary::hour(first), diary::hour(wish.at)),
            _ => format!("no aspetti, facciamo {}", diary::hour(wish.at)),
        };
        let into = When::AgentSpeaks(chance.ms(1_800, 2_800));
        let correction =
            Step { turn: Turn::Say(said), when: into, expect: vec!["allora".into()], again: 0, backchannel: false };
        let at = find(&scenario, "{yes}");
        scenario.steps.insert(at, correction);
    }
    if persona.nods {
        // Who nods knows that the agent is in the middle of its sentence, and lets it go on.
        scenario.pause_ms = 1_400;
    }
    if persona.cuts_in {
        scenario.steps[0].when = When::AgentSpeaks(chance.ms(900, 1_600));
    }
    if persona.early {
        scenario.pause_ms = 350;
        let at = find(&scenario, "{when}");
        scenario.steps[at].when = When::AgentSpeaks(chance.ms(700, 1_000));
    }
    if let Some(patience_s) = persona.patience_s {
        scenario.patience_s = patience_s;
    }
    let dictated = |at: usize| dictations.get(at).map_or("", |one| one.line.as_str());
    scenario.fill(&[
        ("opening", opening),
        ("when", &when),
        ("hour", &diary::hour(wish.at)),
        ("one_of_them", if persona.rival { "la prima" } else { &meant }),
        ("that_one", if persona.rival { "sì va bene" } else { &meant }),
        ("name", wish.name),
        ("plate", dictated(0)),
        ("number", dictated(1)),
        ("yes", chance.pick(&YES)),
        ("thanks", chance.pick(&THANKS)),
    ])
}

/// What is heard into the agent's speech, in the order in which it is.
fn besides(persona: &Persona, voice: &Voice, chance: &mut Chance) -> Vec<Beside> {
    let mut besides = Vec::new();
    for turn in 0..4 {
        if persona.nods && (turn % 2 == 1 || persona.others.is_none()) {
            besides.push(Beside {
                kind: Heard::Nod,
                text: chance.pick(&NODS),
                voice: voice.clone(),
                below_db: chance.between(0.0, 6.0),
                after: chance.ms(700, 1_800),
            });
        } else if let Some(others) = persona.others {
            let after = chance.ms(500, 1_500);
            besides.push(Beside { after, ..other(others, voice, chance) });
        }
    }
    besides
}

/// Speech that is not for the agent.
fn other(others: Others, voice: &Voice, chance: &mut Chance) -> Beside {
    let (texts, voice, below_db): (&[&'static str], Voice, f64) = match others {
        // Turned away from the telephone.
        Others::Aside => (&ASIDES, voice.clone(), chance.between(14.0, 20.0)),
        Others::Radio => {
            let voices = Voice::callers(Language::Italian);
            let another: Vec<Voice> = voices.into_iter().filter(|one| one != voice).collect();
            (&RADIO, chance.pick(&another), chance.between(18.0, 24.0))
        }
    };
    Beside { kind: Heard::Other, text: chance.pick(texts), voice, below_db, after: Duration::ZERO }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use jiff::Zoned;

    use super::*;
    use crate::booking::{Shop, plate::Plate};

    fn diary() -> Diary {
        let now: Zoned = "2026-11-20T16:00[Europe/Rome]".parse().unwrap();
        let mut shop = Shop::example();
        shop.closures.clear();
        Diary::of(&shop, &now).unwrap()
    }

    #[test]
    fn the_same_seed_is_the_same_caller_however_many_call() {
        let diary = diary();
        let (few, many) = (plans(7, 5, &diary), plans(7, 80, &diary));
        for (one, other) in few.iter().zip(&many) {
            assert_eq!((&one.wish, &one.scenario, &one.besides), (&other.wish, &other.scenario, &other.besides));
        }
        assert_ne!(plans(8, 1, &diary)[0].wish, few[0].wish);
    }

    #[test]
    fn plates_are_plates_and_nobody_shares_one() {
        let diary = diary();
        let plans = plans(1, 200, &diary);
        let plates: BTreeSet<_> = plans.iter().map(|plan| plan.wish.plate.clone()).collect();
        assert_eq!(plates.len(), 200);
        for plan in plans {
            assert_eq!(Plate::parse(&plan.wish.plate).unwrap().as_str(), plan.wish.plate);
        }
    }

    #[test]
    fn another_plate_is_said_and_wished() {
        let mut plan = plans(1, 1, &diary()).remove(0);
        let (old, pauses) = (plan.wish.plate.clone(), plan.dictations[0].pieces[0].1);
        plan.redraw(0, &mut Chance::new(5));
        assert_ne!(plan.wish.plate, old);
        assert_eq!(plan.dictations[0].pieces[0].1, pauses);
        let said = Turn::Say(plan.dictations[0].line.clone());
        assert!(plan.scenario.steps.iter().any(|step| step.turn == said));
    }

    #[test]
    fn only_rivals_wish_the_same_hour_and_there_are_two_of_them() {
        let diary = diary();
        for seed in 0..10 {
            let plans = plans(seed, diary::CALLERS, &diary);
            let mut met = 0;
            for (at, plan) in plans.iter().enumerate() {
                let same = plans[..at].iter().filter(|other| other.wish.at == plan.wish.at).count();
                assert!(same <= usize::from(plan.persona.rival), "seed {seed} caller {at}");
                met += same;
            }
            assert!(met >= 1, "nobody met in the run of seed {seed}");
        }
    }

    #[test]
    fn nothing_is_left_in_braces() {
        for plan in plans(3, 60, &diary()) {
            for step in &plan.scenario.steps {
                assert!(!matches!(&step.turn, Turn::Say(text) if text.contains('{')), "{step:?}");
            }
            assert_eq!(plan.dictations[0].pieces.len(), 3);
        }
    }

    #[test]
    fn what_is_traited_is_done() {
        let plans = plans(1, 60, &diary());
        let of = |name: &str| plans.iter().find(|plan| plan.persona.name == name).unwrap();
        assert!(of("si-corregge").scenario.steps.iter().any(|step| matches!(step.when, When::AgentSpeaks(_))));
        assert!(matches!(of("interrompe").scenario.steps[0].when, When::AgentSpeaks(_)));
        assert_eq!(of("impaziente").scenario.patience_s, 5);
        assert_eq!(of("detta-piano").from, None);
        assert!(of("sposta").standing.is_some());
        assert_eq!(of("con-altri").besides.len(), 4);
        assert!(of("radio").before.is_some() && of("in-macchina").noise.is_some());
    }
}
