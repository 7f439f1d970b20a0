//! The step of everything that listens: 10 ms at 16 kHz, cut from pieces of any length.

/// 10 ms at 16 kHz.
pub(super) const STEP: usize = 160;

/// Cuts pieces of any length into steps.
#[derive(Debug, Clone)]
pub(super) struct Steps {
    /// Samples that do not make up a whole step yet.
    staged: [i16; STEP],
    /// How many of them there are.
    filled: usize,
}

impl Default for Steps {
    fn default() -> Self {
        Self::new()
    }
}

impl Steps {
    pub(super) fn new() -> Self {
        Self { staged: [0; STEP], filled: 0 }
    }

    /// Takes a piece and hands out each step that is whole.
    pub(super) fn feed(&mut self, mut samples: &[i16], mut each: impl FnMut(&[i16; STEP])) {
        if self.filled > 0 {
            let (now, later) = samples.split_at(samples.len().min(STEP - self.filled));
            self.staged[self.filled..self.filled + now.len()].copy_from_slice(now);
            self.filled += now.len();
            samples = later;
            if self.filled < STEP {
                return;
            }
            each(&self.staged);
        }
        let (steps, rest) = samples.as_chunks::<STEP>();
        steps.iter().for_each(&mut each);
        self.staged[..rest.len()].copy_from_slice(rest);
        self.filled = rest.len();
    }
}

/// The mean square of these samples, on the scale of `i16`.
pub(super) fn mean_square(samples: &[i16]) -> f32 {
    if samples.is_empty() {
        return 0.0;
    }
    // Eight sums at once, so that the compiler can use vectors.
    let (eights, rest) = samples.as_chunks::<8>();
    let mut sums = [0.0f32; 8];
    for eight in eights {
        for (sum, sample) in sums.iter_mut().zip(eight) {
            let sample = f32::from(*sample);
            *sum += sample * sample;
        }
    }
    let rest: f32 = rest.iter().map(|sample| f32::from(*sample) * f32::from(*sample)).sum();
    (sums.iter().sum::<f32>() + rest) / samples.len() as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_do_not_depend_on_the_pieces() {
        let samples: Vec<i16> = (0..2_000).collect();
        let cut = |size: usize| {
            let (mut steps, mut cut) = (Steps::new(), Vec::new());
            samples.chunks(size).for_each(|piece| steps.feed(piece, |step| cut.extend_from_slice(step)));
            cut
        };
        for size in [1, 7, 159, 160, 161, 333, 2_000] {
            assert_eq!(cut(size), samples[..1_920], "pieces of {size}");
        }
    }
}
