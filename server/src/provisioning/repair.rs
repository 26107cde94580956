use super::{Servers, databases::Role, failure::Failure, steps::Result};
use identity::Secret;
use registry::{
    Registry, TenantId, processes,
    tenants::{self, Isolation},
};

/// Restores the role of a tenant: its settings, password, connection limit and rights.
#[derive(Clone)]
pub struct Repairs {
    pub registry: Registry,
    pub servers: Servers,
    pub secret: Secret,
    /// The most connections of one process to one tenant.
    pub per_tenant: usize,
}

impl Repairs {
    /// Whether it was done; why not is logged.
    pub async fn run(&self, id: &TenantId) -> bool {
        match self.repair(id).await {
            Ok(()) => {
                tracing::warn!(tenant = %id, "a church's role was restored: its settings, password or connection limit were not ours");
                true
            }
            Err(failure) => {
                tracing::error!(tenant = %id, error = failure.cause, "the church's role could not be restored");
                false
            }
        }
    }

    pub async fn repair(&self, id: &TenantId) -> Result {
        let tenant = tenants::find(&self.registry, id).await?;
        let unplaced = || Failure::lasting("The church has no place.", "no placement");
        let placement = tenant.placement.as_ref().ok_or_else(unplaced)?;
        let server = self.servers.find(placement.server.id).await?;
        let limit = tenant::role_limit(self.per_tenant, processes::count(&self.registry).await?);
        let role = Role::of(id, tenant.role_version, &self.secret, limit);
        let own_database = tenant.isolation == Isolation::Database;
        server.repair_role(placement, &role, own_database).await
    }
}
