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
    runtime::Handle,
    sync::{Notify, mpsc},
};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::{limits, socket::Socket, tap::Listener, vapi::recordings::Recorder};
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
    /// Who records it, until there is something to record.
    recorder: Option<Recorder>,
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
        Some(Active { calls: Arc::clone(self), named, recorder: None })
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

    /// Ends the call of this id, however much waits to be handed to it.
    pub(super) fn cancel(&self, tenant: &TenantId, id: &str) {
        let errands = self.lines().get(&(tenant.clone(), Box::from(id))).map(|line| line.errands.clone());
        let Some(errands) = errands else { return };
        if let Err(mpsc::error::TrySendError::Full(errand)) = errands.try_send(Errand::Control(Control::Cancel)) {
            // It waits its turn; with the call it ends.
            tokio::spawn(async move { errands.send(errand).await });
        }
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
    /// It is to be recorded.
    pub(super) fn record(&mut self, recorder: Recorder) {
        self.recorder = Some(recorder);
    }

    /// Who records it, for whoever has its sound.
    pub(super) fn recorder(&mut self) -> Option<Recorder> {
        self.recorder.take()
    }

    /// The connection is lost. Whether another one may come for this call.
    pub(super) fn lost(&self) -> bool {
        self.named.as_ref().is_some_and(|named| {
            named.lost.store(true, Ordering::Release);
            true
        })
    }

    /// The call is over: who comes now comes too late.
    pub(super) fn over(&self) {
        if let Some(named) = &self.named {
            named.lost.store(false, Ordering::Release);
        }
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

/// A connection that came in the very moment in which its call gave up waiting is told so.
async fn too_late(mut socket: Box<Socket<TcpStream>>) {
    socket.close(CloseCode::Policy, "this call is over").await;
}

impl Drop for Active {
    fn drop(&mut self) {
        if let Some(named) = &mut self.named {
            self.calls.lines().remove(&named.name);
            // Nobody hands it anything any more: what is left was handed over before.
            while let Ok(errand) = named.errands.try_recv() {
                match (errand, Handle::try_current()) {
                    (Errand::Back(socket), Ok(runtime)) => drop(runtime.spawn(too_late(socket))),
                    (Errand::Back(_) | Errand::Control(_) | Errand::Listen(_), _) => {}
                }
            }
        }
        self.calls.active.fetch_sub(1, Ordering::AcqRel);
        self.calls.ended.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::StreamExt;
    use tokio::{net::TcpListener, time::timeout};
    use tokio_tungstenite::{
        WebSocketStream,
        tungstenite::{Message, protocol::Role},
    };

    use super::*;
    use crate::gateway::clock;

    fn rossi() -> TenantId {
        TenantId::new("rossi").expect("a name")
    }

    /// A connection: our end, and the peer's.
    async fn connection() -> (Box<Socket<TcpStream>>, WebSocketStream<TcpStream>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (ours, theirs) = tokio::join!(listener.accept(), TcpStream::connect(address));
        let ours = WebSocketStream::from_raw_socket(ours.expect("accepted").0, Role::Server, None).await;
        let theirs = WebSocketStream::from_raw_socket(theirs.expect("connected"), Role::Client, None).await;
        (Box::new(Socket::new(ours, clock::now())), theirs)
    }

    /// Regression: it was dropped without a word, and its peer dialled again and again.
    #[tokio::test]
    async fn who_comes_back_as_the_call_gives_up_is_told_that_it_is_over() {
        let calls = Arc::new(Calls::default());
        let active = calls.begin(&rossi(), Some(("c1", Format::PCM_WIDE))).expect("the id is free");
        assert!(active.lost());
        let (socket, mut peer) = connection().await;
        assert!(calls.rejoin(&rossi(), "c1", Format::PCM_WIDE, socket).is_ok(), "the call waits for it");
        drop(active);
        let last = timeout(Duration::from_secs(20), peer.next()).await.expect("a word");
        let Some(Ok(Message::Close(Some(frame)))) = last else { panic!("{last:?}") };
        assert_eq!((frame.code, frame.reason.as_str()), (CloseCode::Policy, "this call is over"));
        assert!(calls.begin(&rossi(), Some(("c1", Format::PCM_WIDE))).is_some(), "the id is free again");
    }

    #[tokio::test]
    async fn a_call_that_is_over_takes_nobody_back() {
        let calls = Arc::new(Calls::default());
        let active = calls.begin(&rossi(), Some(("c1", Format::PCM_WIDE))).expect("the id is free");
        assert!(active.lost());
        active.over();
        let (socket, _peer) = connection().await;
        assert!(calls.rejoin(&rossi(), "c1", Format::PCM_WIDE, socket).is_err());
    }

    #[tokio::test]
    async fn a_flooded_call_is_ended_all_the_same() {
        let calls = Arc::new(Calls::default());
        let mut active = calls.begin(&rossi(), Some(("c1", Format::PCM_WIDE))).expect("the id is free");
        while calls.tell(&rossi(), "c1", Errand::Control(Control::Greet)) {}
        calls.cancel(&rossi(), "c1");
        let cancelled = async { while !matches!(active.errand().await, Errand::Control(Control::Cancel)) {} };
        timeout(Duration::from_secs(20), cancelled).await.expect("it comes in its turn");
        calls.cancel(&rossi(), "nobody");
    }
}
