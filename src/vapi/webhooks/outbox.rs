//! The reports that a tenant owes to servers of its customers: kept in its store before the first attempt, sent until they
//! were taken, given up after three days.
//!
//! The first attempt is the call's own, behind what else it tells; the next ones are made by [`deliver`], at growing
//! distances. Each attempt is claimed in the store first, so that two who want to make it send it once. One thing cannot be
//! known: whether a server took what was sent just before our process died. It is then sent again, with the same call id.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use tokio::{sync::Notify, time::sleep};

use super::{REPORTS, customer::attempt};
use crate::{
    booking,
    privacy::Pii,
    store::{Owed, Owing, Reports, StoreError},
    tenant::{Directory, Tenant, TenantId},
    transport::vapi::Kind,
    vapi::assistant::Server,
};

/// The call itself has so long to begin the first attempt.
const FIRST: SignedDuration = SignedDuration::from_mins(2);

/// Between the end of the first attempt and the next; doubled each time.
const AGAIN: SignedDuration = SignedDuration::from_secs(30);

/// The most it becomes.
const AGAIN_MAX: SignedDuration = SignedDuration::from_hours(6);

/// A report that is older is given up.
const AGE_MAX: SignedDuration = SignedDuration::from_hours(72);

/// Reports that are sent at the same time.
const AT_ONCE: usize = 8;

/// The longest sleep: clocks are set.
const SLEEP_MAX: Duration = Duration::from_secs(3_600);

/// The sleep when the store fails.
const STORE_WAIT: Duration = Duration::from_secs(60);

/// What a tenant owes.
#[derive(Debug)]
pub struct Outbox {
    store: Arc<dyn Reports>,
    tenant: booking::TenantId,
    /// Something is owed that was not.
    news: Notify,
}

/// Counts a report.
fn count(end: &'static str) {
    metrics::counter!(REPORTS, "end" => end).increment(1);
}

impl Outbox {
    /// What this tenant owes by this store.
    pub fn new(store: Arc<dyn Reports>, tenant: booking::TenantId) -> Self {
        Self { store, tenant, news: Notify::new() }
    }

    /// Keeps a report. Says whether it may be claimed; when it could not be kept, it may be sent without.
    pub(super) async fn owe(&self, call: &str, server: &Server, body: &Bytes) -> Owing {
        let now = Timestamp::now();
        let report = Owed {
            call: call.to_owned(),
            server: Pii::new(server.stored()),
            body: Pii::new(String::from_utf8_lossy(body).into_owned()),
            written: now,
            next: now.saturating_add(FIRST).unwrap_or(now),
            attempts: 0,
        };
        let owing = self.store.owe(&self.tenant, &report).await.unwrap_or_else(|error| {
            tracing::error!(call, %error, "the report of a call was not kept: it is sent once");
            Owing::Full
        });
        match owing {
            Owing::New => self.news.notify_one(),
            Owing::Known => {}
            Owing::Full => count("not_kept"),
        }
        owing
    }

    /// The first attempt, of a report that is owed.
    pub(super) async fn first(&self, tenant: &Tenant, call: &str, server: &Server, body: Bytes) {
        if let Err(error) = self.attempt(tenant, call, server, body, 0).await {
            tracing::error!(call, %error, "the report of a call waits for the store");
        }
    }

    /// The only attempt, of a report that could not be kept.
    pub(super) async fn once(&self, tenant: &Tenant, call: &str, server: &Server, body: Bytes) {
        count(if sent(tenant, call, server, body).await { "delivered" } else { "given_up" });
    }

    async fn attempt(
        &self,
        tenant: &Tenant,
        call: &str,
        server: &Server,
        body: Bytes,
        number: u32,
    ) -> Result<(), StoreError> {
        // Whoever comes next comes after this attempt has surely ended.
        let wait = AGAIN.saturating_mul(1 << number.min(16)).min(AGAIN_MAX);
        let longest = SignedDuration::try_from(server.timeout).unwrap_or(SignedDuration::MAX);
        let now = Timestamp::now();
        let next = now.saturating_add(wait.saturating_add(longest)).unwrap_or(now);
        if !self.store.claim(&self.tenant, call, number, next).await? {
            return Ok(());
        }
        if sent(tenant, call, server, body).await {
            self.store.settle(&self.tenant, call, Timestamp::now()).await?;
            count("delivered");
        } else {
            count("again");
        }
        Ok(())
    }

    /// A later attempt, or none any more.
    async fn again(&self, tenant: &Tenant, owed: Owed) -> Result<(), StoreError> {
        let (call, now) = (&owed.call, Timestamp::now());
        let server = Server::from_stored(owed.server.reveal());
        match server.filter(|_| now.duration_since(owed.written) <= AGE_MAX) {
            Some(server) => {
                let body = Bytes::from(owed.body.into_inner());
                self.attempt(tenant, call, &server, body, owed.attempts).await
            }
            None => {
                if self.store.settle(&self.tenant, call, now).await? {
                    count("given_up");
                    tracing::error!(
                        call,
                        attempts = owed.attempts,
                        "the report of a call was never taken: it is given up"
                    );
                }
                Ok(())
            }
        }
    }

    /// Makes the attempts that are due. How long there is nothing to do then; no time: look again.
    async fn pass(&self, tenant: &Tenant) -> Result<Option<Duration>, StoreError> {
        let now = Timestamp::now();
        let mut owed = self.store.owed(&self.tenant, AT_ONCE).await?;
        let due = owed.iter().take_while(|owed| owed.next <= now).count();
        if due == 0 {
            let wait = owed.first().map(|first| first.next.duration_since(now));
            return Ok(Some(wait.and_then(|wait| wait.try_into().ok()).unwrap_or(SLEEP_MAX).min(SLEEP_MAX)));
        }
        owed.truncate(due);
        // A shutdown waits for what is being sent, as for any write.
        let _write = tenant.write();
        join_all(owed.into_iter().map(|owed| self.again(tenant, owed))).await.into_iter().collect::<Result<(), _>>()?;
        Ok(None)
    }
}

/// Sends a report. Whether it was taken.
async fn sent(tenant: &Tenant, call: &str, server: &Server, body: Bytes) -> bool {
    let webhooks = &tenant.profile().vapi.webhooks;
    let reply = attempt(webhooks, call, server, Kind::EndOfCallReport, body, server.timeout).await;
    reply.is_ok_and(|reply| (200..300).contains(&reply.status))
}

/// Sends what a tenant owes, until it is told to stop or the tenant is gone. One for each tenant and store; of two nothing is
/// sent twice.
pub async fn deliver(directory: Arc<Directory>, id: TenantId, stop: impl Future<Output = ()>) {
    let mut stop = std::pin::pin!(stop);
    let Some(outbox) = directory.get(&id).map(|tenant| Arc::clone(tenant.outbox())) else { return };
    loop {
        // Its settings may have changed; a tenant that came back has another outbox, and another one of us.
        let tenant = directory.get(&id).filter(|tenant| Arc::ptr_eq(tenant.outbox(), &outbox));
        let Some(tenant) = tenant else { return };
        let wait = match outbox.pass(&tenant).await {
            Ok(wait) => wait.unwrap_or(Duration::ZERO),
            Err(error) => {
                tracing::error!(tenant = %id, %error, "reports of calls wait for the store");
                STORE_WAIT
            }
        };
        drop(tenant);
        tokio::select! {
            biased;
            () = &mut stop => return,
            () = outbox.news.notified() => {}
            () = sleep(wait) => {}
        }
    }
}
