use super::servers::Administered;
use crate::Error;
use sqlx::{AssertSqlSafe, Connection, Executor};
use tenant::schema;

/// A database with the current tables and nothing in them, which new tenants are cloned from. There
/// is one for each version; it is made under another name and swapped in whole.
pub struct Template;

impl Template {
    /// This role may use the tables of a database made from the template, but has no usage on their schema: a clone
    /// gives that to its own tenant only, so that a copy of it that is open to public opens to nobody else.
    pub const TENANTS: &str = "vestry_tenants";

    /// The name carries how it is made, version and content, so that nobody clones one made otherwise; and its owner,
    /// as the tables of a clone belong to whoever owns those of the template.
    pub fn name(owner: &str) -> String {
        const MADE: u32 = 3;
        let digest = ring::digest::digest(&ring::digest::SHA256, owner.as_bytes());
        let owner: String = digest.as_ref()[..4].iter().map(|byte| format!("{byte:02x}")).collect();
        format!("vestry_template_{MADE}_{}_{owner}", schema::edition())
    }

    /// Makes the template unless it is there. Any number of processes may call this at once.
    pub async fn ensure(server: &Administered) -> Result<(), Error> {
        Self::build(server).await.map_err(Error::Template)
    }

    async fn build(server: &Administered) -> Result<(), String> {
        let mut connection = server.maintenance.acquire().await.map_err(words)?;
        let name = Self::name(server.owner());
        if Self::is_ready(&mut connection, &name).await.map_err(words)? {
            return Ok(());
        }
        if !Self::may_grant(&mut connection).await.map_err(words)? {
            return Err(format!(
                "another installation has made the role {0} on this PostgreSQL server: give each a server of its own, \
                 or in psql as superuser: grant {0} to {1} with admin option",
                Self::TENANTS,
                server.owner()
            ));
        }
        // `create database` runs in no transaction, so the lock is of the session: whatever ends this in the
        // middle, a lost lease for one, ends the session and with it the lock.
        connection.close_on_drop();
        let lock = "select pg_advisory_lock(hashtextextended('vestry template', 0))";
        connection.execute(lock).await.map_err(words)?;
        let built = match Self::is_ready(&mut connection, &name).await {
            Ok(true) => Ok(()),
            Ok(false) => Self::build_locked(server, &mut connection).await,
            Err(error) => Err(words(error)),
        };
        let unlock = "select pg_advisory_unlock(hashtextextended('vestry template', 0))";
        connection.execute(unlock).await.map_err(words)?;
        built
    }

    /// Since PostgreSQL 16 only who made a role, or was given it so, may let others have it.
    async fn may_grant(connection: &mut sqlx::PgConnection) -> sqlx::Result<bool> {
        sqlx::query_scalar(
            "select to_regrole($1) is null or current_setting('server_version_num')::integer < 160000
                 or pg_has_role(current_user, to_regrole($1), 'usage with admin option')",
        )
        .bind(Self::TENANTS)
        .fetch_one(connection)
        .await
    }

    /// Being a template is the last thing it becomes. Whether somebody may connect says nothing: a superuser who runs
    /// `vestry doctor --sql` is let in for a moment.
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

    async fn build_locked(server: &Administered, maintenance: &mut sqlx::PgConnection) -> Result<(), String> {
        let name = Self::name(server.owner());
        let draft = format!("{name}_draft");
        let run = async |connection: &mut sqlx::PgConnection, sql: String| {
            connection.execute(AssertSqlSafe(sql)).await.map(drop).map_err(words)
        };
        // What an interrupted attempt has left, before or after its renaming.
        run(maintenance, format!("drop database if exists {draft} with (force)")).await?;
        run(maintenance, format!("drop database if exists {name} with (force)")).await?;
        run(maintenance, format!("create database {draft} template template0 encoding 'UTF8'")).await?;
        run(maintenance, format!("revoke all on database {draft} from public")).await?;
        let mut inside = server.connect(&draft).await.map_err(words)?;
        run(&mut inside, "revoke all on schema public from public".into()).await?;
        run(
            &mut inside,
            format!(
                "do $$ begin create role {0} nologin; exception when duplicate_object then end $$",
                Self::TENANTS
            ),
        )
        .await?;
        let mut tx = inside.begin().await.map_err(words)?;
        schema::update(&mut tx, schema::SCHEMA, Self::TENANTS).await.map_err(words)?;
        tx.commit().await.map_err(words)?;
        inside.close().await.map_err(words)?;
        server.harden(&draft).await.map_err(words)?;
        run(maintenance, format!("alter database {draft} with allow_connections false")).await?;
        run(maintenance, format!("alter database {draft} rename to {name}")).await?;
        run(maintenance, format!("alter database {name} with is_template true")).await
    }
}

fn words(error: impl std::error::Error + 'static) -> String {
    registry::chain(&error).to_string()
}
