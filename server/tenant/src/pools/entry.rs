use super::TenantLocation;
use sqlx::{
    ConnectOptions, PgConnection,
    postgres::{PgConnectOptions, PgSslMode},
};
use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::sync::Mutex;

/// Repairs the role of the tenant with this id, as the server's administrator; returns whether it succeeded.
pub type Repair = Arc<dyn Fn(String) -> Pin<Box<dyn Future<Output = bool> + Send>> + Send + Sync>;

/// Minimum interval between two repairs of a role.
const REPAIR_INTERVAL: Duration = Duration::from_secs(60);

/// Startup parameters; they override `alter role … set`, which the tenant's role can run itself. The first few bound the
/// resources of one tenant; a changed value of the others would break queries.
const SESSION_SETTINGS: [(&str, &str); 19] = [
    ("statement_timeout", "30s"),
    ("lock_timeout", "15s"),
    ("idle_in_transaction_session_timeout", "60s"),
    ("idle_session_timeout", "0"),
    ("plan_cache_mode", "auto"),
    ("role", "none"),
    ("default_transaction_read_only", "off"),
    ("default_transaction_isolation", "read committed"),
    ("default_transaction_deferrable", "off"),
    ("row_security", "on"),
    ("synchronous_commit", "on"),
    ("standard_conforming_strings", "on"),
    ("bytea_output", "hex"),
    ("array_nulls", "on"),
    ("transform_null_equals", "off"),
    ("client_min_messages", "notice"),
    ("local_preload_libraries", ""),
    ("default_tablespace", ""),
    ("temp_tablespaces", ""),
];

/// Pool state of one tenant.
pub struct PoolEntry {
    pub location: TenantLocation,
    options: PgConnectOptions,
    /// Connections in use or opening; changes only under the budget's lock.
    pub busy: AtomicUsize,
    /// Removed from the pool: connections are closed after use.
    pub removed: AtomicBool,
    /// The role's settings were checked.
    checked: AtomicBool,
    repair: Repair,
    repaired: Mutex<Option<Instant>>,
    role_limit: Arc<AtomicI32>,
}

impl PoolEntry {
    pub fn new(
        location: &TenantLocation,
        password: &str,
        repair: Repair,
        role_limit: Arc<AtomicI32>,
    ) -> Self {
        Self {
            location: location.clone(),
            options: options(location, password),
            busy: AtomicUsize::new(0),
            removed: AtomicBool::new(false),
            checked: AtomicBool::new(false),
            repair,
            repaired: Mutex::default(),
            role_limit,
        }
    }

    pub fn id(&self) -> &str {
        &self.location.tenant_id
    }

    pub async fn connect(&self) -> sqlx::Result<PgConnection> {
        self.options.connect().await
    }

    /// Checks once, on the first connection, whether the role has foreign settings or a low connection limit.
    pub async fn needs_repair(&self, connection: &mut PgConnection) -> sqlx::Result<bool> {
        if self.checked.swap(true, Relaxed) {
            return Ok(false);
        }
        let (limit, settings): (i32, Vec<String>) = sqlx::query_as(
            "select r.rolconnlimit, array(select unnest(s.setconfig) from pg_db_role_setting s
                                           where s.setrole = r.oid and s.setdatabase in (0, d.oid))
               from pg_roles r, pg_database d
              where r.rolname = current_user and d.datname = current_database()",
        )
        .fetch_one(connection)
        .await?;
        let search_path = format!("search_path={}", self.location.schema);
        let foreign: Vec<_> = settings.iter().filter(|setting| !is_ours(setting, &search_path)).collect();
        if !foreign.is_empty() {
            let names: Vec<_> = foreign.iter().filter_map(|setting| setting.split('=').next()).collect();
            tracing::warn!(tenant = self.id(), settings = ?names, "tenant role has settings that Vestry did not set");
        }
        Ok(!foreign.is_empty() || (0..self.role_limit.load(Relaxed)).contains(&limit))
    }

    /// Repairs the role; one repair at a time, and at most one per interval.
    pub async fn repair(&self) -> bool {
        let mut repaired = self.repaired.lock().await;
        if let Some(at) = *repaired
            && at.elapsed() < REPAIR_INTERVAL
        {
            // Another request has repaired it while this one waited.
            return true;
        }
        let done = (self.repair)(self.id().to_owned()).await;
        *repaired = done.then(Instant::now);
        done
    }
}

/// Returns whether Vestry itself gives a role this setting.
fn is_ours(setting: &str, search_path: &str) -> bool {
    ["statement_timeout=30s", "idle_in_transaction_session_timeout=60s", search_path].contains(&setting)
        || setting.starts_with("temp_file_limit=")
}

fn options(location: &TenantLocation, password: &str) -> PgConnectOptions {
    let options = PgConnectOptions::new_without_pgpass()
        .port(location.port)
        .username(&format!("tenant_{}", location.tenant_id))
        .password(password)
        .database(&location.database)
        .application_name("vestry")
        .options(SESSION_SETTINGS)
        .options([("search_path", &location.schema)])
        .disable_statement_logging();
    let options = location.tls.apply(options);
    match location.host.starts_with('/') {
        true => options.socket(&location.host).ssl_mode(PgSslMode::Disable),
        false => options.host(&location.host),
    }
}
