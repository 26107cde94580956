//! What tells this installation from another.

use crate::{Registry, Result};
use uuid::Uuid;

/// As the first process that served or worked has written it down.
#[derive(Clone, Debug)]
pub struct Installation {
    pub id: Uuid,
    /// Derived from the secret key.
    pub secret_digest: Vec<u8>,
}

/// `None` before the first start of a release that writes it down.
pub async fn find(registry: &Registry) -> Result<Option<Installation>> {
    let row = sqlx::query_as!(Installation, "select id, secret_digest from installation")
        .fetch_optional(&registry.pool)
        .await?;
    Ok(row)
}

/// Writes it down unless that was done before; what is written down now.
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
