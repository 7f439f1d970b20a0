//! The small recurrent network that knows speech, and what it is shown.
//!
//! 16 ms at a time, the last 48 ms are seen through 40 windows of pitch (mel bands) from 72 to 7 600 Hz, and the network
//! looks at the last three of these pictures.
//!
//! The network is earshot's (version 1.2.2, github.com/pykeio/earshot, MIT or Apache-2.0): its shape, and the weights
//! that its author trained (`weights.bin`). The sums are ours, because they are most of what hearing a voice costs. A
//! test holds the two to the same answers.

use std::{
    cell::RefCell,
    f64::consts::PI,
    sync::{Arc, LazyLock},
};

use realfft::{RealFftPlanner, RealToComplex, num_complex::Complex32};

mod layers;

use layers::{Memory, PICTURES};

use super::widest::{Sums, widest};

/// One call's network.
pub(super) struct Network {
    memory: Memory,
    /// The last sample heard.
    last: f32,
    /// The last 48 ms, high tones raised, in three blocks: the oldest is the one that is replaced next.
    sound: [[f32; BLOCK]; BLOCKS],
    /// Which that is.
    oldest: usize,
    /// The last three pictures, the latest at the end.
    pictures: [f32; PICTURES * BANDS],
}

/// What the network takes at a time: 16 ms.
pub(super) const BLOCK: usize = 256;
const BLOCKS: usize = 3;
const SOUND: usize = BLOCKS * BLOCK;
/// The transform is a little longer than the sound.
const LONG: usize = 1_024;
const BANDS: usize = 40;
/// How much of the last sample is taken off the next: raises the high tones of speech to the level of the low ones.
const RAISED: f32 = 0.97;
/// Full scale, squared.
const FULL: f32 = 32_768.0 * 32_768.0;

/// What all networks share.
struct Tables {
    /// How much each sample counts: those at the ends least.
    window: [f32; SOUND],
    /// Where the bands begin, culminate (where the next begins), and end, in steps of the transform.
    edges: [usize; BANDS + 2],
}

/// Room for the transform's sums: one for each thread, because no call needs it for longer.
struct Room {
    transform: Arc<dyn RealToComplex<f32>>,
    input: [f32; LONG],
    tones: [Complex32; LONG / 2 + 1],
    scratch: Vec<Complex32>,
}

thread_local! {
    static ROOM: RefCell<Box<Room>> = RefCell::new(Box::new(Room::new()));
}

static TABLES: LazyLock<Tables> = LazyLock::new(|| {
    let mel = |hz: f64| 2_595.0 * (1.0 + hz / 700.0).log10();
    let hz = |mel: f64| 700.0 * (10f64.powf(mel / 2_595.0) - 1.0);
    let (low, high) = (mel(72.0), mel(7_600.0));
    let edge = |at: usize| hz(low + (high - low) * at as f64 / (BANDS + 1) as f64);
    Tables {
        window: std::array::from_fn(|at| (PI * at as f64 / SOUND as f64).sin().powi(2) as f32),
        edges: std::array::from_fn(|at| ((LONG + 1) as f64 * edge(at) / 16_000.0) as usize),
    }
});

impl Room {
    fn new() -> Self {
        let transform = RealFftPlanner::new().plan_fft_forward(LONG);
        let scratch = transform.make_scratch_vec();
        Self { transform, input: [0.0; LONG], tones: [Complex32::ZERO; LONG / 2 + 1], scratch }
    }

    /// The tones of this sound.
    #[inline(always)]
    fn tones<'a>(&mut self, blocks: impl Iterator<Item = &'a [f32; BLOCK]>) -> &[Complex32; LONG / 2 + 1] {
        let (input, rest) = self.input.split_at_mut(SOUND);
        let (input, window) = (input.as_chunks_mut::<BLOCK>().0, TABLES.window.as_chunks::<BLOCK>().0);
        for ((input, block), window) in input.iter_mut().zip(blocks).zip(window) {
            for at in 0..BLOCK {
                input[at] = block[at] * window[at];
            }
        }
        rest.fill(0.0);
        let transformed = self.transform.process_with_scratch(&mut self.input, &mut self.tones, &mut self.scratch);
        transformed.expect("the lengths of the plan");
        &self.tones
    }
}

impl Network {
    pub(super) const fn new() -> Self {
        let (sound, pictures) = ([[0.0; BLOCK]; BLOCKS], [0.0; PICTURES * BANDS]);
        Self { memory: Memory::new(), last: 0.0, sound, oldest: 0, pictures }
    }

    /// Hears 16 ms; answers how probable it is that somebody speaks.
    pub(super) fn hear(&mut self, block: &[i16; BLOCK]) -> f32 {
        widest(Hear { network: self, block })
    }

    #[inline(always)]
    fn listen(&mut self, block: &[i16; BLOCK]) -> f32 {
        let raised = &mut self.sound[self.oldest];
        raised[0] = f32::from(block[0]) - RAISED * self.last;
        for at in 1..BLOCK {
            raised[at] = f32::from(block[at]) - RAISED * f32::from(block[at - 1]);
        }
        self.last = f32::from(block[BLOCK - 1]);
        self.oldest = (self.oldest + 1) % BLOCKS;
        self.pictures.copy_within(BANDS.., 0);
        self.picture();
        self.memory.look(&self.pictures)
    }

    /// How much sound there is in each band, on the scale of the ear.
    #[inline(always)]
    fn picture(&mut self) {
        let (newer, older) = self.sound.split_at(self.oldest);
        ROOM.with_borrow_mut(|room| paint(room.tones(older.iter().chain(newer)), &mut self.pictures));
    }
}

/// 16 ms to be heard.
struct Hear<'a> {
    network: &'a mut Network,
    block: &'a [i16; BLOCK],
}

impl Sums for Hear<'_> {
    type Output = f32;

    #[inline(always)]
    fn call(self) -> f32 {
        self.network.listen(self.block)
    }
}

/// The last picture of these tones.
#[inline(always)]
fn paint(tones: &[Complex32; LONG / 2 + 1], pictures: &mut [f32; PICTURES * BANDS]) {
    let picture = pictures.last_chunk_mut().expect("there are several");
    *picture = [0.0; BANDS];
    for (at, edge) in TABLES.edges.windows(2).enumerate() {
        // From one culmination to the next one band fades out and another fades in. Four tones side by side.
        let (fours, rest) = tones[edge[0]..edge[1]].as_chunks::<4>();
        let (mut sums, mut fades, mut on) = ([0.0; 4], [0.0; 4], [0.0, 1.0, 2.0, 3.0]);
        for four in fours {
            for lane in 0..4 {
                let power = four[lane].norm_sqr();
                sums[lane] += power;
                fades[lane] += power * on[lane];
                on[lane] += 4.0;
            }
        }
        for (lane, tone) in rest.iter().enumerate() {
            let power = tone.norm_sqr();
            sums[lane] += power;
            fades[lane] += power * on[lane];
        }
        let sum: f32 = sums.iter().sum();
        let fades_in = fades.iter().sum::<f32>() / (edge[1] - edge[0]) as f32;
        if at > 0 {
            picture[at - 1] += sum - fades_in;
        }
        if at < BANDS {
            picture[at] += fades_in;
        }
    }
    for band in &mut *picture {
        *band = (*band / FULL + 1e-20).ln();
    }
    layers::normalise(picture);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{
        Rate,
        signal::{Noise, add, sine},
    };

    #[test]
    fn it_answers_as_the_detector_it_came_with() {
        let mut sound = Noise::new(3).white(160_000, -55.0);
        for syllable in 0..30 {
            for harmonic in 1..=14 {
                let hz = (110.0 + f64::from(syllable % 7) * 9.0) * f64::from(harmonic);
                let part = sine(hz, Rate::WIDE, 5_000.0 / f64::from(harmonic), 0, 3_000);
                add(&mut sound, &part, 8_000 + syllable as usize * 4_500);
            }
        }
        let (mut ours, mut theirs) = (Network::new(), earshot::Detector::default_boxed());
        let mut highest = 0.0f32;
        for (at, block) in sound.as_chunks::<BLOCK>().0.iter().enumerate() {
            let (our, their) = (ours.hear(block), theirs.predict_i16(block));
            assert!((our - their).abs() < 0.01, "block {at}: {our} and {their}");
            highest = highest.max(our);
        }
        assert!(highest > 0.5, "there was speech: {highest}");
    }
}
