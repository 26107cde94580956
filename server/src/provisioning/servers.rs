use super::step_error::StepError;
use identity::Secret;
use registry::{Registry, chain, servers, servers::Server};
use sqlx::{
    ConnectOptions, Connection, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{sync::Semaphore, time::timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Maintenance database. Advisory locks are per database, so all processes take server-wide locks here.
const MAINTENANCE: &str = "postgres";
/// Interval and timeout of the probes.
const POLL_INTERVAL: Duration = Duration::from_secs(2);
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
/// More concurrent clones than this do not finish any of them sooner.
const MAX_CONCURRENT_CLONES: usize = 2;

/// The database servers, connected as administrator: may create databases and roles.
#[derive(Clone)]
pub struct Servers(Arc<Inner>);

struct Inner {
    registry: Registry,
    secret: Secret,
    primary: Arc<ServerAdmin>,
    /// The other servers, as last loaded from the registry.
    others: Mutex<HashMap<Uuid, LoadedServer>>,
    /// Name of the database for schema-isolated tenants, on every server.
    shared_database: String,
    mark: Option<String>,
}

/// A server, and the sealed URL it was loaded with.
type LoadedServer = (Vec<u8>, Arc<ServerAdmin>);

/// Administrator's connections to one database server.
pub struct ServerAdmin {
    pub server: Server,
    options: PgConnectOptions,
    /// Superuser of the embedded PostgreSQL.
    pub superuser: Option<PgConnectOptions>,
    /// Pool for server-wide statements: databases and roles.
    pub maintenance: PgPool,
    /// Pools of shared databases, by name.
    shared: Mutex<HashMap<String, PgPool>>,
    /// Limits concurrent clones and upgrades.
    pub clone_permits: Semaphore,
    /// Result of the last probe.
    up: AtomicBool,
    /// Comment on the databases of this installation.
    pub mark: Option<String>,
}

impl Servers {
    /// `superuser` is set with the embedded PostgreSQL only.
    pub fn new(
        registry: Registry,
        secret: Secret,
        primary: Server,
        options: PgConnectOptions,
        installation: Option<Uuid>,
        superuser: Option<PgConnectOptions>,
    ) -> Self {
        let mark = installation.map(installation_mark);
        let shared_database = format!("{}_shared", options.get_database().unwrap_or("vestry"));
        Self(Arc::new(Inner {
            registry,
            secret,
            primary: Arc::new(ServerAdmin::new(primary, options, mark.clone(), superuser)),
            others: Mutex::default(),
            shared_database,
            mark,
        }))
    }

    pub fn primary(&self) -> Arc<ServerAdmin> {
        self.0.primary.clone()
    }

    pub fn shared_database(&self) -> &str {
        &self.0.shared_database
    }

    pub async fn find(&self, id: Uuid) -> Result<Arc<ServerAdmin>, StepError> {
        if id == self.0.primary.server.id {
            return Ok(self.primary());
        }
        if let Some((_, known)) = self.others().get(&id) {
            return Ok(known.clone());
        }
        self.reload().await?;
        let unknown = || StepError::permanent("The database server of this church is not known here.", id);
        self.others().get(&id).map(|(_, known)| known.clone()).ok_or_else(unknown)
    }

    /// Probes all servers periodically and records changes.
    pub async fn watch(self, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(POLL_INTERVAL)).await.is_some() {
            let all = self.loaded();
            let probe_all = futures::future::join_all(all.iter().map(|server| self.probe(server)));
            // Concurrently: a failing reload must not hide a server that is down too.
            let (reloaded, _) = tokio::join!(self.reload(), probe_all);
            if let Err(error) = reloaded {
                tracing::debug!(error = error.cause, "cannot list the database servers");
            }
        }
    }

    /// Reloads and returns all servers.
    pub async fn all(&self) -> Vec<Arc<ServerAdmin>> {
        if let Err(error) = self.reload().await {
            tracing::warn!(error = error.cause, "cannot list the database servers");
        }
        self.loaded()
    }

    fn loaded(&self) -> Vec<Arc<ServerAdmin>> {
        let others = self.others().values().map(|(_, known)| known.clone()).collect::<Vec<_>>();
        std::iter::once(self.primary()).chain(others).collect()
    }

    /// Returns whether a server answers; logs and records a change.
    pub async fn probe(&self, server: &ServerAdmin) -> bool {
        let name = server.server.name.as_str();
        let query = sqlx::query("select").execute(&server.maintenance);
        let probed = match timeout(PROBE_TIMEOUT, query).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(chain(&error).to_string()),
            Err(_) => Err(format!("no answer within {} s", PROBE_TIMEOUT.as_secs())),
        };
        metrics::gauge!("vestry_server_up", "server" => name.to_owned()).set(if probed.is_ok() {
            1.0
        } else {
            0.0
        });
        // Logs changes only.
        let up = probed.is_ok();
        if server.up.swap(up, Relaxed) != up {
            match &probed {
                Ok(()) => tracing::info!(server = name, "database server is reachable again"),
                Err(error) => tracing::error!(server = name, %error, "database server is unreachable"),
            }
        }
        if let Err(error) = servers::set_reachable(&self.0.registry, server.server.id, up).await {
            tracing::debug!(server = name, error = %chain(&error), "cannot record whether a server is reachable");
        }
        up
    }

    /// Loads servers that were added, moved or given another administrator.
    async fn reload(&self) -> Result<(), StepError> {
        for (server, sealed) in servers::list_with_admin_urls(&self.0.registry).await? {
            let Some(sealed) = sealed else { continue };
            let is_same = |(by, known): &LoadedServer| *by == sealed && known.server == server;
            if self.others().get(&server.id).is_some_and(is_same) {
                continue;
            }
            let options = self
                .0
                .secret
                .open(&server.name, &sealed)
                .ok()
                .and_then(|url| tenant::connect_options(&String::from_utf8(url).ok()?).ok());
            match options {
                Some(options) => {
                    let id = server.id;
                    self.others().insert(
                        id,
                        (sealed, Arc::new(ServerAdmin::new(server, options, self.0.mark.clone(), None))),
                    );
                }
                None => tracing::warn!(
                    server = server.name,
                    "cannot unseal the server's URL: sealed with another secret key; add it again"
                ),
            }
        }
        Ok(())
    }

    fn others(&self) -> std::sync::MutexGuard<'_, HashMap<Uuid, LoadedServer>> {
        self.0.others.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ServerAdmin {
    fn new(
        server: Server,
        options: PgConnectOptions,
        mark: Option<String>,
        superuser: Option<PgConnectOptions>,
    ) -> Self {
        // Statements contain password verifiers.
        let options = options
            .disable_statement_logging()
            // Bounds how long a process frozen during an upgrade locks a tenant out.
            .options([("idle_in_transaction_session_timeout", "30s")]);
        let maintenance = pool(4, options.clone().database(MAINTENANCE));
        Self {
            server,
            options,
            superuser,
            maintenance,
            shared: Mutex::default(),
            clone_permits: Semaphore::new(MAX_CONCURRENT_CLONES),
            mark,
            up: AtomicBool::new(true),
        }
    }

    /// Returns the pool of a shared database, as the owner of its tables. Pooled because a warm catalog cache makes schema
    /// creation faster than connecting.
    pub fn shared(&self, database: &str) -> PgPool {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let open = || pool(2, self.options.clone().database(database));
        shared.entry(database.to_owned()).or_insert_with(open).clone()
    }

    /// Returns the role that owns the installation's databases on this server.
    pub fn owner(&self) -> &str {
        self.options.get_username()
    }

    /// Returns the `sslmode` of a remote server unless it verifies the certificate.
    pub fn weaker_tls(&self) -> Option<&'static str> {
        tenant::weaker_mode(&self.options)
    }

    /// Connects to one database as the owner of its tables.
    pub async fn connect(&self, database: &str) -> sqlx::Result<PgConnection> {
        PgConnection::connect_with(&self.options.clone().database(database)).await
    }
}

fn pool(connections: u32, options: PgConnectOptions) -> PgPool {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(Duration::from_secs(10))
        .idle_timeout(Duration::from_secs(60))
        .connect_lazy_with(options)
}

/// Comment on the databases of an installation.
pub fn installation_mark(id: Uuid) -> String {
    format!("vestry {id}")
}
