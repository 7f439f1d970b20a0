//! Which tenants there are.

use std::sync::Arc;

use dashmap::DashMap;

use super::{Tenant, TenantId};

/// The tenants by id. A look-up never waits for another tenant's: shards are locked for a pointer's copy.
#[derive(Debug, Default)]
pub struct Directory(DashMap<TenantId, Arc<Tenant>>);

impl Directory {
    /// Nobody yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The tenant as it is now. Who holds it keeps it, whatever is put in its place.
    pub fn get(&self, id: &TenantId) -> Option<Arc<Tenant>> {
        self.0.get(id).map(|tenant| Arc::clone(&tenant))
    }

    /// Adds a tenant, or puts it in the place of its former self for new calls.
    pub fn put(&self, tenant: Arc<Tenant>) -> Option<Arc<Tenant>> {
        self.0.insert(tenant.id().clone(), tenant)
    }

    /// Takes a tenant away: new calls are refused, those under way go on to their end.
    pub fn remove(&self, id: &TenantId) -> Option<Arc<Tenant>> {
        self.0.remove(id).map(|(_, tenant)| tenant)
    }

    /// Every id, in order.
    pub fn ids(&self) -> Vec<TenantId> {
        let mut ids: Vec<_> = self.0.iter().map(|entry| entry.key().clone()).collect();
        ids.sort();
        ids
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Nobody.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
