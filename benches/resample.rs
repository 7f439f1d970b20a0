//! What 20 ms cost from one rate to another.

use divan::Bencher;
use pronto::audio::{Rate, Resampler, signal};

fn main() {
    divan::main();
}

const PAIRS: [(u32, u32); 9] = [
    (8_000, 16_000),
    (16_000, 8_000),
    (24_000, 8_000),
    (24_000, 16_000),
    (48_000, 16_000),
    (16_000, 48_000),
    (22_050, 8_000),
    (44_100, 16_000),
    (44_101, 16_000),
];

#[divan::bench(args = PAIRS)]
fn frame(bencher: Bencher<'_, '_>, (from, to): (u32, u32)) {
    let (from, to) = (Rate::new(from).expect("a rate"), Rate::new(to).expect("a rate"));
    let input = signal::sine(300.0, from, 9_000.0, 0, from.hz() as usize / 50);
    let (mut resampler, mut out) = (Resampler::new(from, to), Vec::with_capacity(4_000));
    bencher.bench_local(|| {
        out.clear();
        resampler.process(&input, &mut out);
        out.len()
    });
}

#[divan::bench(args = PAIRS)]
fn new((from, to): (u32, u32)) -> Resampler {
    Resampler::new(Rate::new(from).expect("a rate"), Rate::new(to).expect("a rate"))
}
