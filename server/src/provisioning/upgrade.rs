use super::{Servers, failure::Failure, steps::Result};
use registry::{
    Registry, TenantId,
    ready::Vacancy,
    tenants::{self, Isolation},
};
use tenant::schema;
use uuid::Uuid;

/// Brings an open tenant's tables, made by an older binary, to the version of this one. Whether they are now.
pub async fn upgrade(registry: Registry, servers: Servers, id: TenantId) -> bool {
    let done = update(&registry, &servers, &id).await;
    let (version, result) = (schema::version(), if done.is_ok() { "succeeded" } else { "failed" });
    metrics::counter!("vestry_upgrades_total", "result" => result).increment(1);
    match &done {
        Ok(()) => tracing::info!(tenant = %id, version, "the church's tables were upgraded"),
        Err(failure) => {
            let error = &failure.cause;
            tracing::error!(tenant = %id, version, %error, "the church's tables could not be upgraded");
        }
    }
    done.is_ok()
}

/// Looks at a ready database on its server.
pub async fn vacancy(servers: Servers, id: TenantId, server_id: Uuid) -> Vacancy {
    match servers.find(server_id).await {
        Ok(server) => server.vacancy(&id).await,
        Err(_) => Vacancy::Unknown,
    }
}

async fn update(registry: &Registry, servers: &Servers, id: &TenantId) -> Result {
    let tenant = tenants::find(registry, id).await?;
    let unplaced = || Failure::lasting("The church has no place.", "no placement");
    let placement = tenant.placement.as_ref().ok_or_else(unplaced)?;
    let server = servers.find(placement.server.id).await?;
    match tenant.isolation {
        Isolation::Database => server.update_database(&placement.database, &id.own_name()).await?,
        Isolation::Schema => server.update_schema(placement, &id.own_name()).await?,
    }
    Ok(tenants::upgraded(registry, id, schema::version()).await?)
}
