use super::Scope;
use registry::inventory::PlacedTenant;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use tokio::time::timeout;
use uuid::Uuid;

/// Timeout for inspecting a server.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Contents of one database server.
pub struct Inspected {
    pub name: String,
    /// Databases named `tenant_…`, and those the registry names.
    pub databases: BTreeMap<String, Database>,
    /// Roles named `tenant_…`.
    pub roles: BTreeSet<String>,
    /// Schemas named `tenant_…`, by database.
    pub schemas: BTreeMap<String, BTreeSet<String>>,
}

#[derive(Clone, Debug)]
pub struct Database {
    pub is_ours: bool,
    /// PUBLIC may connect.
    pub is_open: bool,
    /// Mark of the installation; `None` for databases of older releases.
    pub mark: Option<String>,
}

impl Inspected {
    pub fn has(&self, tenant: &PlacedTenant) -> bool {
        match tenant.has_dedicated_database {
            true => self.databases.contains_key(&tenant.database),
            false => self.schemas.get(&tenant.database).is_some_and(|all| all.contains(&tenant.schema)),
        }
    }
}

/// Inspects a server; fails with the cause.
pub async fn inspect(scope: &Scope, id: Uuid, tenants: &[PlacedTenant]) -> Result<Inspected, String> {
    match timeout(TIMEOUT, inspect_now(scope, id, tenants)).await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(error)) => Err(error),
        Err(_) => Err("it does not answer".into()),
    }
}

async fn inspect_now(scope: &Scope, id: Uuid, tenants: &[PlacedTenant]) -> Result<Inspected, String> {
    let server = scope.servers.find(id).await.map_err(|error| error.cause)?;
    let message = |error: sqlx::Error| error.to_string();
    let shared: BTreeSet<_> = tenants
        .iter()
        .filter(|tenant| tenant.server_id == id && !tenant.has_dedicated_database)
        .map(|tenant| tenant.database.clone())
        .collect();
    // A database moved by hand may have any name.
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
    .map_err(message)?;
    let roles: Vec<String> =
        sqlx::query_scalar("select rolname::text from pg_roles where rolname ~ '^tenant_[a-z][a-z0-9]{23}$'")
            .fetch_all(&server.maintenance)
            .await
            .map_err(message)?;
    let databases: BTreeMap<_, _> = databases
        .into_iter()
        .map(|(name, is_ours, is_open, mark)| (name, Database { is_ours, is_open, mark }))
        .collect();
    let mut schemas = BTreeMap::new();
    for database in shared.into_iter().filter(|database| databases.contains_key(database)) {
        let found: Vec<String> =
            sqlx::query_scalar("select nspname::text from pg_namespace where nspname ~ '^tenant_'")
                .fetch_all(&server.shared(&database))
                .await
                .map_err(message)?;
        schemas.insert(database, found.into_iter().collect());
    }
    Ok(Inspected { name: server.server.name.clone(), databases, roles: roles.into_iter().collect(), schemas })
}
