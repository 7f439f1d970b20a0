//! The calls under way: how many, under which ids, and the way to each for who comes from outside its own socket.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use tokio::{
    net::TcpStream,
    sync::{Notify, mpsc},
};

use super::{limits, socket::Socket, tap::Listener};
use crate::{audio::Format, call::Control, tenant::TenantId};

/// Whose call, and under which of the peer's ids.
type Name = (TenantId, Box<str>);

/// The calls of one gateway.
#[derive(Debug, Default)]
pub(super) struct Calls {
    /// How many.
    active: AtomicUsize,
    /// Told when one ends.
    ended: Notify,
    /// Those that their peers gave ids: one connection for each.
    named: Mutex<HashMap<Name, Line>>,
}

/// One call under way; over when dropped.
#[derive(Debug)]
pub(super) struct Active {
    calls: Arc<Calls>,
    named: Option<Named>,
}

/// A call that can be reached by its id.
#[derive(Debug)]
struct Named {
    name: Name,
    lost: Arc<AtomicBool>,
    errands: mpsc::Receiver<Errand>,
}

/// The way to a call.
#[derive(Debug)]
struct Line {
    /// What its audio is in.
    format: Format,
    /// It has lost its connection and waits for another one.
    lost: Arc<AtomicBool>,
    errands: mpsc::Sender<Errand>,
}

/// What comes to a call from outside its own socket.
#[derive(Debug)]
pub(super) enum Errand {
    /// The peer is back: another connection for the same call.
    Back(Box<Socket<TcpStream>>),
    /// Somebody with the right to asks for something.
    Control(Control),
    /// Somebody with the right to listens.
    Listen(Listener),
}

impl Calls {
    /// Begins a call, under the peer's id of it and in this format if it has one. `None` when the id is in use.
    pub(super) fn begin(self: &Arc<Self>, tenant: &TenantId, id: Option<(&str, Format)>) -> Option<Active> {
        let named = match id {
            None => None,
            Some((id, format)) => {
                let name = (tenant.clone(), Box::from(id));
                let (sender, errands) = mpsc::channel(limits::ERRANDS_WAITING_MAX);
                let lost = Arc::new(AtomicBool::new(false));
                match self.lines().entry(name.clone()) {
                    Entry::Occupied(_) => return None,
                    Entry::Vacant(free) => free.insert(Line { format, lost: Arc::clone(&lost), errands: sender }),
                };
                Some(Named { name, lost, errands })
            }
        };
        self.active.fetch_add(1, Ordering::AcqRel);
        Some(Active { calls: Arc::clone(self), named })
    }

    /// The call of this id has lost its connection and waits for another one.
    pub(super) fn is_lost(&self, tenant: &TenantId, id: &str) -> bool {
        self.lines().get(&(tenant.clone(), Box::from(id))).is_some_and(|line| line.lost.load(Ordering::Acquire))
    }

    /// Hands a new connection to a call that has lost its own, in the same format; gives it back where there is none.
    pub(super) fn rejoin(
        &self,
        tenant: &TenantId,
        id: &str,
        format: Format,
        socket: Box<Socket<TcpStream>>,
    ) -> Result<(), Box<Socket<TcpStream>>> {
        let lines = self.lines();
        let Some(line) = lines.get(&(tenant.clone(), Box::from(id))).filter(|line| line.format == format) else {
            return Err(socket);
        };
        // Of two who come at once one is taken.
        if !line.lost.swap(false, Ordering::AcqRel) {
            return Err(socket);
        }
        match line.errands.try_send(Errand::Back(socket)).map_err(mpsc::error::TrySendError::into_inner) {
            Err(Errand::Back(socket)) => Err(socket),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Hands an errand to the call of this id. Whether there is one, and it is not flooded.
    pub(super) fn tell(&self, tenant: &TenantId, id: &str, errand: Errand) -> bool {
        let lines = self.lines();
        let line = lines.get(&(tenant.clone(), Box::from(id)));
        line.is_some_and(|line| line.errands.try_send(errand).is_ok())
    }

    /// How many there are.
    pub(super) fn active(&self) -> usize {
        self.active.load(Ordering::Acquire)
    }

    /// Waits until there is none.
    pub(super) async fn quiet(&self) {
        loop {
            let ended = self.ended.notified();
            if self.active() == 0 {
                return;
            }
            ended.await;
        }
    }

    fn lines(&self) -> std::sync::MutexGuard<'_, HashMap<Name, Line>> {
        self.named.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Active {
    /// The connection is lost. Whether another one may come for this call.
    pub(super) fn lost(&self) -> bool {
        self.named.as_ref().is_some_and(|named| {
            named.lost.store(true, Ordering::Release);
            true
        })
    }

    /// What comes next from outside; never, for a call without an id.
    pub(super) async fn errand(&mut self) -> Errand {
        match &mut self.named {
            Some(Named { errands, .. }) => match errands.recv().await {
                Some(errand) => errand,
                // The other end lives as long as we do.
                None => std::future::pending().await,
            },
            None => std::future::pending().await,
        }
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        if let Some(named) = &self.named {
            self.calls.lines().remove(&named.name);
        }
        self.calls.active.fetch_sub(1, Ordering::AcqRel);
        self.calls.ended.notify_waiters();
    }
}
