use super::{
    Servers,
    failure::{self, Failure},
    steps::Result,
};
use registry::{
    Registry, TenantId,
    tenants::{self, Isolation},
};
use tenant::schema;

/// Brings an open tenant's tables, made by an older binary, to the version of this one. Whether they are now.
pub async fn upgrade(registry: Registry, servers: Servers, id: TenantId) -> bool {
    let done = update(&registry, &servers, &id).await;
    if let Err(failure) = &done {
        failure::logged("upgrade", failure);
    }
    done.is_ok()
}

async fn update(registry: &Registry, servers: &Servers, id: &TenantId) -> Result {
    let tenant = tenants::find(registry, id).await?;
    let unplaced = || Failure::lasting("The church has no place.", "no placement");
    let placement = tenant.placement.as_ref().ok_or_else(unplaced)?;
    let server = servers.find(placement.server.id).await?;
    match tenant.isolation {
        Isolation::Database => server.update_database(&placement.database).await?,
        Isolation::Schema => server.update_schema(placement, &id.own_name()).await?,
    }
    Ok(tenants::upgraded(registry, id, schema::version()).await?)
}
