use crate::{Registry, Result};
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

/// Where the first server stands; its region is what a signup without one gets.
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
