use crate::{
    Error, Oidc, Result, Secret, SessionStore,
    cache::{CACHE_TTL, Cache},
    cached_keys::CachedKeys,
    log::record_tenant,
    passwords::Passwords,
    rate_limits::RateLimits,
    session_store::{SESSION_EPOCH, SESSION_LAST_DAY, SESSION_USER},
};
use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use moka::future::Cache as AsyncCache;
use registry::{
    Registry, TenantId, admin_emails,
    notifications::{Notification, Notifications},
    tenants,
    tenants::{Isolation, Status, TenantRecord},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    ops::Deref,
    sync::{Arc, Mutex, PoisonError},
};
use tenant::{Pools, Repair, Tenant, TenantLocation, Tls, admins, admins::Admin};
use tower_sessions::Session;
use uuid::Uuid;

/// Migrates a tenant's tables to this binary's version, as their owner; returns whether it succeeded.
pub type Upgrade = Box<dyn Fn(TenantId) -> BoxFuture<'static, bool> + Send + Sync>;

/// Inspects a ready database on its server, as administrator.
pub type Inspect = Box<registry::ready::Inspect>;

/// Operations that need an administrator of the database servers.
pub struct ServerAdmin {
    /// TLS settings of the registry's URL, used for tenants of that server.
    pub primary_tls: Tls,
    pub upgrade: Upgrade,
    pub inspect: Inspect,
    pub repair: Repair,
}

/// Resolves sessions and tokens to tenants; cheap to clone.
#[derive(Clone)]
pub struct Identity(Arc<Inner>);

pub struct Inner {
    pub(crate) registry: Registry,
    pub(crate) secret: Secret,
    /// Default isolation of new tenants.
    pub(crate) isolation: Isolation,
    pub(crate) passwords: Passwords,
    pub(crate) limits: RateLimits,
    pools: Pools,
    upgrade: Upgrade,
    pub(crate) inspect: Inspect,
    /// Tenants upgraded recently.
    upgraded: AsyncCache<TenantId, ()>,
    primary_tls: Tls,
    /// TLS settings of the other servers, with the sealed URL they came from.
    other_tls: Mutex<HashMap<Uuid, (Vec<u8>, Tls)>>,
    sessions: SessionStore,
    tenants: Cache<TenantId, Arc<TenantRecord>>,
    admins: Cache<(String, Uuid), Admin>,
    /// Active token families.
    pub(crate) families: Cache<Uuid, ()>,
    pub(crate) keys: CachedKeys,
    /// The OIDC issuer, if configured.
    pub(crate) oidc: Option<Oidc>,
}

impl Deref for Identity {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

/// An authenticated admin and the tenant it is signed in to.
#[derive(Clone)]
pub struct SignedIn {
    pub tenant: Tenant,
    pub admin: Admin,
    pub church: ChurchProfile,
}

/// Registry data of a tenant, as shown to its users.
#[derive(Clone, Debug)]
pub struct ChurchProfile {
    pub name: String,
    pub country: String,
    pub timezone: String,
    pub subscription_status: String,
    pub trial_ends_at: DateTime<Utc>,
    pub isolation: Isolation,
    pub schema_version: Option<i64>,
}

impl From<&TenantRecord> for ChurchProfile {
    fn from(record: &TenantRecord) -> Self {
        Self {
            name: record.name.clone(),
            country: record.country.clone(),
            timezone: record.timezone.clone(),
            subscription_status: record.subscription_status.clone(),
            trial_ends_at: record.trial_ends_at,
            isolation: record.isolation,
            schema_version: record.schema_version,
        }
    }
}

/// The signup that a browser session waits for.
#[derive(Serialize, Deserialize)]
pub(crate) struct PendingSignup {
    pub run_id: Uuid,
    /// Unix time; later, entering requires the password.
    #[serde(default)]
    pub until: i64,
}

impl PendingSignup {
    pub const KEY: &str = "opening";
}

impl Identity {
    pub fn new(
        registry: Registry,
        secret: Secret,
        limits: tenant::Limits,
        isolation: Isolation,
        oidc: Option<Oidc>,
        admin: ServerAdmin,
    ) -> Self {
        Self(Arc::new(Inner {
            passwords: Passwords::new(),
            limits: RateLimits::new(),
            pools: Pools::new(secret.tenant_roles(), limits, admin.repair),
            upgrade: admin.upgrade,
            inspect: admin.inspect,
            primary_tls: admin.primary_tls,
            other_tls: Mutex::default(),
            upgraded: AsyncCache::builder().max_capacity(100_000).time_to_live(CACHE_TTL).build(),
            sessions: SessionStore::new(registry.clone()),
            tenants: Cache::new(100_000, CACHE_TTL),
            admins: Cache::new(100_000, CACHE_TTL),
            families: Cache::new(100_000, CACHE_TTL),
            keys: CachedKeys::new(),
            oidc,
            registry,
            secret,
            isolation,
        }))
    }

    /// Returns the default isolation of new tenants.
    pub fn isolation(&self) -> Isolation {
        self.isolation
    }

    /// Returns the store for the session layer.
    pub fn sessions(&self) -> SessionStore {
        self.sessions.clone()
    }

    /// Returns the user signed in to this session; `None` if there is none.
    pub async fn resolve(&self, session: &Session) -> Result<Option<SignedIn>> {
        let Some((tenant_id, admin_id)) = session.get::<(String, Uuid)>(SESSION_USER).await? else {
            return Ok(None);
        };
        let epoch = session.get(SESSION_EPOCH).await?.unwrap_or(0);
        let user = self.enter_in_epoch(&tenant_id.parse()?, admin_id, epoch).await?;
        if user.is_some() {
            keep_alive(session).await?;
        }
        Ok(user)
    }

    /// Opens the tenant for an admin; `None` if either no longer exists.
    pub(crate) async fn enter(&self, tenant_id: &TenantId, admin_id: Uuid) -> Result<Option<SignedIn>> {
        record_tenant(tenant_id.as_str());
        let record = match self.tenant_record(tenant_id).await {
            Err(Error::Registry(registry::Error::NotFound)) => return Ok(None),
            record => record?,
        };
        let tenant = self.open_tenant(&record).await?;
        let key = (tenant_id.to_string(), admin_id);
        let admin = match self.admins.get_or_read(&key, admins::find_active(&tenant, admin_id)).await {
            Ok(admin) => admin,
            Err(tenant::Error::NotFound) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        Ok(Some(SignedIn { tenant, admin, church: ChurchProfile::from(&*record) }))
    }

    /// Opens the tenant for an admin, bypassing the cache, which may predate a change of the admin.
    pub(crate) async fn enter_uncached(
        &self,
        tenant_id: &TenantId,
        admin_id: Uuid,
    ) -> Result<Option<SignedIn>> {
        self.admins.invalidate(&(tenant_id.to_string(), admin_id));
        self.enter(tenant_id, admin_id).await
    }

    /// Opens the tenant for an admin whose session or token belongs to this epoch.
    pub(crate) async fn enter_in_epoch(
        &self,
        tenant_id: &TenantId,
        admin_id: Uuid,
        epoch: i32,
    ) -> Result<Option<SignedIn>> {
        Ok(self.enter(tenant_id, admin_id).await?.filter(|user| user.admin.epoch == epoch))
    }

    /// Opens a tenant that is being provisioned. Requires the installation's secret.
    pub async fn open_provisioning(&self, _: &Secret, location: &TenantLocation) -> Tenant {
        self.pools.get(location).await
    }

    /// Opens an active tenant without an admin. Requires the installation's secret.
    pub async fn open_as_operator(&self, _: &Secret, id: &TenantId) -> Result<Tenant> {
        self.tenant_of(id).await
    }

    /// Sets this process's connection limit for each database server.
    pub fn limit_connections(&self, limit: usize) {
        self.pools.set_limit(limit);
    }

    /// Lowers the connection limit to at most `limit`.
    pub fn lower_connections(&self, limit: usize) {
        self.pools.lower_limit(limit);
    }

    /// Returns this process's connection limit for each server.
    pub fn connection_limit(&self) -> usize {
        self.pools.limit()
    }

    /// Sets the number of processes that share the budget.
    pub fn set_processes(&self, processes: usize) {
        self.pools.set_processes(processes);
    }

    /// Returns the connection limit of tenant roles.
    pub fn role_limit(&self) -> i32 {
        self.pools.role_limit()
    }

    pub fn connections(&self) -> Vec<tenant::Usage> {
        self.pools.usage()
    }

    /// Checks that an active tenant's tables are readable.
    pub async fn check(&self, id: &TenantId) -> Result<()> {
        Ok(tenant::health::ping(&self.tenant_of(id).await?).await?)
    }

    /// Invalidates caches on the registry's notifications, until the process shuts down.
    pub async fn follow(self, notifications: Notifications) {
        let mut notifications = notifications.subscribe();
        while let Some(notification) = notifications.next().await {
            match notification {
                Notification::Tenant(id) => {
                    if let Ok(tenant_id) = id.parse::<TenantId>() {
                        self.tenants.invalidate(&tenant_id);
                        self.upgraded.invalidate(&tenant_id).await;
                    }
                    self.forget_oidc_sign_ins();
                    self.pools.remove(&id).await;
                }
                Notification::Session(id) => self.sessions.forget(&id),
                Notification::SigningKeys => self.keys.forget(),
                Notification::TokenFamily(id) => self.families.invalidate(&id),
                Notification::Admin(tenant_id, admin_id) => {
                    self.admins.invalidate(&(tenant_id, admin_id));
                    self.forget_oidc_sign_ins();
                }
                Notification::OidcSubject => {
                    if let Some(oidc) = &self.oidc {
                        oidc.linked.invalidate_all();
                    }
                }
                Notification::ServerMoved => {
                    self.tenants.invalidate_all();
                    self.pools.remove_all();
                }
                Notification::Missed => {
                    self.tenants.invalidate_all();
                    self.admins.invalidate_all();
                    self.families.invalidate_all();
                    self.keys.forget();
                    self.sessions.forget_all();
                    self.pools.remove_all();
                    self.forget_oidc_sign_ins();
                    if let Some(oidc) = &self.oidc {
                        oidc.linked.invalidate_all();
                    }
                }
                Notification::RunQueued
                | Notification::RunProgress(_)
                | Notification::Processes
                | Notification::ReadyTaken => {}
            }
        }
    }

    /// Drops cached OIDC sign-ins: an email may open other tenants now.
    fn forget_oidc_sign_ins(&self) {
        if let Some(oidc) = &self.oidc {
            oidc.authenticated.invalidate_all();
        }
    }

    /// Deletes expired rows and stale rate limits. Safe in any process, at any time.
    pub async fn sweep(&self) -> Result<()> {
        self.limits.evict_stale();
        registry::tokens::sweep(&self.registry).await?;
        registry::signups::sweep(&self.registry).await?;
        Ok(registry::sessions::delete_expired(&self.registry).await?)
    }

    pub(crate) async fn tenant_of(&self, id: &TenantId) -> Result<Tenant> {
        self.open_tenant(&*self.tenant_record(id).await?).await
    }

    pub(crate) async fn tenant_record(&self, id: &TenantId) -> Result<Arc<TenantRecord>> {
        let find = async { Ok(Arc::new(tenants::find(&self.registry, id).await?)) };
        self.tenants.get_or_read(id, find).await
    }

    pub(crate) async fn open_tenant(&self, record: &TenantRecord) -> Result<Tenant> {
        match record.status {
            Status::Active => {}
            Status::Suspended => return Err(Error::Suspended { church: record.name.clone() }),
            _ => return Err(registry::Error::NotFound.into()),
        }
        self.placed_tenant(record).await
    }

    /// Opens a suspended tenant, only to check credentials.
    pub(crate) async fn suspended_tenant(&self, record: &TenantRecord) -> Result<Tenant> {
        self.placed_tenant(record).await
    }

    async fn placed_tenant(&self, record: &TenantRecord) -> Result<Tenant> {
        let version = record.schema_version.ok_or(registry::Error::NotFound)?;
        if version > tenant::schema::version() {
            return Err(Error::TooNew);
        }
        if version < tenant::schema::version() {
            // Concurrent requests share one upgrade.
            let upgrade = async {
                (self.upgrade)(record.id.clone()).await.then_some(()).ok_or(())?;
                self.copy_verified_emails(record).await.map_err(drop)
            };
            let upgraded = self.upgraded.try_get_with_by_ref(&record.id, upgrade).await;
            upgraded.map_err(|_| Error::TooOld)?;
        }
        self.pooled(record).await
    }

    async fn pooled(&self, record: &TenantRecord) -> Result<Tenant> {
        let placement = record.placement.as_ref().ok_or(registry::Error::NotFound)?;
        Ok(self.pools.get(&self.location(record, placement)?).await)
    }

    /// Converts a placement to the location that the `tenant` crate expects.
    pub fn location(&self, record: &TenantRecord, placement: &tenants::Placement) -> Result<TenantLocation> {
        Ok(TenantLocation {
            tenant_id: record.id.to_string(),
            host: placement.server.host.clone(),
            port: placement.server.port,
            database: placement.database.clone(),
            schema: placement.schema.clone(),
            role_version: record.role_version,
            tls: self.tls(placement)?,
        })
    }

    /// Returns the TLS settings of a server's administrator URL.
    fn tls(&self, placement: &tenants::Placement) -> Result<Tls> {
        let Some(sealed) = &placement.sealed_admin_url else { return Ok(self.primary_tls.clone()) };
        let mut others = self.other_tls.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((by, tls)) = others.get(&placement.server.id)
            && by == sealed
        {
            return Ok(tls.clone());
        }
        let url = self.secret.open(&placement.server.name, sealed)?;
        let options = tenant::connect_options(&String::from_utf8_lossy(&url)).map_err(|_| Error::Sealed)?;
        let tls = Tls::from_options(&options);
        others.insert(placement.server.id, (sealed.clone(), tls.clone()));
        Ok(tls)
    }

    /// Copies verified emails from the registry, for tenants older than the column.
    async fn copy_verified_emails(&self, record: &TenantRecord) -> Result<()> {
        let verified = admin_emails::verified(&self.registry, &record.id).await?;
        if !verified.is_empty() {
            admins::verify(&self.pooled(record).await?, &verified).await?;
        }
        Ok(())
    }
}

/// Extends the session, at most once a day.
async fn keep_alive(session: &Session) -> Result<()> {
    let today = Utc::now().timestamp().div_euclid(24 * 3600);
    if session.get::<i64>(SESSION_LAST_DAY).await? != Some(today) {
        session.insert(SESSION_LAST_DAY, today).await?;
    }
    Ok(())
}
