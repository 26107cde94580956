use super::{
    Servers,
    step_error::{Result, StepError},
};
use registry::{
    Registry, TenantId,
    ready::Vacancy,
    tenants::{self, Isolation},
};
use tenant::schema;
use uuid::Uuid;

/// Migrates a tenant's tables to this binary's version; returns whether it succeeded.
pub async fn upgrade(registry: Registry, servers: Servers, id: TenantId) -> bool {
    let done = update(&registry, &servers, &id).await;
    let (version, result) = (schema::version(), if done.is_ok() { "succeeded" } else { "failed" });
    metrics::counter!("vestry_upgrades_total", "result" => result).increment(1);
    match &done {
        Ok(()) => tracing::info!(tenant = %id, version, "tenant schema upgraded"),
        Err(error) => {
            let error = &error.cause;
            tracing::error!(tenant = %id, version, %error, "tenant schema upgrade failed");
        }
    }
    done.is_ok()
}

/// Inspects a ready database on its server.
pub async fn vacancy(servers: Servers, id: TenantId, server_id: Uuid) -> Vacancy {
    match servers.find(server_id).await {
        Ok(server) => server.vacancy(&id).await,
        Err(_) => Vacancy::Unknown,
    }
}

async fn update(registry: &Registry, servers: &Servers, id: &TenantId) -> Result {
    let tenant = tenants::find(registry, id).await?;
    let unplaced = || StepError::permanent("The church has no place.", "no placement");
    let placement = tenant.placement.as_ref().ok_or_else(unplaced)?;
    let server = servers.find(placement.server.id).await?;
    match tenant.isolation {
        Isolation::Database => server.update_database(&placement.database, &id.pg_identifier()).await?,
        Isolation::Schema => server.update_schema(placement, &id.pg_identifier()).await?,
    }
    Ok(tenants::set_schema_version(registry, id, schema::version()).await?)
}
