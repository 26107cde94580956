use super::{
    TenantLocation,
    budget::Budget,
    connection::{Connection, Transaction},
    entry::PoolEntry,
};
use crate::{Editor, Error, Result, Viewer};
use std::sync::{Arc, atomic::Ordering::Relaxed};

/// An open tenant database; the capability to use it. Only [`super::Pools`] constructs it.
#[derive(Clone)]
pub struct Tenant {
    entry: Arc<PoolEntry>,
    budget: Arc<Budget>,
}

impl Tenant {
    pub(super) fn new(entry: Arc<PoolEntry>, budget: Arc<Budget>) -> Self {
        Self { entry, budget }
    }

    pub(super) fn is_at(&self, location: &TenantLocation) -> bool {
        self.entry.location == *location
    }

    /// Closes idle connections now, and the others after use.
    pub(super) fn close(&self) {
        self.entry.removed.store(true, Relaxed);
        self.budget.close_where(|idle| Arc::ptr_eq(&idle.entry, &self.entry));
    }

    pub fn id(&self) -> &str {
        self.entry.id()
    }

    pub(crate) async fn read(&self, viewer: &Viewer) -> Result<Connection> {
        self.check_tenant(viewer)?;
        self.connect().await
    }

    pub(crate) async fn write(&self, editor: &Editor) -> Result<Transaction> {
        self.check_tenant(&editor.0)?;
        self.begin().await
    }

    /// Begins a transaction for the viewer's own data, such as personal tokens.
    pub(crate) async fn write_own(&self, viewer: &Viewer) -> Result<Transaction> {
        self.check_tenant(viewer)?;
        self.begin().await
    }

    /// Rejects an authority of another tenant.
    fn check_tenant(&self, viewer: &Viewer) -> Result<()> {
        (viewer.tenant_id == *self.id()).then_some(()).ok_or(Error::Forbidden)
    }

    /// Connects without an authority: for seeding, and for checking a password.
    pub(crate) async fn connect(&self) -> Result<Connection> {
        Ok(Connection::open(&self.budget, &self.entry).await?)
    }

    /// Connects without an authority; closes a new connection after use.
    pub(crate) async fn connect_briefly(&self) -> Result<Connection> {
        Ok(Connection::open_briefly(&self.budget, &self.entry).await?)
    }

    /// Begins a transaction without an authority.
    pub(crate) async fn begin(&self) -> Result<Transaction> {
        Ok(Transaction::begin(self.connect().await?).await?)
    }
}
