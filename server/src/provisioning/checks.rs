//! What an operator should know of a database server: said at start, and by `vestry doctor`.

use super::{
    hardening::is_hardened,
    servers::{Administered, Servers},
};
use sqlx::Connection;
use std::time::Duration;
use tokio::time::timeout;

/// Connections besides the budget: of the registry, its listener and provisioning, for each process.
pub const RESERVE: i64 = 20;

/// How long a server may take to be looked at.
const PATIENCE: Duration = Duration::from_secs(10);

impl Servers {
    /// Findings of all servers, each in a sentence with what to do; empty when all is well.
    pub async fn findings(&self, budget: i64, processes: i64) -> Vec<String> {
        let mut findings = Vec::new();
        for server in self.all().await {
            let found = timeout(PATIENCE, server.findings(budget + RESERVE * processes)).await;
            match found {
                Ok(Ok(found)) => findings.extend(found),
                Ok(Err(_)) | Err(_) => {
                    findings
                        .push(format!("{}: the database server could not be looked at", server.server.name));
                }
            }
        }
        findings
    }
}

impl Administered {
    /// `connections` is how many Vestry may need in all.
    async fn findings(&self, connections: i64) -> sqlx::Result<Vec<String>> {
        let mut found = Vec::new();
        if let Some(mode) = self.weaker_tls() {
            found.push(format!(
                "connections to another machine use sslmode={mode}: whoever is in between can read the passwords of \
                 churches. Use sslmode=verify-full, with sslrootcert for a certificate authority of your own"
            ));
        }
        let (allowed, queue): (i64, f64) = sqlx::query_as(
            "select current_setting('max_connections')::bigint
                    - current_setting('superuser_reserved_connections')::bigint,
                    pg_notification_queue_usage()",
        )
        .fetch_one(&self.maintenance)
        .await?;
        if allowed < connections {
            found.push(format!(
                "max_connections leaves {allowed} connections, and Vestry may need {connections} \
                 (VESTRY_CONNECTION_BUDGET and {RESERVE} for each process): raise max_connections or lower the budget"
            ));
        }
        if queue > 0.5 {
            found.push(format!(
                "the notification queue is {:.0} % full: a role may be filling it",
                queue * 100.0
            ));
        }
        let open = self.open_to_public().await?;
        if !open.is_empty() {
            found.push(format!(
                "every role may connect to {}: vestry tenants repair ID closes a church's; otherwise grant connect on \
                 database … to its role, then revoke connect, temporary on database … from public",
                open.join(", ")
            ));
        }
        let unhardened = self.unhardened().await?;
        if !unhardened.is_empty() {
            found.push(format!(
                "the roles of churches may use advisory locks, large objects and statistics of others in {}: have a \
                 superuser run what `vestry doctor --sql` prints",
                some_of(&unhardened)
            ));
        }
        Ok(found.into_iter().map(|finding| format!("{}: {finding}", self.server.name)).collect())
    }

    /// Databases of churches that every role may connect to, as after `createdb` and `pg_restore` without `--create`.
    pub async fn open_to_public(&self) -> sqlx::Result<Vec<String>> {
        sqlx::query_scalar(
            "select datname::text from pg_database
              where (datname ~ '^tenant_'
                     or datname like '%\\_shared' and pg_get_userbyid(datdba) = current_user)
                and has_database_privilege('public', oid, 'connect')
              order by 1",
        )
        .fetch_all(&self.maintenance)
        .await
    }

    /// Where churches' roles are not restricted: the newest of their databases, among which are those that were made
    /// while a superuser ran the script, and what every database server has, which their roles may enter unless it is
    /// closed. The table of locks is the server's, not a database's.
    async fn unhardened(&self) -> sqlx::Result<Vec<String>> {
        const NEWEST: i64 = 20;
        let newest = "select datname::text from pg_database
                       where datname ~ '^tenant_' and datallowconn and datdba = current_user::regrole
                       order by oid desc limit $1";
        let newest: Vec<String> =
            sqlx::query_scalar(newest).bind(NEWEST).fetch_all(&self.maintenance).await?;
        if newest.is_empty() {
            return Ok(newest);
        }
        let common = "select datname::text from pg_database
                       where datname in ('postgres', 'template1') and datallowconn
                         and has_database_privilege('public', oid, 'connect')
                       order by 1";
        let mut found: Vec<String> = sqlx::query_scalar(common).fetch_all(&self.maintenance).await?;
        for database in newest {
            let mut inside = match self.connect(&database).await {
                Ok(inside) => inside,
                // It was given another name, or removed, meanwhile.
                Err(error) if error.as_database_error().is_some() => continue,
                Err(error) => return Err(error),
            };
            if !is_hardened(&mut inside).await? {
                found.push(database);
            }
            inside.close().await?;
        }
        Ok(found)
    }
}

/// The first few names, and how many more there are.
fn some_of(names: &[String]) -> String {
    const SHOWN: usize = 3;
    let shown = names[..names.len().min(SHOWN)].join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
