use crate::{DEDICATED_SCHEMA, Error, Registry, Result, TenantId, pg::interval, ready, tenants::Isolation};
use rand::seq::IndexedRandom;
use sqlx::PgConnection;
use std::time::Duration;
use uuid::Uuid;

/// Length of the free trial.
const TRIAL_DAYS: i32 = 14;

/// A church that signs up.
pub struct Signup<'a> {
    pub church: &'a str,
    pub country: &'a str,
    pub timezone: &'a str,
    pub email: &'a str,
    pub isolation: Isolation,
    /// Requested region; `None` for any.
    pub region: Option<&'a str>,
    /// Schema revision that a ready database must have to be used.
    pub revision: ready::SchemaRevision<'a>,
    /// Makes the signup idempotent.
    pub idempotency: Option<Idempotency<'a>>,
    /// Maximum number of tenants in which the email is unverified; `None` for no limit.
    pub unverified_limit: Option<i64>,
}

/// Idempotency of a signup.
pub struct Idempotency<'a> {
    /// Hex digest of the Idempotency-Key.
    pub key: &'a str,
    /// Digest of the request.
    pub request: &'a [u8],
    /// How long a repeated request returns the first response.
    pub lifetime: Duration,
}

pub struct Accepted {
    pub tenant_id: TenantId,
    pub run_id: Uuid,
    /// False if this is a repetition.
    pub is_new: bool,
}

/// Inserts the tenant, its owner's email and the run in one transaction; a worker does the rest. Takes a ready database
/// if `inspect` finds one vacant. `seal` encrypts the owner; only the provisioning worker opens it.
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
    let ready = match signup.isolation {
        Isolation::Database => ready::take(&mut tx, signup.revision, signup.region, inspect).await?,
        Isolation::Schema => None,
    };
    let schema_version = ready.is_some().then_some(signup.revision.schema_version);
    let (tenant_id, server) = ready.unzip();
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
        new_reference(),
        seal(&tenant_id),
        signup.idempotency.as_ref().map(|idempotency| idempotency.key),
        signup.isolation.name(),
        signup.region,
        server.as_ref().map(|server| server.id),
        server.is_some().then(|| tenant_id.pg_identifier()),
        server.is_some().then_some(DEDICATED_SCHEMA),
        schema_version,
        signup.idempotency.as_ref().map(|idempotency| idempotency.request),
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(Accepted { tenant_id, run_id, is_new: true })
}

/// Returns the result of an earlier request with the same key.
async fn earlier(tx: &mut PgConnection, idempotency: &Idempotency<'_>) -> Result<Option<Accepted>> {
    // Serialises concurrent requests with one key.
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
            Ok(Some(Accepted { tenant_id: run.tenant_id.parse()?, run_id: run.id, is_new: false }))
        }
        Some(_) => Err(Error::KeyReused),
    }
}

async fn limit_unverified(tx: &mut PgConnection, email: &str, limit: i64) -> Result<()> {
    // Serialises concurrent signups with one email.
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

/// Expires the idempotency key of a signup, once the owner has entered the church.
pub async fn expire_key(registry: &Registry, run_id: Uuid) -> Result<()> {
    sqlx::query!("update provisioning_runs set request = null where id = $1", run_id)
        .execute(&registry.pool)
        .await?;
    Ok(())
}

/// Deletes keys that an older release stored in clear text.
pub async fn sweep(registry: &Registry) -> Result<()> {
    sqlx::query!(
        "update provisioning_runs set idempotency_key = null where idempotency_key !~ '^[0-9a-f]{64}$'"
    )
    .execute(&registry.pool)
    .await?;
    Ok(())
}

/// Generates a reference such as `K7P-2QX`, without characters that look alike.
fn new_reference() -> String {
    const UNAMBIGUOUS: &[u8] = b"23456789ABCDEFGHJKMNPQRSTVWXYZ";
    let mut rng = rand::rng();
    let mut group =
        || (0..3).map(|_| char::from(*UNAMBIGUOUS.choose(&mut rng).unwrap_or(&b'2'))).collect::<String>();
    format!("{}-{}", group(), group())
}
