//! The registry is restored from a dump, while churches that it does not know have come since.

use super::Rig;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use std::collections::BTreeSet;
use uuid::Uuid;

/// A church that the restored registry does not know.
pub struct Forgotten {
    pub tenant_id: String,
    pub database: String,
    pub schema: String,
    /// Members that were answered before.
    pub members: Vec<Uuid>,
    admins: i64,
}

const REGISTRY: &str = "vestry_registry";

impl Rig {
    pub async fn dump_registry(&self) {
        let file = self.postgres.folder().join("registry.dump");
        let file = file.to_str().expect("a path");
        self.postgres.program("pg_dump", &["--format", "custom", "--file", file, REGISTRY]).await;
    }

    /// Restores the dump, as an operator does: no process runs meanwhile. Ready databases and processes of that time
    /// are left in it, which an operator would take out.
    pub async fn restore_registry(&mut self) {
        self.fleet.pause().await;
        let before = self.runs("t.status = 'active'").await;
        let file = self.postgres.folder().join("registry.dump");
        let file = file.to_str().expect("a path");
        self.postgres.program("dropdb", &["--force", REGISTRY]).await;
        self.postgres
            .program("pg_restore", &["--create", "--exit-on-error", "--dbname", "postgres", file])
            .await;
        let known: BTreeSet<_> = self.runs("true").await.into_iter().map(|(run, ..)| run).collect();
        for (run, tenant_id, database, schema) in before {
            let (database, schema) = (database.expect("it is open"), schema.expect("it is open"));
            if known.contains(&run) {
                // It may have been moved since the dump: an operator writes down again where it is, as doctor asks.
                let moved = "update tenants set database_name = $2 where id = $1 and database_name <> $2";
                let moved = sqlx::query(moved).bind(&tenant_id).bind(&database);
                moved.execute(&mut self.postgres.registry().await).await.expect("it may");
                continue;
            }
            let members = self.load.members_of(run);
            let admins = self.count(&database, &format!("{schema}.admins")).await;
            self.forgotten.push(Forgotten { tenant_id, database, schema, members, admins });
        }
        self.left_over = self.unknown_names().await;
        self.load.begin_anew(&known);
        self.fleet.resume();
    }

    /// Databases and roles that no church of the restored registry has; of those that it takes for ready, some may
    /// turn out to be in use.
    async fn unknown_names(&self) -> BTreeSet<String> {
        let names = "select datname::text from pg_database where datname like 'tenant\\_%'
                     union select rolname::text from pg_roles where rolname like 'tenant\\_%'
                     except select 'tenant_' || id from tenants";
        let names = sqlx::query_scalar(names).fetch_all(&mut self.postgres.registry().await).await;
        names.expect("it answers").into_iter().collect()
    }

    async fn runs(&self, which: &'static str) -> Vec<(Uuid, String, Option<String>, Option<String>)> {
        let runs = format!(
            "select r.id, t.id, t.database_name, t.schema_name
               from provisioning_runs r join tenants t on t.id = r.tenant_id where {which}"
        );
        let mut registry = self.postgres.registry().await;
        sqlx::query_as(AssertSqlSafe(runs)).fetch_all(&mut registry).await.expect("it answers")
    }

    async fn count(&self, database: &str, table: &str) -> i64 {
        let mut inside = self.postgres.superuser(database).connect().await.expect("it is there");
        let count = sqlx::query_scalar(AssertSqlSafe(format!("select count(*) from {table}")));
        let count = count.fetch_one(&mut inside).await.expect("it answers");
        inside.close().await.expect("it answers");
        count
    }

    /// What has happened to churches that the registry does not know: nothing may have.
    pub async fn judge_forgotten(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for church in &self.forgotten {
            let Forgotten { tenant_id, database, schema, members, admins } = church;
            let Ok(mut inside) = self.postgres.superuser(database).connect().await else {
                wrong.push(format!("the church {tenant_id}, which the registry had forgotten, was dropped"));
                continue;
            };
            let found = format!(
                "select (select count(*) from {schema}.admins), (select count(*) from {schema}.members where id = any ($1))"
            );
            let found: Result<(i64, i64), _> =
                sqlx::query_as(AssertSqlSafe(found)).bind(members).fetch_one(&mut inside).await;
            match found {
                Ok(found) if found == (*admins, members.len() as i64) => {}
                found => wrong.push(format!("the forgotten church {tenant_id} is not as it was: {found:?}")),
            }
        }
        wrong
    }
}
