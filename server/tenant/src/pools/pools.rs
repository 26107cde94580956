use super::{
    Limits, Repair, TenantLocation, Usage, budget::Budget, entry::PoolEntry, role_limit, tenant::Tenant,
};
use crate::Credentials;
use moka::{ops::compute::Op, sync::Cache};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak, atomic::AtomicI32, atomic::Ordering::Relaxed},
    time::Duration,
};

/// Idle time after which a tenant's entry is dropped; its connections close earlier.
const IDLE_TTL: Duration = Duration::from_secs(300);

/// The connection pools of all tenants; cheap to clone.
#[derive(Clone)]
pub struct Pools(Arc<Shared>);

struct Shared {
    credentials: Credentials,
    limits: Limits,
    tenants: Cache<String, Tenant>,
    servers: Mutex<Servers>,
    repair: Repair,
    /// Required connection limit of tenant roles.
    role_limit: Arc<AtomicI32>,
}

struct Servers {
    /// This process's share of each server's budget.
    limit: usize,
    budgets: HashMap<(String, u16), Arc<Budget>>,
}

impl Pools {
    /// `repair` restores a role that cannot log in, or has changed its own settings.
    pub fn new(credentials: Credentials, limits: Limits, repair: Repair) -> Self {
        let tenants = Cache::builder().time_to_idle(IDLE_TTL.max(limits.idle)).build();
        let servers = Mutex::new(Servers { limit: limits.per_server, budgets: HashMap::new() });
        let role_limit = Arc::new(AtomicI32::new(role_limit(limits.per_tenant, 1)));
        let shared = Arc::new(Shared { credentials, limits, tenants, servers, repair, role_limit });
        tokio::spawn(close_unused(Arc::downgrade(&shared), limits.idle));
        Self(shared)
    }

    /// Returns the tenant at `location`; connects on demand. Replaces an entry with another location, password or TLS
    /// settings, as a notification may have been missed.
    pub async fn get(&self, location: &TenantLocation) -> Tenant {
        if let Some(tenant) = self.0.tenants.get(&location.tenant_id)
            && tenant.is_at(location)
        {
            return tenant;
        }
        let mut replaced = None;
        let result = self.0.tenants.entry_by_ref(&location.tenant_id).and_compute_with(|entry| {
            let cached = entry.map(moka::Entry::into_value);
            if cached.as_ref().is_some_and(|tenant| tenant.is_at(location)) {
                return Op::Nop;
            }
            replaced = cached;
            Op::Put(self.tenant(location))
        });
        if let Some(tenant) = replaced {
            tenant.close();
        }
        result.into_entry().expect("nothing was removed").into_value()
    }

    /// Closes a tenant's connections, those in use after their request.
    pub async fn remove(&self, tenant_id: &str) {
        if let Some(tenant) = self.0.tenants.remove(tenant_id) {
            tenant.close();
        }
    }

    pub fn remove_all(&self) {
        self.0.tenants.iter().for_each(|(_, tenant)| tenant.close());
        self.0.tenants.invalidate_all();
    }

    /// Sets each server's limit; closes connections above it once they are idle.
    pub fn set_limit(&self, limit: usize) {
        let mut servers = self.servers();
        servers.limit = limit;
        servers.budgets.values().for_each(|budget| budget.set_limit(limit));
    }

    /// Lowers each server's limit to at most `limit`.
    pub fn lower_limit(&self, limit: usize) {
        let lower = limit.min(self.servers().limit);
        self.set_limit(lower);
    }

    pub fn usage(&self) -> Vec<Usage> {
        self.servers().budgets.values().map(|budget| budget.usage()).collect()
    }

    /// Returns this process's share of each server's budget.
    pub fn limit(&self) -> usize {
        self.servers().limit
    }

    /// Sets the number of processes that share the budget.
    pub fn set_processes(&self, processes: usize) {
        self.0.role_limit.store(role_limit(self.0.limits.per_tenant, processes), Relaxed);
    }

    /// Returns the required connection limit of tenant roles.
    pub fn role_limit(&self) -> i32 {
        self.0.role_limit.load(Relaxed)
    }

    fn tenant(&self, location: &TenantLocation) -> Tenant {
        let password = self.0.credentials.password(&location.tenant_id, location.role_version);
        let (repair, role_limit) = (self.0.repair.clone(), self.0.role_limit.clone());
        let entry = PoolEntry::new(location, &password, repair, role_limit);
        Tenant::new(Arc::new(entry), self.budget(location))
    }

    fn budget(&self, location: &TenantLocation) -> Arc<Budget> {
        let mut servers = self.servers();
        let limit = servers.limit;
        let make = || Arc::new(Budget::new(&location.host, location.port, limit, self.0.limits));
        servers.budgets.entry((location.host.clone(), location.port)).or_insert_with(make).clone()
    }

    fn servers(&self) -> std::sync::MutexGuard<'_, Servers> {
        self.0.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let servers = self.servers.get_mut().unwrap_or_else(PoisonError::into_inner);
        servers.budgets.values().for_each(|budget| budget.set_limit(0));
    }
}

/// Closes idle connections periodically, until the pools are dropped.
async fn close_unused(shared: Weak<Shared>, idle: Duration) {
    let mut interval = tokio::time::interval(idle / 4);
    loop {
        interval.tick().await;
        let Some(shared) = shared.upgrade() else { return };
        let budgets: Vec<_> = {
            let servers = shared.servers.lock().unwrap_or_else(PoisonError::into_inner);
            servers.budgets.values().cloned().collect()
        };
        budgets.iter().for_each(Budget::close_unused);
    }
}
