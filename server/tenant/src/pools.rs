use crate::{Credentials, Editor, Error, Result, Viewer};
use moka::future::Cache;
use sqlx::{
    ConnectOptions, PgPool, PgTransaction, Postgres,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPoolOptions, PgSslMode},
};
use std::{
    sync::{Arc, Mutex, PoisonError},
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

/// Small pools, one for each tenant in use.
#[derive(Clone)]
pub struct Pools {
    credentials: Credentials,
    per_tenant: u32,
    open: Cache<String, Slot>,
}

/// What the cache keeps. Emptied when it leaves: when the cache itself lets go of its memory is its own affair.
type Slot = Arc<Mutex<Option<Arc<Pool>>>>;

/// Closes when the last request that holds it has ended.
struct Pool(PgPool);

impl Drop for Pool {
    fn drop(&mut self) {
        let pool = self.0.clone();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { pool.close().await });
        }
    }
}

/// A pool that was not asked for is let go after this long; its connections close earlier.
const POOL_IDLE: Duration = Duration::from_secs(300);
const CONNECTION_IDLE: Duration = Duration::from_secs(60);
/// How long a request waits for a connection.
const ACQUIRE: Duration = Duration::from_secs(5);

impl Pools {
    pub fn new(credentials: Credentials, connections_per_tenant: u32) -> Self {
        let open =
            Cache::builder().time_to_idle(POOL_IDLE).eviction_listener(|_, slot, _| empty(&slot)).build();
        Self { credentials, per_tenant: connections_per_tenant, open }
    }

    /// The tenant that lives at `place`. Whoever asks at the same moment gets the same pool; its
    /// connections are opened when they are needed.
    pub async fn get(&self, place: &Place) -> Tenant {
        loop {
            let slot = self.open.get_with_by_ref(&place.tenant_id, async { self.slot(place) }).await;
            // Emptied between finding and looking: the next look makes a new one.
            let pool = slot.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some(pool) = pool {
                return Tenant { id: place.tenant_id.as_str().into(), pool };
            }
            self.open.invalidate(&place.tenant_id).await;
        }
    }

    /// Lets a tenant's pool go: its place has changed, or it was suspended.
    pub async fn forget(&self, tenant_id: &str) {
        if let Some(slot) = self.open.remove(tenant_id).await {
            empty(&slot);
        }
    }

    pub fn forget_all(&self) {
        self.open.iter().for_each(|(_, slot)| empty(&slot));
        self.open.invalidate_all();
    }

    fn slot(&self, place: &Place) -> Slot {
        let role = format!("tenant_{}", place.tenant_id);
        let options = PgConnectOptions::new_without_pgpass()
            .port(place.port)
            .username(&role)
            .password(&self.credentials.password(&place.tenant_id, place.role_version))
            .database(&place.database)
            .disable_statement_logging();
        let options = match place.host.starts_with('/') {
            true => options.socket(&place.host).ssl_mode(PgSslMode::Disable),
            false => options.host(&place.host),
        };
        let pool = PgPoolOptions::new()
            .max_connections(self.per_tenant)
            .acquire_timeout(ACQUIRE)
            .idle_timeout(CONNECTION_IDLE)
            .connect_lazy_with(options);
        Arc::new(Mutex::new(Some(Arc::new(Pool(pool)))))
    }
}

fn empty(slot: &Slot) {
    drop(slot.lock().unwrap_or_else(PoisonError::into_inner).take());
}

/// A church's database, opened for somebody who may enter it.
#[derive(Clone)]
pub struct Tenant {
    id: Arc<str>,
    pool: Arc<Pool>,
}

impl Tenant {
    pub fn id(&self) -> &str {
        &self.id
    }

    pub(crate) async fn read(&self, viewer: &Viewer) -> Result<PoolConnection<Postgres>> {
        self.belongs(viewer)?;
        Ok(self.pool.0.acquire().await?)
    }

    pub(crate) async fn write(&self, editor: &Editor) -> Result<PgTransaction<'static>> {
        self.belongs(&editor.0)?;
        self.begin().await
    }

    /// An authority of one church is none in another.
    fn belongs(&self, viewer: &Viewer) -> Result<()> {
        (viewer.tenant_id == *self.id).then_some(()).ok_or(Error::Forbidden)
    }

    /// For the few things done before anybody is known: opening the office, checking a password.
    pub(crate) async fn begin(&self) -> Result<PgTransaction<'static>> {
        Ok(self.pool.0.begin().await?)
    }
}
