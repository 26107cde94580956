use sqlx::{ConnectOptions, PgPool, migrate::Migrator, postgres::PgConnectOptions, postgres::PgPoolOptions};
use std::{sync::LazyLock, time::Duration};
use uuid::Uuid;

static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| {
    let mut migrator = sqlx::migrate!("../../registry-migrations");
    // A release that is rolled back finds the migrations of the newer one. They only add (expand, then contract).
    migrator.set_ignore_missing(true);
    migrator
});

/// Schema version of the registry, compared with this binary's migrations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaState {
    /// No tables.
    Missing,
    Older,
    Current,
    Newer,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("not found in the registry")]
    NotFound,
    /// Another worker took over after the lease expired.
    #[error("the lease was lost")]
    LeaseLost,
    #[error("another server has this address")]
    AddressTaken,
    /// The idempotency key was used for another request, or has expired.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// The email is unverified in too many tenants.
    #[error("the email is unverified in too many churches")]
    TooManyUnverified,
    #[error("migrating the registry failed")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// Pool timeout, or the database is unreachable. Transient.
    #[error("the registry did not answer")]
    Unavailable(#[source] sqlx::Error),
    /// A standby, or read-only by configuration.
    #[error("the registry is read-only")]
    ReadOnly(#[source] sqlx::Error),
    #[error("a registry query failed")]
    Database(#[source] sqlx::Error),
}

const READ_ONLY_TRANSACTION: &str = "25006";

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        let is_transient = match &error {
            sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Io(_) => true,
            // Too many connections; server starting, stopping or crashed.
            sqlx::Error::Database(db) => {
                db.code().is_some_and(|code| ["53", "57P", "08"].iter().any(|class| code.starts_with(class)))
            }
            _ => false,
        };
        if is_transient {
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
    /// Id of this process, part of its `application_name`.
    pub(crate) process: Uuid,
}

impl Registry {
    /// Connects with at most `connections` connections. Does not migrate.
    pub async fn connect(options: PgConnectOptions, connections: u32) -> Result<Self> {
        let process = Uuid::now_v7();
        let options = options
            // Shows other processes that this one is alive.
            .application_name(&format!("vestry {process}"))
            // Statements contain personal data.
            .disable_statement_logging()
            // Plans each statement once: parameters hardly affect the plans.
            .options([("plan_cache_mode", "force_generic_plan")])
            // Bounds how long a frozen process blocks others with its locks.
            .options([("idle_in_transaction_session_timeout", "10s")]);
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(Duration::from_secs(5))
            .connect_with(options)
            .await?;
        Ok(Self { pool, process })
    }

    /// Connects for read-only commands: PostgreSQL rejects every write.
    pub async fn connect_read_only(options: PgConnectOptions, connections: u32) -> Result<Self> {
        Self::connect(options.options([("default_transaction_read_only", "on")]), connections).await
    }

    /// Applies pending migrations and returns their versions.
    pub async fn migrate(&self) -> Result<Vec<i64>> {
        let before = self.applied().await?;
        MIGRATIONS.run(&self.pool).await.map_err(|error| match error {
            sqlx::migrate::MigrateError::Execute(error) => error.into(),
            error => Error::Migrate(error),
        })?;
        // Denies tenant roles access to the registry. Repeated at each start, because restoring a dump grants it again.
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
        let exists: bool = sqlx::query_scalar("select to_regclass('_sqlx_migrations') is not null")
            .fetch_one(&self.pool)
            .await?;
        if !exists {
            return Ok(Vec::new());
        }
        let applied = sqlx::query_scalar("select version from _sqlx_migrations where success");
        Ok(applied.fetch_all(&self.pool).await?)
    }

    /// Checks that the registry answers.
    pub async fn ping(&self) -> Result<()> {
        sqlx::query_scalar!("select 1 as one").fetch_one(&self.pool).await?;
        Ok(())
    }

    /// Waits for running queries, then closes the pool.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}
