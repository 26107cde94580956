use super::Scope;
use registry::inventory::PlacedTenant;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use tokio::time::timeout;
use uuid::Uuid;

/// A server that has not answered for so long is reported.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is on one database server.
pub struct Found {
    pub name: String,
    /// Databases called `tenant_…`, and those that the registry names, whatever they are called.
    pub databases: BTreeMap<String, Database>,
    /// Roles called `tenant_…`.
    pub roles: BTreeSet<String>,
    /// Schemas called `tenant_…`, by database.
    pub schemas: BTreeMap<String, BTreeSet<String>>,
}

#[derive(Clone, Debug)]
pub struct Database {
    pub is_ours: bool,
    /// PUBLIC may connect.
    pub is_open: bool,
    /// The installation that made it; `None` for databases of older releases.
    pub made_by: Option<String>,
}

impl Found {
    pub fn has(&self, tenant: &PlacedTenant) -> bool {
        match tenant.has_own_database {
            true => self.databases.contains_key(&tenant.database),
            false => self.schemas.get(&tenant.database).is_some_and(|all| all.contains(&tenant.schema)),
        }
    }
}

/// Looks at a server; an error says why not.
pub async fn look(scope: &Scope, id: Uuid, tenants: &[PlacedTenant]) -> Result<Found, String> {
    match timeout(PATIENCE, look_now(scope, id, tenants)).await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(error)) => Err(error),
        Err(_) => Err("it does not answer".into()),
    }
}

async fn look_now(scope: &Scope, id: Uuid, tenants: &[PlacedTenant]) -> Result<Found, String> {
    let server = scope.servers.find(id).await.map_err(|failure| failure.cause)?;
    let words = |error: sqlx::Error| error.to_string();
    let shared: BTreeSet<_> = tenants
        .iter()
        .filter(|tenant| tenant.server_id == id && !tenant.has_own_database)
        .map(|tenant| tenant.database.clone())
        .collect();
    // A church that was moved by hand lives in a database of any name.
    let placed: Vec<_> = tenants.iter().map(|tenant| tenant.database.clone()).collect();
    let databases: Vec<(String, bool, bool, Option<String>)> = sqlx::query_as(
        "select d.datname::text, pg_get_userbyid(d.datdba) = current_user,
                exists (select from aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) acl
                         where acl.grantee = 0 and acl.privilege_type = 'CONNECT'),
                shobj_description(d.oid, 'pg_database')
           from pg_database d
          where d.datname ~ '^tenant_[a-z][a-z0-9]{23}$' or d.datname = any ($1)",
    )
    .bind(&placed)
    .fetch_all(&server.maintenance)
    .await
    .map_err(words)?;
    let roles: Vec<String> =
        sqlx::query_scalar("select rolname::text from pg_roles where rolname ~ '^tenant_[a-z][a-z0-9]{23}$'")
            .fetch_all(&server.maintenance)
            .await
            .map_err(words)?;
    let databases: BTreeMap<_, _> = databases
        .into_iter()
        .map(|(name, is_ours, is_open, made_by)| (name, Database { is_ours, is_open, made_by }))
        .collect();
    let mut schemas = BTreeMap::new();
    for database in shared.into_iter().filter(|database| databases.contains_key(database)) {
        let found: Vec<String> =
            sqlx::query_scalar("select nspname::text from pg_namespace where nspname ~ '^tenant_'")
                .fetch_all(&server.shared(&database))
                .await
                .map_err(words)?;
        schemas.insert(database, found.into_iter().collect());
    }
    Ok(Found { name: server.server.name.clone(), databases, roles: roles.into_iter().collect(), schemas })
}
