use crate::{
    Error, Oidc, Result, Secret, SessionStore,
    cache::Cache,
    events::in_tenant,
    keys::Keys,
    limits::Limits,
    passwords::Passwords,
    session_store::{EPOCH, SEEN, WHO},
};
use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use moka::future::Cache as Attempts;
use registry::{
    Registry, TenantId, changes::Change, changes::Changes, tenants, tenants::Isolation, tenants::Status,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    ops::Deref,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tenant::{Place, Pools, Repair, Tenant, Tls, admins, admins::Admin};
use tower_sessions::Session;
use uuid::Uuid;

/// How long anything resolved is believed without hearing of a change. Changes are told at once;
/// this bounds what happens when the telling fails.
pub(crate) const BELIEVED: Duration = Duration::from_secs(30);

/// Brings a tenant's tables to the version of this binary, as whoever owns them; whether that was done.
pub type Upgrade = Box<dyn Fn(TenantId) -> BoxFuture<'static, bool> + Send + Sync>;

/// Looks at a ready database on its server, as whoever administers that.
pub type Inspect = Box<registry::ready::Inspect>;

/// What the administrator of the database servers brings along.
pub struct Servers {
    /// The TLS settings of the registry's URL, which hold for the tenants of that server.
    pub primary_tls: Tls,
    pub upgrade: Upgrade,
    pub inspect: Inspect,
    pub repair: Repair,
}

/// Turns sessions and tokens into tenants; cheap to clone.
#[derive(Clone)]
pub struct Identity(Arc<Inner>);

pub struct Inner {
    pub(crate) registry: Registry,
    pub(crate) secret: Secret,
    /// How the data of new churches is kept apart.
    pub(crate) isolation: Isolation,
    pub(crate) passwords: Passwords,
    pub(crate) limits: Limits,
    pools: Pools,
    upgrade: Upgrade,
    pub(crate) inspect: Inspect,
    /// Tenants whose tables were brought up to date a moment ago.
    upgraded: Attempts<TenantId, ()>,
    primary_tls: Tls,
    /// The TLS settings of the other servers, and the sealed URL that each came from.
    other_tls: Mutex<HashMap<Uuid, (Vec<u8>, Tls)>>,
    sessions: SessionStore,
    tenants: Cache<TenantId, Arc<tenants::Tenant>>,
    admins: Cache<(String, Uuid), Admin>,
    /// Programs' sign-ins that have not ended.
    pub(crate) families: Cache<Uuid, ()>,
    /// What signs access tokens.
    pub(crate) keys: Keys,
    /// The outside issuer whose tokens are believed, if there is one.
    pub(crate) oidc: Option<Oidc>,
}

impl Deref for Identity {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

/// Somebody who is signed in, and the church that opens.
#[derive(Clone)]
pub struct CurrentUser {
    pub tenant: Tenant,
    pub admin: Admin,
    pub church: Church,
}

/// What the registry knows of a church, for its people to see.
#[derive(Clone, Debug)]
pub struct Church {
    pub name: String,
    pub country: String,
    pub timezone: String,
    pub subscription_status: String,
    pub trial_ends_at: DateTime<Utc>,
    pub isolation: Isolation,
    pub schema_version: Option<i64>,
}

impl From<&tenants::Tenant> for Church {
    fn from(known: &tenants::Tenant) -> Self {
        Self {
            name: known.name.clone(),
            country: known.country.clone(),
            timezone: known.timezone.clone(),
            subscription_status: known.subscription_status.clone(),
            trial_ends_at: known.trial_ends_at,
            isolation: known.isolation,
            schema_version: known.schema_version,
        }
    }
}

/// The run that a browser which signed up is waiting for.
#[derive(Serialize, Deserialize)]
pub(crate) struct Opening {
    pub run_id: Uuid,
    /// In seconds since 1970: later, the church is entered with its password only.
    #[serde(default)]
    pub until: i64,
}

impl Opening {
    pub const KEY: &str = "opening";
}

impl Identity {
    pub fn new(
        registry: Registry,
        secret: Secret,
        limits: tenant::Limits,
        isolation: Isolation,
        oidc: Option<Oidc>,
        servers: Servers,
    ) -> Self {
        Self(Arc::new(Inner {
            passwords: Passwords::new(),
            limits: Limits::new(),
            pools: Pools::new(secret.tenant_roles(), limits, servers.repair),
            upgrade: servers.upgrade,
            inspect: servers.inspect,
            primary_tls: servers.primary_tls,
            other_tls: Mutex::default(),
            upgraded: Attempts::builder().max_capacity(100_000).time_to_live(BELIEVED).build(),
            sessions: SessionStore::new(registry.clone()),
            tenants: Cache::new(100_000, BELIEVED),
            admins: Cache::new(100_000, BELIEVED),
            families: Cache::new(100_000, BELIEVED),
            keys: Keys::new(),
            oidc,
            registry,
            secret,
            isolation,
        }))
    }

    /// How the data of churches that sign up is kept apart.
    pub fn isolation(&self) -> Isolation {
        self.isolation
    }

    /// Where sessions are kept, for the session layer.
    pub fn sessions(&self) -> SessionStore {
        self.sessions.clone()
    }

    /// Who is signed in to this session, and the tenant that opens; `None` when nobody is.
    pub async fn resolve(&self, session: &Session) -> Result<Option<CurrentUser>> {
        let Some((tenant_id, admin_id)) = session.get::<(String, Uuid)>(WHO).await? else { return Ok(None) };
        let epoch = session.get(EPOCH).await?.unwrap_or(0);
        let inside = self.enter_since(&tenant_id.parse()?, admin_id, epoch).await?;
        if inside.is_some() {
            keep_alive(session).await?;
        }
        Ok(inside)
    }

    /// The church an admin may enter; `None` when there is no such church or admin any more.
    pub(crate) async fn enter(&self, tenant_id: &TenantId, admin_id: Uuid) -> Result<Option<CurrentUser>> {
        in_tenant(tenant_id.as_str());
        let known = match self.known(tenant_id).await {
            Err(Error::Registry(registry::Error::NotFound)) => return Ok(None),
            known => known?,
        };
        let tenant = self.open_tenant(&known).await?;
        let key = (tenant_id.to_string(), admin_id);
        let admin = match self.admins.get_or_read(&key, admins::enter(&tenant, admin_id)).await {
            Ok(admin) => admin,
            Err(tenant::Error::NotFound) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        Ok(Some(CurrentUser { tenant, admin, church: Church::from(&*known) }))
    }

    /// The same as the church's database says now: what is kept may be of before the admin was enabled again.
    pub(crate) async fn enter_anew(&self, tenant_id: &TenantId, admin_id: Uuid) -> Result<Option<CurrentUser>> {
        self.admins.invalidate(&(tenant_id.to_string(), admin_id));
        self.enter(tenant_id, admin_id).await
    }

    /// The same with a session or token that was made in this epoch of the admin's.
    pub(crate) async fn enter_since(
        &self,
        tenant_id: &TenantId,
        admin_id: Uuid,
        epoch: i32,
    ) -> Result<Option<CurrentUser>> {
        Ok(self.enter(tenant_id, admin_id).await?.filter(|inside| inside.admin.epoch == epoch))
    }

    /// A tenant that is being made, which the registry does not yet call active. For whoever holds
    /// the installation's secret: a worker's step, an operator's command.
    pub async fn unfinished(&self, _: &Secret, place: &Place) -> Tenant {
        self.pools.get(place).await
    }

    /// An open tenant, for whoever holds the installation's secret and works for nobody in particular.
    pub async fn open_for(&self, _: &Secret, id: &TenantId) -> Result<Tenant> {
        self.tenant_of(id).await
    }

    /// How many connections this process may have to each database server, from now on.
    pub fn limit_connections(&self, limit: usize) {
        self.pools.set_limit(limit);
    }

    /// The same, unless it may have fewer already.
    pub fn lower_connections(&self, limit: usize) {
        self.pools.lower_limit(limit);
    }

    /// This process's part of each server's connection budget.
    pub fn connection_limit(&self) -> usize {
        self.pools.limit()
    }

    /// How many processes share the budget.
    pub fn set_processes(&self, processes: usize) {
        self.pools.set_processes(processes);
    }

    /// The connection limit of the role of a tenant.
    pub fn role_limit(&self) -> i32 {
        self.pools.role_limit()
    }

    pub fn connections(&self) -> Vec<tenant::Usage> {
        self.pools.usage()
    }

    /// Whether an active tenant's tables can be read.
    pub async fn check(&self, id: &TenantId) -> Result<()> {
        Ok(tenant::health::ping(&self.tenant_of(id).await?).await?)
    }

    /// What keeps the memory of this process true: drops what the registry says has changed.
    pub async fn follow(self, changes: Changes) {
        let mut changes = changes.subscribe();
        while let Some(change) = changes.next().await {
            match change {
                Change::Tenant(id) => {
                    if let Ok(tenant_id) = id.parse::<TenantId>() {
                        self.tenants.invalidate(&tenant_id);
                        self.upgraded.invalidate(&tenant_id).await;
                    }
                    self.forget_outside_sign_ins();
                    self.pools.forget(&id).await;
                }
                Change::Session(id) => self.sessions.forget(&id),
                Change::TokenKeys => self.keys.forget(),
                Change::TokenFamily(id) => self.families.invalidate(&id),
                Change::Admin(tenant_id, admin_id) => {
                    self.admins.invalidate(&(tenant_id, admin_id));
                    self.forget_outside_sign_ins();
                }
                Change::OidcSubject => {
                    if let Some(oidc) = &self.oidc {
                        oidc.linked.invalidate_all();
                    }
                }
                Change::ServerMoved => {
                    self.tenants.invalidate_all();
                    self.pools.forget_all();
                }
                Change::Unheard => {
                    self.tenants.invalidate_all();
                    self.admins.invalidate_all();
                    self.families.invalidate_all();
                    self.keys.forget();
                    self.sessions.forget_all();
                    self.pools.forget_all();
                    self.forget_outside_sign_ins();
                    if let Some(oidc) = &self.oidc {
                        oidc.linked.invalidate_all();
                    }
                }
                Change::Queued | Change::Run(_) | Change::Processes | Change::ReadyTaken => {}
            }
        }
    }

    /// Which church an email opens may be another one now.
    fn forget_outside_sign_ins(&self) {
        if let Some(oidc) = &self.oidc {
            oidc.admitted.invalidate_all();
        }
    }

    /// Housekeeping that may happen at any time, in any process.
    pub async fn sweep(&self) -> Result<()> {
        self.limits.sweep();
        registry::tokens::sweep(&self.registry).await?;
        registry::signups::sweep(&self.registry).await?;
        Ok(registry::sessions::delete_expired(&self.registry).await?)
    }

    pub(crate) async fn tenant_of(&self, id: &TenantId) -> Result<Tenant> {
        self.open_tenant(&*self.known(id).await?).await
    }

    pub(crate) async fn known(&self, id: &TenantId) -> Result<Arc<tenants::Tenant>> {
        let find = async { Ok(Arc::new(tenants::find(&self.registry, id).await?)) };
        self.tenants.get_or_read(id, find).await
    }

    pub(crate) async fn open_tenant(&self, known: &tenants::Tenant) -> Result<Tenant> {
        match known.status {
            Status::Active => {}
            Status::Suspended => return Err(Error::Suspended { church: known.name.clone() }),
            _ => return Err(registry::Error::NotFound.into()),
        }
        self.placed_tenant(known).await
    }

    /// A suspended tenant, to check a password in and for nothing else.
    pub(crate) async fn suspended_tenant(&self, known: &tenants::Tenant) -> Result<Tenant> {
        self.placed_tenant(known).await
    }

    async fn placed_tenant(&self, known: &tenants::Tenant) -> Result<Tenant> {
        let version = known.schema_version.ok_or(registry::Error::NotFound)?;
        if version > tenant::schema::version() {
            return Err(Error::TooNew);
        }
        if version < tenant::schema::version() {
            // Once, however many come at the same moment.
            let upgrade = async {
                (self.upgrade)(known.id.clone()).await.then_some(()).ok_or(())?;
                self.carry_verified_over(known).await.map_err(drop)
            };
            let upgraded = self.upgraded.try_get_with_by_ref(&known.id, upgrade).await;
            upgraded.map_err(|_| Error::TooOld)?;
        }
        self.pooled(known).await
    }

    async fn pooled(&self, known: &tenants::Tenant) -> Result<Tenant> {
        let placement = known.placement.as_ref().ok_or(registry::Error::NotFound)?;
        Ok(self.pools.get(&self.place(known, placement)?).await)
    }

    /// Where a tenant lives, in the words of the `tenant` library.
    pub fn place(&self, known: &tenants::Tenant, placement: &tenants::Placement) -> Result<Place> {
        Ok(Place {
            tenant_id: known.id.to_string(),
            host: placement.server.host.clone(),
            port: placement.server.port,
            database: placement.database.clone(),
            schema: placement.schema.clone(),
            role_version: known.role_version,
            tls: self.tls(placement)?,
        })
    }

    /// The TLS settings of the URL by which a server is administered.
    fn tls(&self, placement: &tenants::Placement) -> Result<Tls> {
        let Some(sealed) = &placement.administrator else { return Ok(self.primary_tls.clone()) };
        let mut known = self.other_tls.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((by, tls)) = known.get(&placement.server.id)
            && by == sealed
        {
            return Ok(tls.clone());
        }
        let url = self.secret.open(&placement.server.name, sealed)?;
        let options = tenant::connect_options(&String::from_utf8_lossy(&url)).map_err(|_| Error::Sealed)?;
        let tls = Tls::of(&options);
        known.insert(placement.server.id, (sealed.clone(), tls.clone()));
        Ok(tls)
    }

    /// Emails that were proved before the church's tables had a place to note it.
    async fn carry_verified_over(&self, known: &tenants::Tenant) -> Result<()> {
        let verified = tenants::verified_emails(&self.registry, &known.id).await?;
        if !verified.is_empty() {
            admins::verify(&self.pooled(known).await?, &verified).await?;
        }
        Ok(())
    }
}

/// A session lives on while it is used: writing to it moves its end, once a day.
async fn keep_alive(session: &Session) -> Result<()> {
    let today = Utc::now().timestamp().div_euclid(24 * 3600);
    if session.get::<i64>(SEEN).await? != Some(today) {
        session.insert(SEEN, today).await?;
    }
    Ok(())
}
