use super::{databases::installation_mark, failure::Failure};
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

/// The database that every server has. All processes meet here: a lock taken in it holds for the whole server.
const MAINTENANCE: &str = "postgres";
/// How often every server is asked whether it answers, and how long it may take.
const LOOK_AROUND: Duration = Duration::from_secs(2);
const ANSWER: Duration = Duration::from_secs(2);
/// Cloning or changing more databases than this at a time makes none of them ready sooner.
const TURNS: usize = 2;

/// The database servers as their administrator sees them: may make databases and roles.
#[derive(Clone)]
pub struct Servers(Arc<Inner>);

struct Inner {
    registry: Registry,
    secret: Secret,
    primary: Arc<Administered>,
    /// The other servers, as far as this process has met them.
    others: Mutex<HashMap<Uuid, Known>>,
    /// The database in which tenants with a schema of their own live, on every server.
    shared_database: String,
    mark: Option<String>,
}

/// A server, and the sealed way in that it was met by.
type Known = (Vec<u8>, Arc<Administered>);

pub struct Administered {
    pub server: Server,
    options: PgConnectOptions,
    /// Where this process is the server's superuser too.
    pub superuser: Option<PgConnectOptions>,
    /// For what is done to the server as a whole: databases and roles.
    pub maintenance: PgPool,
    /// Of the databases that tenants share, by name.
    shared: Mutex<HashMap<String, PgPool>>,
    /// Turns at what is much work.
    pub turns: Semaphore,
    /// Whether it answered when it was last asked.
    up: AtomicBool,
    /// Comment on the databases that this installation makes.
    pub mark: Option<String>,
}

impl Servers {
    /// `superuser` is that of the embedded PostgreSQL.
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
            primary: Arc::new(Administered::new(primary, options, mark.clone(), superuser)),
            others: Mutex::default(),
            shared_database,
            mark,
        }))
    }

    pub fn primary(&self) -> Arc<Administered> {
        self.0.primary.clone()
    }

    pub fn shared_database(&self) -> &str {
        &self.0.shared_database
    }

    pub async fn find(&self, id: Uuid) -> Result<Arc<Administered>, Failure> {
        if id == self.0.primary.server.id {
            return Ok(self.primary());
        }
        if let Some((_, known)) = self.known().get(&id) {
            return Ok(known.clone());
        }
        self.meet().await?;
        let unknown = || Failure::lasting("The database server of this church is not known here.", id);
        self.known().get(&id).map(|(_, known)| known.clone()).ok_or_else(unknown)
    }

    /// Asks all servers again and again whether they answer, and writes down what has changed.
    pub async fn watch(self, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(LOOK_AROUND)).await.is_some() {
            let all = self.met();
            let reach_all = futures::future::join_all(all.iter().map(|server| self.reach(server)));
            // At the same time: when the registry is down, so may be one of the servers, and nothing else would tell.
            let (met, _) = tokio::join!(self.meet(), reach_all);
            if let Err(failure) = met {
                tracing::debug!(error = failure.cause, "the database servers could not be listed");
            }
        }
    }

    /// All servers of the installation.
    pub async fn all(&self) -> Vec<Arc<Administered>> {
        if let Err(failure) = self.meet().await {
            tracing::warn!(cause = failure.cause, "the database servers could not be listed");
        }
        self.met()
    }

    fn met(&self) -> Vec<Arc<Administered>> {
        let others = self.known().values().map(|(_, known)| known.clone()).collect::<Vec<_>>();
        std::iter::once(self.primary()).chain(others).collect()
    }

    /// Whether a server answers now; what that changes is written down.
    pub async fn reach(&self, server: &Administered) -> bool {
        let name = server.server.name.as_str();
        let asked = sqlx::query("select").execute(&server.maintenance);
        let reached = match timeout(ANSWER, asked).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(chain(&error).to_string()),
            Err(_) => Err(format!("no answer within {} s", ANSWER.as_secs())),
        };
        metrics::gauge!("vestry_server_up", "server" => name.to_owned()).set(if reached.is_ok() {
            1.0
        } else {
            0.0
        });
        // Said when it changes; it is asked every two seconds.
        let up = reached.is_ok();
        if server.up.swap(up, Relaxed) != up {
            match &reached {
                Ok(()) => tracing::info!(server = name, "the database server answers again"),
                Err(error) => tracing::error!(server = name, %error, "the database server does not answer"),
            }
        }
        if let Err(error) = servers::note_reached(&self.0.registry, server.server.id, up).await {
            tracing::debug!(server = name, error = %chain(&error), "whether a server answers could not be written down");
        }
        up
    }

    /// Learns of servers that were added, moved or given another administrator.
    async fn meet(&self) -> Result<(), Failure> {
        for (server, sealed) in servers::administered(&self.0.registry).await? {
            let Some(sealed) = sealed else { continue };
            let is_same = |(by, known): &Known| *by == sealed && known.server == server;
            if self.known().get(&server.id).is_some_and(is_same) {
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
                    self.known().insert(
                        id,
                        (sealed, Arc::new(Administered::new(server, options, self.0.mark.clone(), None))),
                    );
                }
                None => tracing::warn!(server = server.name, "sealed with another secret key: add it again"),
            }
        }
        Ok(())
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<Uuid, Known>> {
        self.0.others.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Administered {
    fn new(
        server: Server,
        options: PgConnectOptions,
        mark: Option<String>,
        superuser: Option<PgConnectOptions>,
    ) -> Self {
        // A statement may hold what a password is checked against.
        let options = options
            .disable_statement_logging()
            // A process that is frozen in the middle of an upgrade does not lock the church out for longer.
            .options([("idle_in_transaction_session_timeout", "30s")]);
        let maintenance = pool(4, options.clone().database(MAINTENANCE));
        Self {
            server,
            options,
            superuser,
            maintenance,
            shared: Mutex::default(),
            turns: Semaphore::new(TURNS),
            mark,
            up: AtomicBool::new(true),
        }
    }

    /// A database that tenants share, as the owner of their tables. The connections are kept: one that has come
    /// to know the catalogs makes a schema in less time than it takes to open another.
    pub fn shared(&self, database: &str) -> PgPool {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let open = || pool(2, self.options.clone().database(database));
        shared.entry(database.to_owned()).or_insert_with(open).clone()
    }

    /// The role that owns what this installation makes here.
    pub fn owner(&self) -> &str {
        self.options.get_username()
    }

    /// The `sslmode` of a server on another machine, unless its certificate is verified.
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
