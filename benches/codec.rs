//! What encoding and decoding 20 ms costs.

use divan::Bencher;
use pronto::audio::{Codec, Decoder, Encoder, Format, Rate, signal};

fn main() {
    divan::main();
}

#[cfg(not(feature = "opus"))]
const FORMATS: [(Codec, u32); 3] = [(Codec::Mulaw, 8_000), (Codec::Alaw, 8_000), (Codec::Pcm, 16_000)];
#[cfg(feature = "opus")]
const FORMATS: [(Codec, u32); 6] = [
    (Codec::Mulaw, 8_000),
    (Codec::Alaw, 8_000),
    (Codec::Pcm, 16_000),
    (Codec::Opus, 8_000),
    (Codec::Opus, 16_000),
    (Codec::Opus, 48_000),
];

fn format((codec, hz): (Codec, u32)) -> Format {
    Format { codec, rate: Rate::new(hz).expect("a rate") }
}

#[divan::bench(args = FORMATS)]
fn encode(bencher: Bencher<'_, '_>, named: (Codec, u32)) {
    let format = format(named);
    let frame = signal::sine(300.0, format.rate, 9_000.0, 0, format.rate.hz() as usize / 50);
    let mut encoder = Encoder::new(format).expect("built");
    let mut packet = Vec::with_capacity(4_000);
    bencher.bench_local(|| {
        packet.clear();
        encoder.encode(&frame, &mut packet);
        packet.len()
    });
}

#[divan::bench(args = FORMATS)]
fn decode(bencher: Bencher<'_, '_>, named: (Codec, u32)) {
    let format = format(named);
    let sound = signal::sine(300.0, format.rate, 9_000.0, 0, format.rate.hz() as usize);
    let packets = signal::packets(&sound, format.rate, format).expect("built");
    let mut decoder = Decoder::new(format).expect("built");
    let (mut samples, mut next) = (Vec::with_capacity(10_000), packets.iter().cycle());
    bencher.bench_local(|| {
        samples.clear();
        decoder.decode(next.next().expect("a cycle has no end"), &mut samples);
        samples.len()
    });
}
