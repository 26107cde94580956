//! Ready databases: created in advance, so that a signup takes one instead of waiting for a clone.

use crate::{Registry, Result, TenantId, lease::check_lease, pg::interval, servers::Server};
use sqlx::PgConnection;
use std::{pin::Pin, time::Duration};
use uuid::Uuid;

/// Migrations that a database was created with.
#[derive(Clone, Copy, Debug)]
pub struct SchemaRevision<'a> {
    pub name: &'a str,
    pub schema_version: i64,
}

/// A ready database that this worker has leased, to create or drop it.
#[derive(Clone, Debug)]
pub struct ClaimedDatabase {
    pub id: TenantId,
    pub server_id: Uuid,
    /// A tenant has this id, as after restoring the registry from a dump: never drop its database.
    pub is_tenant: bool,
    lease: Uuid,
}

/// Actual state of a ready database on its server. A registry restored from a dump may list databases that were taken
/// since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vacancy {
    /// It exists with its role, and is empty.
    Vacant,
    /// It holds data.
    Occupied,
    /// The database or its role is missing.
    Missing,
    /// The server did not answer.
    Unknown,
}

/// Returns the [`Vacancy`] of a ready database, given its id and its server's.
pub type Inspect = dyn Fn(TenantId, Uuid) -> Pin<Box<dyn Future<Output = Vacancy> + Send>> + Send + Sync;

/// Ready databases that a signup inspects before it falls back to a clone.
const MAX_TRIES: usize = 8;

/// Duration of a claim. Creating or dropping a database takes about a second.
const LEASE: Duration = Duration::from_secs(60);

/// Takes a ready database that `inspect` finds vacant, in the requested region. Deletes the rows of occupied and missing
/// databases, but never drops a database.
pub(crate) async fn take(
    tx: &mut PgConnection,
    revision: SchemaRevision<'_>,
    region: Option<&str>,
    inspect: &Inspect,
) -> Result<Option<(TenantId, Server)>> {
    let mut skipped = Vec::new();
    for _ in 0..MAX_TRIES {
        let Some((id, server, is_tenant)) = candidate(tx, revision, region, &skipped).await? else {
            return Ok(None);
        };
        let vacancy = match is_tenant {
            true => Vacancy::Occupied,
            false => inspect(id.clone(), server.id).await,
        };
        match vacancy {
            Vacancy::Vacant => {
                delete(tx, &id).await?;
                return Ok(Some((id, server)));
            }
            // Keeps the row: the server may be restarting.
            Vacancy::Unknown => skipped.push(id.to_string()),
            vacancy => {
                warn_stale(&id, vacancy);
                delete(tx, &id).await?;
            }
        }
    }
    Ok(None)
}

async fn candidate(
    tx: &mut PgConnection,
    revision: SchemaRevision<'_>,
    region: Option<&str>,
    skipped: &[String],
) -> Result<Option<(TenantId, Server, bool)>> {
    let row = sqlx::query!(
        r#"select r.id as tenant_id, s.id, s.name, s.region, s.host, s.port,
                exists (select from tenants t where t.id = r.id) as "is_tenant!"
           from ready_databases r
           join database_servers s on s.id = r.server_id
          where r.edition = $1 and r.ready_at is not null
            and s.state = 'open' and s.unreachable_since is null
            and ($2::text is null or s.region = $2)
            and r.id <> all ($3)
          order by s.region = (select p.region from database_servers p where p.name = 'primary') desc, r.ready_at
          limit 1
            for update of r skip locked"#,
        revision.name,
        region,
        skipped,
    )
    .fetch_optional(tx)
    .await?;
    row.map(|row| {
        let server =
            Server { id: row.id, name: row.name, region: row.region, host: row.host, port: row.port as u16 };
        Ok((row.tenant_id.parse()?, server, row.is_tenant))
    })
    .transpose()
}

async fn delete(tx: &mut PgConnection, id: &TenantId) -> Result<()> {
    sqlx::query!("delete from ready_databases where id = $1", id.as_str()).execute(tx).await?;
    Ok(())
}

fn warn_stale(id: &TenantId, vacancy: Vacancy) {
    tracing::warn!(
        database = id.pg_identifier(),
        ?vacancy,
        "stale ready database removed from the registry, not dropped; see vestry doctor"
    );
}

/// Lists ready databases: id, server, and whether a tenant has the id.
pub async fn list(registry: &Registry) -> Result<Vec<(TenantId, Uuid, bool)>> {
    let rows = sqlx::query!(
        r#"select id, server_id, exists (select from tenants t where t.id = ready_databases.id) as "is_tenant!"
             from ready_databases
            where ready_at is not null"#
    )
    .fetch_all(&registry.pool)
    .await?;
    rows.into_iter().map(|row| Ok((row.id.parse()?, row.server_id, row.is_tenant))).collect()
}

/// Deletes the row of a stale ready database. Leaves the database alone.
pub async fn delete_stale(registry: &Registry, id: &TenantId, vacancy: Vacancy) -> Result<()> {
    let done =
        sqlx::query!("delete from ready_databases where id = $1 and ready_at is not null", id.as_str())
            .execute(&registry.pool)
            .await?;
    if done.rows_affected() > 0 {
        warn_stale(id, vacancy);
    }
    Ok(())
}

/// Inserts and claims a new ready database on an open server with fewer than `depth`.
pub async fn claim_new(
    registry: &Registry,
    revision: SchemaRevision<'_>,
    depth: u32,
) -> Result<Option<ClaimedDatabase>> {
    let (id, lease) = (TenantId::generate(), Uuid::new_v4());
    let mut tx = registry.pool.begin().await?;
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended('vestry ready databases', 0))")
        .execute(&mut *tx)
        .await?;
    let row = sqlx::query!(
        "insert into ready_databases (id, server_id, edition, schema_version, lease_until, lease)
         select $1, s.id, $2, $3, now() + $4, $6
           from database_servers s
          where s.state = 'open' and s.unreachable_since is null
            and (select count(*) from ready_databases r where r.server_id = s.id and r.edition = $2) < $5
            and (select count(*) from tenants t where t.server_id = s.id)
              + (select count(*) from ready_databases r where r.server_id = s.id) < s.max_tenants
          order by s.name = 'primary' desc, s.name
          limit 1
         returning id, server_id",
        id.as_str(),
        revision.name,
        revision.schema_version,
        interval(LEASE),
        i64::from(depth),
        lease,
    )
    .fetch_optional(&mut *tx)
    .await?;
    tx.commit().await?;
    row.map(|row| {
        Ok(ClaimedDatabase { id: row.id.parse()?, server_id: row.server_id, is_tenant: false, lease })
    })
    .transpose()
}

/// Marks a database as ready for signups. Fails with [`crate::Error::LeaseLost`] if another worker has claimed it to drop it.
pub async fn mark_ready(registry: &Registry, claimed: &ClaimedDatabase) -> Result<()> {
    let done = sqlx::query!(
        "update ready_databases set ready_at = now(), lease_until = null, lease = null
          where id = $1 and ready_at is null and lease = $2",
        claimed.id.as_str(),
        claimed.lease,
    )
    .execute(&registry.pool)
    .await?;
    check_lease(&done)
}

/// Claims an unwanted database to drop it: of another revision, beyond `depth`, on a draining server, or unfinished by a
/// dead process.
pub async fn claim_unwanted(
    registry: &Registry,
    revision: SchemaRevision<'_>,
    depth: u32,
) -> Result<Option<ClaimedDatabase>> {
    let lease = Uuid::new_v4();
    let row = sqlx::query!(
        r#"update ready_databases
            set ready_at = null, lease_until = now() + $2, lease = $4
          where id = (select r.id
                        from ready_databases r
                        join database_servers s on s.id = r.server_id
                       where (r.lease_until is null or r.lease_until < now())
                         and s.unreachable_since is null
                         and (r.ready_at is null or r.edition <> $1 or s.state <> 'open'
                              or (select count(*) from ready_databases o
                                   where o.server_id = r.server_id and o.edition = $1) > $3)
                       order by r.created_at
                       limit 1
                         for update of r skip locked)
         returning id, server_id,
                   exists (select from tenants t where t.id = ready_databases.id) as "is_tenant!""#,
        revision.name,
        interval(LEASE),
        i64::from(depth),
        lease,
    )
    .fetch_optional(&registry.pool)
    .await?;
    row.map(|row| {
        Ok(ClaimedDatabase { id: row.id.parse()?, server_id: row.server_id, is_tenant: row.is_tenant, lease })
    })
    .transpose()
}

/// Extends the claim, before an irreversible action.
pub async fn renew(registry: &Registry, claimed: &ClaimedDatabase) -> Result<()> {
    let done = sqlx::query!(
        "update ready_databases set lease_until = now() + $3 where id = $1 and lease = $2 and ready_at is null",
        claimed.id.as_str(),
        claimed.lease,
        interval(LEASE),
    )
    .execute(&registry.pool)
    .await?;
    check_lease(&done)
}

/// Deletes the row once the database and role are dropped, or belong to a tenant.
pub async fn delete_claimed(registry: &Registry, claimed: &ClaimedDatabase) -> Result<()> {
    sqlx::query!(
        "delete from ready_databases where id = $1 and ready_at is null and lease = $2",
        claimed.id.as_str(),
        claimed.lease,
    )
    .execute(&registry.pool)
    .await?;
    Ok(())
}
