use sqlx::{ConnectOptions, PgPool, migrate::Migrator, postgres::PgConnectOptions, postgres::PgPoolOptions};
use std::{sync::LazyLock, time::Duration};

static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| {
    let mut migrator = sqlx::migrate!("../../registry-migrations");
    // A release that is rolled back finds the migrations of the newer one. They only add (expand, then contract).
    migrator.set_ignore_missing(true);
    migrator
});

/// Version of the tables, beside the one this binary works with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaState {
    /// No table is there.
    Missing,
    Older,
    Current,
    Newer,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("not found in the registry")]
    NotFound,
    /// Another worker took the run over while this one was not heard of.
    #[error("the lease on the run was lost")]
    LeaseLost,
    #[error("another server is known at this address")]
    AddressTaken,
    /// The idempotency key was used for another request, or has ended.
    #[error("the idempotency key was used before")]
    KeyReused,
    /// The email has as many churches as it may without being proved.
    #[error("the email has too many churches without being verified")]
    TooManyUnverified,
    #[error("the registry could not be brought up to date")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// No connection was free, or the database is away for now. Worth trying again.
    #[error("the registry did not answer")]
    Unavailable(#[source] sqlx::Error),
    /// A standby, or set so by its administrator.
    #[error("the registry's database is read-only for now")]
    ReadOnly(#[source] sqlx::Error),
    #[error("a query of the registry failed")]
    Database(#[source] sqlx::Error),
}

const READ_ONLY_TRANSACTION: &str = "25006";

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        let passing = match &error {
            sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Io(_) => true,
            // Too many connections, or a server that starts, stops or crashed.
            sqlx::Error::Database(db) => {
                db.code().is_some_and(|code| ["53", "57P", "08"].iter().any(|class| code.starts_with(class)))
            }
            _ => false,
        };
        if passing {
            Self::Unavailable(error)
        } else if error.as_database_error().and_then(|db| db.code()).as_deref() == Some(READ_ONLY_TRANSACTION)
        {
            Self::ReadOnly(error)
        } else {
            Self::Database(error)
        }
    }
}

pub type Result<T> = std::result::Result<T, Error>;

/// A handle on the registry database; cheap to clone.
#[derive(Clone, Debug)]
pub struct Registry {
    pub(crate) pool: PgPool,
}

impl Registry {
    /// Connects with at most `connections` connections. The tables are left as they are.
    pub async fn connect(options: PgConnectOptions, connections: u32) -> Result<Self> {
        let options = options
            // What a statement says is nobody's business but the database's.
            .disable_statement_logging()
            // Each statement is planned once, not anew for its first five times: what is asked for changes little.
            .options([("plan_cache_mode", "force_generic_plan")])
            // A process that is frozen in a transaction keeps its locks, and all others wait for them, no longer than this.
            .options([("idle_in_transaction_session_timeout", "10s")]);
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(Duration::from_secs(5))
            .connect_with(options)
            .await?;
        Ok(Self { pool })
    }

    /// The same for commands that only look: PostgreSQL refuses every write.
    pub async fn connect_read_only(options: PgConnectOptions, connections: u32) -> Result<Self> {
        Self::connect(options.options([("default_transaction_read_only", "on")]), connections).await
    }

    /// Brings the tables to the version of this binary; the versions that were missing.
    pub async fn migrate(&self) -> Result<Vec<i64>> {
        let before = self.applied().await?;
        MIGRATIONS.run(&self.pool).await.map_err(|error| match error {
            sqlx::migrate::MigrateError::Execute(error) => error.into(),
            error => Error::Migrate(error),
        })?;
        // No tenant's role may look in. At each start: whoever restores a dump opens the door again.
        let revoke = "do $$ begin
                          execute format('revoke connect, temporary on database %I from public', current_database());
                      end $$";
        sqlx::raw_sql(revoke).execute(&self.pool).await?;
        Ok(MIGRATIONS.iter().map(|m| m.version).filter(|version| !before.contains(version)).collect())
    }

    pub async fn schema_state(&self) -> Result<SchemaState> {
        let applied = self.applied().await?;
        let (newest, known) =
            (applied.iter().max(), MIGRATIONS.iter().map(|migration| migration.version).max());
        Ok(match newest {
            None => SchemaState::Missing,
            Some(_) if MIGRATIONS.iter().any(|migration| !applied.contains(&migration.version)) => {
                SchemaState::Older
            }
            newest if newest.copied() > known => SchemaState::Newer,
            Some(_) => SchemaState::Current,
        })
    }

    async fn applied(&self) -> Result<Vec<i64>> {
        let there: bool = sqlx::query_scalar("select to_regclass('_sqlx_migrations') is not null")
            .fetch_one(&self.pool)
            .await?;
        if !there {
            return Ok(Vec::new());
        }
        let applied = sqlx::query_scalar("select version from _sqlx_migrations where success");
        Ok(applied.fetch_all(&self.pool).await?)
    }

    /// Whether the registry answers.
    pub async fn ping(&self) -> Result<()> {
        sqlx::query_scalar!("select 1 as one").fetch_one(&self.pool).await?;
        Ok(())
    }

    /// Waits for running requests, then closes.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}
