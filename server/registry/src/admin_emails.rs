//! Index of the emails with which admins sign in.

use crate::{Registry, Result, TenantId};
use chrono::{DateTime, Utc};

/// Maximum number of tenants tried for one sign-in.
const MAX_TENANTS_PER_SIGN_IN: i64 = 10;

/// Returns the tenants in which an email may sign in: `preferred` first, then those with the email verified, then the
/// oldest. Includes suspended tenants, because users learn of a suspension only after their password was checked.
pub async fn tenants_of(registry: &Registry, email: &str, preferred: Option<&str>) -> Result<Vec<TenantId>> {
    // PostgreSQL rejects some malformed ids, such as those with U+0000.
    let preferred = preferred.filter(|id| id.parse::<TenantId>().is_ok());
    let ids = sqlx::query_scalar!(
        "select t.id
           from admin_emails e
           join tenants t on t.id = e.tenant_id
          where e.email = lower($1) and t.status in ('active', 'suspended')
          order by t.id = $3 desc nulls last, e.verified_at is null, t.created_at, t.id
          limit $2",
        email,
        MAX_TENANTS_PER_SIGN_IN,
        preferred,
    )
    .fetch_all(&registry.pool)
    .await?;
    Ok(ids.into_iter().map(TenantId).collect())
}

/// An admin's email in one tenant, not verified yet.
pub struct UnverifiedEmail {
    pub email: String,
    pub tenant_id: TenantId,
    pub church: String,
    pub created_at: DateTime<Utc>,
}

/// Lists unverified emails of active and suspended tenants, oldest first; filtered by email, tenant, both or neither.
pub async fn unverified(
    registry: &Registry,
    email: Option<&str>,
    tenant_id: Option<&TenantId>,
) -> Result<Vec<UnverifiedEmail>> {
    let rows = sqlx::query!(
        "select e.email, t.id, t.name, t.created_at
           from admin_emails e
           join tenants t on t.id = e.tenant_id
          where e.verified_at is null and t.status in ('active', 'suspended')
            and ($1::text is null or e.email = lower($1)) and ($2::text is null or t.id = $2)
          order by t.created_at, t.id, e.email",
        email,
        tenant_id.map(TenantId::as_str),
    )
    .fetch_all(&registry.pool)
    .await?;
    let emails = rows.into_iter().map(|row| UnverifiedEmail {
        email: row.email,
        tenant_id: TenantId(row.id),
        church: row.name,
        created_at: row.created_at,
    });
    Ok(emails.collect())
}

/// Lists the verified emails of a tenant.
pub async fn verified(registry: &Registry, id: &TenantId) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar!(
        "select email from admin_emails where tenant_id = $1 and verified_at is not null",
        id.as_str(),
    )
    .fetch_all(&registry.pool)
    .await?)
}

/// Marks an email of one tenant as verified.
pub async fn verify(registry: &Registry, id: &TenantId, email: &str) -> Result<()> {
    sqlx::query!(
        "update admin_emails set verified_at = now() where tenant_id = $1 and email = $2 and verified_at is null",
        id.as_str(),
        email,
    )
    .execute(&registry.pool)
    .await?;
    Ok(())
}
