//! From the tap of a call to the disk: a call never waits for it.
//!
//! Half a second of sound is gathered and handed over; a few of those may wait for a slow disk. What is too much for it
//! is lost and counted, and stands in the recording as silence, so that what comes after it is at its right time.

use std::{
    io::ErrorKind,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::mpsc::{self, error::TrySendError};

use super::file::{PAIR_BYTES, Writing};
use crate::gateway::metrics::{self, Recording};

/// Sound of both sides that is handed over at once: half a second.
const BATCH_BYTES: usize = 32_000;

/// Batches that wait for the disk: four seconds.
const BATCHES_WAITING_MAX: usize = 8;

/// What is written at once.
#[derive(Debug)]
pub(super) struct Batch {
    /// So much before it was lost.
    missed_bytes: u64,
    sound: Vec<u8>,
}

/// The end of a recording that a call holds. Dropped, the recording is over.
#[derive(Debug)]
pub(in crate::gateway) struct Recorder {
    gathered: Vec<u8>,
    /// What found no room since the last batch that did.
    missed_bytes: u64,
    batches: mpsc::Sender<Batch>,
}

impl Recorder {
    /// A recorder, and what it hands over.
    pub(super) fn new() -> (Self, mpsc::Receiver<Batch>) {
        let (batches, waiting) = mpsc::channel(BATCHES_WAITING_MAX);
        (Self { gathered: Vec::with_capacity(BATCH_BYTES), missed_bytes: 0, batches }, waiting)
    }

    /// Takes one piece of both sides. `false`: nobody writes it any more.
    pub(in crate::gateway) fn put(&mut self, piece: &[u8]) -> bool {
        self.gathered.extend_from_slice(piece);
        self.gathered.len() < BATCH_BYTES || self.hand_over(Vec::with_capacity(BATCH_BYTES))
    }

    /// Hands over what was gathered, and goes on with this.
    fn hand_over(&mut self, next: Vec<u8>) -> bool {
        let sound = std::mem::replace(&mut self.gathered, next);
        match self.batches.try_send(Batch { missed_bytes: self.missed_bytes, sound }) {
            Ok(()) => {
                self.missed_bytes = 0;
                true
            }
            Err(TrySendError::Full(batch)) => {
                lost(&batch.sound);
                self.missed_bytes += batch.sound.len() as u64;
                true
            }
            Err(TrySendError::Closed(_)) => false,
        }
    }
}

/// The call is over: what was gathered is the end of it.
impl Drop for Recorder {
    fn drop(&mut self) {
        if !self.gathered.is_empty() {
            self.hand_over(Vec::new());
        }
    }
}

fn lost(sound: &[u8]) {
    metrics::recording_lost(sound.len() as u64 / PAIR_BYTES);
}

/// One recording while it is made, for who makes it and who erases it.
#[derive(Debug)]
pub(super) struct Making {
    path: PathBuf,
    /// The sound that it may have.
    bytes_max: u64,
    /// Held while the disk works, so never on a thread that carries calls.
    state: Mutex<State>,
    /// It could not be made, or was erased.
    gone: AtomicBool,
}

/// Where it stands.
#[derive(Debug)]
enum State {
    /// The file is not there yet.
    Due,
    /// Sound is added.
    Writing(Writing),
    /// Nothing is added any more.
    Over,
}

impl Making {
    pub(super) fn new(path: PathBuf, bytes_max: u64) -> Self {
        Self { path, bytes_max, state: Mutex::new(State::Due), gone: AtomicBool::new(false) }
    }

    /// There will be no recording.
    pub(super) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// Somebody erases it: nothing is added from now on. Blocks.
    pub(super) fn give_up(&self) {
        *self.state() = State::Over;
        self.gone.store(true, Ordering::Release);
    }

    /// Makes the file. Whether there is one to add to. Blocks.
    fn open(&self) -> bool {
        let mut state = self.state();
        if !matches!(*state, State::Due) {
            return false;
        }
        let made = folder(&self.path).and_then(|()| Writing::create(&self.path, self.bytes_max));
        match made {
            Ok(writing) => {
                *state = State::Writing(writing);
                true
            }
            Err(error) => {
                tracing::warn!(%error, "a call cannot be recorded: see that the data folder can be written to");
                metrics::recorded(Recording::Failed);
                *state = State::Over;
                self.gone.store(true, Ordering::Release);
                false
            }
        }
    }

    /// Adds to the file. Whether more may be added. Blocks.
    fn add(&self, batch: &Batch) -> bool {
        let mut state = self.state();
        let State::Writing(writing) = &mut *state else { return false };
        let was_whole = writing.is_whole();
        match writing.add(batch.missed_bytes, &batch.sound) {
            Ok(()) => true,
            Err(error) if error.kind() == ErrorKind::FileTooLarge => {
                lost(&batch.sound);
                tracing::info!("a recording has reached vapi.recordings.megabytes_max: the rest is not recorded");
                false
            }
            // The disk may have room again in a moment.
            Err(error) => {
                lost(&batch.sound);
                if was_whole {
                    tracing::warn!(%error, "a recording cannot be written: what is said meanwhile is missing in it");
                }
                true
            }
        }
    }

    /// The recording is over; one without sound is none. Blocks.
    fn close(&self) {
        let mut state = self.state();
        let State::Writing(writing) = std::mem::replace(&mut *state, State::Over) else { return };
        if !writing.is_empty() {
            return metrics::recorded(Recording::Kept);
        }
        drop(writing);
        metrics::recorded(Recording::Empty);
        self.gone.store(true, Ordering::Release);
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(%error, "an empty recording could not be removed");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes the folder of a file, for nobody's eyes but ours.
fn folder(path: &std::path::Path) -> std::io::Result<()> {
    let Some(folder) = path.parent() else { return Ok(()) };
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Writes what is handed over until the call is over or there is nothing to write to.
pub(super) async fn write(making: &Arc<Making>, mut batches: mpsc::Receiver<Batch>) {
    if on_disk(making, Making::open).await != Some(true) {
        return;
    }
    while let Some(batch) = batches.recv().await {
        if on_disk(making, move |making| making.add(&batch)).await != Some(true) {
            break;
        }
    }
    on_disk(making, Making::close).await;
}

/// Lets the disk work on a thread that may wait. `None`: it panicked.
async fn on_disk<T: Send + 'static>(
    making: &Arc<Making>,
    work: impl FnOnce(&Making) -> T + Send + 'static,
) -> Option<T> {
    let making = Arc::clone(making);
    tokio::task::spawn_blocking(move || work(&making)).await.ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::vapi::recordings::file::tests::Place;

    /// A piece of 20 ms in which every sample is this.
    fn piece(level: i16) -> Vec<u8> {
        vec![level; 640].iter().flat_map(|sample| sample.to_le_bytes()).collect()
    }

    /// The caller's samples of a file, one of each 20 ms.
    fn levels(making: &Making) -> Vec<i16> {
        let mut wav = hound::WavReader::open(&making.path).expect("a WAV file");
        wav.samples::<i16>().step_by(640).map(|sample| sample.expect("a sample")).collect()
    }

    #[tokio::test]
    async fn everything_is_written_down_to_the_last_piece() {
        let place = Place::new("whole");
        let making = Arc::new(Making::new(place.0.join("rossi").join("one.wav"), 10_000_000));
        let (mut recorder, batches) = Recorder::new();
        let expected: Vec<i16> = (1..=60).collect();
        for level in &expected {
            assert!(recorder.put(&piece(*level)));
        }
        drop(recorder);
        write(&making, batches).await;
        assert_eq!(levels(&making), expected);
        assert!(!making.is_gone());
    }

    #[tokio::test]
    async fn what_a_slow_disk_misses_is_silence_and_the_rest_is_at_its_time() {
        let place = Place::new("slow");
        let making = Arc::new(Making::new(place.0.join("one.wav"), 10_000_000));
        let (mut recorder, mut batches) = Recorder::new();
        let waiting = BATCHES_WAITING_MAX * 25;
        // Nobody writes: two batches of 25 pieces find no room.
        for _ in 0..waiting + 50 {
            assert!(recorder.put(&piece(1)));
        }
        assert!(on_disk(&making, Making::open).await.unwrap());
        let first = batches.recv().await.unwrap();
        assert!(making.add(&first));
        for _ in 0..25 {
            assert!(recorder.put(&piece(2)));
        }
        drop(recorder);
        while let Some(batch) = batches.recv().await {
            assert!(making.add(&batch));
        }
        making.close();
        let expected: Vec<i16> = [vec![1; waiting], vec![0; 50], vec![2; 25]].concat();
        assert_eq!(levels(&making), expected);
    }

    #[tokio::test]
    async fn a_recording_that_is_erased_while_it_is_made_stays_erased() {
        let place = Place::new("erased");
        let batch = || Batch { missed_bytes: 0, sound: piece(1) };
        let making = Making::new(place.0.join("one.wav"), 10_000_000);
        assert!(making.open() && making.add(&batch()));
        making.give_up();
        std::fs::remove_file(&making.path).expect("it was there");
        assert!(!making.add(&batch()), "nothing is added any more");
        making.close();
        assert!(making.is_gone() && !making.path.exists());

        let early = Arc::new(Making::new(place.0.join("two.wav"), 10_000_000));
        let (mut recorder, batches) = Recorder::new();
        early.give_up();
        write(&early, batches).await;
        assert!(early.is_gone() && !early.path.exists());
        assert!(!(0..25).all(|_| recorder.put(&piece(1))), "the call is told that nobody writes");
    }

    #[tokio::test]
    async fn where_nothing_was_said_or_nothing_can_be_made_nothing_is_left() {
        let place = Place::new("nothing");
        let (empty, stuck) = (place.0.join("one.wav"), place.0.join("file").join("two.wav"));
        std::fs::write(place.0.join("file"), "no folder").unwrap();
        for path in [empty, stuck] {
            let making = Arc::new(Making::new(path, 10_000_000));
            let (recorder, batches) = Recorder::new();
            drop(recorder);
            write(&making, batches).await;
            assert!(making.is_gone() && !making.path.exists(), "{making:?}");
        }
    }

    #[tokio::test]
    async fn a_recording_ends_at_its_bound() {
        let place = Place::new("full");
        let making = Arc::new(Making::new(place.0.join("one.wav"), BATCH_BYTES as u64));
        let (mut recorder, batches) = Recorder::new();
        for _ in 0..75 {
            recorder.put(&piece(3));
        }
        write(&making, batches).await;
        assert_eq!(levels(&making), [3; 25]);
        assert!(!(0..25).all(|_| recorder.put(&piece(3))), "the call is told that nobody writes");
    }
}
