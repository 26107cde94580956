//! Personal access tokens: a client acts in an admin's name, with the same permissions or read-only.

mod queries;

use crate::{
    Error, Result, Tenant, Viewer,
    admins::Admin,
    audit::{self, Entry},
};
use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Read-only, whatever the admin's role.
    Read,
    /// The admin's permissions.
    Write,
}

impl Scope {
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Read, Self::Write].into_iter().find(|scope| scope.name() == name)
    }

    fn from_column(column: &str) -> Self {
        Self::from_name(column).unwrap_or(Self::Read)
    }
}

/// Input for a new token. The name is trimmed and not empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PersonalTokenInput {
    pub name: String,
    pub scope: Scope,
    pub expires_at: Option<DateTime<Utc>>,
}

#[derive(Clone, Debug)]
pub struct PersonalToken {
    pub id: Uuid,
    pub details: PersonalTokenInput,
    pub created_at: DateTime<Utc>,
    /// Updated at most once a minute.
    pub last_used_at: Option<DateTime<Utc>>,
}

/// Maximum tokens of one admin; they fit on one page.
pub const MAX_TOKENS: i64 = 50;

/// Lists the viewer's own tokens, newest first.
pub async fn list(tenant: &Tenant, viewer: &Viewer) -> Result<Vec<PersonalToken>> {
    queries::list(&mut *tenant.read(viewer).await?, viewer).await
}

pub async fn find(tenant: &Tenant, viewer: &Viewer, id: Uuid) -> Result<PersonalToken> {
    queries::find(&mut *tenant.read(viewer).await?, viewer, id).await
}

/// Creates a token with a given id and the digest of its secret. Idempotent: returns false if the id was used before.
pub async fn add(
    tenant: &Tenant,
    admin: &Admin,
    id: Uuid,
    details: &PersonalTokenInput,
    digest: &[u8; 32],
) -> Result<bool> {
    if details.scope == Scope::Write {
        admin.editor()?;
    }
    let viewer = admin.viewer();
    let mut tx = tenant.write_own(viewer).await?;
    if queries::lock(&mut tx, viewer).await? >= MAX_TOKENS {
        let message = "You have as many tokens as there can be. Revoke one that is not used any more.";
        return Err(Error::Rejected { field: "name", message });
    }
    let is_new = queries::add(&mut tx, viewer, id, details, digest).await?;
    if is_new {
        audit::record_own(&mut tx, viewer, entry(id, "added"), None, Some(details)).await?;
    }
    tx.commit().await?;
    Ok(is_new)
}

/// Revokes a token at once.
pub async fn revoke(tenant: &Tenant, viewer: &Viewer, id: Uuid) -> Result<()> {
    let mut tx = tenant.write_own(viewer).await?;
    let before = queries::delete(&mut tx, viewer, id).await?;
    audit::record_own(&mut tx, viewer, entry(id, "revoked"), Some(&before), None).await?;
    Ok(tx.commit().await?)
}

/// Authenticates by the digest of a token. Returns its admin with the permissions of the token, and records the use.
pub async fn authenticate(tenant: &Tenant, digest: &[u8; 32]) -> Result<Admin> {
    let mut connection = tenant.connect().await?;
    let found = queries::find_by_digest(&mut connection, tenant.id(), digest).await?;
    if found.use_is_due {
        queries::record_use(&mut connection, digest).await?;
    }
    Ok(match found.scope {
        Scope::Read => found.admin.read_only(),
        Scope::Write => found.admin,
    })
}

fn entry(id: Uuid, action: &'static str) -> Entry {
    Entry { entity: "personal_token", id, action }
}
