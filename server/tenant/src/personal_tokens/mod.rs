//! Tokens that an admin gives to programs of its own. Each does in the admin's name what the admin may do, or less.

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
    /// Looks, whatever the admin may do.
    Read,
    /// Does what the admin may do.
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

/// What an admin says of a token. The name is trimmed and not empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Details {
    pub name: String,
    pub scope: Scope,
    pub expires_at: Option<DateTime<Utc>>,
}

#[derive(Clone, Debug)]
pub struct PersonalToken {
    pub id: Uuid,
    pub details: Details,
    pub created_at: DateTime<Utc>,
    /// To the minute.
    pub last_used_at: Option<DateTime<Utc>>,
}

/// How many tokens one admin may have: all of them are seen on one page.
pub const MOST: i64 = 50;

/// The viewer's own, the newest first.
pub async fn list(tenant: &Tenant, viewer: &Viewer) -> Result<Vec<PersonalToken>> {
    queries::list(&mut *tenant.read(viewer).await?, viewer).await
}

pub async fn find(tenant: &Tenant, viewer: &Viewer, id: Uuid) -> Result<PersonalToken> {
    queries::find(&mut *tenant.read(viewer).await?, viewer, id).await
}

/// Makes a token under an id that was chosen before, which is known from then on by the digest of its secret. False
/// when one was made under this id already: what is sent twice makes one token.
pub async fn add(
    tenant: &Tenant,
    admin: &Admin,
    id: Uuid,
    details: &Details,
    digest: &[u8; 32],
) -> Result<bool> {
    if details.scope == Scope::Write {
        admin.editor()?;
    }
    let viewer = admin.viewer();
    let mut tx = tenant.write_own(viewer).await?;
    if queries::lock(&mut tx, viewer).await? >= MOST {
        let message = "You have as many tokens as there can be. Revoke one that is not used any more.";
        return Err(Error::Rejected { field: "name", message });
    }
    let fresh = queries::add(&mut tx, viewer, id, details, digest).await?;
    if fresh {
        audit::record_own(&mut tx, viewer, entry(id, "added"), None, Some(details)).await?;
    }
    tx.commit().await?;
    Ok(fresh)
}

/// Whoever shows the token from now on is refused.
pub async fn revoke(tenant: &Tenant, viewer: &Viewer, id: Uuid) -> Result<()> {
    let mut tx = tenant.write_own(viewer).await?;
    let before = queries::delete(&mut tx, viewer, id).await?;
    audit::record_own(&mut tx, viewer, entry(id, "revoked"), Some(&before), None).await?;
    Ok(tx.commit().await?)
}

/// The active admin in whose name a token with this digest asks, with no more authority than the token's; notes that
/// it was used.
pub async fn enter(tenant: &Tenant, digest: &[u8; 32]) -> Result<Admin> {
    let mut connection = tenant.connect().await?;
    let entered = queries::enter(&mut connection, tenant.id(), digest).await?;
    if entered.unnoted {
        queries::note_use(&mut connection, digest).await?;
    }
    Ok(match entered.scope {
        Scope::Read => entered.admin.read_only(),
        Scope::Write => entered.admin,
    })
}

fn entry(id: Uuid, action: &'static str) -> Entry {
    Entry { entity: "personal_token", id, action }
}
