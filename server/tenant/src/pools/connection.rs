use super::{
    budget::{Budget, Lease, PING_TIMEOUT},
    entry::PoolEntry,
};
use sqlx::{Executor, PgConnection};
use std::{
    ops::{Deref, DerefMut},
    sync::Arc,
};

/// A connection to one tenant's database, for one request.
pub struct Connection {
    lease: Option<Lease>,
    after: After,
}

/// Cleanup before a connection is reused.
#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    Nothing,
    Rollback,
    /// Unknown transaction state.
    Close,
}

impl Connection {
    pub(super) async fn open(budget: &Arc<Budget>, entry: &Arc<PoolEntry>) -> sqlx::Result<Self> {
        Ok(Self { lease: Some(budget.lease(entry).await?), after: After::Nothing })
    }

    /// Opens a connection that is closed after use, unless it was open before.
    pub(super) async fn open_briefly(budget: &Arc<Budget>, entry: &Arc<PoolEntry>) -> sqlx::Result<Self> {
        let lease = budget.lease(entry).await?;
        let after = if lease.is_new() { After::Close } else { After::Nothing };
        Ok(Self { lease: Some(lease), after })
    }
}

impl Deref for Connection {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        self.lease.as_ref().expect("held until it is dropped").as_connection()
    }
}

impl DerefMut for Connection {
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.lease.as_mut().expect("held until it is dropped").connection()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let Some(mut lease) = self.lease.take() else { return };
        let runtime = tokio::runtime::Handle::try_current().ok();
        match (self.after, runtime) {
            (After::Nothing, _) => {}
            (After::Close, _) | (_, None) => lease.discard(),
            (After::Rollback, Some(runtime)) => drop(runtime.spawn(async move {
                let rolled_back =
                    tokio::time::timeout(PING_TIMEOUT, lease.connection().execute("rollback")).await;
                if !matches!(rolled_back, Ok(Ok(_))) {
                    lease.discard();
                }
            })),
        }
    }
}

/// A transaction in one tenant's database; rolled back unless committed.
pub struct Transaction(Connection);

impl Transaction {
    pub(super) async fn begin(mut connection: Connection) -> sqlx::Result<Self> {
        connection.after = After::Close;
        connection.execute("begin").await?;
        connection.after = After::Rollback;
        Ok(Self(connection))
    }

    pub async fn commit(mut self) -> sqlx::Result<()> {
        self.0.after = After::Close;
        self.0.execute("commit").await?;
        self.0.after = After::Nothing;
        Ok(())
    }
}

impl Deref for Transaction {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.0
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.0
    }
}
