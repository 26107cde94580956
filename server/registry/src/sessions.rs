//! Rows of browser sessions; `identity` defines their content.

use crate::{Registry, Result};
use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

pub struct Session {
    /// Digest of the session id in the browser's cookie.
    pub digest: String,
    /// Tenant and admin that are signed in.
    pub admin: Option<(String, Uuid)>,
    pub data: Value,
    pub expires_at: DateTime<Utc>,
}

/// Inserts a session; returns false if the id is in use.
pub async fn create(registry: &Registry, session: &Session) -> Result<bool> {
    let (tenant_id, admin_id) = session.admin.clone().unzip();
    let done = sqlx::query!(
        "insert into sessions (id, tenant_id, admin_id, data, expires_at)
         values ($1, $2, $3, $4, $5)
         on conflict (id) do nothing",
        session.digest,
        tenant_id,
        admin_id,
        session.data,
        session.expires_at,
    )
    .execute(&registry.pool)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Updates a session; returns false if it was deleted.
pub async fn save(registry: &Registry, session: &Session) -> Result<bool> {
    let (tenant_id, admin_id) = session.admin.clone().unzip();
    let done = sqlx::query!(
        "update sessions set tenant_id = $2, admin_id = $3, data = $4, expires_at = $5 where id = $1",
        session.digest,
        tenant_id,
        admin_id,
        session.data,
        session.expires_at,
    )
    .execute(&registry.pool)
    .await?;
    Ok(done.rows_affected() == 1)
}

pub async fn load(registry: &Registry, digest: &str) -> Result<Option<(Value, DateTime<Utc>)>> {
    let row =
        sqlx::query!("select data, expires_at from sessions where id = $1 and expires_at > now()", digest)
            .fetch_optional(&registry.pool)
            .await?;
    Ok(row.map(|row| (row.data, row.expires_at)))
}

pub async fn delete(registry: &Registry, digest: &str) -> Result<()> {
    sqlx::query!("delete from sessions where id = $1", digest).execute(&registry.pool).await?;
    Ok(())
}

/// Deletes all sessions and token families of an admin, and notifies every process.
pub async fn delete_of_admin(registry: &Registry, tenant_id: &str, admin_id: Uuid) -> Result<()> {
    sqlx::query!(
        "with sessions as (delete from sessions where tenant_id = $1 and admin_id = $2),
              families as (delete from token_families where tenant_id = $1 and admin_id = $2)
         select pg_notify('admin_changed', $1 || '/' || $2::uuid::text)",
        tenant_id,
        admin_id,
    )
    .execute(&registry.pool)
    .await?;
    Ok(())
}

/// Deletes expired sessions, and those that an older release stored with an id in clear text.
pub async fn delete_expired(registry: &Registry) -> Result<()> {
    sqlx::query!("delete from sessions where expires_at <= now() or id !~ '^[0-9a-f]{64}$'")
        .execute(&registry.pool)
        .await?;
    Ok(())
}
