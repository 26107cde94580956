//! Identity of the installation.

use crate::{Registry, Result};
use uuid::Uuid;

/// Written by the first process that serves or works.
#[derive(Clone, Debug)]
pub struct Installation {
    pub id: Uuid,
    /// Digest of the secret key.
    pub secret_digest: Vec<u8>,
}

/// Returns `None` before the first start of a release that registers it.
pub async fn find(registry: &Registry) -> Result<Option<Installation>> {
    let row = sqlx::query_as!(Installation, "select id, secret_digest from installation")
        .fetch_optional(&registry.pool)
        .await?;
    Ok(row)
}

/// Registers the installation unless it is registered; returns the stored row.
pub async fn register(registry: &Registry, secret_digest: &[u8]) -> Result<Installation> {
    sqlx::query!(
        "insert into installation (secret_digest) values ($1) on conflict do nothing",
        secret_digest
    )
    .execute(&registry.pool)
    .await?;
    let row = sqlx::query_as!(Installation, "select id, secret_digest from installation")
        .fetch_one(&registry.pool)
        .await?;
    Ok(row)
}
