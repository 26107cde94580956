use super::{Place, budget::Budget};
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

/// Restores the role of the tenant with this id, as the administrator of its server; whether that was done.
pub type Repair = Arc<dyn Fn(String) -> Pin<Box<dyn Future<Output = bool> + Send>> + Send + Sync>;

/// A role that was repaired is not repaired again for so long.
const REPAIR_INTERVAL: Duration = Duration::from_secs(60);

/// Sent when a connection starts, so that they win over what a role, or whoever has its password, has set for it with
/// `alter role … set`. The first few bound what one church can hold, the others would make queries fail or lie.
const SESSION_SETTINGS: [(&str, &str); 21] = [
    ("statement_timeout", "30s"),
    ("lock_timeout", "15s"),
    ("idle_in_transaction_session_timeout", "60s"),
    ("idle_session_timeout", "0"),
    // Queries are written so that one plan fits every argument: none is made again for each request.
    ("plan_cache_mode", "force_generic_plan"),
    // An index that gives the order is used whatever the planner guesses about a table without statistics. Sorts that no
    // index can save look so expensive then that they would be compiled.
    ("enable_sort", "off"),
    ("jit", "off"),
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

/// A tenant as its server's budget knows it.
pub struct Church {
    pub place: Place,
    options: PgConnectOptions,
    pub budget: Arc<Budget>,
    /// Connections in use or being opened; changes under the budget's lock only.
    pub busy: AtomicUsize,
    /// Its connections are not kept any more.
    pub gone: AtomicBool,
    /// The role's settings have been looked at.
    checked: AtomicBool,
    repair: Repair,
    repaired: Mutex<Option<Instant>>,
    role_limit: Arc<AtomicI32>,
}

impl Church {
    pub fn new(
        place: &Place,
        password: &str,
        budget: Arc<Budget>,
        repair: Repair,
        role_limit: Arc<AtomicI32>,
    ) -> Self {
        Self {
            place: place.clone(),
            options: options(place, password),
            budget,
            busy: AtomicUsize::new(0),
            gone: AtomicBool::new(false),
            checked: AtomicBool::new(false),
            repair,
            repaired: Mutex::default(),
            role_limit,
        }
    }

    pub fn id(&self) -> &str {
        &self.place.tenant_id
    }

    pub fn leave(self: &Arc<Self>) {
        self.gone.store(true, Relaxed);
        self.budget.close_where(|idle| Arc::ptr_eq(&idle.church, self));
    }

    pub async fn connect(&self) -> sqlx::Result<PgConnection> {
        self.options.connect().await
    }

    /// Whether the role has settings that are not ours, or may have too few connections. Looked at once, by the first
    /// connection.
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
        let search_path = format!("search_path={}", self.place.schema);
        let foreign: Vec<_> = settings.iter().filter(|setting| !is_ours(setting, &search_path)).collect();
        if !foreign.is_empty() {
            let names: Vec<_> = foreign.iter().filter_map(|setting| setting.split('=').next()).collect();
            tracing::warn!(tenant = self.id(), settings = ?names, "a church's role has settings that Vestry did not make");
        }
        Ok(!foreign.is_empty() || (0..self.role_limit.load(Relaxed)).contains(&limit))
    }

    /// One repair at a time, and not again at once.
    pub async fn repair(&self) -> bool {
        let mut repaired = self.repaired.lock().await;
        if let Some(at) = *repaired
            && at.elapsed() < REPAIR_INTERVAL
        {
            // Somebody else has done it while this one waited.
            return true;
        }
        let done = (self.repair)(self.id().to_owned()).await;
        *repaired = done.then(Instant::now);
        done
    }
}

/// Whether Vestry makes a role with this setting.
fn is_ours(setting: &str, search_path: &str) -> bool {
    ["statement_timeout=30s", "idle_in_transaction_session_timeout=60s", search_path].contains(&setting)
        || setting.starts_with("temp_file_limit=")
}

fn options(place: &Place, password: &str) -> PgConnectOptions {
    let options = PgConnectOptions::new_without_pgpass()
        .port(place.port)
        .username(&format!("tenant_{}", place.tenant_id))
        .password(password)
        .database(&place.database)
        .application_name("vestry")
        .options(SESSION_SETTINGS)
        .options([("search_path", &place.schema)])
        .disable_statement_logging();
    let options = place.tls.apply(options);
    match place.host.starts_with('/') {
        true => options.socket(&place.host).ssl_mode(PgSslMode::Disable),
        false => options.host(&place.host),
    }
}
