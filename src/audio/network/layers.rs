//! The layers of the network, from three pictures of sound to a probability.
//!
//! Three convolutions along the pitch make 80 whole numbers of the pictures; two small recurrent layers (minGRU, Feng et
//! al., "Were RNNs All We Needed?", 2024) remember; one sum answers. Shapes and weights are those of earshot 1.2.2, whose
//! author trained them; how they are computed is ours, because it was two thirds of what hearing a voice costs: rows of a
//! length known to the compiler become instructions for eight products at a time, and channels lie side by side.

use std::{hint::black_box, sync::LazyLock};

use super::BANDS;

/// Pictures the network looks at.
pub(super) const PICTURES: usize = 3;
/// Channels of every convolution.
const CHANNELS: usize = 16;
/// Places along the pitch: after the first convolution, after its pooling, and after the others, which halve them.
const WIDE: usize = BANDS - 2;
const FIRST: usize = 18;
const SECOND: usize = 9;
const THIRD: usize = 5;
/// What the convolutions hand on, and the same with nothing up to a whole number of chunks.
const FEATURES: usize = THIRD * CHANNELS;
const PADDED: usize = FEATURES.next_multiple_of(CHUNK);
/// Whole numbers are multiplied so many at a time.
const CHUNK: usize = 32;
/// What a recurrent layer remembers.
const MEMORY: usize = 64;
/// A one in the whole numbers that the recurrent layers sum up ...
const ONE: f32 = 16_777_216.0;
/// ... and in those that they are given and remember.
const UNIT: f32 = 32_768.0;

/// A channel beside the others, at one place of the pitch.
type Channels = [f32; CHANNELS];

/// What the recurrent layers of one call remember.
#[derive(Debug, Clone)]
pub(super) struct Memory {
    first: [i16; MEMORY],
    second: [i16; MEMORY],
}

/// What was learned; the same for all calls.
struct Weights {
    norm: [f32; BANDS],
    /// Of the first convolution over pictures and pitch, which all channels share.
    kernel: [f32; PICTURES * 3],
    gain: Channels,
    bias: Channels,
    second: Convolution,
    third: Convolution,
    first_memory: Recurrent<PADDED>,
    second_memory: Recurrent<MEMORY>,
    output: [[i16; MEMORY]; 2],
}

/// A convolution along the pitch, a channel at a time, and a mixture of the channels after it.
struct Convolution {
    /// By place.
    kernel: [Channels; 3],
    /// By the channel it comes from.
    mixture: [Channels; CHANNELS],
    bias: Channels,
}

/// What a recurrent layer proposes to remember, and how much of it.
struct Recurrent<const N: usize> {
    proposal: [[i16; N]; MEMORY],
    gate: [[i16; N]; MEMORY],
}

static WEIGHTS: LazyLock<Weights> = LazyLock::new(|| {
    let mut file = File(include_bytes!("weights.bin"));
    Weights {
        norm: file.floats(),
        kernel: file.floats(),
        gain: file.floats(),
        bias: file.floats(),
        second: file.convolution(true),
        third: file.convolution(false),
        first_memory: file.recurrent::<FEATURES, PADDED>(),
        second_memory: file.recurrent::<MEMORY, MEMORY>(),
        output: std::array::from_fn(|_| file.wholes()),
    }
});

/// The weights as they lie in the file: little-endian, one after the other.
struct File(&'static [u8]);

impl File {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (taken, rest) = self.0.split_first_chunk().expect("the file is part of the program");
        self.0 = rest;
        *taken
    }

    fn floats<const N: usize>(&mut self) -> [f32; N] {
        std::array::from_fn(|_| f32::from_le_bytes(self.take()))
    }

    fn wholes<const N: usize>(&mut self) -> [i16; N] {
        std::array::from_fn(|_| i16::from_le_bytes(self.take()))
    }

    /// In the file the places of a channel, and the sources of a mixture, lie together; here the channels do.
    fn convolution(&mut self, biased: bool) -> Convolution {
        let kernel: [[f32; 3]; CHANNELS] = std::array::from_fn(|_| self.floats());
        let mixture: [Channels; CHANNELS] = std::array::from_fn(|_| self.floats());
        Convolution {
            kernel: std::array::from_fn(|place| std::array::from_fn(|channel| kernel[channel][place])),
            mixture: std::array::from_fn(|from| std::array::from_fn(|to| mixture[to][from])),
            bias: if biased { self.floats() } else { [0.0; CHANNELS] },
        }
    }

    fn recurrent<const N: usize, const PADDED: usize>(&mut self) -> Recurrent<PADDED> {
        let mut row = |_| {
            let mut row = [0; PADDED];
            row[..N].copy_from_slice(&self.wholes::<N>());
            row
        };
        Recurrent { proposal: std::array::from_fn(&mut row), gate: std::array::from_fn(&mut row) }
    }
}

/// A picture as the network was taught to see it: how loud it is as a whole does not matter.
#[inline(always)]
pub(super) fn normalise(picture: &mut [f32; BANDS]) {
    let power = picture.iter().map(|band| band * band).sum::<f32>() / BANDS as f32;
    let scale = 1.0 / power.sqrt();
    for (band, norm) in picture.iter_mut().zip(&WEIGHTS.norm) {
        *band *= norm * scale;
    }
}

impl Memory {
    pub(super) const fn new() -> Self {
        Self { first: [0; MEMORY], second: [0; MEMORY] }
    }

    /// Looks at the last pictures, the latest at the end; answers how probable it is that somebody speaks.
    #[inline(always)]
    pub(super) fn look(&mut self, pictures: &[f32; PICTURES * BANDS]) -> f32 {
        let weights = &*WEIGHTS;
        let mut second = [[0.0; CHANNELS]; SECOND];
        weights.second.convolve(&weights.pool(pictures), &mut second);
        for place in second.as_flattened_mut() {
            *place = place.max(0.0);
        }
        let mut third = [[0.0; CHANNELS]; THIRD];
        weights.third.convolve(&second, &mut third);
        let mut features = [0; PADDED];
        for (feature, place) in features.iter_mut().zip(third.as_flattened()) {
            // Rounded; what is beyond the range of the number stays at its end.
            *feature = (place * UNIT + 0.5f32.copysign(*place)) as i16;
        }
        weights.first_memory.remember(&features, &mut self.first);
        weights.second_memory.remember(&self.first, &mut self.second);
        let sum = dot(&self.first, &weights.output[0]) + dot(&self.second, &weights.output[1]);
        1.0 / (1.0 + (-(sum as f32) / ONE).exp())
    }
}

impl Weights {
    /// The first convolution, and the highest of every three places of it, every second time.
    ///
    /// All channels are the same row, stretched and shifted: the highest of a channel is at the highest of the row, or at
    /// its lowest where it is stretched by less than nothing.
    #[inline(always)]
    fn pool(&self, pictures: &[f32; PICTURES * BANDS]) -> [Channels; FIRST] {
        let mut row = [0.0; WIDE];
        for (picture, kernel) in pictures.as_chunks::<BANDS>().0.iter().zip(self.kernel.as_chunks::<3>().0) {
            for (at, kernel) in kernel.iter().enumerate() {
                for (sum, band) in row.iter_mut().zip(&picture[at..]) {
                    *sum += band * kernel;
                }
            }
        }
        let mut pooled = [[0.0; CHANNELS]; FIRST];
        for (at, pooled) in pooled.iter_mut().enumerate() {
            let three = &row[2 * at..2 * at + 3];
            let (low, high) = (three[0].min(three[1]).min(three[2]), three[0].max(three[1]).max(three[2]));
            for (channel, pooled) in pooled.iter_mut().enumerate() {
                let (gain, bias) = (self.gain[channel], self.bias[channel]);
                *pooled = (gain * low).max(gain * high).max(-bias) + bias;
            }
        }
        pooled
    }
}

impl Convolution {
    /// Every second place and its two neighbours; beyond the ends there is nothing.
    #[inline(always)]
    fn convolve<const IN: usize, const OUT: usize>(&self, from: &[Channels; IN], to: &mut [Channels; OUT]) {
        for (at, to) in to.iter_mut().enumerate() {
            let mut here = [0.0; CHANNELS];
            for (place, kernel) in self.kernel.iter().enumerate() {
                let Some(from) = (2 * at + place).checked_sub(1).and_then(|place| from.get(place)) else { continue };
                for (channel, here) in here.iter_mut().enumerate() {
                    *here += from[channel] * kernel[channel];
                }
            }
            let mut mixed = self.bias;
            for (mixture, here) in self.mixture.iter().zip(&here) {
                for (channel, mixed) in mixed.iter_mut().enumerate() {
                    *mixed += mixture[channel] * here;
                }
            }
            *to = mixed;
        }
    }
}

impl<const N: usize> Recurrent<N> {
    /// Each number remembered moves towards its proposal, as far as its gate is open.
    #[inline(always)]
    fn remember(&self, features: &[i16; N], memory: &mut [i16; MEMORY]) {
        // A row at a time: left alone, the compiler would take the same place of several rows, and gather one by one. And
        // no closure in a function of the library, which would be built for every processor.
        let (mut proposals, mut gates) = ([0; MEMORY], [0; MEMORY]);
        for at in 0..MEMORY {
            proposals[at] = dot(features, black_box(&self.proposal[at]));
            gates[at] = dot(features, black_box(&self.gate[at]));
        }
        for ((memory, proposal), gate) in memory.iter_mut().zip(proposals).zip(gates) {
            let open = (gate as f32 * (4.0 / ONE)).clamp(0.0, 1.0);
            let before = f32::from(*memory);
            let after = before + open * (proposal as f32 * (UNIT / ONE) - before);
            // Rounded down, as whole numbers were when it was taught.
            *memory = ((after + UNIT).clamp(0.0, 2.0 * UNIT - 1.0) as i32 - UNIT as i32) as i16;
        }
    }
}

/// The sums stay far below 32 bits: the weights are small.
#[inline(always)]
fn dot<const N: usize>(a: &[i16; N], b: &[i16; N]) -> i32 {
    // Of a fixed length: only so the compiler multiplies eight at once.
    let (a, b) = (a.as_chunks::<CHUNK>().0, b.as_chunks::<CHUNK>().0);
    let mut sum = 0;
    for chunk in 0..N / CHUNK {
        let products = a[chunk].iter().zip(&b[chunk]);
        sum += products.map(|(a, b)| i32::from(*a) * i32::from(*b)).sum::<i32>();
    }
    sum
}
