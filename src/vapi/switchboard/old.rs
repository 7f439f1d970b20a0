//! Calls that are older than a tenant keeps them.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::time::sleep;

use super::{Switchboard, before};
use crate::{
    store::DocumentKind,
    tenant::{Directory, TenantId},
};

/// Between two looks.
const LOOK: Duration = Duration::from_secs(3_600);

/// Forgets calls when they are old, until it is told to stop or the tenant is gone. One for each tenant.
pub async fn forget_old_calls(directory: Arc<Directory>, id: TenantId, stop: impl Future<Output = ()>) {
    let mut stop = std::pin::pin!(stop);
    let Some(board) = directory.get(&id).map(|tenant| Arc::clone(tenant.switchboard())) else { return };
    loop {
        tokio::select! {
            biased;
            () = &mut stop => return,
            () = sleep(LOOK) => {}
        }
        // Its settings may have changed; a tenant that came back has another switchboard, and another one of us.
        let tenant = directory.get(&id).filter(|tenant| Arc::ptr_eq(tenant.switchboard(), &board));
        let Some(tenant) = tenant else { return };
        board.forget_calls_before(before(Timestamp::now(), tenant.profile().vapi.keep_calls)).await;
    }
}

impl Switchboard {
    /// Forgets the calls that are over and were created before, also those that cannot be read.
    pub async fn forget_calls_before(&self, created: Timestamp) {
        let forgotten = self.calls().forget_before(created);
        self.changed(forgotten.into_iter().map(|id| (DocumentKind::Call, id)));
        if let Some(keeping) = &self.0.keeping
            && let Err(error) = keeping.store.erase_before(&keeping.tenant, DocumentKind::Call, created).await
        {
            tracing::error!(tenant = keeping.tenant.as_str(), %error, "old calls wait for the store to be erased");
        }
    }
}
