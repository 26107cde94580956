use sqlx::{ConnectOptions, PgPool, migrate::Migrator, postgres::PgConnectOptions, postgres::PgPoolOptions};
use std::time::Duration;

static MIGRATIONS: Migrator = sqlx::migrate!("../../registry-migrations");

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("not found in the registry")]
    NotFound,
    /// Another worker took the run over while this one was not heard of.
    #[error("the lease on the run was lost")]
    LeaseLost,
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
    #[error("a query of the registry failed")]
    Database(#[source] sqlx::Error),
}

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
        if passing { Self::Unavailable(error) } else { Self::Database(error) }
    }
}

pub type Result<T> = std::result::Result<T, Error>;

/// A handle on the registry database; cheap to clone.
#[derive(Clone, Debug)]
pub struct Registry {
    pub(crate) pool: PgPool,
}

impl Registry {
    /// Connects with at most `connections` connections, and migrates.
    pub async fn open(options: PgConnectOptions, connections: u32) -> Result<Self> {
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
        MIGRATIONS.run(&pool).await?;
        // No tenant's role may look in. At each start: whoever restores a dump opens the door again.
        let revoke = "do $$ begin
                          execute format('revoke connect, temporary on database %I from public', current_database());
                      end $$";
        sqlx::raw_sql(revoke).execute(&pool).await?;
        Ok(Self { pool })
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
