//! Databases that wait for a church.

use crate::{Error, Registry, Result, TenantId, runs::interval, servers::Server};
use sqlx::PgConnection;
use std::{pin::Pin, time::Duration};
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
    /// A tenant has this id: the registry was restored from a dump, or edited. Its database is not ours to drop.
    pub is_tenant: bool,
    lease: Uuid,
}

/// State of a ready database on its server, which the registry only believes to know: a registry restored from a
/// dump lists databases that have found their church since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vacancy {
    /// It is there with its role, and holds no data.
    Vacant,
    /// It holds data: somebody's, whoever it is.
    Occupied,
    /// The database or its role is missing.
    Missing,
    /// The server did not answer.
    Unknown,
}

/// Looks at a ready database on its server.
pub type Inspect = dyn Fn(TenantId, Uuid) -> Pin<Box<dyn Future<Output = Vacancy> + Send>> + Send + Sync;

/// Ready databases that one signup looks at before its database is made from the template instead.
const MAX_TRIES: usize = 8;

/// Making or removing one takes a second; nobody else touches it for so long.
const LEASE: Duration = Duration::from_secs(60);

/// Takes one that is ready and, by `inspect`, vacant, on a server that a church of this region may be placed on.
/// What is occupied or missing is forgotten, and never dropped.
pub(crate) async fn take(
    tx: &mut PgConnection,
    edition: Edition<'_>,
    region: Option<&str>,
    inspect: &Inspect,
) -> Result<Option<(TenantId, Server)>> {
    let mut skipped = Vec::new();
    for _ in 0..MAX_TRIES {
        let Some((id, server, is_tenant)) = candidate(tx, edition, region, &skipped).await? else {
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
            // The row is kept: the server may only be restarting.
            Vacancy::Unknown => skipped.push(id.to_string()),
            vacancy => {
                warn_unfit(&id, vacancy);
                delete(tx, &id).await?;
            }
        }
    }
    Ok(None)
}

async fn candidate(
    tx: &mut PgConnection,
    edition: Edition<'_>,
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
        edition.name,
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

fn warn_unfit(id: &TenantId, vacancy: Vacancy) {
    tracing::warn!(
        database = id.own_name(),
        ?vacancy,
        "a ready database is not what the registry says and was forgotten, not dropped: vestry doctor tells more"
    );
}

/// Those that stand ready, for a comparison with their servers; and whether a tenant has the id.
pub async fn standing(registry: &Registry) -> Result<Vec<(TenantId, Uuid, bool)>> {
    let rows = sqlx::query!(
        r#"select id, server_id, exists (select from tenants t where t.id = ready_databases.id) as "is_tenant!"
             from ready_databases
            where ready_at is not null"#
    )
    .fetch_all(&registry.pool)
    .await?;
    rows.into_iter().map(|row| Ok((row.id.parse()?, row.server_id, row.is_tenant))).collect()
}

/// Forgets one that stands ready in the registry only. Its database, if there is one, is left alone.
pub async fn forget_unfit(registry: &Registry, id: &TenantId, vacancy: Vacancy) -> Result<()> {
    let done =
        sqlx::query!("delete from ready_databases where id = $1 and ready_at is not null", id.as_str())
            .execute(&registry.pool)
            .await?;
    if done.rows_affected() > 0 {
        warn_unfit(id, vacancy);
    }
    Ok(())
}

/// Plans one more on some open server that has fewer than `depth`, if there is one.
pub async fn plan(registry: &Registry, edition: Edition<'_>, depth: u32) -> Result<Option<Planned>> {
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
        edition.name,
        edition.schema_version,
        interval(LEASE),
        i64::from(depth),
        lease,
    )
    .fetch_optional(&mut *tx)
    .await?;
    tx.commit().await?;
    row.map(|row| Ok(Planned { id: row.id.parse()?, server_id: row.server_id, is_tenant: false, lease }))
        .transpose()
}

/// It stands: signups may take it. [`Error::LeaseLost`] when another worker has claimed it meanwhile, to remove it.
pub async fn made(registry: &Registry, planned: &Planned) -> Result<()> {
    let done = sqlx::query!(
        "update ready_databases set ready_at = now(), lease_until = null, lease = null
          where id = $1 and ready_at is null and lease = $2",
        planned.id.as_str(),
        planned.lease,
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
        edition.name,
        interval(LEASE),
        i64::from(depth),
        lease,
    )
    .fetch_optional(&registry.pool)
    .await?;
    row.map(|row| {
        Ok(Planned { id: row.id.parse()?, server_id: row.server_id, is_tenant: row.is_tenant, lease })
    })
    .transpose()
}

/// Extends the claim, right before what cannot be undone.
pub async fn renew(registry: &Registry, planned: &Planned) -> Result<()> {
    let done = sqlx::query!(
        "update ready_databases set lease_until = now() + $3 where id = $1 and lease = $2 and ready_at is null",
        planned.id.as_str(),
        planned.lease,
        interval(LEASE),
    )
    .execute(&registry.pool)
    .await?;
    (done.rows_affected() > 0).then_some(()).ok_or(Error::LeaseLost)
}

/// Forgets one whose database and role are gone, or are not ours to drop.
pub async fn forget(registry: &Registry, planned: &Planned) -> Result<()> {
    sqlx::query!(
        "delete from ready_databases where id = $1 and ready_at is null and lease = $2",
        planned.id.as_str(),
        planned.lease,
    )
    .execute(&registry.pool)
    .await?;
    Ok(())
}
