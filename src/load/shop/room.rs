//! The room a caller calls from: noise, a telephone that is not held to the ear, nods, other people.
//!
//! It keeps the caller's own lines apart from what is sent, so that they can be measured to the sample in any noise.

use std::{collections::VecDeque, ops::Range, sync::Arc, time::Duration};

use tokio::sync::mpsc;

use super::{
    measured::Share,
    noise::{Band, Table, by, rounded},
    plan::Heard,
};
use crate::{
    audio::Rate,
    load::caller::{Around, Now},
};

/// Silence of the agent shorter than this is inside its speech.
const BREATH: Duration = Duration::from_millis(400);
/// Nobody nods when the agent is about to finish: so much of its speech has to be left.
const LEFT: Duration = Duration::from_millis(1_800);
/// What the agent says in a second, in letters; a little more than it does, so that less is expected to be left.
const LETTERS_PER_S: f64 = 15.0;
/// How much softer the agent's voice comes back in a car.
const ECHO_DB: f64 = 25.0;

/// How the agent ends what it reads back.
const READ_BACK: &str = "confermo?";

/// Where a caller is.
#[derive(Debug)]
pub struct Room {
    rate: Rate,
    /// The noise, how loud it is, and where in it we are.
    noise: Option<(Table, f32, usize)>,
    /// The telephone of the car.
    car: Option<Car>,
    /// What will be heard besides the caller's lines.
    besides: VecDeque<Sound>,
    /// What is heard now, and how much of it was.
    playing: Option<(Sound, usize)>,
    /// What was heard.
    pub heard: Vec<Besides>,
    /// The caller's own lines.
    pub dry: Vec<i16>,
    /// Words of the agent.
    words: mpsc::Receiver<(String, bool)>,
    /// What is listened for when it is read back, and what is heard where it is missing.
    checks: Vec<(String, &'static str)>,
    /// Read-backs, and those that were right.
    pub read_back: Share,
    /// The caller answers what is still being said: it needs the words before they are all said.
    early: bool,
    /// What the agent is saying, as far as it is known.
    saying: String,
    /// When the agent began its speech, and when it was last heard.
    speech: Option<(Duration, Duration)>,
    /// Something was heard in this speech already.
    nodded: bool,
}

/// Something to be heard into the agent's speech.
#[derive(Debug, Clone)]
pub struct Sound {
    /// What it is.
    pub kind: Heard,
    /// Its words.
    pub text: &'static str,
    /// As loud as it is heard.
    pub samples: Arc<[i16]>,
    /// How long the agent has been speaking then.
    pub after: Duration,
}

/// Something that was heard besides the caller's lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Besides {
    /// What it was.
    pub kind: Heard,
    /// Its words.
    pub text: &'static str,
    /// The samples of the caller's side it is in.
    pub samples: Range<usize>,
}

/// A hands-free telephone.
#[derive(Debug)]
struct Car {
    band: Band,
    /// The agent's voice on its way from the loudspeaker to the microphone.
    echo: VecDeque<i16>,
}

impl Room {
    /// A room in which nothing is heard but the caller.
    pub fn new(rate: Rate, words: mpsc::Receiver<(String, bool)>, early: bool) -> Self {
        Self {
            rate,
            noise: None,
            car: None,
            besides: VecDeque::new(),
            playing: None,
            heard: Vec::new(),
            dry: Vec::new(),
            words,
            checks: Vec::new(),
            read_back: Share::default(),
            early,
            saying: String::new(),
            speech: None,
            nodded: false,
        }
    }

    /// With this noise from this place on.
    #[must_use]
    pub fn with_noise(mut self, noise: Table, loud: f32, from: usize) -> Self {
        let from = from % noise.len().max(1);
        self.noise = Some((noise, loud, from));
        self
    }

    /// In a car, its loudspeaker so far from its microphone.
    #[must_use]
    pub fn in_a_car(mut self, echo: Duration) -> Self {
        let echo = std::iter::repeat_n(0, self.rate.samples(echo)).collect();
        self.car = Some(Car { band: Band::hands_free(self.rate), echo });
        self
    }

    /// With nods and other people.
    #[must_use]
    pub fn with(mut self, besides: Vec<Sound>) -> Self {
        self.besides = besides.into();
        self
    }

    /// Listening to what is read back.
    #[must_use]
    pub fn checking(mut self, checks: Vec<(String, &'static str)>) -> Self {
        self.checks = checks;
        self
    }

    /// What the caller makes of what was said to it.
    fn understood(&mut self, text: String) -> String {
        let small = text.to_lowercase();
        if !small.contains(READ_BACK) {
            return text;
        }
        let wrong = self.checks.iter().find(|(needed, _)| !says(&small, needed)).map(|(_, wrong)| *wrong);
        self.read_back.add(wrong.is_none());
        wrong.map_or(text, ToOwned::to_owned)
    }

    /// Follows the agent's speech.
    fn follow(&mut self, now: &Now<'_>) {
        let silent = |last: Duration| now.at.saturating_sub(last) >= BREATH;
        if self.speech.is_some_and(|(_, last)| silent(last)) {
            (self.speech, self.nodded) = (None, false);
        }
        if now.agent_speaks {
            let begun = self.speech.map_or(now.at, |(begun, _)| begun);
            self.speech = Some((begun, now.at));
        }
    }

    /// Something is due: the agent is in the middle of a long speech, and nobody else is heard.
    fn is_due(&self, now: &Now<'_>) -> bool {
        let (Some(next), Some((begun, _))) = (self.besides.front(), self.speech) else { return false };
        let spoken = now.at.saturating_sub(begun);
        let whole = Duration::from_secs_f64(self.saying.chars().count() as f64 / LETTERS_PER_S);
        !now.speaks && !self.nodded && now.agent_speaks && spoken >= next.after && whole >= spoken + LEFT
    }

    fn besides(&mut self, now: &Now<'_>, frame: &mut [i16]) {
        if self.playing.is_none() && self.is_due(now) {
            self.playing = self.besides.pop_front().map(|sound| (sound, 0));
            self.nodded = true;
        }
        let Some((sound, at)) = &mut self.playing else { return };
        if *at == 0 {
            let samples = now.sample..now.sample + sound.samples.len();
            self.heard.push(Besides { kind: sound.kind, text: sound.text, samples });
        }
        for (out, sample) in frame.iter_mut().zip(&sound.samples[*at..]) {
            *out = out.saturating_add(*sample);
        }
        *at += frame.len();
        if *at >= sound.samples.len() {
            self.playing = None;
        }
    }
}

/// Whether the words stand in the text by themselves: "alle 1" is neither in "alle 17" nor in "alle 1 e 30".
fn says(text: &str, words: &str) -> bool {
    text.match_indices(words).any(|(at, _)| {
        let rest = &text[at + words.len()..];
        !rest.starts_with(char::is_alphanumeric) && !rest.starts_with(" e ")
    })
}

impl Around for Room {
    fn words(&mut self) -> Option<(String, bool)> {
        loop {
            let (text, last) = self.words.try_recv().ok()?;
            if last {
                self.saying.clear();
                return Some((self.understood(text), true));
            }
            self.saying.push(' ');
            self.saying.push_str(&text);
            if self.early {
                return Some((self.saying.clone(), false));
            }
        }
    }

    fn frame(&mut self, now: Now<'_>, frame: &mut [i16]) {
        self.dry.extend_from_slice(frame);
        self.follow(&now);
        self.besides(&now, frame);
        if let Some(car) = &mut self.car {
            car.echo.extend(now.heard);
            car.echo.extend(std::iter::repeat_n(0, frame.len() - now.heard.len().min(frame.len())));
            let gain = by(ECHO_DB);
            for out in frame.iter_mut() {
                let echo = f32::from(car.echo.pop_front().unwrap_or(0)) * gain;
                *out = rounded(car.band.pass(f64::from(f32::from(*out) + echo)) as f32);
            }
        }
        if let Some((noise, loud, at)) = &mut self.noise {
            for out in frame.iter_mut() {
                *out = rounded(f32::from(*out) + noise[*at] * *loud);
                *at = (*at + 1) % noise.len();
            }
        }
    }

    fn busy(&self) -> bool {
        self.playing.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: usize = 160;

    /// Frames of a call in which the agent speaks from frame 10 on.
    fn play(room: &mut Room, frames: usize, heard: &[i16]) -> Vec<i16> {
        let mut sent = Vec::new();
        for at in 0..frames {
            while room.words().is_some() {}
            let mut frame = [0; FRAME];
            let now = Now {
                at: Duration::from_millis(20 * (at as u64 + 1)),
                sample: at * FRAME,
                heard,
                agent_speaks: at >= 10,
                speaks: false,
            };
            room.frame(now, &mut frame);
            sent.extend(frame);
        }
        sent
    }

    fn nod() -> Sound {
        Sound { kind: Heard::Nod, text: "mh", samples: vec![1_000; 1_600].into(), after: Duration::from_millis(600) }
    }

    #[test]
    fn nods_come_in_the_middle_of_a_long_speech_and_once_in_it() {
        let (words, heard) = mpsc::channel(8);
        let mut room = Room::new(Rate::PHONE, heard, false).with(vec![nod(), nod()]);
        words.try_send(("Allora: tagliando, martedì alle nove, a nome Mario Rossi, targa A B.".into(), false)).unwrap();
        let sent = play(&mut room, 150, &[]);
        assert_eq!(room.heard.len(), 1);
        let at = room.heard[0].samples.clone();
        assert!((6_400..6_720).contains(&at.start), "{at:?}");
        assert_eq!(sent.iter().filter(|sample| **sample == 1_000).count(), 1_600);
        assert!(room.dry.iter().all(|sample| *sample == 0), "a nod is no line");
    }

    #[test]
    fn nobody_nods_at_a_short_question() {
        let (words, heard) = mpsc::channel(8);
        let mut room = Room::new(Rate::PHONE, heard, false).with(vec![nod()]);
        words.try_send(("A che nome?".into(), false)).unwrap();
        play(&mut room, 150, &[]);
        assert!(room.heard.is_empty());
    }

    #[test]
    fn in_a_car_the_agent_comes_back_softer_and_later() {
        let (_words, heard) = mpsc::channel(8);
        let mut room = Room::new(Rate::PHONE, heard, false).in_a_car(Duration::from_millis(100));
        let tone = crate::audio::signal::sine(1_000.0, Rate::PHONE, 10_000.0, 0, FRAME);
        let sent = play(&mut room, 50, &tone);
        assert!(sent[..800].iter().all(|sample| *sample == 0));
        let peak = sent[4_000..].iter().map(|sample| sample.unsigned_abs()).max().unwrap();
        assert!((500..620).contains(&peak), "{peak}");
    }

    #[test]
    fn who_is_read_back_something_else_hears_that() {
        let (words, heard) = mpsc::channel(8);
        let checks = vec![("a b 1 2 3 c d".into(), "[targa]"), ("alle 1".into(), "[ora]")];
        let mut room = Room::new(Rate::PHONE, heard, false).checking(checks);
        for (said, expected) in [
            ("Targa A B 1 2 3 C D, alle 1. Confermo?", "Targa A B 1 2 3 C D, alle 1. Confermo?"),
            ("Targa A P 1 2 3 C D, alle 1. Confermo?", "[targa]"),
            ("Targa A B 1 2 3 C D, alle 17. Confermo?", "[ora]"),
            ("Mi dice la targa?", "Mi dice la targa?"),
        ] {
            words.try_send((said.into(), true)).unwrap();
            assert_eq!(room.words(), Some((expected.into(), true)));
        }
        assert_eq!(room.read_back, Share { all: 3, so: 1 });
    }

    #[test]
    fn noise_never_stops() {
        let (_words, heard) = mpsc::channel(8);
        let mut room = Room::new(Rate::PHONE, heard, false).with_noise(vec![1.0, -1.0, 1.0].into(), 300.0, 1);
        let sent = play(&mut room, 20, &[]);
        assert_eq!(&sent[..3], &[-300, 300, 300]);
        assert!(sent.iter().all(|sample| sample.unsigned_abs() == 300));
    }
}
