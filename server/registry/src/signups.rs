use crate::{Error, Registry, Result, TenantId, ready, runs, runs::interval, tenants::Isolation};
use sqlx::PgConnection;
use std::time::Duration;
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
    /// The same request twice makes one church.
    pub idempotency: Option<Idempotency<'a>>,
    /// How many churches the email may have without being proved; `None` for any number.
    pub unverified_limit: Option<i64>,
}

/// A request that may be repeated.
pub struct Idempotency<'a> {
    /// Digest of its key, in hexadecimal.
    pub key: &'a str,
    /// Digest of what was sent.
    pub request: &'a [u8],
    /// For how long a repetition is answered like the first request.
    pub lifetime: Duration,
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
    if let Some(idempotency) = &signup.idempotency
        && let Some(accepted) = earlier(&mut tx, idempotency).await?
    {
        return Ok(accepted);
    }
    if let Some(limit) = signup.unverified_limit {
        limit_unverified(&mut tx, signup.email, limit).await?;
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
         insert into provisioning_runs (id, tenant_id, reference, sealed, idempotency_key, request)
         values ($7, $1, $8, $9, $10, $17)",
        tenant_id.as_str(),
        signup.church,
        signup.country,
        signup.timezone,
        TRIAL_DAYS,
        signup.email,
        run_id,
        runs::new_reference(),
        seal(&tenant_id),
        signup.idempotency.as_ref().map(|idempotency| idempotency.key),
        signup.isolation.name(),
        signup.region,
        server.as_ref().map(|server| server.id),
        server.is_some().then(|| tenant_id.own_name()),
        server.is_some().then_some(OWN_SCHEMA),
        schema_version,
        signup.idempotency.as_ref().map(|idempotency| idempotency.request),
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(Accepted { tenant_id, run_id, fresh: true })
}

/// What an earlier request under the same key has made.
async fn earlier(tx: &mut PgConnection, idempotency: &Idempotency<'_>) -> Result<Option<Accepted>> {
    // Two requests with one key at the same moment: the second waits here for the first.
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended('signup ' || $1, 0))", idempotency.key)
        .execute(&mut *tx)
        .await?;
    let run = sqlx::query!(
        r#"select id, tenant_id, coalesce(request = $2 and created_at > now() - $3::interval, false) as "same!"
             from provisioning_runs
            where idempotency_key = $1"#,
        idempotency.key,
        idempotency.request,
        interval(idempotency.lifetime),
    )
    .fetch_optional(tx)
    .await?;
    match run {
        None => Ok(None),
        Some(run) if run.same => {
            Ok(Some(Accepted { tenant_id: run.tenant_id.parse()?, run_id: run.id, fresh: false }))
        }
        Some(_) => Err(Error::KeyReused),
    }
}

async fn limit_unverified(tx: &mut PgConnection, email: &str, limit: i64) -> Result<()> {
    // Signups with one email are counted one after the other.
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended('email ' || lower($1), 0))", email)
        .execute(&mut *tx)
        .await?;
    let churches = sqlx::query_scalar!(
        r#"select count(*) as "count!" from admin_emails where email = lower($1) and verified_at is null"#,
        email,
    )
    .fetch_one(tx)
    .await?;
    if churches < limit { Ok(()) } else { Err(Error::TooManyUnverified) }
}

/// The signup's key is of no use any more: somebody has entered the church.
pub async fn end_key(registry: &Registry, run_id: Uuid) -> Result<()> {
    sqlx::query!("update provisioning_runs set request = null where id = $1", run_id)
        .execute(&registry.pool)
        .await?;
    Ok(())
}

/// Forgets keys that a process of an earlier version has written down as they are.
pub async fn sweep(registry: &Registry) -> Result<()> {
    sqlx::query!(
        "update provisioning_runs set idempotency_key = null where idempotency_key !~ '^[0-9a-f]{64}$'"
    )
    .execute(&registry.pool)
    .await?;
    Ok(())
}

/// The schema of a tenant that has a database of its own.
pub const OWN_SCHEMA: &str = "church";
