//! The last samples of a sound, kept without moving them: each new one takes the place of the oldest.

/// The last `N` samples; zeros before the first.
#[derive(Debug, Clone)]
pub(super) struct Ring<const N: usize> {
    samples: Box<[i16; N]>,
    /// Where the next one goes: the place of the oldest.
    at: usize,
}

impl<const N: usize> Ring<N> {
    pub(super) fn new() -> Self {
        Self { samples: Box::new([0; N]), at: 0 }
    }

    /// Adds samples.
    pub(super) fn push(&mut self, samples: &[i16]) {
        let mut samples = &samples[samples.len().saturating_sub(N)..];
        while !samples.is_empty() {
            let (now, later) = samples.split_at(samples.len().min(N - self.at));
            self.samples[self.at..self.at + now.len()].copy_from_slice(now);
            self.at = (self.at + now.len()) % N;
            samples = later;
        }
    }

    /// `M` samples, beginning so many samples back from now.
    pub(super) fn back<const M: usize>(&self, samples: usize) -> [i16; M] {
        let from = (self.at + N - samples) % N;
        let first = M.min(N - from);
        let mut out = [0; M];
        out[..first].copy_from_slice(&self.samples[from..from + first]);
        out[first..].copy_from_slice(&self.samples[..M - first]);
        out
    }

    /// The latest `count` samples (at most `N`), in two parts, the older first.
    pub(super) fn latest(&self, count: usize) -> [&[i16]; 2] {
        let (newer, older) = self.samples.split_at(self.at);
        let of_newer = count.min(newer.len());
        [&older[older.len() - (count - of_newer).min(older.len())..], &newer[newer.len() - of_newer..]]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_the_latest_whatever_the_pieces() {
        let sound: Vec<i16> = (1..=1_000).collect();
        for size in [1, 3, 7, 16, 17, 40] {
            let mut ring = Ring::<16>::new();
            assert_eq!(ring.latest(16).concat(), [0; 16]);
            let mut past = vec![0; 16];
            for piece in sound.chunks(size) {
                ring.push(piece);
                past.extend_from_slice(piece);
                for samples in [4, 5, 11, 16] {
                    let from = past.len() - samples;
                    assert_eq!(ring.back::<4>(samples), past[from..from + 4], "{samples} back of {size}");
                }
                for count in [0, 1, 9, 16, 20] {
                    assert_eq!(ring.latest(count).concat(), past[past.len() - count.min(16)..], "{count} of {size}");
                }
            }
        }
    }
}
