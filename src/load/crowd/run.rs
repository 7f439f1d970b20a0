//! A run: the schedule of the calls, handed to the shards as they fall due, and what the shards hand in.

use std::{
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use tokio::time::{MissedTickBehavior, interval};

use super::{
    CrowdError, Generator, LATE_MAX, Limit, Outcome, Snapshot, Steering, Target,
    dial::Address,
    phone::us,
    plan::{CALLS_MAX, Plan},
    shard::{self, Chunk, Gauges, HAND_IN, Job, Order, Work},
    sounds::Sounds,
    tally::Tally,
};
use crate::load::chance::Chance;

/// How often the schedule is looked at.
const LOOK: Duration = Duration::from_millis(5);
/// Files of this process that are no calls.
const OTHER_FILES: u64 = 200;
/// How many calls one thread carries before there is another.
const CALLS_PER_SHARD: u32 = 2_000;
/// A shard that is this busy is full.
const BUSY: f64 = 0.9;
/// Seconds out of a hundred that may be so.
const BUSY_SHARE: f64 = 0.05;
/// Orders that wait for a shard.
const ORDERS_MAX: usize = 32_768;

/// Makes the calls of a plan. Every 250 ms `progress` is told how it stands, and may end the run; what was measured
/// until then is the outcome all the same.
pub async fn run(
    plan: &Plan,
    target: &Target,
    sounds: &Sounds,
    steering: &Steering,
    progress: &mut (dyn FnMut(&Snapshot<'_>) -> ControlFlow<()> + Send),
) -> Result<Outcome, CrowdError> {
    plan.check()?;
    if !sounds.belong_to(plan) {
        return Err(CrowdError::OtherSounds);
    }
    let wanted = steering.wanted().or(plan.arrivals.calls_max()).unwrap_or(0);
    let lines_max = lines_max(wanted)?;
    let address = Address::find(&target.address, target.ca.as_deref()).await?;
    let mut crowd = Crowd::start(plan, target, sounds, address, wanted, lines_max)?;
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (mut told, mut window) = (Duration::ZERO, steering.windows());
    let stopped = loop {
        look.tick().await;
        let at = crowd.epoch.elapsed();
        if at >= plan.total() {
            break false;
        }
        if crowd.threads.iter().any(JoinHandle::is_finished) {
            break true;
        }
        // Before anything is done that belongs to the new window.
        if steering.windows() != window {
            window = steering.windows();
            crowd.window.clear();
        }
        crowd.schedule(at, steering);
        crowd.collect();
        if at >= told + HAND_IN {
            told = at;
            let stop = progress(&crowd.snapshot(at, steering)) == ControlFlow::Break(());
            if stop || steering.stopped() {
                break true;
            }
        }
    };
    Ok(crowd.finish(stopped).await)
}

/// The calls of a run, seen from above.
struct Crowd {
    plan: Arc<Plan>,
    epoch: Instant,
    gauges: Arc<Gauges>,
    threads: Vec<JoinHandle<()>>,
    orders: Vec<SyncSender<Order>>,
    /// What the shards hand in.
    chunks: Receiver<Box<Chunk>>,
    /// To each shard, to be used again.
    spares: Vec<SyncSender<Box<Chunk>>>,
    chance: Chance,
    /// Calls dialled so far.
    dialled: u64,
    /// When the next stranger calls, or the next line may be dialled.
    next: u64,
    /// When the lines were last counted: one that is missing now has not been missing for longer.
    counted: u64,
    /// Calls told to hang up.
    shed: u32,
    /// See [`lines_max`].
    lines_max: u32,
    total: Tally,
    window: Tally,
    late: Histogram<u64>,
    generator: Generator,
    /// Of each shard: when it was looked at last and its CPU time then, and its seconds and how many were too busy.
    busy: Vec<Busy>,
    active_max: u32,
}

#[derive(Default, Clone, Copy)]
struct Busy {
    at: u64,
    cpu_ns: u64,
    latest_ns: u64,
    seconds: u32,
    full: u32,
    cores: f64,
}

impl Crowd {
    fn start(
        plan: &Plan,
        target: &Target,
        sounds: &Sounds,
        address: Address,
        wanted: u32,
        lines_max: u32,
    ) -> Result<Self, CrowdError> {
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
        let shards = plan.shards.unwrap_or_else(|| wanted.div_ceil(CALLS_PER_SHARD).clamp(1, cores));
        let (plan, sounds) = (Arc::new(plan.clone()), Arc::new(sounds.clone()));
        let does: Vec<_> = plan.behaviours.iter().cloned().map(Arc::new).collect();
        let of = plan.tenants.iter().map(|_| AtomicU32::new(0)).collect();
        let gauges = Arc::new(Gauges { of, ..Gauges::default() });
        let (hand_in, chunks) = sync_channel(64);
        let (mut threads, mut orders, mut spares) = (vec![], vec![], vec![]);
        #[expect(clippy::disallowed_methods, reason = "callers live in real time: this is their clock")]
        let epoch = Instant::now();
        for shard in 0..shards as usize {
            let (order, ordered) = sync_channel(ORDERS_MAX);
            let (spare, spared) = sync_channel(4);
            let work = Work {
                shard,
                plan: plan.clone(),
                target: target.clone(),
                address: address.clone(),
                said: sounds.clone(),
                does: does.clone(),
                gauges: gauges.clone(),
                epoch,
                orders: ordered,
                hand_in: hand_in.clone(),
                spare: spared,
            };
            let thread = std::thread::Builder::new().name(format!("crowd-{shard}"));
            threads.push(thread.spawn(move || shard::work(work)).map_err(CrowdError::Thread)?);
            orders.push(order);
            spares.push(spare);
        }
        let mut total = Tally::new();
        total.series.at(0);
        Ok(Self {
            chance: Chance::new(plan.seed),
            plan,
            epoch,
            gauges,
            threads,
            orders,
            chunks,
            spares,
            dialled: 0,
            next: 0,
            counted: 0,
            shed: 0,
            lines_max,
            total,
            window: Tally::new(),
            late: Chunk::new(0).late,
            generator: Generator { shards, ..Generator::default() },
            busy: vec![Busy::default(); shards as usize],
            active_max: 0,
        })
    }

    /// Dials what is due, and hangs up what is too much.
    fn schedule(&mut self, at: Duration, steering: &Steering) {
        let now = us(at);
        let plan = self.plan.clone();
        match steering.wanted().or_else(|| plan.arrivals.wanted(at)) {
            None => {
                while self.next <= now {
                    if !self.dial(self.next) && at >= plan.warm_up {
                        self.total.counts.held_back += 1;
                    }
                    let wait = plan.arrivals.next_after(&mut self.chance).unwrap_or(Duration::MAX);
                    self.next = self.next.saturating_add(us(wait).max(1));
                }
            }
            Some(wanted) => {
                let lines = self.gauges.lines.load(Ordering::Relaxed);
                let between = 1e6 / plan.arrivals.dials_per_s();
                // Nobody saves up dials for later.
                self.next = self.next.max(now.saturating_sub(us(LOOK) + between as u64));
                let mut missing = wanted.min(self.lines_max).saturating_sub(lines);
                while missing > 0 && self.next <= now {
                    let due = if between > 0.0 { self.next.max(self.counted) } else { now };
                    if !self.dial(due) {
                        break;
                    }
                    missing -= 1;
                    self.next += between as u64;
                }
                self.counted = now;
                let shedding = self.shed.wrapping_sub(self.gauges.shed.load(Ordering::Relaxed));
                let surplus = lines.saturating_sub(wanted).saturating_sub(shedding);
                if surplus > 0 {
                    self.hang_up(surplus);
                }
            }
        }
        let active = self.gauges.active.load(Ordering::Relaxed);
        self.active_max = self.active_max.max(active);
        let second = self.total.series.at(now);
        second.active = second.active.max(active);
    }

    /// Hands a call to a shard. In vain where every tenant has as many as it may, or we do.
    fn dial(&mut self, due: u64) -> bool {
        let tenants = &self.gauges.of;
        let each = self.plan.calls_each.unwrap_or(u32::MAX);
        let first = self.dialled as usize % tenants.len();
        let free = (0..tenants.len()).map(|step| (first + step) % tenants.len());
        let tenant = free.into_iter().find(|at| tenants[*at].load(Ordering::Relaxed) < each);
        let room = self.gauges.lines.load(Ordering::Relaxed) < self.lines_max;
        let Some(tenant) = tenant.filter(|_| room) else { return false };
        let behaviour = self.chance.weighted(self.plan.behaviours.iter().map(|behaviour| behaviour.weight));
        let (kind, _) = self.plan.wires[self.chance.weighted(self.plan.wires.iter().map(|(_, weight)| *weight))];
        let job = Job { due, number: self.dialled, tenant, behaviour, kind, seed: self.chance.roll() };
        let shard = self.dialled as usize % self.orders.len();
        self.gauges.of[tenant].fetch_add(1, Ordering::Relaxed);
        self.gauges.lines.fetch_add(1, Ordering::Relaxed);
        if self.orders[shard].try_send(Order::Dial(job)).is_err() {
            // The shard is far behind, which its lateness tells.
            self.gauges.of[tenant].fetch_sub(1, Ordering::Relaxed);
            self.gauges.lines.fetch_sub(1, Ordering::Relaxed);
            return false;
        }
        self.dialled += 1;
        true
    }

    fn hang_up(&mut self, calls: u32) {
        let shards = self.orders.len() as u32;
        for (at, orders) in self.orders.iter().enumerate() {
            let part = calls / shards + u32::from((at as u32) < calls % shards);
            if part > 0 && orders.try_send(Order::HangUp(part)).is_ok() {
                self.shed = self.shed.wrapping_add(part);
            }
        }
    }

    /// Takes what the shards have handed in.
    fn collect(&mut self) {
        while let Ok(mut chunk) = self.chunks.try_recv() {
            self.window.merge(&chunk.tally);
            if chunk.measured {
                self.total.merge(&chunk.tally);
                self.late.add(&chunk.late).expect("both have the same bounds");
            } else {
                self.total.series.merge(&chunk.tally.series);
            }
            let frames = chunk.late.len();
            self.generator.frames += frames;
            self.generator.call_seconds += frames as f64 / 50.0;
            if let Some(cpu_ns) = chunk.cpu_ns {
                self.busy[chunk.shard].seen(chunk.at, cpu_ns);
            }
            chunk.clear();
            let _ = self.spares[chunk.shard].try_send(chunk);
        }
        let generator = &mut self.generator;
        generator.cpu = Duration::from_nanos(self.busy.iter().map(|busy| busy.latest_ns).sum());
        generator.cores_max = generator.cores_max.max(self.busy.iter().map(|busy| busy.cores).sum());
        generator.late_p99 = Duration::from_micros(self.late.value_at_quantile(0.99));
        generator.late_max = Duration::from_micros(self.late.max());
        let full = |busy: &Busy| f64::from(busy.full) > (f64::from(busy.seconds) * BUSY_SHARE).max(1.0);
        generator.limit = if generator.late_p99 > LATE_MAX {
            Some(Limit::Late)
        } else if self.busy.iter().any(full) {
            Some(Limit::Cpu)
        } else {
            None
        };
    }

    fn snapshot<'a>(&'a self, at: Duration, steering: &Steering) -> Snapshot<'a> {
        Snapshot {
            at,
            measuring: at >= self.plan.warm_up,
            active: self.gauges.active.load(Ordering::Relaxed),
            dialling: self.gauges.dialling.load(Ordering::Relaxed),
            wanted: steering.wanted().or_else(|| self.plan.arrivals.wanted(at)),
            tally: &self.total,
            window: &self.window,
            generator: &self.generator,
        }
    }

    async fn finish(mut self, stopped: bool) -> Outcome {
        let lasted = self.epoch.elapsed();
        for orders in &self.orders {
            let _ = orders.try_send(Order::Over);
        }
        // A shard that has no room for this sees that nobody is there any more.
        self.orders.clear();
        let threads = std::mem::take(&mut self.threads);
        while threads.iter().any(|thread| !thread.is_finished()) {
            tokio::time::sleep(Duration::from_millis(10)).await;
            self.collect();
        }
        self.collect();
        Outcome {
            measured: lasted.saturating_sub(self.plan.warm_up),
            lasted,
            tally: self.total,
            active_max: self.active_max,
            stopped,
            generator: self.generator,
        }
    }
}

impl Busy {
    fn seen(&mut self, at: u64, cpu_ns: u64) {
        self.latest_ns = cpu_ns;
        if at < self.at + 1_000_000 {
            return;
        }
        self.cores = (cpu_ns.saturating_sub(self.cpu_ns)) as f64 / 1_000.0 / (at - self.at) as f64;
        self.seconds += 1;
        self.full += u32::from(self.cores > BUSY);
        (self.at, self.cpu_ns) = (at, cpu_ns);
    }
}

/// How many calls there may be at once, for the files this process may open.
fn lines_max(wanted: u32) -> Result<u32, CrowdError> {
    if wanted > CALLS_MAX {
        return Err(CrowdError::TooMany(wanted));
    }
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let Some(limit) = open_files(&limits) else { return Ok(CALLS_MAX) };
    let needed = u64::from(wanted) + OTHER_FILES;
    if needed > limit {
        return Err(CrowdError::Files { wanted, needed, limit });
    }
    Ok(u32::try_from(limit - OTHER_FILES).unwrap_or(CALLS_MAX).min(CALLS_MAX))
}

/// The soft limit of open files in what the system says of a process.
fn open_files(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_files_is_read() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                      Max processes             127000               127000               processes \n\
                      Max open files            1024                 524288               files     \n";
        assert_eq!(open_files(limits), Some(1_024));
        assert_eq!(open_files("Max open files            unlimited            unlimited            files"), None);
        assert!(matches!(lines_max(20_000), Err(CrowdError::TooMany(20_000))));
    }

    #[test]
    fn a_shard_that_is_always_busy_is_seen() {
        let mut busy = Busy::default();
        for second in 1..=10 {
            busy.seen(second * 1_000_000, second * 950_000_000);
        }
        assert_eq!((busy.seconds, busy.full), (10, 10));
        assert!((busy.cores - 0.95).abs() < 1e-9);
    }
}
