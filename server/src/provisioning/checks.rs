//! Checks of a database server's configuration, at startup and by `vestry doctor`.

use super::{
    hardening::is_hardened,
    servers::{ServerAdmin, Servers},
};
use sqlx::Connection;
use std::time::Duration;
use tokio::time::timeout;

/// Connections per process beyond the budget: registry, listener and provisioning.
pub const RESERVED_CONNECTIONS: i64 = 20;

/// Timeout of the checks of one server.
const TIMEOUT: Duration = Duration::from_secs(10);

impl Servers {
    /// Checks all servers; returns each finding as a sentence with a remedy.
    pub async fn check(&self, budget: i64, processes: i64) -> Vec<String> {
        let mut findings = Vec::new();
        for server in self.all().await {
            let found = timeout(TIMEOUT, server.check(budget + RESERVED_CONNECTIONS * processes)).await;
            match found {
                Ok(Ok(found)) => findings.extend(found),
                Ok(Err(_)) | Err(_) => {
                    findings.push(format!("{}: cannot check the database server", server.server.name));
                }
            }
        }
        findings
    }
}

impl ServerAdmin {
    /// Checks one server. `connections` is the maximum that Vestry may open.
    async fn check(&self, connections: i64) -> sqlx::Result<Vec<String>> {
        let mut found = Vec::new();
        if let Some(mode) = self.weaker_tls() {
            found.push(format!(
                "connections to another machine use sslmode={mode}: anyone in between can read the passwords of \
                 tenant roles. Use sslmode=verify-full, with sslrootcert for a certificate authority of your own"
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
                 (VESTRY_CONNECTION_BUDGET and {RESERVED_CONNECTIONS} for each process): raise max_connections or lower the budget"
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
                "tenant roles may use advisory locks, large objects and statistics of others in {}: have a \
                 superuser run what `vestry doctor --sql` prints",
                summarize(&unhardened)
            ));
        }
        Ok(found.into_iter().map(|finding| format!("{}: {finding}", self.server.name)).collect())
    }

    /// Lists tenant databases that PUBLIC may connect to, as after `pg_restore` without `--create`.
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

    /// Lists databases without the restrictions of `vestry doctor --sql`: the newest tenant databases, which may have been
    /// created while the script ran, and the default databases that tenant roles may connect to. Advisory locks are
    /// server-wide.
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
                // Renamed or dropped concurrently.
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

/// Joins the first names, and counts the rest.
fn summarize(names: &[String]) -> String {
    const SHOWN: usize = 3;
    let shown = names[..names.len().min(SHOWN)].join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
