//! Restrictions of tenant roles that only a superuser can apply: server-wide locks and notifications, large objects, and
//! statistics of other roles.

use super::servers::ServerAdmin;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

/// Returns the restricting statements for one database; requires a superuser. `role`, the installation's own, is exempt.
/// Idempotent.
///
/// NOTIFY itself cannot be revoked: monitor `pg_notification_queue_usage()`.
pub fn hardening_sql(role: &str) -> String {
    format!(
        "do $$
declare object text;
begin
    for object in
        select oid::regprocedure::text from pg_proc
         where pronamespace = 'pg_catalog'::regnamespace and prokind = 'f'
           and (proname ~ '^pg_(try_)?advisory_' or proname ~ '^lo_' or proname ~ '^pg_stat_get_'
                or proname in ('loread', 'lowrite', 'pg_notify'))
    loop
        execute format('revoke execute on function %s from public', object);
        execute format('grant execute on function %s to %I, pg_monitor', object, '{role}');
    end loop;
    for object in
        select relname from pg_class
         where relnamespace = 'pg_catalog'::regnamespace and relkind = 'v' and relname ~ '^pg_stat(io)?_'
    loop
        execute format('revoke select on pg_catalog.%I from public', object);
        execute format('grant select on pg_catalog.%I to %I, pg_monitor', object, '{role}');
    end loop;
    execute format('grant set on parameter temp_file_limit to %I', '{role}');
end $$;
"
    )
}

/// Returns the statements that close the default databases, where locks, notifications and large objects affect the
/// whole server.
fn close_defaults_sql(role: &str) -> String {
    format!(
        "\\connect postgres
grant connect, temporary on database postgres to \"{role}\";
revoke connect, temporary on database postgres, template1 from public;
"
    )
}

/// Returns a psql script that restricts several databases. Templates allow connections for its duration.
pub fn hardening_script(role: &str, databases: &[String]) -> String {
    let sql = hardening_sql(role);
    let blocks = databases.iter().map(|database| {
        let template = database.starts_with("vestry_template_");
        let allow = |allowed| match template {
            true => {
                format!("\\connect postgres\nalter database {database} with allow_connections {allowed};\n")
            }
            false => String::new(),
        };
        format!("{}\\connect {database}\n{sql}{}", allow(true), allow(false))
    });
    format!(
        "-- For psql, as a superuser of the database server. Idempotent.\n\\set ON_ERROR_STOP on\n{}{}",
        close_defaults_sql(role),
        blocks.collect::<Vec<_>>().join("\n")
    )
}

/// Returns whether this database is restricted.
pub async fn is_hardened(connection: &mut PgConnection) -> sqlx::Result<bool> {
    let revoked =
        "select not has_function_privilege('public', 'pg_catalog.pg_advisory_lock(bigint)', 'execute')";
    sqlx::query_scalar(revoked).fetch_one(connection).await
}

impl ServerAdmin {
    /// Lists the installation's databases on the server: templates first, so that concurrent clones are restricted too,
    /// then shared and tenant databases. `placed` are those the registry names, whatever they are called. Omits databases
    /// of others, and those that allow no connections.
    pub async fn databases(&self, placed: &[String]) -> sqlx::Result<Vec<String>> {
        sqlx::query_scalar(
            "select datname::text from pg_database
              where (datallowconn or datname ~ '^vestry_template_') and datname !~ '_draft$'
                and (datname = any ($1)
                     or pg_get_userbyid(datdba) = current_user
                        and (datname ~ '^(tenant|vestry_template)_' or datname like '%\\_shared'))
              order by datname !~ '^vestry_template_', datname",
        )
        .bind(placed)
        .fetch_all(&self.maintenance)
        .await
    }

    /// Restricts one database of the embedded PostgreSQL. Elsewhere a superuser runs [`hardening_script`].
    pub async fn harden(&self, database: &str) -> sqlx::Result<()> {
        let Some(superuser) = &self.superuser else { return Ok(()) };
        let mut connection = PgConnection::connect_with(&superuser.clone().database(database)).await?;
        if !is_hardened(&mut connection).await? {
            connection.execute(AssertSqlSafe(hardening_sql(self.owner()))).await?;
        }
        connection.close().await
    }
}
