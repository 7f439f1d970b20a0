//! A slam, a cough or keys while we talk: we may speak softer, or stop for a moment, and every word is heard.

use std::time::Duration;

use pronto::{
    audio::{Line, Rate, level_db, signal},
    call::{Message, Turn},
};

use crate::{
    LINES, LONG,
    stage::{CALLER_DB, OUR_VOICE, Played, Scene, s, speech},
};

/// The noises of a workshop and of a caller who says nothing.
fn noises(round: u64, peak: f32) -> Vec<(String, Vec<i16>)> {
    let wide = Rate::WIDE;
    let seed = round + 1;
    vec![
        ("a cup on the table".into(), signal::slam(seed, wide, 20.0, peak)),
        ("a door".into(), signal::slam(seed, wide, 100.0, peak)),
        ("a heavy door".into(), signal::slam(seed, wide, 200.0, peak)),
        ("a dull door".into(), signal::thud(seed, wide, 120.0 + 90.0 * round as f64, 100.0, peak)),
        ("a cough".into(), signal::cough(seed, wide, peak)),
        ("two coughs".into(), [signal::cough(seed, wide, peak), signal::cough(seed + 9, wide, peak)].concat()),
        ("a key of a keyboard".into(), signal::click(seed, wide, peak)),
        ("somebody types".into(), (0..6).flat_map(|key| signal::click(seed + key, wide, peak)).collect()),
        ("a bunch of keys".into(), jingle(seed, peak)),
    ]
}

/// A bunch of keys: short rings of metal, high and in no order.
fn jingle(seed: u64, peak: f32) -> Vec<i16> {
    let mut chance = signal::Noise::new(seed);
    let mut sound = vec![0; 6_400];
    for ring in 0..9 {
        let hz = 2_600.0 + 900.0 * chance.value();
        let at = ring * 640 + (chance.value().abs() * 300.0) as usize;
        signal::add(&mut sound, &signal::thud(seed + ring as u64, Rate::WIDE, hz, 30.0, peak), at);
    }
    sound
}

#[test]
fn they_do_not_silence_us_and_no_word_is_lost() {
    let (mut heard, mut holds) = (0, 0);
    for (name, line) in LINES {
        for (round, (peak, around)) in [(-3.0, -70.0), (-12.0, -44.0), (-24.0, -34.0)].into_iter().enumerate() {
            let mut scene = Scene::new(line, 42.0).greeting(&LONG.join(" ")).noise(around);
            let mut ends = Vec::new();
            let mut at = s(1.5);
            for (what, sound) in noises(round as u64, peak) {
                scene = scene.sounds(at, &sound);
                ends.push((what, at, at + Rate::WIDE.duration(sound.len() as u64)));
                at += s(2.6);
            }
            let scene_name = format!("{name}, peaks of {peak} dB, {around} dB around");
            let played = scene.play();
            assert_eq!(played.cuts(), 0, "{scene_name}");
            whole(&scene_name, line, &played, &LONG.join(" "));
            for (from, to) in played.pauses(Turn(1)) {
                let Some((what, ..)) = ends.iter().rfind(|(_, began, _)| *began <= from) else {
                    panic!("{scene_name}: a pause at {from:?} before any noise")
                };
                let (_, _, end) = ends.iter().rfind(|(_, began, _)| *began <= from).expect("the same");
                assert!(to <= *end + s(1.0), "{scene_name}: {what} over at {end:?}, resumed at {to:?}");
                println!("{scene_name}: {what} held us for {:?}", to - from);
            }
            heard += ends.len();
            holds += played.holds();
        }
    }
    println!("{heard} noises held us {holds} times");
}

/// Every 50 ms of what the voice said reached the caller's ear, in order; a pause may spoil the piece it falls into.
pub(crate) fn whole(name: &str, line: Line, played: &Played, text: &str) {
    let said: Vec<&Message> =
        played.history.iter().filter(|message| matches!(message, Message::Agent { .. })).collect();
    let [Message::Agent { text: heard, interrupted, .. }] = said[..] else { panic!("{name}: {said:?}") };
    assert!(!interrupted && heard == text, "{name}: {heard}");
    let rate = line.speaks.rate;
    let voice = signal::through(&played.voice[&Turn(1)], Rate::WIDE, line.speaks).expect("built");
    let heard = played.heard_of(Turn(1));
    let pauses = played.pauses(Turn(1)).len();
    let fades = rate.samples(Duration::from_millis(5)) * pauses;
    // A frame in which we were held is a fade and silence; it is all said again.
    let slack = rate.samples(Duration::from_millis(40)) * (pauses + 1) + fades;
    assert!(heard.len().abs_diff(voice.len()) <= slack, "{name}: {} of {}", heard.len(), voice.len());
    let lost = lost(&voice, &heard, rate);
    assert!(!is_word(&lost), "{name}: lost at {lost:?} with {pauses} pauses");
}

/// Where 50 ms of what was said were not heard behind those before them, or more than 60 ms later than that.
fn lost(voice: &[i16], heard: &[i16], rate: Rate) -> Vec<Duration> {
    let samples = |ms| rate.samples(Duration::from_millis(ms));
    let (piece, mut at, mut lost) = (samples(50), 0, Vec::new());
    for from in (0..voice.len() - piece).step_by(piece) {
        let wanted = &voice[from..from + piece];
        let found = (level_db(wanted) >= -40.0).then(|| find(wanted, heard, at, samples(60), samples(5)));
        if found == Some(None) {
            lost.push(rate.duration(from as u64));
        }
        at = found.flatten().unwrap_or(at) + piece;
    }
    lost
}

/// A piece into which a pause falls is unlike itself; a lost word is several pieces.
fn is_word(lost: &[Duration]) -> bool {
    lost.windows(3).any(|lost| lost[2] - lost[0] <= Duration::from_millis(100))
}

/// Where a piece is to be heard best, from a place on. Never before it, not even by a pitch period: who said a little less
/// than all of it would be found out nowhere else.
fn find(wanted: &[i16], heard: &[i16], from: usize, around: usize, block: usize) -> Option<usize> {
    let last = heard.len().checked_sub(wanted.len())?;
    let mut best = (0.9, None);
    for place in from..=(from + around).min(last) {
        let like = likeness(wanted, &heard[place..place + wanted.len()], block);
        if like > best.0 {
            best = (like, Some(place));
        }
        if like > 0.98 {
            break;
        }
    }
    best.1
}

/// How much two sounds are alike, however loud each of their blocks is: we begin and cease to speak softer within them.
/// Softer is still heard, silence is not.
fn likeness(wanted: &[i16], heard: &[i16], block: usize) -> f64 {
    let (mut like, mut most, mut said, mut left) = (0.0, 0.0, 0.0, 0.0);
    for (wanted, heard) in wanted.chunks(block).zip(heard.chunks(block)) {
        let (mut product, mut a, mut b) = (0.0f64, 0.0f64, 0.0f64);
        for (x, y) in wanted.iter().zip(heard) {
            let (x, y) = (f64::from(*x), f64::from(*y));
            (product, a, b) = (product + x * y, a + x * x, b + y * y);
        }
        let (a, b) = (a.sqrt(), b.sqrt());
        // A loud block counts more than a soft one.
        (like, most) = (like + product * a / b.max(1.0), most + a * a);
        (said, left) = (said + a * a, left + b * b);
    }
    if left > said * 0.01 { like / most.max(1.0) } else { 0.0 }
}

#[test]
fn a_cough_among_the_words_of_a_caller_is_no_end_of_them() {
    for (name, line) in LINES {
        let mut scene = Scene::new(line, 7.0);
        let end = scene.says(s(1.0), "Vorrei prenotare un tagliando", 1);
        let scene = scene.sounds(end + s(0.1), &signal::cough(3, Rate::WIDE, -10.0));
        let played = scene.play();
        assert_eq!(played.understood(), ["Vorrei prenotare un tagliando"], "{name}");
        assert_eq!(played.asks.len(), 1, "{name}");
    }
}

#[test]
fn our_voice_and_the_callers_are_as_loud_as_said() {
    let ours = speech(LONG[0], OUR_VOICE, CALLER_DB);
    assert!((level_db(&ours) - CALLER_DB).abs() < 0.5);
}

/// What looks for lost words finds them: 10 ms left out are heard nowhere else, silence put in is no loss.
#[test]
fn what_is_left_out_is_missed_and_a_pause_is_not() {
    let rate = Rate::WIDE;
    let (voice, ms) = (speech(LONG[1], OUR_VOICE, CALLER_DB), |ms| rate.samples(Duration::from_millis(ms)));
    assert_eq!(lost(&voice, &voice, rate), []);
    for at in (ms(200)..voice.len() - ms(800)).step_by(ms(370)) {
        let without = [&voice[..at], &voice[at + ms(10)..]].concat();
        assert!(is_word(&lost(&voice, &without, rate)), "10 ms left out at {at}");
        let paused = [&voice[..at], &vec![0; ms(20)], &voice[at..]].concat();
        assert!(!is_word(&lost(&voice, &paused, rate)), "20 ms of silence at {at}");
        let ducked = [&voice[..at], &signal::gain(&voice[at..at + ms(300)], -15.0), &voice[at + ms(300)..]].concat();
        assert!(!is_word(&lost(&voice, &ducked, rate)), "softer at {at}");
    }
}
