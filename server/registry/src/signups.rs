use crate::{Registry, Result, TenantId, ready, runs, tenants::Isolation};
use uuid::Uuid;

/// How long a new church may try Vestry out.
const TRIAL_DAYS: i32 = 14;

/// A church that wants an office.
pub struct Signup<'a> {
    pub church: &'a str,
    pub country: &'a str,
    pub timezone: &'a str,
    pub email: &'a str,
    pub isolation: Isolation,
    /// Where its data is to be kept; `None` for wherever there is room.
    pub region: Option<&'a str>,
    /// What a database must have been made with to be taken over at once.
    pub edition: ready::Edition<'a>,
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
/// A database that stands ready, and is vacant by `inspect`, is taken over with it. `seal` encrypts the first admin
/// for the tenant; only the worker that provisions it opens that.
pub async fn accept(
    registry: &Registry,
    signup: Signup<'_>,
    seal: impl FnOnce(&TenantId) -> Vec<u8>,
    inspect: &ready::Inspect,
) -> Result<Accepted> {
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
    let taken = match signup.isolation {
        Isolation::Database => ready::take(&mut tx, signup.edition, signup.region, inspect).await?,
        Isolation::Schema => None,
    };
    let schema_version = taken.is_some().then_some(signup.edition.schema_version);
    let (tenant_id, server) = taken.unzip();
    let tenant_id = tenant_id.unwrap_or_else(TenantId::generate);
    let run_id = Uuid::now_v7();
    sqlx::query!(
        "with tenant as (
             insert into tenants (id, name, country, timezone, trial_ends_at, isolation, region,
                                  server_id, database_name, schema_name, schema_version)
             values ($1, $2, $3, $4, now() + make_interval(days => $5), $11, $12, $13, $14, $15, $16)
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
        seal(&tenant_id),
        signup.idempotency_key,
        signup.isolation.name(),
        signup.region,
        server.as_ref().map(|server| server.id),
        server.is_some().then(|| tenant_id.own_name()),
        server.is_some().then_some(OWN_SCHEMA),
        schema_version,
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(Accepted { tenant_id, run_id, fresh: true })
}

/// The schema of a tenant that has a database of its own.
pub const OWN_SCHEMA: &str = "church";
