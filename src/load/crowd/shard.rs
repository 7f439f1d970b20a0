//! One thread with a share of the calls: a clock that ticks every millisecond, a task for each call that waits for what
//! comes, and the sockets.
//!
//! The calls are spread over the 20 ms of a frame, so that they never all send at once.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    future::poll_fn,
    pin::Pin,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
        mpsc::{Receiver, SyncSender, TryRecvError, TrySendError},
    },
    task::Poll,
    thread,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf},
    net::tcp::OwnedWriteHalf,
    sync::{Notify, mpsc},
    task::{LocalSet, spawn_local, yield_now},
    time::{sleep, timeout},
};

use super::{
    Target,
    chance::Chance,
    desk::Desk,
    dial::{Address, CLOSE_WAIT, NotIn, Request, Stream},
    faults::Faulty,
    phone::{FRAME_US, Fate, Phone, Setup, us},
    plan::{LineKind, Plan},
    sounds::Sounds,
    tally::{Measure, Tally},
};

/// How often what was measured is handed in.
pub(super) const HAND_IN: Duration = Duration::from_millis(250);
/// What a target that does not read may make us keep for one call; beyond it the line counts as broken.
const BACKLOG_MAX: usize = 256 << 10;
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

/// The way out.
struct Out {
    way: Way,
    /// What the socket did not take.
    backlog: Vec<u8>,
}

enum Way {
    Plain(OwnedWriteHalf),
    /// To a task that writes.
    Tls(mpsc::Sender<Vec<u8>>),
    Gone,
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
/// The thread sleeps between two ticks, and not until something comes: half of what a call costs otherwise is the waking
/// of a thread for every frame of it. What comes is seen at the next tick, so times are exact to a millisecond.
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

impl Out {
    /// Sends, or keeps what the socket does not take; in vain where that has become too much.
    fn send(&mut self, bytes: &mut Vec<u8>) -> bool {
        if bytes.is_empty() && self.backlog.is_empty() {
            return true;
        }
        if self.backlog.is_empty() {
            let taken = self.way.take(bytes);
            self.backlog.extend_from_slice(&bytes[taken..]);
        } else {
            self.backlog.extend_from_slice(bytes);
            let taken = self.way.take(&self.backlog);
            self.backlog.drain(..taken);
            if self.backlog.is_empty() {
                self.backlog = Vec::new();
            }
        }
        bytes.clear();
        self.backlog.len() <= BACKLOG_MAX
    }
}

impl Way {
    /// How many bytes were taken.
    fn take(&self, bytes: &[u8]) -> usize {
        match self {
            Self::Plain(half) => match half.try_write(bytes) {
                Ok(taken) => taken,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => 0,
                // That the connection is gone is seen, with its reason, on the reading side.
                Err(_) => bytes.len(),
            },
            Self::Tls(queue) => match queue.try_send(bytes.to_vec()) {
                Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => bytes.len(),
                Err(mpsc::error::TrySendError::Full(_)) => 0,
            },
            Self::Gone => bytes.len(),
        }
    }
}

/// A line from the dial until it is free again.
async fn line(floor: Rc<Floor>, mut job: Job) {
    let work = &floor.work;
    loop {
        let fate = Box::pin(call(&floor, job)).await;
        match fate {
            Some(Fate::CutOff { reconnect: true }) if !floor.over.get() => {
                job.due = floor.now();
                job.seed = job.seed.wrapping_add(1);
                floor.desk.borrow_mut().tally.counts.reconnects += 1;
                continue;
            }
            Some(Fate::Completed | Fate::GaveUp | Fate::Unfinished | Fate::CutOff { .. }) => {}
            // A line that is refused is not tried again at once, whoever keeps it up.
            Some(Fate::Closed(_) | Fate::Broke) | None => sleep(work.plan.redial).await,
        }
        break;
    }
    work.gauges.of[job.tenant].fetch_sub(1, Ordering::Relaxed);
    work.gauges.lines.fetch_sub(1, Ordering::Relaxed);
}

/// One call. None where it was not let in.
async fn call(floor: &Rc<Floor>, job: Job) -> Option<Fate> {
    let work = &floor.work;
    let (does, tenant) = (&work.does[job.behaviour], &work.plan.tenants[job.tenant]);
    let chance = Chance::new(job.seed);
    let token = work.target.token_of(tenant);
    let from = format!("+39333{:07}", job.number % 10_000_000);
    // The phone will choose the same: it begins with the same chance.
    let slow = Faulty::choose(&does.faults, &mut chance.clone()).and_then(|fault| fault.slow_reader);
    let request = Request { kind: job.kind, tenant, token, from: &from, small: slow.is_some() };
    floor.desk.borrow_mut().tally.counts.offered += 1;
    work.gauges.dialling.fetch_add(1, Ordering::Relaxed);
    floor.dialling.set(floor.dialling.get() + 1);
    let dialled = Box::pin(work.address.dial(&request, &mut Chance::new(job.seed ^ job.number))).await;
    work.gauges.dialling.fetch_sub(1, Ordering::Relaxed);
    floor.dialling.set(floor.dialling.get() - 1);
    let now = floor.now();
    let (stream, first) = match dialled {
        Ok(dialled) => dialled,
        Err(why) => {
            let mut desk = floor.desk.borrow_mut();
            match why {
                NotIn::Refused(status) => {
                    desk.tally.counts.refused += 1;
                    *desk.tally.refused_by.entry(status).or_default() += 1;
                }
                NotIn::Failed => desk.tally.counts.failed += 1,
            }
            desk.tally.series.at(now).failed += 1;
            return None;
        }
    };
    let (slot, start) = floor.place(now);
    let (seat, mut half) = {
        let mut desk = floor.desk.borrow_mut();
        desk.tally.counts.connected += 1;
        desk.record(Measure::Connect, now.saturating_sub(job.due));
        desk.tally.series.at(now).started += 1;
        let said = work.said.of(job.behaviour, job.kind)?;
        let token = token.map(ToOwned::to_owned);
        let (does, counted) = (does.clone(), work.plan.counted);
        let setup =
            Setup { kind: job.kind, does, said, due: job.due, start, token, from, counted, chance: chance.clone() };
        desk.out.clear();
        // The plan was checked: every codec it names is in this build.
        let mut phone = Phone::new(setup, &mut desk).ok()?;
        let (half, way) = halves(stream);
        let mut out = Out { way, backlog: Vec::new() };
        phone.received(now, &first, &mut desk);
        out.send(&mut desk.out);
        let seat = Seat {
            number: job.number,
            phone: RefCell::new(phone),
            out: RefCell::new(out),
            ended: Notify::new(),
            waits: Cell::new(false),
        };
        (Rc::new(seat), half)
    };
    work.gauges.active.fetch_add(1, Ordering::Relaxed);
    floor.slots.borrow_mut()[slot].push(seat.clone());
    if floor.over.get() {
        let mut desk = floor.desk.borrow_mut();
        seat.phone.borrow_mut().hang_up(&mut desk);
    }
    tokio::select! {
        biased;
        () = hear_out(floor, &seat, &mut half, slow) => {}
        () = seat.ended.notified() => {}
    }
    let fate = {
        let mut desk = floor.desk.borrow_mut();
        let fate = seat.phone.borrow().fate().unwrap_or(Fate::Broke);
        let now = floor.now();
        let second = desk.tally.series.at(now);
        second.ended += 1;
        let failed = match fate {
            Fate::Completed | Fate::Unfinished | Fate::CutOff { .. } => false,
            Fate::GaveUp | Fate::Closed(_) | Fate::Broke => true,
        };
        second.failed += u32::from(failed);
        // What is left of the goodbye.
        seat.out.borrow_mut().send(&mut desk.out);
        fate
    };
    work.gauges.active.fetch_sub(1, Ordering::Relaxed);
    match fate {
        // What is not read when a socket closes makes it a broken one for the other end.
        Fate::Completed | Fate::GaveUp | Fate::Unfinished => {
            spawn_local(see_off(seat, half));
        }
        Fate::Closed(_) | Fate::Broke | Fate::CutOff { .. } => {
            seat.out.borrow_mut().way = Way::Gone;
        }
    }
    Some(fate)
}

/// Both ends of a connection.
fn halves(stream: Stream) -> (Box<dyn AsyncRead + Unpin>, Way) {
    match stream {
        Stream::Plain(tcp) => {
            let (read, write) = tcp.into_split();
            (Box::new(read), Way::Plain(write))
        }
        Stream::Tls(tls) => {
            let (read, mut write) = tokio::io::split(*tls);
            let (queue, mut waiting) = mpsc::channel::<Vec<u8>>(64);
            spawn_local(async move {
                while let Some(bytes) = waiting.recv().await {
                    if write.write_all(&bytes).await.is_err() || write.flush().await.is_err() {
                        return;
                    }
                }
                let _ = write.shutdown().await;
            });
            (Box::new(read), Way::Tls(queue))
        }
    }
}

/// Reads until the call has ended or the line is gone.
async fn hear_out(floor: &Rc<Floor>, seat: &Rc<Seat>, half: &mut (dyn AsyncRead + Unpin), slow: Option<u32>) {
    loop {
        let most = slow.map_or(READ, |bytes| (bytes as usize / 10).clamp(1, READ));
        let read = poll_fn(|context| {
            loop {
                let mut scratch = floor.scratch.borrow_mut();
                let mut buffer = ReadBuf::new(&mut scratch[..most]);
                match Pin::new(&mut *half).poll_read(context, &mut buffer) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                        floor.reads.set(floor.reads.get() + 1);
                        let (mut phone, mut desk) = (seat.phone.borrow_mut(), floor.desk.borrow_mut());
                        if phone.fate().is_none() {
                            phone.received(floor.now(), buffer.filled(), &mut desk);
                            floor.after(seat, &mut phone, &mut desk);
                        }
                        if phone.fate().is_some() {
                            return Poll::Ready(None);
                        }
                        if slow.is_some() {
                            return Poll::Ready(Some(buffer.filled().len()));
                        }
                    }
                    Poll::Ready(Ok(()) | Err(_)) => {
                        let (mut phone, mut desk) = (seat.phone.borrow_mut(), floor.desk.borrow_mut());
                        phone.broke(&mut desk);
                        return Poll::Ready(None);
                    }
                }
            }
        })
        .await;
        let (Some(read), Some(slow)) = (read, slow) else { return };
        sleep(Duration::from_secs_f64(read as f64 / f64::from(slow))).await;
    }
}

/// After the caller's goodbye: what still comes is read, for a while.
async fn see_off(seat: Rc<Seat>, mut half: Box<dyn AsyncRead + Unpin>) {
    let reading = async {
        let mut rest = [0; 1_024];
        while half.read(&mut rest).await.is_ok_and(|read| read > 0) {
            seat.out.borrow_mut().send(&mut Vec::new());
        }
    };
    let _ = timeout(CLOSE_WAIT, reading).await;
    seat.out.borrow_mut().way = Way::Gone;
}

/// CPU time of this thread, in nanoseconds.
fn cpu_ns() -> Option<u64> {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    told.split(' ').next()?.parse().ok()
}

/// A frame in slots.
const _: () = assert!(FRAME_US == 1_000 * SLOTS as u64);
