//! What only a superuser can take from the roles of churches: locks and notifications that reach beyond their own
//! database or schema, large objects, and a look at what others do.

use super::servers::Administered;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

/// Revokes in one database, for superusers only. `role` is the installation's own, and keeps all of it. May be repeated.
///
/// The statement NOTIFY cannot be revoked: `pg_notification_queue_usage()` has to be watched.
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

/// What every server has is open to every role, and locks, notifications and large objects made there count for the
/// whole server.
fn closing_sql(role: &str) -> String {
    format!(
        "\\connect postgres
grant connect, temporary on database postgres to \"{role}\";
revoke connect, temporary on database postgres, template1 from public;
"
    )
}

/// The same for several databases of a server, as a script for psql. Nobody may connect to a template otherwise.
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
        "-- For psql, as a superuser of the database server. May be repeated.\n\\set ON_ERROR_STOP on\n{}{}",
        closing_sql(role),
        blocks.collect::<Vec<_>>().join("\n")
    )
}

/// Whether churches' roles in this database were restricted.
pub async fn is_hardened(connection: &mut PgConnection) -> sqlx::Result<bool> {
    let revoked =
        "select not has_function_privilege('public', 'pg_catalog.pg_advisory_lock(bigint)', 'execute')";
    sqlx::query_scalar(revoked).fetch_one(connection).await
}

impl Administered {
    /// The databases of this installation on the server: shared ones, those of churches (`placed`: those that the
    /// registry names, whatever they are called) and, first of all, templates, so that what is made from them meanwhile
    /// is restricted. Databases of others are none of our business, and nobody enters one that is closed.
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

    /// Restricts the roles of churches in one database, where this process is the server's superuser too: in the
    /// embedded PostgreSQL. Elsewhere a superuser runs [`hardening_script`].
    pub async fn harden(&self, database: &str) -> sqlx::Result<()> {
        let Some(superuser) = &self.superuser else { return Ok(()) };
        let mut connection = PgConnection::connect_with(&superuser.clone().database(database)).await?;
        if !is_hardened(&mut connection).await? {
            connection.execute(AssertSqlSafe(hardening_sql(self.owner()))).await?;
        }
        connection.close().await
    }
}
