//! Database servers.

use crate::{Error, Registry, Result};
use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

/// A database server that hosts tenants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    pub id: Uuid,
    pub name: String,
    pub region: String,
    /// Host name, or the directory of a Unix socket if it begins with `/`.
    pub host: String,
    pub port: u16,
}

/// Name of the server that also hosts the registry.
pub const PRIMARY: &str = "primary";

/// Registers the registry's own server as [`PRIMARY`], once. Keeps a stored address: this process may connect through a
/// tunnel that other processes do not have. [`set_address`] changes it.
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

/// The stored row of the registry's server.
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

/// Returns PostgreSQL's `system_identifier` of the registry's cluster; `None` without permission to read it.
pub async fn system_identifier(registry: &Registry) -> Result<Option<i64>> {
    let query = sqlx::query_scalar!("select system_identifier from pg_control_system()");
    Ok(query.fetch_one(&registry.pool).await.unwrap_or_default())
}

/// Changes the address of a server. A trigger notifies every process.
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

/// A server to add, or to change by name.
pub struct NewServer<'a> {
    pub name: &'a str,
    /// `None` keeps the stored value, or `local` for a new server.
    pub region: Option<&'a str>,
    pub host: &'a str,
    pub port: u16,
    /// `None` keeps the stored value, or 5000 for a new server.
    pub max_tenants: Option<i32>,
    /// Sealed URL of the administrator.
    pub sealed_admin_url: &'a [u8],
}

/// Adds a server, or updates the one with this name. A draining server stays draining. Returns the region and whether
/// the server is open.
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
        new.sealed_admin_url,
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

/// Returns the name of the server with this address.
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

/// Opens a drained server for new tenants.
pub async fn open(registry: &Registry, name: &str) -> Result<()> {
    let done =
        sqlx::query!("update database_servers set state = 'open', updated_at = now() where name = $1", name)
            .execute(&registry.pool)
            .await?;
    (done.rows_affected() > 0).then_some(()).ok_or(Error::NotFound)
}

/// Stops placing tenants on a server; its tenants stay.
pub async fn drain(registry: &Registry, name: &str) -> Result<()> {
    let done = sqlx::query!(
        "update database_servers set state = 'draining', updated_at = now() where name = $1",
        name
    )
    .execute(&registry.pool)
    .await?;
    (done.rows_affected() > 0).then_some(()).ok_or(Error::NotFound)
}

/// A server as shown to operators.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerSummary {
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

pub async fn list(registry: &Registry) -> Result<Vec<ServerSummary>> {
    let servers = sqlx::query_as!(
        ServerSummary,
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

/// Lists all servers with the sealed URLs of their administrators.
pub async fn list_with_admin_urls(registry: &Registry) -> Result<Vec<(Server, Option<Vec<u8>>)>> {
    let rows = sqlx::query!("select id, name, region, host, port, administrator from database_servers")
        .fetch_all(&registry.pool)
        .await?;
    let server = |id, name, region, host, port: i32| Server { id, name, region, host, port: port as u16 };
    Ok(rows
        .into_iter()
        .map(|row| (server(row.id, row.name, row.region, row.host, row.port), row.administrator))
        .collect())
}

/// Lists the regions of open servers.
pub async fn regions(registry: &Registry) -> Result<Vec<String>> {
    let regions = sqlx::query_scalar!(
        "select distinct region from database_servers where state = 'open' order by region"
    )
    .fetch_all(&registry.pool)
    .await?;
    Ok(regions)
}

/// Records whether a server is reachable; writes only on a change.
pub async fn set_reachable(registry: &Registry, id: Uuid, reachable: bool) -> Result<()> {
    sqlx::query!(
        "update database_servers
            set unreachable_since = case when $2 then null else now() end
          where id = $1 and (unreachable_since is null) <> $2",
        id,
        reachable,
    )
    .execute(&registry.pool)
    .await?;
    Ok(())
}
