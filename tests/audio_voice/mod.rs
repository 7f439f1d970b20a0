//! Italian speech from espeak-ng, for tests and benches that need a voice.

use std::process::Command;

use pronto::audio::{Rate, Resampler};

/// What a caller of an auto repair shop says.
pub const SENTENCES: [&str; 12] = [
    "Buongiorno, vorrei prenotare un tagliando per la mia Panda.",
    "Pronto? Sì, mi sente? Ho un problema con i freni.",
    "La macchina fa un rumore strano quando giro a destra.",
    "Va bene martedì alle nove, grazie.",
    "No, aspetti, preferisco nel pomeriggio.",
    "Quanto costa il cambio delle gomme invernali?",
    "Mi chiamo Giovanni Esposito.",
    "Il numero è tre tre tre, uno due tre, quattro cinque sei sette.",
    "Scusi, posso parlare con il meccanico?",
    "Si è accesa la spia del motore, è grave?",
    "Ecco, allora facciamo giovedì mattina.",
    "Fermi, fermi, ho sbagliato giorno.",
];

/// Speaks a text at 16 kHz. `who` varies the voice.
pub fn speak(text: &str, who: usize) -> Vec<i16> {
    let voice = ["it", "it+f2", "it+m3", "it+f4", "it+m7"][who % 5];
    let speed = [165, 180, 150][who % 3].to_string();
    let output = Command::new("espeak-ng")
        .args(["-v", voice, "-s", &speed, "--stdout", text])
        .output()
        .expect("espeak-ng must be installed: apt-get install espeak-ng");
    assert!(output.status.success(), "espeak-ng failed: {}", String::from_utf8_lossy(&output.stderr));
    // A WAV header of 44 bytes, whose lengths are not filled in when writing to a pipe.
    let header = &output.stdout[..44];
    let hz = u32::from_le_bytes([header[24], header[25], header[26], header[27]]);
    let samples: Vec<i16> =
        output.stdout[44..].as_chunks::<2>().0.iter().map(|pair| i16::from_le_bytes(*pair)).collect();
    let mut wide = Vec::new();
    let mut resampler = Resampler::new(Rate::new(hz).expect("a usual rate"), Rate::WIDE);
    resampler.process(&samples, &mut wide);
    resampler.flush(&mut wide);
    trimmed(&wide)
}

/// Where the voice itself begins and ends: 10 ms frames within 30 dB of the loudest.
fn trimmed(sound: &[i16]) -> Vec<i16> {
    let levels: Vec<f32> = sound.chunks(160).map(pronto::audio::level_db).collect();
    let loudest = levels.iter().copied().fold(-100.0, f32::max);
    let voiced = |level: &f32| *level > loudest - 30.0;
    let first = levels.iter().position(voiced).unwrap_or(0) * 160;
    let last = levels.iter().rposition(voiced).map_or(sound.len(), |at| ((at + 1) * 160).min(sound.len()));
    sound[first..last].to_vec()
}
