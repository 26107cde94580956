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

/// Writes the server that also holds the registry down under the name [`PRIMARY`], at its first start. An address
/// that was written down stays: this process may reach the same server through a tunnel that the churches of other
/// processes do not have. [`set_address`] changes it.
pub async fn register_primary(
    registry: &Registry,
    host: &str,
    port: u16,
    system_identifier: Option<i64>,
) -> Result<Server> {
    sqlx::query!(
        "insert into database_servers (id, name, region, host, port, system_identifier)
         values ($1, $2, 'local', $3, $4, $5)
         on conflict (name) do nothing",
        Uuid::now_v7(),
        PRIMARY,
        host,
        i32::from(port),
        system_identifier,
    )
    .execute(&registry.pool)
    .await?;
    primary(registry).await?.map(|primary| primary.server).ok_or(Error::NotFound)
}

/// The server of the registry, as it is written down.
pub struct Primary {
    pub server: Server,
    pub system_identifier: Option<i64>,
}

pub async fn primary(registry: &Registry) -> Result<Option<Primary>> {
    let row = sqlx::query!(
        "select id, name, region, host, port, system_identifier from database_servers where name = $1",
        PRIMARY,
    )
    .fetch_optional(&registry.pool)
    .await?;
    Ok(row.map(|row| Primary {
        server: Server {
            id: row.id,
            name: row.name,
            region: row.region,
            host: row.host,
            port: row.port as u16,
        },
        system_identifier: row.system_identifier,
    }))
}

/// PostgreSQL's own number of the cluster that holds the registry; `None` where its administrator does not let us ask.
pub async fn system_identifier(registry: &Registry) -> Result<Option<i64>> {
    let asked = sqlx::query_scalar!("select system_identifier from pg_control_system()");
    Ok(asked.fetch_one(&registry.pool).await.unwrap_or_default())
}

/// The server is reached there from now on. Every process hears of it.
pub async fn set_address(
    registry: &Registry,
    name: &str,
    host: &str,
    port: u16,
    system_identifier: Option<i64>,
) -> Result<()> {
    let done = sqlx::query!(
        "update database_servers
            set host = $2, port = $3, system_identifier = $4, unreachable_since = null, updated_at = now()
          where name = $1",
        name,
        host,
        i32::from(port),
        system_identifier,
    )
    .execute(&registry.pool)
    .await
    .map_err(address_taken)?;
    (done.rows_affected() > 0).then_some(()).ok_or(Error::NotFound)
}

/// A server that is to be added.
pub struct NewServer<'a> {
    pub name: &'a str,
    /// `None`: as it is, or else `local`.
    pub region: Option<&'a str>,
    pub host: &'a str,
    pub port: u16,
    /// `None`: as it is, or else 5000.
    pub max_tenants: Option<i32>,
    /// How it is administered, encrypted.
    pub administrator: &'a [u8],
}

/// Adds a server, or changes of one that has this name what is given. One that is being drained stays so. The region
/// and whether it takes churches, as they are now.
pub async fn add(registry: &Registry, new: NewServer<'_>) -> Result<(String, bool)> {
    let row = sqlx::query!(
        r#"insert into database_servers (id, name, region, host, port, max_tenants, administrator)
         values ($1, $2, coalesce($3, 'local'), $4, $5, coalesce($6, 5000), $7)
         on conflict (name) do update
             set region = coalesce($3, database_servers.region), host = excluded.host, port = excluded.port,
                 max_tenants = coalesce($6, database_servers.max_tenants), administrator = excluded.administrator,
                 unreachable_since = null, updated_at = now()
         returning region, state = 'open' as "open!""#,
        Uuid::now_v7(),
        new.name,
        new.region,
        new.host,
        i32::from(new.port),
        new.max_tenants,
        new.administrator,
    )
    .fetch_one(&registry.pool)
    .await
    .map_err(address_taken)?;
    Ok((row.region, row.open))
}

fn address_taken(error: sqlx::Error) -> Error {
    let constraint = error.as_database_error().and_then(|db| db.constraint());
    match constraint {
        Some("database_servers_host_port_key") => Error::AddressTaken,
        _ => error.into(),
    }
}

/// The name of the server at an address, if one is known.
pub async fn at_address(registry: &Registry, host: &str, port: u16) -> Result<Option<String>> {
    let name = sqlx::query_scalar!(
        "select name from database_servers where host = $1 and port = $2",
        host,
        i32::from(port),
    )
    .fetch_optional(&registry.pool)
    .await?;
    Ok(name)
}

/// Churches may be placed there again.
pub async fn undrain(registry: &Registry, name: &str) -> Result<()> {
    let done =
        sqlx::query!("update database_servers set state = 'open', updated_at = now() where name = $1", name)
            .execute(&registry.pool)
            .await?;
    (done.rows_affected() > 0).then_some(()).ok_or(Error::NotFound)
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
