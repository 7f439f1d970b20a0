//! Random bytes as formats, packets, pieces and orders: nothing here may panic, lengths and positions must agree.

use arbitrary::{Result, Unstructured};
use std::time::Duration;

use super::{
    Codec, Decoder, Detector, Ear, EchoGuard, Encoder, Format, HOLE_MAX, Heard, Line, PLAYOUT_MAX, Playout, Rate,
    Resampler, VadSettings,
};

/// Interprets the bytes as a call's sound and checks what must hold.
pub fn fuzz(data: &[u8]) {
    // Running out of bytes is the ordinary end.
    let _ = all(&mut Unstructured::new(data));
}

fn all(data: &mut Unstructured<'_>) -> Result<()> {
    match data.int_in_range(0..=3u8)? {
        0 => codecs(data),
        1 => resampling(data),
        2 => playing(data),
        _ => hearing(data),
    }
}

fn rate(data: &mut Unstructured<'_>) -> Result<Rate> {
    let usual = [8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 44_100, 48_000];
    let hz = if data.ratio(3, 4)? { *data.choose(&usual)? } else { data.int_in_range(8_000..=48_000)? };
    Ok(Rate::new(hz).expect("within the range"))
}

fn format(data: &mut Unstructured<'_>) -> Result<Format> {
    Ok(Format { codec: *data.choose(&[Codec::Pcm, Codec::Mulaw, Codec::Alaw, Codec::Opus])?, rate: rate(data)? })
}

fn piece(data: &mut Unstructured<'_>) -> Result<Vec<i16>> {
    let length = *data.choose(&[0usize, 1, 40, 159, 160, 161, 320, 441, 960, 10_000])?;
    let (from, step) = (data.arbitrary::<i16>()?, data.arbitrary::<i16>()?);
    Ok((0..length).map(|at| from.wrapping_add(step.wrapping_mul(at as i16))).collect())
}

fn codecs(data: &mut Unstructured<'_>) -> Result<()> {
    let format = format(data)?;
    let (Ok(mut decoder), Ok(mut encoder)) = (Decoder::new(format), Encoder::new(format)) else {
        return Ok(());
    };
    let (mut bytes_in, mut made_up) = (0, 0);
    let mut out = Vec::new();
    while !data.is_empty() {
        if data.ratio(1, 8)? {
            let samples = data.int_in_range(0..=5_000usize)?;
            let before = out.len();
            decoder.conceal(samples, &mut out);
            assert_eq!(out.len() - before, samples);
            made_up += samples;
            if format.codec == Codec::Pcm {
                // The byte that waited is dropped at a hole.
                bytes_in -= bytes_in % 2;
            }
        } else if data.ratio(1, 4)? {
            let (samples, mut packet) = (piece(data)?, Vec::new());
            encoder.encode(&samples, &mut packet);
            match format.codec {
                Codec::Pcm => assert_eq!(packet.len(), 2 * samples.len()),
                Codec::Mulaw | Codec::Alaw => assert_eq!(packet.len(), samples.len()),
                Codec::Opus => assert!(!packet.is_empty() && packet.len() <= 1_275),
            }
        } else {
            let bytes: &[u8] = data.arbitrary()?;
            bytes_in += bytes.len();
            decoder.decode(bytes, &mut out);
        }
        match format.codec {
            Codec::Pcm => assert_eq!(out.len(), bytes_in / 2 + made_up),
            Codec::Mulaw | Codec::Alaw => assert_eq!(out.len(), bytes_in + made_up),
            Codec::Opus => {}
        }
    }
    Ok(())
}

fn resampling(data: &mut Unstructured<'_>) -> Result<()> {
    let (from, to) = (rate(data)?, rate(data)?);
    let mut resampler = Resampler::new(from, to);
    let (mut taken, mut out) = (0u64, Vec::new());
    while !data.is_empty() {
        if data.ratio(1, 10)? {
            resampler.flush(&mut out);
            let owed = (taken * u64::from(to.hz()) + u64::from(from.hz()) / 2) / u64::from(from.hz());
            assert_eq!(out.len() as u64, owed, "{from} to {to}");
            (taken, out) = (0, Vec::new());
        } else {
            let piece = piece(data)?;
            taken += piece.len() as u64;
            resampler.process(&piece, &mut out);
            assert!(to.duration(out.len() as u64) <= from.duration(taken) + Duration::from_millis(1), "{from} to {to}");
        }
    }
    Ok(())
}

fn playing(data: &mut Unstructured<'_>) -> Result<()> {
    let format = Format { codec: Codec::Pcm, rate: rate(data)? };
    let line = if data.arbitrary()? { Line { speaks: format, ..Line::twilio() } } else { Line::vapi(format) };
    let (mut playout, mut guard, mut out) = (Playout::new(&line), EchoGuard::new(), Vec::new());
    while !data.is_empty() {
        let (position, pushed) = (playout.position(), playout.pushed());
        match data.int_in_range(0..=9u8)? {
            0..=3 => {
                let piece = piece(data)?;
                assert_eq!(playout.push(&piece) as u64, playout.pushed() - pushed);
            }
            4..=6 => {
                let length = data.int_in_range(0..=2_000usize)?;
                out.clear();
                let (held, given) = (playout.is_held(), playout.pull(length, &mut out));
                assert!(out.len() == length || out.is_empty() && given == 0);
                assert_eq!(playout.position(), if held { position } else { position + given as u64 });
                guard.played(&out, format.rate);
            }
            7 => {
                let back = playout.rewind(data.int_in_range(0..=100_000usize)?);
                assert_eq!(playout.position() + back as u64, position);
                assert_eq!(playout.pushed(), pushed);
            }
            8 => playout.duck(data.arbitrary()?),
            _ => match data.int_in_range(0..=4u8)? {
                0 => {
                    playout.cut();
                    assert_eq!((playout.pushed(), playout.is_empty()), (position, true));
                }
                1 | 2 => playout.hold(),
                _ => playout.release(),
            },
        }
        assert!(playout.queued() <= PLAYOUT_MAX + super::REWIND_MAX);
    }
    let likeness = guard.likeness([&out, &[]]);
    assert!((0.0..=1.0).contains(&likeness));
    Ok(())
}

fn hearing(data: &mut Unstructured<'_>) -> Result<()> {
    let format = format(data)?;
    let detector = if data.arbitrary()? { Detector::Neural } else { Detector::Energy };
    let settings = VadSettings { detector, noise_suppression: data.arbitrary()?, ..VadSettings::default() };
    let Ok(mut ear) = Ear::new(format, &settings) else {
        return Ok(());
    };
    let (mut samples, mut speaking, mut last) = (Vec::new(), false, 0);
    while !data.is_empty() {
        let time = data.arbitrary::<Option<u16>>()?.map(|ms| Duration::from_millis(ms.into()));
        let sequence = data.arbitrary::<Option<u8>>()?.map(u32::from);
        let payload: &[u8] = data.arbitrary()?;
        let (before, from) = (samples.len(), ear.position());
        let mut check = |heard: Heard| match heard {
            Heard::SpeechStarted { at, detected } => {
                assert!(!speaking && last <= at && at <= detected);
                (speaking, last) = (true, at);
            }
            Heard::SpeechStopped { at, detected } => {
                assert!(speaking && last <= at && at <= detected);
                (speaking, last) = (false, at);
            }
            Heard::Key(_) => {}
            Heard::Hole { samples, .. } => assert!(Rate::WIDE.duration(samples) <= HOLE_MAX),
        };
        ear.hear(payload, time, sequence, &mut samples, &mut check);
        assert_eq!(ear.position() - from, (samples.len() - before) as u64);
        assert!(ear.silence() <= ear.position() && ear.speech_run() <= ear.voiced_run());
        assert_eq!(ear.speaking(), speaking);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::fuzz;
    use crate::audio::signal::Noise;

    #[test]
    fn random_calls_do_not_panic() {
        for seed in 0..120 {
            let mut noise = Noise::new(seed);
            let data: Vec<u8> = (0..1_000).map(|_| (noise.value() * 128.0) as i8 as u8).collect();
            fuzz(&data);
        }
    }
}
