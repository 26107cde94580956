use crate::{Registry, Result, TenantId, runs};
use uuid::Uuid;

/// How long a new church may try Vestry out.
const TRIAL_DAYS: i32 = 14;

/// A church that wants an office.
pub struct Signup<'a> {
    pub church: &'a str,
    pub country: &'a str,
    pub timezone: &'a str,
    pub email: &'a str,
    /// The id the tenant will have.
    pub tenant_id: TenantId,
    /// The first admin, encrypted for that tenant; only the worker that provisions it opens it.
    pub sealed: &'a [u8],
    /// Signing up twice with one key makes one church.
    pub idempotency_key: Option<&'a str>,
}

pub struct Accepted {
    pub tenant_id: TenantId,
    pub run_id: Uuid,
    /// False when the key had been used before.
    pub fresh: bool,
}

/// Writes down the tenant, the claim of its email and the run, all or nothing. A worker does the rest.
pub async fn accept(registry: &Registry, signup: Signup<'_>) -> Result<Accepted> {
    let mut tx = registry.pool.begin().await?;
    if let Some(key) = signup.idempotency_key {
        // Two requests with one key at the same moment: the second waits here for the first.
        sqlx::query!("select pg_advisory_xact_lock(hashtextextended('signup ' || $1, 0))", key)
            .execute(&mut *tx)
            .await?;
        let earlier =
            sqlx::query!("select id, tenant_id from provisioning_runs where idempotency_key = $1", key)
                .fetch_optional(&mut *tx)
                .await?;
        if let Some(run) = earlier {
            return Ok(Accepted { tenant_id: run.tenant_id.parse()?, run_id: run.id, fresh: false });
        }
    }
    let (tenant_id, run_id) = (signup.tenant_id, Uuid::now_v7());
    sqlx::query!(
        "with tenant as (
             insert into tenants (id, name, country, timezone, trial_ends_at)
             values ($1, $2, $3, $4, now() + make_interval(days => $5))
         ), email as (
             insert into admin_emails (email, tenant_id) values (lower($6), $1)
         )
         insert into provisioning_runs (id, tenant_id, reference, sealed, idempotency_key)
         values ($7, $1, $8, $9, $10)",
        tenant_id.as_str(),
        signup.church,
        signup.country,
        signup.timezone,
        TRIAL_DAYS,
        signup.email,
        run_id,
        runs::new_reference(),
        signup.sealed,
        signup.idempotency_key,
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(Accepted { tenant_id, run_id, fresh: true })
}
