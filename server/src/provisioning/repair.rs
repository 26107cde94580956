use super::{
    Servers,
    databases::Role,
    step_error::{Result, StepError},
};
use identity::Secret;
use registry::{
    Registry, TenantId, processes,
    tenants::{self, Isolation},
};

/// Restores tenant roles: settings, password, connection limit and rights.
#[derive(Clone)]
pub struct RoleRepair {
    pub registry: Registry,
    pub servers: Servers,
    pub secret: Secret,
    /// Maximum connections of one process to one tenant.
    pub per_tenant: usize,
}

impl RoleRepair {
    /// Repairs a role; logs a failure and returns false.
    pub async fn run(&self, id: &TenantId) -> bool {
        match self.repair(id).await {
            Ok(()) => {
                tracing::warn!(tenant = %id, "tenant role repaired: settings, password or connection limit had been changed");
                true
            }
            Err(error) => {
                tracing::error!(tenant = %id, error = error.cause, "tenant role repair failed");
                false
            }
        }
    }

    pub async fn repair(&self, id: &TenantId) -> Result {
        let tenant = tenants::find(&self.registry, id).await?;
        let unplaced = || StepError::permanent("The church has no place.", "no placement");
        let placement = tenant.placement.as_ref().ok_or_else(unplaced)?;
        let server = self.servers.find(placement.server.id).await?;
        let limit = tenant::role_limit(self.per_tenant, processes::count(&self.registry).await?);
        let role = Role::new(id, tenant.role_version, &self.secret, limit);
        let dedicated = tenant.isolation == Isolation::Database;
        server.repair_role(placement, &role, dedicated).await
    }
}
