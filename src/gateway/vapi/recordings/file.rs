//! One recording on the disk: WAV, 16 bits, 16 kHz, the caller on the left and ours on the right.
//!
//! The sizes in its header are made right with every piece that is added, so that a file which a crash has cut short can
//! be opened by anything. We do not believe them ourselves: what is read is as long as the file is. Everything in here
//! blocks; it never runs on a thread that carries calls.

use std::{
    fs::{File, OpenOptions},
    io::{self, ErrorKind, Read, Seek, SeekFrom, Write},
    path::Path,
};

use bytes::Bytes;

use crate::{audio::Rate, gateway::tap::Sides};

/// The header we write.
pub(super) const HEADER_BYTES: u64 = 44;

/// One sample of both sides.
pub(super) const PAIR_BYTES: u64 = 4;

/// A WAV counts in 32 bits: 18 hours.
const DATA_BYTES_MAX: u64 = (u32::MAX as u64 - HEADER_BYTES) / PAIR_BYTES * PAIR_BYTES;

/// So much is read at a time: a second.
const READ_BYTES: u64 = 64_000;

/// The header of so much sound.
fn header(channels: u16, data_bytes: u64) -> Vec<u8> {
    // Nothing longer is ever written or read.
    let data_bytes = data_bytes.min(DATA_BYTES_MAX) as u32;
    let (rate, align) = (Rate::WIDE.hz(), 2 * channels);
    let mut header = Vec::with_capacity(HEADER_BYTES as usize);
    header.extend_from_slice(b"RIFF");
    header.extend_from_slice(&(36 + data_bytes).to_le_bytes());
    header.extend_from_slice(b"WAVEfmt ");
    header.extend_from_slice(&16_u32.to_le_bytes());
    header.extend_from_slice(&1_u16.to_le_bytes()); // PCM
    header.extend_from_slice(&channels.to_le_bytes());
    header.extend_from_slice(&rate.to_le_bytes());
    header.extend_from_slice(&(rate * u32::from(align)).to_le_bytes());
    header.extend_from_slice(&align.to_le_bytes());
    header.extend_from_slice(&16_u16.to_le_bytes());
    header.extend_from_slice(b"data");
    header.extend_from_slice(&data_bytes.to_le_bytes());
    header
}

/// A recording that is being made.
#[derive(Debug)]
pub(super) struct Writing {
    file: File,
    /// The sound in it.
    data_bytes: u64,
    /// What was lost since: silence, as soon as something is written again.
    missed_bytes: u64,
    /// The sound that it may have.
    bytes_max: u64,
}

impl Writing {
    /// Makes the file, for nobody's eyes but ours. One that is there already is an error.
    pub(super) fn create(path: &Path, bytes_max: u64) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path)?;
        file.write_all(&header(2, 0))?;
        Ok(Self { file, data_bytes: 0, missed_bytes: 0, bytes_max: bytes_max.min(DATA_BYTES_MAX) })
    }

    /// Adds sound after so much that was lost on the way. What cannot be written is missed: the next that can stands in its
    /// right place, after silence. [`ErrorKind::FileTooLarge`]: it has as much as it may have.
    pub(super) fn add(&mut self, missed_bytes: u64, sound: &[u8]) -> io::Result<()> {
        self.missed_bytes += missed_bytes;
        let at = self.data_bytes + self.missed_bytes;
        let end = at + sound.len() as u64;
        if end > self.bytes_max {
            return Err(ErrorKind::FileTooLarge.into());
        }
        if let Err(error) = self.put(at, sound, end) {
            self.missed_bytes += sound.len() as u64;
            return Err(error);
        }
        (self.data_bytes, self.missed_bytes) = (end, 0);
        Ok(())
    }

    /// First the sound, then how much of it there is.
    fn put(&mut self, at: u64, sound: &[u8], end: u64) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(HEADER_BYTES + at))?;
        self.file.write_all(sound)?;
        self.file.rewind()?;
        self.file.write_all(&header(2, end))
    }

    /// What was to be written last was.
    pub(super) const fn is_whole(&self) -> bool {
        self.missed_bytes == 0
    }

    /// There is no sound in it.
    pub(super) const fn is_empty(&self) -> bool {
        self.data_bytes == 0
    }
}

/// A recording that is being sent.
#[derive(Debug)]
pub(super) struct Reading {
    file: File,
    /// What of it is wanted.
    sides: Sides,
    /// Both sides' sound that has not been read yet.
    left_bytes: u64,
    /// The header was given.
    begun: bool,
}

impl Reading {
    /// Opens it as it is now: what is added meanwhile is not seen.
    pub(super) fn open(path: &Path, sides: Sides) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let data_bytes = file.metadata()?.len().saturating_sub(HEADER_BYTES).min(DATA_BYTES_MAX);
        file.seek(SeekFrom::Start(HEADER_BYTES))?;
        Ok(Self { file, sides, left_bytes: data_bytes / PAIR_BYTES * PAIR_BYTES, begun: false })
    }

    /// How long what is sent will be, before anything was read.
    pub(super) const fn whole_bytes(&self) -> u64 {
        HEADER_BYTES + self.sound_bytes()
    }

    const fn sound_bytes(&self) -> u64 {
        self.left_bytes / PAIR_BYTES * 2 * self.sides.channels() as u64
    }

    /// The next piece of it: the header, then the sound. `None` at the end.
    pub(super) fn piece(&mut self) -> io::Result<Option<Bytes>> {
        if !self.begun {
            self.begun = true;
            return Ok(Some(header(self.sides.channels(), self.sound_bytes()).into()));
        }
        let many = self.left_bytes.min(READ_BYTES);
        if many == 0 {
            return Ok(None);
        }
        let mut piece = vec![0; many as usize];
        self.file.read_exact(&mut piece)?;
        self.left_bytes -= many;
        Ok(Some(self.sides.of(piece.into())))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::path::PathBuf;

    use super::*;

    /// A folder of a test's own, gone with it.
    pub(in crate::gateway::vapi::recordings) struct Place(pub(in crate::gateway::vapi::recordings) PathBuf);

    impl Place {
        pub(in crate::gateway::vapi::recordings) fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("pronto-recordings-{name}-{}", std::process::id()));
            let _ = std::fs::remove_dir_all(&folder);
            std::fs::create_dir_all(&folder).expect("a folder for the test");
            Self(folder)
        }

        fn file(&self) -> PathBuf {
            self.0.join("one.wav")
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    /// Pairs of the caller's sample and ours.
    fn pairs(pairs: &[[i16; 2]]) -> Vec<u8> {
        pairs.iter().flatten().flat_map(|sample| sample.to_le_bytes()).collect()
    }

    /// What a program that knows WAV finds in a file.
    fn found(path: &Path) -> (u16, Vec<i16>) {
        let mut wav = hound::WavReader::open(path).expect("a WAV file");
        let spec = wav.spec();
        assert_eq!((spec.sample_rate, spec.bits_per_sample), (16_000, 16));
        (spec.channels, wav.samples::<i16>().map(|sample| sample.expect("a sample")).collect())
    }

    /// What is sent of a file.
    fn sent(path: &Path, sides: Sides) -> (u16, Vec<i16>) {
        let mut reading = Reading::open(path, sides).expect("it is there");
        let (promised, mut all) = (reading.whole_bytes(), Vec::new());
        while let Some(piece) = reading.piece().expect("it can be read") {
            all.extend_from_slice(&piece);
        }
        assert_eq!(all.len() as u64, promised, "{sides:?}");
        let copy = path.with_extension("sent");
        std::fs::write(&copy, all).expect("room for a copy");
        found(&copy)
    }

    #[test]
    fn the_sizes_are_right_after_every_piece_and_each_side_can_be_sent() {
        let place = Place::new("sizes");
        let path = place.file();
        let mut writing = Writing::create(&path, 1_000_000).unwrap();
        assert_eq!((found(&path), writing.is_empty()), ((2, vec![]), true));
        writing.add(0, &pairs(&[[1, -1], [2, -2]])).unwrap();
        assert_eq!(found(&path), (2, vec![1, -1, 2, -2]));
        // Two pairs were lost on the way: silence stands for them.
        writing.add(8, &pairs(&[[5, -5]])).unwrap();
        assert_eq!((found(&path), writing.is_empty()), ((2, vec![1, -1, 2, -2, 0, 0, 0, 0, 5, -5]), false));
        assert_eq!(sent(&path, Sides::Apart), found(&path));
        assert_eq!(sent(&path, Sides::Caller), (1, vec![1, 2, 0, 0, 5]));
        assert_eq!(sent(&path, Sides::Ours), (1, vec![-1, -2, 0, 0, -5]));
        assert_eq!(sent(&path, Sides::Mixed), (1, vec![0; 5]));
        assert!(Writing::create(&path, 8).is_err(), "what was recorded is never written over");
    }

    #[test]
    fn a_file_that_a_crash_has_cut_is_read_up_to_the_cut() {
        let place = Place::new("cut");
        let path = place.file();
        let long: Vec<[i16; 2]> = (0..20_000).map(|at| [at, -at]).collect();
        Writing::create(&path, 1_000_000).unwrap().add(0, &pairs(&long)).unwrap();
        // In the middle of a pair, and with a header that promises more.
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(HEADER_BYTES + 17_000 * PAIR_BYTES + 3).unwrap();
        let (channels, samples) = sent(&path, Sides::Ours);
        assert_eq!((channels, samples.len(), samples[16_999]), (1, 17_000, -16_999));
        file.set_len(7).unwrap();
        assert_eq!(sent(&path, Sides::Apart), (2, vec![]));
    }

    #[test]
    fn beyond_its_bound_nothing_is_added() {
        let place = Place::new("bound");
        let path = place.file();
        let mut writing = Writing::create(&path, 8).unwrap();
        writing.add(0, &pairs(&[[1, 1]])).unwrap();
        let error = writing.add(0, &pairs(&[[2, 2], [3, 3]])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FileTooLarge);
        assert_eq!(writing.add(8, &[]).unwrap_err().kind(), ErrorKind::FileTooLarge, "silence counts");
        assert_eq!(found(&path), (2, vec![1, 1]));
    }
}
