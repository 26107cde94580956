use crate::{Credentials, Editor, Error, Result, Viewer};
use moka::future::Cache;
use sqlx::{
    PgPool, PgTransaction, Postgres,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPoolOptions, PgSslMode},
};
use std::{sync::Arc, time::Duration};

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
    open: Cache<String, PgPool>,
}

/// A pool that was not asked for is let go after this long; its connections close earlier.
const POOL_IDLE: Duration = Duration::from_secs(300);
const CONNECTION_IDLE: Duration = Duration::from_secs(60);
/// How long a request waits for a connection.
const ACQUIRE: Duration = Duration::from_secs(5);
/// A connection that rested longer is asked whether it still works.
const TRUSTED_FOR: Duration = Duration::from_secs(2);

impl Pools {
    pub fn new(credentials: Credentials, connections_per_tenant: u32) -> Self {
        // A pool that leaves the cache is dropped, not closed: it goes, with its connections, when
        // the last request that holds it has ended.
        let open = Cache::builder().time_to_idle(POOL_IDLE).build();
        Self { credentials, per_tenant: connections_per_tenant, open }
    }

    /// The tenant that lives at `place`. Connections are opened when they are needed.
    pub async fn get(&self, place: &Place) -> Tenant {
        let pool = match self.open.get(&place.tenant_id).await {
            Some(pool) => pool,
            None => self.open.get_with_by_ref(&place.tenant_id, async { self.pool(place) }).await,
        };
        Tenant { id: place.tenant_id.as_str().into(), pool }
    }

    /// Lets a tenant's pool go: its place has changed, or it was suspended.
    pub async fn forget(&self, tenant_id: &str) {
        self.open.invalidate(tenant_id).await;
    }

    pub fn forget_all(&self) {
        self.open.invalidate_all();
    }

    fn pool(&self, place: &Place) -> PgPool {
        let role = format!("tenant_{}", place.tenant_id);
        let options = PgConnectOptions::new_without_pgpass()
            .port(place.port)
            .username(&role)
            .password(&self.credentials.password(&place.tenant_id, place.role_version))
            .database(&place.database);
        let options = match place.host.starts_with('/') {
            true => options.socket(&place.host).ssl_mode(PgSslMode::Disable),
            false => options.host(&place.host),
        };
        PgPoolOptions::new()
            .max_connections(self.per_tenant)
            .acquire_timeout(ACQUIRE)
            .idle_timeout(CONNECTION_IDLE)
            .test_before_acquire(false)
            .before_acquire(|connection, meta| {
                Box::pin(async move {
                    use sqlx::Connection;
                    Ok(meta.idle_for < TRUSTED_FOR || connection.ping().await.is_ok())
                })
            })
            .connect_lazy_with(options)
    }
}

/// A church's database, opened for somebody who may enter it.
#[derive(Clone)]
pub struct Tenant {
    id: Arc<str>,
    pool: PgPool,
}

impl Tenant {
    pub fn id(&self) -> &str {
        &self.id
    }

    pub(crate) async fn read(&self, viewer: &Viewer) -> Result<PoolConnection<Postgres>> {
        self.belongs(viewer)?;
        Ok(self.pool.acquire().await?)
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
        Ok(self.pool.begin().await?)
    }
}
