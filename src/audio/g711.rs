//! G.711: mu-law and A-law, one byte a sample. Decoding is a table; encoding is the 14-bit reference form (shift
//! first, then sign), which differs from 16-bit encoders by one code where a negative value lies on a decision level.
//!
//! ```
//! use pronto::audio::g711;
//! assert_eq!(g711::MULAW[usize::from(g711::mulaw(1000))], 988);
//! ```

/// Digital silence in mu-law: positive zero.
pub const MULAW_SILENCE: u8 = 0xFF;
/// The quietest A-law code; A-law has no exact zero.
pub const ALAW_SILENCE: u8 = 0xD5;

/// The sample of each mu-law code.
pub static MULAW: [i16; 256] = {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        table[code] = expand_mulaw(code as u8);
        code += 1;
    }
    table
};

/// The sample of each A-law code.
pub static ALAW: [i16; 256] = {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        table[code] = expand_alaw(code as u8);
        code += 1;
    }
    table
};

/// The mu-law code of a sample.
pub const fn mulaw(sample: i16) -> u8 {
    let shifted = sample as i32 >> 2;
    let (magnitude, mask) = if shifted < 0 { (33 - shifted, 0x7F) } else { (shifted + 33, 0xFF) };
    let magnitude = if magnitude > 8159 + 33 { 8159 + 33 } else { magnitude } as u32;
    // The lowest segment ends at 0x3F, that is at six bits.
    let bits = 32 - magnitude.leading_zeros();
    let segment = bits.saturating_sub(6);
    if segment >= 8 {
        return 0x7F ^ mask;
    }
    ((segment << 4) | ((magnitude >> (segment + 1)) & 0x0F)) as u8 ^ mask
}

/// The A-law code of a sample.
pub const fn alaw(sample: i16) -> u8 {
    let shifted = sample as i32 >> 3;
    let (magnitude, mask) = if shifted < 0 { (-shifted - 1, 0x55) } else { (shifted, 0xD5) };
    let magnitude = magnitude as u32;
    // The lowest segment ends at 0x1F, that is at five bits. Thirteen bits never reach a ninth segment.
    let bits = 32 - magnitude.leading_zeros();
    let segment = bits.saturating_sub(5);
    let step = if segment < 2 { 1 } else { segment };
    ((segment << 4) | ((magnitude >> step) & 0x0F)) as u8 ^ mask
}

const fn expand_mulaw(code: u8) -> i16 {
    let code = !code;
    let magnitude = (((code & 0x0F) as i16) << 3) + 132;
    let sample = (magnitude << ((code >> 4) & 7)) - 132;
    if code & 0x80 != 0 { -sample } else { sample }
}

const fn expand_alaw(code: u8) -> i16 {
    let code = code ^ 0x55;
    let mantissa = ((code & 0x0F) as i16) << 4;
    let sample = match (code >> 4) & 7 {
        0 => mantissa + 8,
        segment => (mantissa + 0x108) << (segment - 1),
    };
    if code & 0x80 != 0 { sample } else { -sample }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Vectors {
        ulaw_decode_int16: Vec<i16>,
        alaw_decode_int16: Vec<i16>,
        encode: Vec<Encoded>,
    }

    #[derive(serde::Deserialize)]
    struct Encoded {
        pcm: i16,
        ulaw: u8,
        alaw: u8,
    }

    fn vectors() -> Vectors {
        serde_json::from_str(include_str!("../../tests/fixtures/g711/vectors.json")).expect("the fixture is JSON")
    }

    #[test]
    fn every_code_decodes_as_the_reference() {
        let vectors = vectors();
        assert_eq!(MULAW.as_slice(), vectors.ulaw_decode_int16);
        assert_eq!(ALAW.as_slice(), vectors.alaw_decode_int16);
    }

    #[test]
    fn the_reference_inputs_encode_as_the_reference() {
        for Encoded { pcm, ulaw, alaw: a } in vectors().encode {
            assert_eq!((mulaw(pcm), alaw(pcm)), (ulaw, a), "{pcm}");
        }
    }

    #[test]
    fn every_code_survives_a_round_trip() {
        for code in 0..=255u8 {
            // Mu-law has two zeros; the negative one comes back as the positive.
            let expected = if code == 0x7F { 0xFF } else { code };
            assert_eq!(mulaw(MULAW[usize::from(code)]), expected, "mu-law {code:#x}");
            assert_eq!(alaw(ALAW[usize::from(code)]), code, "A-law {code:#x}");
        }
    }

    /// The reference encoder, segment by segment, as the standard's own C reads.
    fn reference(value: i32, ends: [i32; 8]) -> usize {
        ends.iter().position(|end| value <= *end).unwrap_or(8)
    }

    #[test]
    fn all_65536_inputs_encode_as_the_reference() {
        for pcm in i16::MIN..=i16::MAX {
            let shifted = i32::from(pcm) >> 2;
            let (value, mask) = if shifted < 0 { (33 - shifted, 0x7F) } else { (shifted + 33, 0xFF) };
            let value = value.min(8159 + 33);
            let expected = match reference(value, [0x3F, 0x7F, 0xFF, 0x1FF, 0x3FF, 0x7FF, 0xFFF, 0x1FFF]) {
                8 => 0x7F ^ mask,
                segment => (((segment as i32) << 4) | ((value >> (segment + 1)) & 15)) ^ mask,
            };
            assert_eq!(i32::from(mulaw(pcm)), expected, "mu-law {pcm}");

            let shifted = i32::from(pcm) >> 3;
            let (value, mask) = if shifted < 0 { (-shifted - 1, 0x55) } else { (shifted, 0xD5) };
            let segment = reference(value, [0x1F, 0x3F, 0x7F, 0xFF, 0x1FF, 0x3FF, 0x7FF, 0xFFF]);
            let step = if segment < 2 { 1 } else { segment };
            let expected = (((segment as i32) << 4) | ((value >> step) & 15)) ^ mask;
            assert_eq!(i32::from(alaw(pcm)), expected, "A-law {pcm}");
        }
    }
}
