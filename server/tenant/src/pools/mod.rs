//! Connections to the databases of tenants.
//!
//! A database server's connections are one budget that all its tenants share: whoever asked least
//! recently gives way. A tenant that nobody asks for costs nothing.

mod budget;
mod connection;

pub(crate) use connection::{Connection, Transaction};

use crate::{Credentials, Editor, Error, Result, Viewer};
use budget::{Budget, Church};
use moka::future::Cache;
use sqlx::{
    ConnectOptions,
    postgres::{PgConnectOptions, PgSslMode},
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

/// Where a tenant lives, as the registry says.
#[derive(Clone, Debug)]
pub struct Place {
    pub tenant_id: String,
    /// A host name, or the folder of a unix socket when it begins with `/`.
    pub host: String,
    pub port: u16,
    pub database: String,
    pub role_version: i32,
}

/// How many connections there may be, and how long they live unused.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// To one database server, over all tenants that live there.
    pub per_server: usize,
    /// To the database of one tenant.
    pub per_tenant: usize,
    /// How long a request waits for its turn.
    pub wait: Duration,
    /// An unused connection is closed after this long.
    pub idle: Duration,
}

/// What a server's connections are doing.
#[derive(Clone, Debug)]
pub struct Usage {
    /// Host and port.
    pub server: String,
    pub limit: usize,
    /// Open, being opened or being closed; `idle` are among them.
    pub open: usize,
    pub idle: usize,
    pub waiting: usize,
}

/// A tenant that nobody asked for is forgotten after this long; its connections are closed before.
const KNOWN: Duration = Duration::from_secs(300);

/// The way to every tenant's database; cheap to clone.
#[derive(Clone)]
pub struct Pools(Arc<Shared>);

struct Shared {
    credentials: Credentials,
    limits: Limits,
    churches: Cache<String, Arc<Church>>,
    servers: Mutex<Servers>,
}

struct Servers {
    /// This process's part of the budget, which it may share with others.
    limit: usize,
    budgets: HashMap<(String, u16), Arc<Budget>>,
}

impl Pools {
    pub fn new(credentials: Credentials, limits: Limits) -> Self {
        let churches = Cache::builder().time_to_idle(KNOWN.max(limits.idle)).build();
        let servers = Mutex::new(Servers { limit: limits.per_server, budgets: HashMap::new() });
        let shared = Arc::new(Shared { credentials, limits, churches, servers });
        tokio::spawn(close_unused(Arc::downgrade(&shared), limits.idle));
        Self(shared)
    }

    /// The tenant that lives at `place`. Its connections are opened when they are needed.
    pub async fn get(&self, place: &Place) -> Tenant {
        Tenant(self.0.churches.get_with_by_ref(&place.tenant_id, async { self.church(place) }).await)
    }

    /// Lets a tenant's connections go, those in use as soon as they are not: its place has changed,
    /// or it was suspended.
    pub async fn forget(&self, tenant_id: &str) {
        if let Some(church) = self.0.churches.remove(tenant_id).await {
            church.leave();
        }
    }

    pub fn forget_all(&self) {
        self.0.churches.iter().for_each(|(_, church)| church.leave());
        self.0.churches.invalidate_all();
    }

    /// From now on, each server's budget is this; what is too much closes as soon as it is not in use.
    pub fn set_limit(&self, limit: usize) {
        let mut servers = self.servers();
        servers.limit = limit;
        servers.budgets.values().for_each(|budget| budget.set_limit(limit));
    }

    /// The same, unless it is less already.
    pub fn lower_limit(&self, limit: usize) {
        let lower = limit.min(self.servers().limit);
        self.set_limit(lower);
    }

    pub fn usage(&self) -> Vec<Usage> {
        self.servers().budgets.values().map(|budget| budget.usage()).collect()
    }

    fn church(&self, place: &Place) -> Arc<Church> {
        let role = format!("tenant_{}", place.tenant_id);
        let options = PgConnectOptions::new_without_pgpass()
            .port(place.port)
            .username(&role)
            .password(&self.0.credentials.password(&place.tenant_id, place.role_version))
            .database(&place.database)
            .application_name("vestry")
            .disable_statement_logging();
        let options = match place.host.starts_with('/') {
            true => options.socket(&place.host).ssl_mode(PgSslMode::Disable),
            false => options.host(&place.host),
        };
        Arc::new(Church::new(&place.tenant_id, options, self.budget(place)))
    }

    fn budget(&self, place: &Place) -> Arc<Budget> {
        let mut servers = self.servers();
        let limit = servers.limit;
        let make = || Arc::new(Budget::new(&place.host, place.port, limit, self.0.limits));
        servers.budgets.entry((place.host.clone(), place.port)).or_insert_with(make).clone()
    }

    fn servers(&self) -> std::sync::MutexGuard<'_, Servers> {
        self.0.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let servers = self.servers.get_mut().unwrap_or_else(PoisonError::into_inner);
        servers.budgets.values().for_each(|budget| budget.set_limit(0));
    }
}

/// Ends with the pools themselves.
async fn close_unused(shared: Weak<Shared>, idle: Duration) {
    let mut tick = tokio::time::interval(idle / 4);
    loop {
        tick.tick().await;
        let Some(shared) = shared.upgrade() else { return };
        let budgets: Vec<_> = {
            let servers = shared.servers.lock().unwrap_or_else(PoisonError::into_inner);
            servers.budgets.values().cloned().collect()
        };
        budgets.iter().for_each(Budget::close_unused);
    }
}

/// A church's database, opened for somebody who may enter it.
#[derive(Clone)]
pub struct Tenant(Arc<Church>);

impl Tenant {
    pub fn id(&self) -> &str {
        self.0.id()
    }

    pub(crate) async fn read(&self, viewer: &Viewer) -> Result<Connection> {
        self.belongs(viewer)?;
        self.connect().await
    }

    pub(crate) async fn write(&self, editor: &Editor) -> Result<Transaction> {
        self.belongs(&editor.0)?;
        self.begin().await
    }

    /// To change what is the viewer's own, like its tokens.
    pub(crate) async fn write_own(&self, viewer: &Viewer) -> Result<Transaction> {
        self.belongs(viewer)?;
        self.begin().await
    }

    /// An authority of one church is none in another.
    fn belongs(&self, viewer: &Viewer) -> Result<()> {
        (viewer.tenant_id == *self.id()).then_some(()).ok_or(Error::Forbidden)
    }

    /// For the few things done before anybody is known: opening the office, checking a password.
    pub(crate) async fn connect(&self) -> Result<Connection> {
        Ok(Connection::open(&self.0).await?)
    }

    /// The same, for one look: a connection that is opened for it does not stay.
    pub(crate) async fn connect_briefly(&self) -> Result<Connection> {
        Ok(Connection::open_briefly(&self.0).await?)
    }

    /// The same, to write.
    pub(crate) async fn begin(&self) -> Result<Transaction> {
        Ok(Transaction::begin(self.connect().await?).await?)
    }
}
