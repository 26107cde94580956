//! Databases that wait for a church.

use crate::{Error, Registry, Result, TenantId, runs::interval, servers::Server};
use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use std::time::Duration;
use uuid::Uuid;

/// What a ready database is made with.
#[derive(Clone, Copy, Debug)]
pub struct Edition<'a> {
    pub name: &'a str,
    pub schema_version: i64,
}

/// One that is to be made, or to be removed, by whoever was given it.
#[derive(Clone, Debug)]
pub struct Planned {
    pub id: TenantId,
    pub server_id: Uuid,
    /// When the lease ends. Whoever claims the row later writes a later time, so this also tells whose lease it is.
    lease_until: Option<DateTime<Utc>>,
}

/// Making or removing one takes a second; nobody else touches it for so long.
const LEASE: Duration = Duration::from_secs(60);

/// Takes one that is ready, on a server that a church of this region may be placed on.
pub(crate) async fn take(
    tx: &mut PgConnection,
    edition: Edition<'_>,
    region: Option<&str>,
) -> Result<Option<(TenantId, Server)>> {
    let row = sqlx::query!(
        "with taken as (
             delete from ready_databases
              where id = (select r.id
                            from ready_databases r
                            join database_servers s on s.id = r.server_id
                           where r.edition = $1 and r.ready_at is not null
                             and s.state = 'open' and s.unreachable_since is null
                             and ($2::text is null or s.region = $2)
                           order by s.region = (select p.region from database_servers p where p.name = 'primary') desc, r.ready_at
                           limit 1
                             for update of r skip locked)
             returning id, server_id
         )
         select taken.id as tenant_id, s.id, s.name, s.region, s.host, s.port
           from taken join database_servers s on s.id = taken.server_id",
        edition.name,
        region,
    )
    .fetch_optional(tx)
    .await?;
    row.map(|row| {
        let server =
            Server { id: row.id, name: row.name, region: row.region, host: row.host, port: row.port as u16 };
        Ok((row.tenant_id.parse()?, server))
    })
    .transpose()
}

/// Plans one more on some open server that has fewer than `depth`, if there is one.
pub async fn plan(registry: &Registry, edition: Edition<'_>, depth: u32) -> Result<Option<Planned>> {
    let id = TenantId::generate();
    let mut tx = registry.pool.begin().await?;
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended('vestry ready databases', 0))")
        .execute(&mut *tx)
        .await?;
    let row = sqlx::query!(
        "insert into ready_databases (id, server_id, edition, schema_version, lease_until)
         select $1, s.id, $2, $3, now() + $4
           from database_servers s
          where s.state = 'open' and s.unreachable_since is null
            and (select count(*) from ready_databases r where r.server_id = s.id and r.edition = $2) < $5
            and (select count(*) from tenants t where t.server_id = s.id)
              + (select count(*) from ready_databases r where r.server_id = s.id) < s.max_tenants
          order by s.name = 'primary' desc, s.name
          limit 1
         returning id, server_id, lease_until",
        id.as_str(),
        edition.name,
        edition.schema_version,
        interval(LEASE),
        i64::from(depth),
    )
    .fetch_optional(&mut *tx)
    .await?;
    tx.commit().await?;
    row.map(|row| Ok(Planned { id: row.id.parse()?, server_id: row.server_id, lease_until: row.lease_until }))
        .transpose()
}

/// It stands: signups may take it. [`Error::LeaseLost`] when another worker has claimed it meanwhile, to remove it.
pub async fn made(registry: &Registry, planned: &Planned) -> Result<()> {
    let done = sqlx::query!(
        "update ready_databases
            set ready_at = now(), lease_until = null
          where id = $1 and ready_at is null and lease_until = $2",
        planned.id.as_str(),
        planned.lease_until,
    )
    .execute(&registry.pool)
    .await?;
    (done.rows_affected() > 0).then_some(()).ok_or(Error::LeaseLost)
}

/// Claims one that is of no use, to be removed: made with other tables, more than `depth`, on a server
/// that takes no churches, or left half made by a process that died.
pub async fn claim_unwanted(
    registry: &Registry,
    edition: Edition<'_>,
    depth: u32,
) -> Result<Option<Planned>> {
    let row = sqlx::query!(
        "update ready_databases
            set ready_at = null, lease_until = now() + $2
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
         returning id, server_id, lease_until",
        edition.name,
        interval(LEASE),
        i64::from(depth),
    )
    .fetch_optional(&registry.pool)
    .await?;
    row.map(|row| Ok(Planned { id: row.id.parse()?, server_id: row.server_id, lease_until: row.lease_until }))
        .transpose()
}

/// Forgets one whose database and role are gone.
pub async fn forget(registry: &Registry, planned: &Planned) -> Result<()> {
    sqlx::query!("delete from ready_databases where id = $1 and ready_at is null", planned.id.as_str())
        .execute(&registry.pool)
        .await?;
    Ok(())
}
