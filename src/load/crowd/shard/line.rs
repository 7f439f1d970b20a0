//! A line: dialled, listened to until the call has ended, seen off, and free again.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    pin::Pin,
    rc::Rc,
    sync::atomic::Ordering,
    task::Poll,
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, ReadBuf},
    sync::Notify,
    task::spawn_local,
    time::{sleep, timeout},
};

use super::{
    Floor, Job, READ, Seat,
    out::{Out, Way, halves},
};
use crate::load::{
    chance::Chance,
    crowd::{
        dial::{CLOSE_WAIT, NotIn, Request},
        faults::Faulty,
        phone::{Fate, Phone, Setup},
        tally::Measure,
    },
};

/// A line from the dial until it is free again.
pub(super) async fn line(floor: Rc<Floor>, mut job: Job) {
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
                    desk.record(Measure::Refused, now.saturating_sub(job.due));
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
