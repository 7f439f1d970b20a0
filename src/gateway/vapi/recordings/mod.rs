//! Recordings of calls that were created over REST: both sides, from the answer on, kept for as long as the shop says.
//!
//! | room | what |
//! |---|---|
//! | `recorder` | from the tap of a call to the disk, without ever making the call wait |
//! | `file` | one recording: WAV, written and read |
//! | `shelf` | the folder of a tenant: names, erasing, bounds |
//! | `address` | the places in the REST interface, and addresses that open by themselves for some minutes |
//! | `serve` | a recording over HTTP |
//!
//! Nothing is recorded unless the shop says so (`[vapi.recordings]`): people must be told that they are. A recording
//! knows its call's id and nothing else of it; where the call is forgotten, the recording can still be had and erased by
//! that id. What is kept is never listened to here, sent anywhere, or copied.

mod address;
mod file;
mod recorder;
mod serve;
mod shelf;

use std::{
    collections::{HashMap, HashSet},
    fmt, io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ring::{
    hmac,
    rand::{SecureRandom, SystemRandom},
};
use tokio::{
    sync::Notify,
    task::spawn_blocking,
    time::{sleep, timeout},
};
use tracing::Instrument;

pub(in crate::gateway) use address::{places, sides};
pub(in crate::gateway) use recorder::Recorder;
pub(in crate::gateway) use serve::{redirected, serve};

use self::{recorder::Making, shelf::Shelf};
use crate::{
    gateway::{
        Shared, Step, clock,
        metrics::{self, Erasure},
    },
    tenant::{Tenant, TenantId},
};

/// So often recordings that have become too old are looked for.
const TIDY_EVERY: Duration = Duration::from_secs(3_600);

/// How long who asks for a recording waits until its last words are on the disk.
const CLOSE_WAIT: Duration = Duration::from_secs(5);

/// Whose, of which call.
type Name = (TenantId, Box<str>);

/// The recordings of one gateway.
pub(in crate::gateway) struct Recordings {
    /// What addresses are signed with. It dies with the process, and they with it.
    key: hmac::Key,
    /// Those that are being made.
    making: Mutex<HashMap<Name, Arc<Making>>>,
    /// Told when one is made.
    made: Notify,
}

impl Default for Recordings {
    fn default() -> Self {
        let mut secret = [0; 32];
        SystemRandom::new().fill(&mut secret).expect("the system has randomness");
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, &secret), making: Mutex::default(), made: Notify::new() }
    }
}

/// A call is being recorded: what its minutes ask about it.
#[derive(Debug, Clone)]
pub(in crate::gateway) struct Recorded(Arc<Making>);

impl Recorded {
    /// There will be a recording, as far as we know.
    pub(in crate::gateway) fn is_kept(&self) -> bool {
        !self.0.is_gone()
    }
}

/// One that is being made; no longer when dropped.
struct UnderWay {
    recordings: Arc<Recordings>,
    name: Name,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.recordings.making().remove(&self.name);
        self.recordings.made.notify_waiters();
    }
}

impl Recordings {
    /// Begins to record a call: what is put into the recorder is written until that is dropped. `None` where the tenant
    /// records nothing.
    pub(in crate::gateway) fn begin(
        self: &Arc<Self>,
        tenant: &Arc<Tenant>,
        call: &str,
    ) -> Option<(Recorder, Recorded)> {
        let plan = tenant.profile().vapi.recordings.filter(|_| tenant.records())?;
        let path = Shelf::of(tenant)?.path(call)?;
        let making = Arc::new(Making::new(path, plan.bytes_max));
        let name: Name = (tenant.id().clone(), call.into());
        self.making().insert(name.clone(), Arc::clone(&making));
        let under_way = UnderWay { recordings: Arc::clone(self), name };
        let (recorder, batches) = Recorder::new();
        let recorded = Recorded(Arc::clone(&making));
        let tenant = Arc::clone(tenant);
        // A shutdown waits for it as for a booking.
        let write = tenant.write();
        let writing = async move {
            recorder::write(&making, batches).await;
            let recordings = Arc::clone(&under_way.recordings);
            drop(under_way);
            recordings.tidy(&tenant).await;
            drop(write);
        };
        tokio::spawn(writing.in_current_span());
        Some((recorder, recorded))
    }

    /// Whether there is a recording of a call. One that has just ended is waited for.
    pub(in crate::gateway) async fn has(&self, tenant: &Tenant, call: &str) -> bool {
        let Some(path) = Shelf::of(tenant).and_then(|shelf| shelf.path(call)) else { return false };
        let name: Name = (tenant.id().clone(), call.into());
        let made = async {
            loop {
                let made = self.made.notified();
                if !self.making().contains_key(&name) {
                    return;
                }
                made.await;
            }
        };
        // A disk that is slower than that has the beginning of it at least.
        let _ = timeout(CLOSE_WAIT, made).await;
        let long = move || std::fs::metadata(path).is_ok_and(|found| found.len() > file::HEADER_BYTES);
        spawn_blocking(long).await.unwrap_or(false)
    }

    /// Erases the recording of a call, also while it is being made. An error leaves it where it is.
    pub(in crate::gateway) async fn erase(&self, tenant: &Tenant, call: &str) -> io::Result<()> {
        let Some(shelf) = Shelf::of(tenant) else { return Ok(()) };
        let name: Name = (tenant.id().clone(), call.into());
        let making = self.making().get(&name).cloned();
        let call = call.to_owned();
        let erasing = spawn_blocking(move || {
            if let Some(making) = making {
                making.give_up();
            }
            shelf.erase(&call)
        });
        match erasing.await.unwrap_or_else(|panic| Err(io::Error::other(panic))) {
            Ok(erased) => {
                metrics::recordings_erased(Erasure::Asked, u64::from(erased));
                Ok(())
            }
            Err(error) => {
                tracing::error!(tenant = %tenant.id(), %error, "a recording could not be erased");
                Err(error)
            }
        }
    }

    /// Erases what a tenant may not keep any longer.
    async fn tidy(&self, tenant: &Tenant) {
        let Some(plan) = tenant.profile().vapi.recordings else { return };
        let Some(shelf) = Shelf::of(tenant) else { return };
        let of_tenant = |(id, call): &Name| (id == tenant.id()).then(|| call.clone());
        let making: HashSet<_> = self.making().keys().filter_map(of_tenant).collect();
        let now_s = clock::epoch_ms() / 1_000;
        let Ok((erased, result)) = spawn_blocking(move || shelf.tidy(plan, now_s, &making)).await else { return };
        metrics::recordings_erased(Erasure::Old, erased.old);
        metrics::recordings_erased(Erasure::Over, erased.over);
        if let Err(error) = result {
            tracing::error!(tenant = %tenant.id(), %error, "recordings that are to go could not be erased");
        }
    }

    fn making(&self) -> MutexGuard<'_, HashMap<Name, Arc<Making>>> {
        self.making.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Neither the key nor the calls.
impl fmt::Debug for Recordings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recordings").field("making", &self.making().len()).finish_non_exhaustive()
    }
}

/// Keeps the recordings of every tenant within its bounds until the shutdown is done.
pub(in crate::gateway) async fn keep_tidy(shared: &Shared) {
    let tidying = async {
        loop {
            for id in shared.directory.ids() {
                let Some(tenant) = shared.directory.get(&id) else { continue };
                let wanted = tenant.profile().vapi.recordings.is_some_and(|plan| plan.records());
                if wanted && !tenant.records() {
                    tracing::warn!(tenant = %id, "calls are to be recorded and there is no folder: they are not");
                }
                shared.recordings.tidy(&tenant).await;
            }
            sleep(TIDY_EVERY).await;
        }
    };
    tokio::select! {
        () = shared.drain.reached(Step::Done) => {}
        () = tidying => {}
    }
}
