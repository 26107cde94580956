//! Whether anything that was answered is lost, and whether anything is left over.

use super::{
    fleet::Fleet,
    load::{Answered, Member},
    postgres::Postgres,
};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, Row};
use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};
use uuid::Uuid;

/// How long what was interrupted may take to be finished: a half-made ready database is left alone for a minute.
const PATIENCE: Duration = Duration::from_secs(150);

#[derive(Default)]
pub struct Verdict {
    pub open: usize,
    pub failed: usize,
    /// Of the members that were answered.
    pub found: usize,
    pub lost: Vec<String>,
}

/// Each names in words what should not be there, or should.
const FINDINGS: [&str; 9] = [
    "select 'database ' || datname || ' belongs to nobody' from pg_database
      where datname like 'tenant\\_%'
        and datname not in (select database_name from tenants where isolation = 'database' and database_name is not null
                            union all select 'tenant_' || id from ready_databases)",
    "select 'role ' || rolname || ' belongs to nobody' from pg_roles
      where rolname like 'tenant\\_%'
        and rolname not in (select 'tenant_' || id from tenants union all select 'tenant_' || id from ready_databases)",
    "select 'the open church ' || id || ' has no database' from tenants
      where status = 'active' and database_name not in (select datname from pg_database)",
    "select 'the ready database ' || id || ' is not there' from ready_databases
      where 'tenant_' || id not in (select datname from pg_database)",
    "select id || ' has no role' from (select id from tenants where status = 'active' union all select id from ready_databases) as all_of
      where 'tenant_' || id not in (select rolname from pg_roles)",
    "select 'database ' || datname || ' is left over' from pg_database where datname like '%\\_draft' or datconnlimit = -2",
    "select count(*) || ' templates' from pg_database where datname like 'vestry\\_template\\_%' having count(*) <> 1",
    "select email || ' has ' || count(*) || ' churches' from admin_emails group by email having count(*) > 1",
    "select 'a tenant is ' || t.status || ' and its run ' || r.status
       from tenants t join provisioning_runs r on r.tenant_id = t.id
      where (t.status, r.status) not in (('active', 'succeeded'), ('failed', 'failed'))",
];

impl Verdict {
    /// Waits until all is quiet, then looks everywhere.
    pub async fn on(
        postgres: &Postgres,
        fleet: &Fleet,
        answered: &Answered,
        left_over: &BTreeSet<String>,
    ) -> Self {
        let mut verdict = Self { lost: answered.wrong.clone(), ..Self::default() };
        let quiet = [
            (
                "no run waits",
                "select not exists (select from provisioning_runs where status in ('queued', 'running'))",
            ),
            (
                "all ready databases stand",
                &format!(
                    "select count(*) = {} and count(*) = count(ready_at) from ready_databases",
                    fleet.ready
                ),
            ),
            (
                "only living processes have a part of the budget",
                &format!("select count(*) = {} from processes", fleet.posts.len()),
            ),
        ];
        for (what, sql) in quiet {
            if !postgres.comes_true(sql, PATIENCE).await {
                verdict.lost.push(format!("it never came true that {what}"));
            }
        }
        let mut registry = postgres.registry().await;
        for sql in FINDINGS {
            let mut found = texts(&mut registry, sql).await;
            found.retain(|text| {
                !text.ends_with("belongs to nobody") || !text.split(' ').any(|word| left_over.contains(word))
            });
            verdict.lost.extend(found);
        }
        verdict.judge_signups(&mut registry, answered).await;
        verdict.judge_churches(postgres, &mut registry, answered).await;
        verdict
    }

    async fn judge_signups(&mut self, registry: &mut PgConnection, answered: &Answered) {
        let rows = sqlx::query(
            "select a.id, r.status,
                    (select reason from provisioning_events e where e.run_id = a.id and e.state = 'failed' order by seq desc limit 1) as reason
               from unnest($1::uuid[]) as a (id) left join provisioning_runs r using (id)",
        )
        .bind(&answered.signups)
        .fetch_all(registry)
        .await
        .expect("it answers");
        for row in rows {
            let id: Uuid = row.get("id");
            match (row.get("status"), row.get("reason")) {
                (Some("succeeded"), _) => self.open += 1,
                (Some("failed"), Some(reason)) => {
                    let _: &str = reason;
                    self.failed += 1;
                }
                (status, _) => self.lost.push(format!("the accepted signup {id} ended as {status:?}")),
            }
        }
    }

    /// Looks into every open church.
    async fn judge_churches(
        &mut self,
        postgres: &Postgres,
        registry: &mut PgConnection,
        answered: &Answered,
    ) {
        let mut members: HashMap<Uuid, Vec<&Member>> = HashMap::new();
        answered.members.iter().for_each(|member| members.entry(member.run).or_default().push(member));
        let churches = sqlx::query(
            "select r.id, t.database_name, t.schema_name
               from tenants t join provisioning_runs r on r.tenant_id = t.id where t.status = 'active'",
        )
        .fetch_all(registry)
        .await
        .expect("it answers");
        for church in churches {
            let (database, schema): (&str, &str) = (church.get("database_name"), church.get("schema_name"));
            let expected = members.remove(&church.get("id")).unwrap_or_default();
            match look_into(postgres, database, schema).await {
                Ok((findings, names)) => {
                    self.lost.extend(findings);
                    for member in expected {
                        match names.values().filter(|name| **name == member.name).count() {
                            1 if names.get(&member.id) == Some(&member.name) => self.found += 1,
                            times => self.lost.push(format!(
                                "member {} of {database} {schema} is there {times} times",
                                member.id
                            )),
                        }
                    }
                }
                Err(error) => self.lost.push(format!("{database} {schema} cannot be looked into: {error}")),
            }
        }
        let lost =
            members.values().flatten().map(|member| format!("member {} has no open church", member.id));
        self.lost.extend(lost);
    }
}

/// What is wrong in one church, and its members.
async fn look_into(
    postgres: &Postgres,
    database: &str,
    schema: &str,
) -> sqlx::Result<(Vec<String>, HashMap<Uuid, String>)> {
    let mut inside = postgres.superuser(database).connect().await?;
    let owners = format!(
        "select '{database} {schema} has ' || count(*) || ' owners' from {schema}.admins where role = 'owner' having count(*) <> 1
         union all
         select '{database} {schema} has ' || count(*) || ' branches' from {schema}.branches having count(*) <> 1
         union all
         select '{database} {schema} has ' || m.n || ' members and ' || a.n || ' entries of them in the audit log'
           from (select count(*) as n from {schema}.members) as m,
                (select count(*) as n from {schema}.audit_log where entity = 'member') as a
          where m.n <> a.n"
    );
    let findings = sqlx::query_scalar(AssertSqlSafe(owners)).fetch_all(&mut inside).await?;
    let members = format!("select id, last_name from {schema}.members");
    let members = sqlx::query_as(AssertSqlSafe(members)).fetch_all(&mut inside).await?.into_iter().collect();
    inside.close().await?;
    Ok((findings, members))
}

async fn texts(registry: &mut PgConnection, sql: &'static str) -> Vec<String> {
    let found = sqlx::query_scalar(sql).fetch_all(registry).await;
    found.unwrap_or_else(|error| panic!("{sql}: {error}"))
}
