//! The small recurrent network that knows speech, and what it is shown.
//!
//! 16 ms at a time, the last 48 ms are seen through 40 windows of pitch (mel bands) from 72 to 7 600 Hz, and the network
//! looks at the last three of these pictures.
//!
//! The network is earshot's (version 1.2.2, github.com/pykeio/earshot, MIT or Apache-2.0): its shape, and the weights
//! that its author trained (`weights.bin`). The sums are ours, because they are most of what hearing a voice costs. A
//! test holds the two to the same answers.

mod layers;
mod spectrum;

use std::{cell::RefCell, f64::consts::PI, sync::LazyLock};

use self::{
    layers::{Memory, PICTURES},
    spectrum::{LONG, Spectrum, TONES},
};
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

thread_local! {
    /// One for each thread, because no call needs it for longer.
    static SPECTRUM: RefCell<Box<Spectrum>> = RefCell::new(Box::new(Spectrum::new()));
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

impl Network {
    pub(super) const fn new() -> Self {
        let (sound, pictures) = ([[0.0; BLOCK]; BLOCKS], [0.0; PICTURES * BANDS]);
        Self { memory: Memory::new(), last: 0.0, sound, oldest: 0, pictures }
    }

    /// Hears 16 ms; answers how probable it is that somebody speaks.
    pub(super) fn hear(&mut self, block: &[i16; BLOCK]) -> f32 {
        SPECTRUM.with_borrow_mut(|spectrum| widest(Hear { network: self, spectrum, block }))
    }

    #[inline(always)]
    fn listen(&mut self, spectrum: &mut Spectrum, block: &[i16; BLOCK]) -> f32 {
        let raised = &mut self.sound[self.oldest];
        raised[0] = f32::from(block[0]) - RAISED * self.last;
        for at in 1..BLOCK {
            raised[at] = f32::from(block[at]) - RAISED * f32::from(block[at - 1]);
        }
        self.last = f32::from(block[BLOCK - 1]);
        self.oldest = (self.oldest + 1) % BLOCKS;
        self.pictures.copy_within(BANDS.., 0);
        let (newer, older) = self.sound.split_at(self.oldest);
        let blocks = older.iter().chain(newer).zip(TABLES.window.as_chunks::<BLOCK>().0);
        paint(&spectrum.powers(blocks), &mut self.pictures);
        self.memory.look(&self.pictures)
    }
}

/// 16 ms to be heard.
struct Hear<'a> {
    network: &'a mut Network,
    spectrum: &'a mut Spectrum,
    block: &'a [i16; BLOCK],
}

impl Sums for Hear<'_> {
    type Output = f32;

    #[inline(always)]
    fn call(self) -> f32 {
        self.network.listen(self.spectrum, self.block)
    }
}

/// The last picture: how much sound there is in each band, on the scale of the ear.
#[inline(always)]
fn paint(powers: &[f32; TONES], pictures: &mut [f32; PICTURES * BANDS]) {
    let picture = pictures.last_chunk_mut().expect("there are several");
    *picture = [0.0; BANDS];
    for (at, edge) in TABLES.edges.windows(2).enumerate() {
        // From one culmination to the next one band fades out and another fades in. Four tones side by side.
        let (fours, rest) = powers[edge[0]..edge[1]].as_chunks::<4>();
        let (mut sums, mut fades, mut on) = ([0.0; 4], [0.0; 4], [0.0, 1.0, 2.0, 3.0]);
        for four in fours {
            for lane in 0..4 {
                sums[lane] += four[lane];
                fades[lane] += four[lane] * on[lane];
                on[lane] += 4.0;
            }
        }
        for (lane, power) in rest.iter().enumerate() {
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

    #[test]
    fn the_widest_sums_are_the_same_to_the_last_bit() {
        let sound = Noise::new(9).white(60 * BLOCK, -30.0);
        let (mut wide, mut plain, mut spectrum) = (Network::new(), Network::new(), Spectrum::new());
        for block in sound.as_chunks::<BLOCK>().0 {
            assert_eq!(wide.hear(block).to_bits(), plain.listen(&mut spectrum, block).to_bits());
        }
    }
}
