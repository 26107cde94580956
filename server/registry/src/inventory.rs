//! What the registry expects on the database servers, for `vestry doctor`.

use crate::{Registry, Result, TenantId};
use uuid::Uuid;

/// A tenant with a placement.
#[derive(Clone, Debug)]
pub struct PlacedTenant {
    pub id: TenantId,
    pub status: String,
    pub has_dedicated_database: bool,
    pub server_id: Uuid,
    pub database: String,
    pub schema: String,
}

pub async fn placed_tenants(registry: &Registry) -> Result<Vec<PlacedTenant>> {
    let tenants = sqlx::query_as!(
        PlacedTenant,
        r#"select id as "id: TenantId", status, isolation = 'database' as "has_dedicated_database!",
                  server_id as "server_id!", database_name as "database!", schema_name as "schema!"
             from tenants
            where server_id is not null and database_name is not null and schema_name is not null
            order by created_at"#
    )
    .fetch_all(&registry.pool)
    .await?;
    Ok(tenants)
}

/// A row of `ready_databases`, whether ready or being created or dropped.
#[derive(Clone, Debug)]
pub struct ReadyDatabase {
    pub id: TenantId,
    pub server_id: Uuid,
    pub is_ready: bool,
}

pub async fn ready_databases(registry: &Registry) -> Result<Vec<ReadyDatabase>> {
    let ready = sqlx::query_as!(
        ReadyDatabase,
        r#"select id as "id: TenantId", server_id, ready_at is not null as "is_ready!" from ready_databases order by id"#
    )
    .fetch_all(&registry.pool)
    .await?;
    Ok(ready)
}
