//! One thread with a share of the calls: a clock that ticks every millisecond, a task for each call that waits for what
//! comes, and the sockets.
//!
//! The calls are spread over the 20 ms of a frame, so that they never all send at once.

mod line;
mod out;

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
        mpsc::{Receiver, SyncSender, TryRecvError, TrySendError},
    },
    thread,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use tokio::{
    sync::Notify,
    task::{LocalSet, spawn_local, yield_now},
    time::sleep,
};

use self::{line::line, out::Out};
use super::{
    Target,
    desk::Desk,
    dial::Address,
    phone::{FRAME_US, Phone, us},
    plan::{LineKind, Plan},
    sounds::Sounds,
    tally::Tally,
};

/// How often what was measured is handed in.
pub(super) const HAND_IN: Duration = Duration::from_millis(250);
/// How much is read at a time, by all calls of a shard into the same memory.
const READ: usize = 64 << 10;
/// How late a frame may be to be measured exactly.
const LATEST_US: u64 = 60_000_000;
/// How often is asked for more, when there is always more.
const LISTENS_MAX: usize = 200;
/// The slots of a frame, one for each millisecond.
const SLOTS: usize = 20;

/// What a shard is told.
#[derive(Debug)]
pub(super) enum Order {
    /// A call.
    Dial(Job),
    /// So many calls hang up.
    HangUp(u32),
    /// The run is over.
    Over,
}

/// A call to be made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Job {
    /// When it was to be dialled.
    pub(super) due: u64,
    /// The how manieth of the run.
    pub(super) number: u64,
    pub(super) tenant: usize,
    pub(super) behaviour: usize,
    pub(super) kind: LineKind,
    pub(super) seed: u64,
}

/// What was measured in a quarter of a second.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) shard: usize,
    pub(super) tally: Tally,
    /// After the warm-up.
    pub(super) measured: bool,
    /// How late frames left, in microseconds.
    pub(super) late: Histogram<u64>,
    /// CPU time of the thread so far, in nanoseconds; none where the system does not tell.
    pub(super) cpu_ns: Option<u64>,
    /// When it was handed in.
    pub(super) at: u64,
}

impl Chunk {
    pub(super) fn new(shard: usize) -> Self {
        let late = Histogram::new_with_bounds(1, LATEST_US, 3).expect("bounds and digits are legal");
        Self { shard, tally: Tally::new(), measured: false, late, cpu_ns: None, at: 0 }
    }

    pub(super) fn clear(&mut self) {
        self.tally.clear();
        self.late.reset();
    }
}

/// How many calls there are; of all shards.
#[derive(Debug, Default)]
pub(super) struct Gauges {
    /// Lines taken: dialling, let in, or waiting to be free again.
    pub(super) lines: AtomicU32,
    pub(super) dialling: AtomicU32,
    pub(super) active: AtomicU32,
    /// Calls that hung up because fewer were wanted.
    pub(super) shed: AtomicU32,
    /// By tenant: lines taken.
    pub(super) of: Vec<AtomicU32>,
}

/// What a shard works with.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) shard: usize,
    pub(super) plan: Arc<Plan>,
    pub(super) target: Target,
    pub(super) address: Address,
    pub(super) said: Arc<Sounds>,
    pub(super) does: Vec<Arc<super::plan::Behaviour>>,
    pub(super) gauges: Arc<Gauges>,
    /// When the run began.
    pub(super) epoch: Instant,
    pub(super) orders: Receiver<Order>,
    /// Where measurements go, and where empty ones come back.
    pub(super) hand_in: SyncSender<Box<Chunk>>,
    pub(super) spare: Receiver<Box<Chunk>>,
}

/// What the tasks of a shard share.
struct Floor {
    work: Work,
    desk: RefCell<Desk>,
    /// Who sends in which millisecond of a frame.
    slots: RefCell<[Vec<Rc<Seat>>; SLOTS]>,
    /// Who sends something held back, and when.
    releases: RefCell<BTreeMap<(u64, u64), Rc<Seat>>>,
    late: RefCell<Histogram<u64>>,
    scratch: RefCell<Box<[u8]>>,
    /// How often something was read.
    reads: Cell<u64>,
    /// Calls of this shard that are being dialled.
    dialling: Cell<u32>,
    /// The run is over: nothing is dialled any more.
    over: Cell<bool>,
}

/// A call that was let in.
struct Seat {
    number: u64,
    phone: RefCell<Phone>,
    out: RefCell<Out>,
    /// Told when the caller's side has ended.
    ended: Notify,
    /// It is in `releases`.
    waits: Cell<bool>,
}

/// Carries the calls until the run is over. The body of a thread.
pub(super) fn work(work: Work) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
    // Without one there is nothing to be done, and whoever waits for us sees that we are gone.
    let Ok(runtime) = runtime else { return };
    let desk = Desk::new(work.target.expected_waits.map(us), &work.plan.fillers);
    let floor = Rc::new(Floor {
        desk: RefCell::new(desk),
        slots: RefCell::new(std::array::from_fn(|_| Vec::new())),
        releases: RefCell::new(BTreeMap::new()),
        late: RefCell::new(Chunk::new(0).late),
        scratch: RefCell::new(vec![0; READ].into()),
        reads: Cell::new(0),
        dialling: Cell::new(0),
        over: Cell::new(false),
        work,
    });
    LocalSet::new().block_on(&runtime, clock(&floor));
}

/// Ticks every millisecond.
///
/// The thread sleeps between two ticks, and not until something comes: a quarter of what a call cost otherwise was the
/// waking of the thread for every frame of it. What comes is seen at the next tick, so times are exact to a millisecond.
async fn clock(floor: &Rc<Floor>) {
    let start = us(floor.work.plan.warm_up);
    let (mut ms, mut handed, mut measuring) = (floor.now() / 1_000, floor.now(), start == 0);
    loop {
        ms += 1;
        // Who is behind goes on at once, but not without those who listen: a crowd that is too large for its machine
        // is late with everything, and says so.
        thread::sleep(Duration::from_micros((ms * 1_000).saturating_sub(floor.now())));
        let now = floor.now();
        let late = !measuring && now >= start;
        if late || now >= handed + us(HAND_IN) {
            floor.hand_in(now, measuring);
            (handed, measuring) = (now, measuring || late);
        }
        floor.tick(ms);
        floor.release();
        if !floor.orders() {
            break;
        }
        floor.listen().await;
    }
    floor.over.set(true);
    floor.hang_up(u32::MAX);
    // The goodbyes go out.
    sleep(Duration::from_millis(100)).await;
    floor.desk.borrow_mut().tally.counts.unfinished += u64::from(floor.dialling.get());
    // Whoever runs us waits for this.
    let _ = floor.work.hand_in.send(floor.chunk(floor.now(), measuring));
}

impl Floor {
    /// Microseconds since the run began.
    fn now(&self) -> u64 {
        us(self.work.epoch.elapsed())
    }

    /// Lets everybody hear what has come.
    async fn listen(&self) {
        // The first time around, the system is asked what has come; the next, whoever it is for has heard it.
        yield_now().await;
        for _ in 0..LISTENS_MAX {
            let before = self.reads.get();
            yield_now().await;
            if self.reads.get() == before {
                return;
            }
        }
    }

    /// Does what it is told. Tells whether the run goes on.
    fn orders(self: &Rc<Self>) -> bool {
        loop {
            match self.work.orders.try_recv() {
                Ok(Order::Dial(job)) => {
                    spawn_local(line(self.clone(), job));
                }
                Ok(Order::HangUp(calls)) => {
                    self.hang_up(calls);
                    // Those that could not be are counted too: nobody waits for them.
                    self.work.gauges.shed.fetch_add(calls, Ordering::Relaxed);
                }
                Ok(Order::Over) | Err(TryRecvError::Disconnected) => return false,
                Err(TryRecvError::Empty) => return true,
            }
        }
    }

    /// Everybody whose frame is due in this millisecond.
    fn tick(&self, ms: u64) {
        let slot = (ms % SLOTS as u64) as usize;
        let mut seats = std::mem::take(&mut self.slots.borrow_mut()[slot]);
        seats.retain(|seat| {
            let mut phone = seat.phone.borrow_mut();
            let due = phone.next_frame();
            if phone.fate().is_some() {
                return false;
            }
            if due > ms * 1_000 {
                return true;
            }
            let now = self.now();
            self.late.borrow_mut().saturating_record(now.saturating_sub(due).clamp(1, LATEST_US));
            let mut desk = self.desk.borrow_mut();
            phone.tick(now, &mut desk);
            self.after(seat, &mut phone, &mut desk)
        });
        let mut slots = self.slots.borrow_mut();
        let added = std::mem::replace(&mut slots[slot], seats);
        slots[slot].extend(added);
    }

    /// Everybody who held something back until now.
    fn release(&self) {
        let now = self.now();
        loop {
            let first = self
                .releases
                .borrow_mut()
                .first_entry()
                .filter(|entry| entry.key().0 <= now)
                .map(|entry| entry.remove());
            let Some(seat) = first else { return };
            seat.waits.set(false);
            let mut phone = seat.phone.borrow_mut();
            if phone.fate().is_none() {
                let mut desk = self.desk.borrow_mut();
                phone.release(now, &mut desk);
                self.after(&seat, &mut phone, &mut desk);
            }
        }
    }

    /// Sends what a caller has to say, and sees whether it has ended. Tells whether it goes on.
    fn after(&self, seat: &Rc<Seat>, phone: &mut Phone, desk: &mut Desk) -> bool {
        let going = phone.fate().is_none();
        if !seat.out.borrow_mut().send(&mut desk.out) && going {
            phone.broke(desk);
            desk.out.clear();
        }
        if phone.fate().is_some() {
            seat.ended.notify_one();
            return false;
        }
        if let Some(at) = phone.next_release().filter(|_| !seat.waits.get()) {
            seat.waits.set(true);
            self.releases.borrow_mut().insert((at, seat.number), seat.clone());
        }
        true
    }

    /// So many callers hang up, if there are so many.
    fn hang_up(&self, calls: u32) {
        let slots: Vec<Rc<Seat>> = self.slots.borrow().iter().flatten().cloned().collect();
        let mut done = 0;
        for seat in slots {
            if done >= calls {
                break;
            }
            let mut phone = seat.phone.borrow_mut();
            if phone.fate().is_none() {
                let mut desk = self.desk.borrow_mut();
                phone.hang_up(&mut desk);
                self.after(&seat, &mut phone, &mut desk);
                done += 1;
            }
        }
    }

    /// Gives away what was measured, if somebody can take it now.
    fn hand_in(&self, now: u64, measured: bool) {
        let chunk = self.chunk(now, measured);
        if let Err(TrySendError::Full(mut chunk)) = self.work.hand_in.try_send(chunk) {
            std::mem::swap(&mut chunk.tally, &mut self.desk.borrow_mut().tally);
            std::mem::swap(&mut chunk.late, &mut self.late.borrow_mut());
        }
    }

    /// What was measured since the last time.
    fn chunk(&self, now: u64, measured: bool) -> Box<Chunk> {
        let mut chunk = self.work.spare.try_recv().unwrap_or_else(|_| Box::new(Chunk::new(self.work.shard)));
        std::mem::swap(&mut chunk.tally, &mut self.desk.borrow_mut().tally);
        std::mem::swap(&mut chunk.late, &mut self.late.borrow_mut());
        (chunk.shard, chunk.measured, chunk.cpu_ns, chunk.at) = (self.work.shard, measured, cpu_ns(), now);
        chunk
    }

    /// When the first frame of a call begins that was let in now: in the millisecond with the fewest calls.
    fn place(&self, now: u64) -> (usize, u64) {
        let slots = self.slots.borrow();
        let next = now / 1_000 + 1;
        let after = (0..SLOTS as u64).min_by_key(|after| slots[((next + after) % SLOTS as u64) as usize].len());
        let ms = next + after.unwrap_or(0);
        ((ms % SLOTS as u64) as usize, ms * 1_000)
    }
}

/// CPU time of this thread, in nanoseconds.
fn cpu_ns() -> Option<u64> {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    told.split(' ').next()?.parse().ok()
}

/// A frame in slots.
const _: () = assert!(FRAME_US == 1_000 * SLOTS as u64);
