use super::servers::ServerAdmin;
use crate::Error;
use registry::DEDICATED_SCHEMA;
use sqlx::{AssertSqlSafe, Connection, Executor};
use tenant::schema;

/// The template database: current tables, no rows. New databases are cloned from it. One exists for each schema
/// revision; it is built under a draft name, then renamed.
pub struct Template;

impl Template {
    /// Group role with rights on the tables of a clone, but without usage of the schema. Each clone grants usage to its own
    /// tenant's role only, so a clone open to PUBLIC still denies all others.
    pub const TENANTS: &str = "vestry_tenants";

    /// Returns the template's name. It contains the build format, the schema revision and the owner, whose tables the
    /// clones inherit.
    pub fn name(owner: &str) -> String {
        const FORMAT: u32 = 3;
        let digest = ring::digest::digest(&ring::digest::SHA256, owner.as_bytes());
        let owner: String = digest.as_ref()[..4].iter().map(|byte| format!("{byte:02x}")).collect();
        format!("vestry_template_{FORMAT}_{}_{owner}", schema::revision())
    }

    /// Creates the template unless it exists. Safe to call concurrently, from any process.
    pub async fn ensure(server: &ServerAdmin) -> Result<(), Error> {
        Self::build(server).await.map_err(Error::Template)
    }

    async fn build(server: &ServerAdmin) -> Result<(), String> {
        let mut connection = server.maintenance.acquire().await.map_err(message)?;
        let name = Self::name(server.owner());
        if Self::is_ready(&mut connection, &name).await.map_err(message)? {
            return Ok(());
        }
        if !Self::may_grant(&mut connection).await.map_err(message)? {
            return Err(format!(
                "another installation has created the role {0} on this PostgreSQL server: give each a server of its own, \
                 or in psql as superuser: grant {0} to {1} with admin option",
                Self::TENANTS,
                server.owner()
            ));
        }
        // `create database` cannot run in a transaction, so the lock is the session's. Closing on drop releases it if this
        // future is cancelled.
        connection.close_on_drop();
        let lock = "select pg_advisory_lock(hashtextextended('vestry template', 0))";
        connection.execute(lock).await.map_err(message)?;
        let built = match Self::is_ready(&mut connection, &name).await {
            Ok(true) => Ok(()),
            Ok(false) => Self::build_locked(server, &mut connection).await,
            Err(error) => Err(message(error)),
        };
        let unlock = "select pg_advisory_unlock(hashtextextended('vestry template', 0))";
        connection.execute(unlock).await.map_err(message)?;
        built
    }

    /// Since PostgreSQL 16, granting a role requires the admin option on it.
    async fn may_grant(connection: &mut sqlx::PgConnection) -> sqlx::Result<bool> {
        sqlx::query_scalar(
            "select to_regrole($1) is null or current_setting('server_version_num')::integer < 160000
                 or pg_has_role(current_user, to_regrole($1), 'usage with admin option')",
        )
        .bind(Self::TENANTS)
        .fetch_one(connection)
        .await
    }

    /// Checks `datistemplate`, which is set last. `datallowconn` is unreliable: the script of `vestry doctor --sql` sets it
    /// for a moment.
    async fn is_ready(connection: &mut sqlx::PgConnection, name: &str) -> sqlx::Result<bool> {
        sqlx::query_scalar(
            "select exists (select from pg_database
                             where datname = $1 and datistemplate
                               and pg_get_userbyid(datdba) = current_user)",
        )
        .bind(name)
        .fetch_one(connection)
        .await
    }

    async fn build_locked(server: &ServerAdmin, maintenance: &mut sqlx::PgConnection) -> Result<(), String> {
        let name = Self::name(server.owner());
        let draft = format!("{name}_draft");
        let run = async |connection: &mut sqlx::PgConnection, sql: String| {
            connection.execute(AssertSqlSafe(sql)).await.map(drop).map_err(message)
        };
        // Removes the leftovers of an interrupted attempt.
        run(maintenance, format!("drop database if exists {draft} with (force)")).await?;
        run(maintenance, format!("drop database if exists {name} with (force)")).await?;
        run(maintenance, format!("create database {draft} template template0 encoding 'UTF8'")).await?;
        run(maintenance, format!("revoke all on database {draft} from public")).await?;
        let mut inside = server.connect(&draft).await.map_err(message)?;
        run(&mut inside, "revoke all on schema public from public".into()).await?;
        run(
            &mut inside,
            format!(
                "do $$ begin create role {0} nologin; exception when duplicate_object then end $$",
                Self::TENANTS
            ),
        )
        .await?;
        let mut tx = inside.begin().await.map_err(message)?;
        schema::update(&mut tx, DEDICATED_SCHEMA, Self::TENANTS).await.map_err(message)?;
        tx.commit().await.map_err(message)?;
        inside.close().await.map_err(message)?;
        server.harden(&draft).await.map_err(message)?;
        run(maintenance, format!("alter database {draft} with allow_connections false")).await?;
        run(maintenance, format!("alter database {draft} rename to {name}")).await?;
        run(maintenance, format!("alter database {name} with is_template true")).await
    }
}

fn message(error: impl std::error::Error + 'static) -> String {
    registry::chain(&error).to_string()
}
