use crate::{Error, Registry, Result};
use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

/// A database server that tenants live on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    pub id: Uuid,
    pub name: String,
    pub region: String,
    /// A host name, or the folder of a unix socket when it begins with `/`.
    pub host: String,
    pub port: u16,
}

/// The name of the server that holds the registry as well.
pub const PRIMARY: &str = "primary";

/// Makes the server that also holds the registry known under the name [`PRIMARY`], or notes that it has moved.
pub async fn register_primary(registry: &Registry, host: &str, port: u16) -> Result<Server> {
    let row = sqlx::query!(
        "insert into database_servers (id, name, region, host, port)
         values ($1, $2, 'local', $3, $4)
         on conflict (name) do update set host = excluded.host, port = excluded.port, updated_at = now()
         returning id, name, region",
        Uuid::now_v7(),
        PRIMARY,
        host,
        i32::from(port),
    )
    .fetch_one(&registry.pool)
    .await?;
    Ok(Server { id: row.id, name: row.name, region: row.region, host: host.to_owned(), port })
}

/// A server that is to be added.
pub struct NewServer<'a> {
    pub name: &'a str,
    pub region: &'a str,
    pub host: &'a str,
    pub port: u16,
    pub max_tenants: i32,
    /// How it is administered, encrypted.
    pub administrator: &'a [u8],
}

/// Adds a server, or changes one that has this name.
pub async fn add(registry: &Registry, new: NewServer<'_>) -> Result<()> {
    sqlx::query!(
        "insert into database_servers (id, name, region, host, port, max_tenants, administrator)
         values ($1, $2, $3, $4, $5, $6, $7)
         on conflict (name) do update
             set region = excluded.region, host = excluded.host, port = excluded.port,
                 max_tenants = excluded.max_tenants, administrator = excluded.administrator,
                 state = 'open', unreachable_since = null, updated_at = now()",
        Uuid::now_v7(),
        new.name,
        new.region,
        new.host,
        i32::from(new.port),
        new.max_tenants,
        new.administrator,
    )
    .execute(&registry.pool)
    .await?;
    Ok(())
}

/// From now on, no church is placed there; those that live there stay.
pub async fn drain(registry: &Registry, name: &str) -> Result<()> {
    let done = sqlx::query!(
        "update database_servers set state = 'draining', updated_at = now() where name = $1",
        name
    )
    .execute(&registry.pool)
    .await?;
    (done.rows_affected() > 0).then_some(()).ok_or(Error::NotFound)
}

/// A server as an operator sees it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Listed {
    pub id: Uuid,
    pub name: String,
    pub region: String,
    pub host: String,
    pub port: i32,
    /// `open` or `draining`.
    pub state: String,
    pub unreachable_since: Option<DateTime<Utc>>,
    pub tenants: i64,
    pub max_tenants: i32,
    pub ready_databases: i64,
}

pub async fn list(registry: &Registry) -> Result<Vec<Listed>> {
    let servers = sqlx::query_as!(
        Listed,
        r#"select s.id, s.name, s.region, s.host, s.port, s.state, s.unreachable_since, s.max_tenants,
                  (select count(*) from tenants t where t.server_id = s.id) as "tenants!",
                  (select count(*) from ready_databases r where r.server_id = s.id and r.ready_at is not null)
                      as "ready_databases!"
             from database_servers s
            order by s.name = 'primary' desc, s.name"#
    )
    .fetch_all(&registry.pool)
    .await?;
    Ok(servers)
}

/// All servers, and how each is administered.
pub async fn administered(registry: &Registry) -> Result<Vec<(Server, Option<Vec<u8>>)>> {
    let rows = sqlx::query!("select id, name, region, host, port, administrator from database_servers")
        .fetch_all(&registry.pool)
        .await?;
    let server = |id, name, region, host, port: i32| Server { id, name, region, host, port: port as u16 };
    Ok(rows
        .into_iter()
        .map(|row| (server(row.id, row.name, row.region, row.host, row.port), row.administrator))
        .collect())
}

/// The regions in which a church may be placed.
pub async fn regions(registry: &Registry) -> Result<Vec<String>> {
    let regions = sqlx::query_scalar!(
        "select distinct region from database_servers where state = 'open' order by region"
    )
    .fetch_all(&registry.pool)
    .await?;
    Ok(regions)
}

/// Notes whether a server was reached. Said only when it changes.
pub async fn note_reached(registry: &Registry, id: Uuid, reached: bool) -> Result<()> {
    sqlx::query!(
        "update database_servers
            set unreachable_since = case when $2 then null else now() end
          where id = $1 and (unreachable_since is null) <> $2",
        id,
        reached,
    )
    .execute(&registry.pool)
    .await?;
    Ok(())
}
