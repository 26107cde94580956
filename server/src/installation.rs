use crate::{
    Error,
    config::Config,
    provisioning::{Repairs, Servers, upgrade, vacancy},
};
use embedded::{Cluster, Passwords, Supervisor};
use futures::FutureExt;
use identity::{Identity, Secret};
use registry::{
    Registry, SchemaState,
    changes::Changes,
    installation,
    servers::{self, Server},
    tenants,
};
use sqlx::{ConnectOptions, postgres::PgConnectOptions};
use std::{
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use uuid::Uuid;

/// How many connections to the registry a process keeps at most.
const REGISTRY_CONNECTIONS: u32 = 12;

/// How long is waited for queries of the registry when the process ends.
const LEAVE: Duration = Duration::from_secs(2);

/// What every process of an installation opens first.
pub struct Installation {
    pub registry: Registry,
    pub changes: Changes,
    pub identity: Identity,
    pub secret: Secret,
    pub servers: Servers,
    /// Written into the databases that are made.
    pub id: Option<Uuid>,
    pub repairs: Repairs,
    options: PgConnectOptions,
    postgres: Postgres,
}

/// What a process is allowed to do to the registry. Only one that serves or works migrates it and registers itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// A command that looks: PostgreSQL refuses every write.
    Read,
    /// A command that changes something.
    Write,
    /// `serve` and `work`.
    Run,
}

/// The embedded PostgreSQL, if there is one.
enum Postgres {
    Elsewhere,
    /// For as long as a command takes.
    Embedded(Box<Cluster>),
    /// Started again when it ends.
    Supervised(Supervisor),
}

impl Installation {
    /// For a process that serves or works.
    pub async fn open(config: &Config) -> Result<Self, Error> {
        Self::open_for(config, Access::Run).await
    }

    pub async fn open_for(config: &Config, access: Access) -> Result<Self, Error> {
        let oidc = config.oidc()?;
        let (secret, cluster, options) = Self::locate(config).await?;
        let registry = match access {
            Access::Read => Registry::connect_read_only(options.clone(), REGISTRY_CONNECTIONS).await,
            Access::Write | Access::Run => Registry::connect(options.clone(), REGISTRY_CONNECTIONS).await,
        };
        let registry = registry.map_err(Error::RegistryOpen)?;
        if access == Access::Run {
            if registry.schema_state().await.map_err(Error::RegistryOpen)? != SchemaState::Missing {
                // Before the migration, so that a wrong key changes nothing.
                check_secret(&registry, &secret, Access::Read).await?;
            }
            registry.migrate().await.map_err(Error::RegistryOpen)?;
        } else {
            refuse_older(&registry).await?;
        }
        let known = check_secret(&registry, &secret, access).await?;
        let (changes, primary) = if access == Access::Run {
            let embedded = cluster.is_some();
            (Changes::listen(&registry).await?, register_primary(&registry, &options, embedded).await?)
        } else {
            let primary = servers::primary(&registry).await?.ok_or(Error::NotStarted)?;
            (Changes::silent(), primary.server)
        };
        let isolation = config.isolation.into();
        let id = known.map(|known| known.id);
        let superuser = cluster.as_ref().map(Cluster::superuser_options);
        let servers = Servers::new(registry.clone(), secret.clone(), primary, options.clone(), id, superuser);
        let upgrade = {
            let (registry, servers) = (registry.clone(), servers.clone());
            Box::new(move |id| upgrade(registry.clone(), servers.clone(), id).boxed())
        };
        let inspect = {
            let servers = servers.clone();
            Box::new(move |id, server_id| vacancy(servers.clone(), id, server_id).boxed())
        };
        let repairs = Repairs {
            registry: registry.clone(),
            servers: servers.clone(),
            secret: secret.clone(),
            per_tenant: config.tenant_connections as usize,
        };
        let repair: tenant::Repair = {
            let repairs = repairs.clone();
            Arc::new(move |id| repair(repairs.clone(), id).boxed())
        };
        let limits = config.limits();
        let ways = identity::Servers { primary_tls: tenant::Tls::of(&options), upgrade, inspect, repair };
        let identity = Identity::new(registry.clone(), secret.clone(), limits, isolation, oidc, ways);
        if access == Access::Run {
            tokio::spawn(identity.clone().follow(changes.clone()));
        }
        let postgres = match cluster {
            None => Postgres::Elsewhere,
            Some(cluster) if access == Access::Run => Postgres::Supervised(cluster.supervise()),
            Some(cluster) => Postgres::Embedded(Box::new(cluster)),
        };
        Ok(Self { servers, repairs, options, registry, changes, identity, secret, id, postgres })
    }

    /// Brings the registry to the version of this binary; the versions that were missing.
    pub async fn migrate(config: &Config) -> Result<Vec<i64>, Error> {
        let (secret, cluster, options) = Self::locate(config).await?;
        let migrated = async {
            let registry = Registry::connect(options, 1).await.map_err(Error::RegistryOpen)?;
            if registry.schema_state().await? != SchemaState::Missing {
                check_secret(&registry, &secret, Access::Read).await?;
            }
            let versions = registry.migrate().await.map_err(Error::RegistryOpen)?;
            registry.close().await;
            Ok(versions)
        };
        let migrated = migrated.await;
        if let Some(cluster) = cluster {
            cluster.stop().await;
        }
        migrated
    }

    /// The secret, and where the registry is; starts the embedded PostgreSQL when it is there.
    async fn locate(config: &Config) -> Result<(Secret, Option<Cluster>, PgConnectOptions), Error> {
        match &config.registry_url {
            Some(url) => {
                let options = tenant::connect_options(url).map_err(|_| Error::RegistryUrl)?;
                let key = config.secret_key.as_deref().ok_or(Error::NoSecret)?;
                Ok((Secret::new(key.as_bytes()).ok_or(Error::ShortSecret)?, None, options))
            }
            None => {
                let secret = generated_secret(config)?;
                let passwords = Passwords {
                    superuser: secret.role_password("postgres"),
                    vestry: secret.role_password("vestry"),
                };
                let cluster = Cluster::start(&config.data_dir, &passwords).await?;
                let options = cluster.registry_options();
                Ok((secret, Some(cluster), options))
            }
        }
    }

    /// How the server that holds the registry is reached, by the role that owns everything on it.
    pub fn server_options(&self) -> PgConnectOptions {
        self.options.clone()
    }

    /// Completes only when the embedded PostgreSQL has ended and cannot be started again.
    pub async fn postgres_failed(&mut self) -> Error {
        match &mut self.postgres {
            Postgres::Supervised(supervisor) => supervisor.failed().await.into(),
            Postgres::Elsewhere | Postgres::Embedded(_) => std::future::pending().await,
        }
    }

    /// Leaves the registry, and stops PostgreSQL if this process started it.
    pub async fn close(self) {
        // A query that hangs must not keep the process from ending.
        let _ = tokio::time::timeout(LEAVE, self.registry.close()).await;
        match self.postgres {
            Postgres::Elsewhere => {}
            Postgres::Embedded(cluster) => cluster.stop().await,
            Postgres::Supervised(supervisor) => supervisor.stop().await,
        }
    }
}

/// In a task of its own: a request that gives up must not leave a role half repaired.
async fn repair(repairs: Repairs, id: String) -> bool {
    let Ok(id) = id.parse() else { return false };
    tokio::spawn(async move { repairs.run(&id).await }).await.unwrap_or(false)
}

/// Commands neither migrate nor guess: their queries need the tables of this release.
async fn refuse_older(registry: &Registry) -> Result<(), Error> {
    match registry.schema_state().await.map_err(Error::RegistryOpen)? {
        SchemaState::Missing => Err(Error::NotStarted),
        SchemaState::Older => Err(Error::OlderRegistry),
        SchemaState::Current | SchemaState::Newer => Ok(()),
    }
}

/// Refuses a secret key other than the installation's: it derives other passwords for every role, and opens nothing
/// that was sealed.
async fn check_secret(
    registry: &Registry,
    secret: &Secret,
    access: Access,
) -> Result<Option<installation::Installation>, Error> {
    let digest = secret.digest("installation", b"secret key");
    // Before the migration that adds the table there is nothing to compare with.
    let known = match registry.schema_state().await? {
        SchemaState::Older if access != Access::Run => installation::find(registry).await.unwrap_or_default(),
        _ => installation::find(registry).await?,
    };
    let known = match known {
        None if access == Access::Run => {
            check_before_digests(registry, secret).await?;
            Some(installation::register(registry, &digest).await?)
        }
        known => known,
    };
    match &known {
        Some(known) if known.secret_digest != digest => Err(Error::OtherSecret),
        _ => Ok(known),
    }
}

/// An installation older than the digest tells by what it has sealed, and by the password of a church's role.
async fn check_before_digests(registry: &Registry, secret: &Secret) -> Result<(), Error> {
    const INVALID_PASSWORD: &str = "28P01";
    for (server, sealed) in servers::administered(registry).await? {
        if sealed.is_some_and(|sealed| secret.open(&server.name, &sealed).is_err()) {
            return Err(Error::OtherSecret);
        }
    }
    let Some(id) = tenants::any_active(registry).await? else { return Ok(()) };
    let tenant = tenants::find(registry, &id).await?;
    let Some(placement) = tenant.placement else { return Ok(()) };
    let options = PgConnectOptions::new_without_pgpass()
        .host(&placement.server.host)
        .port(placement.server.port)
        .username(&id.own_name())
        .password(&secret.tenant_roles().password(id.as_str(), tenant.role_version))
        .database(&placement.database);
    match tokio::time::timeout(LEAVE, options.connect()).await {
        Ok(Err(error))
            if error.as_database_error().and_then(|db| db.code()).as_deref() == Some(INVALID_PASSWORD) =>
        {
            Err(Error::OtherSecret)
        }
        // Whatever else is wrong with it is not the key's doing.
        _ => Ok(()),
    }
}

/// The server of the registry, under the address at which churches are looked for. The address of a row that is there
/// stays as it is; the embedded PostgreSQL alone is where it is.
async fn register_primary(
    registry: &Registry,
    options: &PgConnectOptions,
    embedded: bool,
) -> Result<Server, Error> {
    let (host, port) = (host_of(options), options.get_port());
    let here = servers::system_identifier(registry).await?;
    if servers::primary(registry).await?.is_none()
        && let Some(name) = servers::at_address(registry, &host, port).await?
    {
        return Err(Error::PrimaryTaken { name });
    }
    let server = servers::register_primary(registry, &host, port, here).await?;
    let stored = servers::primary(registry).await?.and_then(|primary| primary.system_identifier);
    let is_other = here.zip(stored).is_some_and(|(here, stored)| here != stored);
    if (server.host.as_str(), server.port) == (host.as_str(), port) {
        if here != stored {
            // Also after pg_upgrade or a restore in place.
            servers::set_address(registry, &server.name, &host, port, here).await?;
        }
        return Ok(server);
    }
    let known = format!("{}:{}", server.host, server.port);
    if is_other {
        return Err(Error::OtherServer { known });
    }
    if embedded {
        tracing::info!("the embedded PostgreSQL has moved within its data directory");
        servers::set_address(registry, &server.name, &host, port, here).await?;
        return Ok(Server { host, port, ..server });
    }
    if is_copy(options, &server).await {
        return Err(Error::OtherServer { known });
    }
    tracing::warn!(
        "VESTRY_REGISTRY_URL names another address than the one at which the primary server's churches are looked \
         for, which stays as it is; if the server has moved, run: vestry servers set primary --url …"
    );
    Ok(server)
}

/// Whether another PostgreSQL than the registry's answers at the address where churches are looked for. A restored base
/// backup, or a standby that was promoted, has the `system_identifier` of its origin: this process would write to the
/// churches of that one. Servers that run at the same time have not started at the same microsecond.
async fn is_copy(options: &PgConnectOptions, primary: &Server) -> bool {
    let there = match primary.host.starts_with('/') {
        true => options.clone().socket(&primary.host),
        false => options.clone().host(&primary.host),
    };
    let (here, there) = tokio::join!(started_at(options.clone()), started_at(there.port(primary.port)));
    here.zip(there).is_some_and(|(here, there)| here != there)
}

async fn started_at(options: PgConnectOptions) -> Option<String> {
    let asked = async {
        let mut connection = options.database("postgres").disable_statement_logging().connect().await.ok()?;
        let asked =
            sqlx::query_scalar::<_, String>("select extract(epoch from pg_postmaster_start_time())::text");
        asked.fetch_one(&mut connection).await.ok()
    };
    tokio::time::timeout(LEAVE, asked).await.ok()?
}

pub(crate) fn host_of(options: &PgConnectOptions) -> String {
    match options.get_socket() {
        Some(socket) => socket.display().to_string(),
        None => options.get_host().to_owned(),
    }
}

/// The secret given, or the one made at the first start and kept where only its owner reads it.
fn generated_secret(config: &Config) -> Result<Secret, Error> {
    let key = match &config.secret_key {
        Some(key) => key.to_string(),
        None => {
            let path = config.data_dir.join("secret.key");
            read_or_make(&path).map_err(|source| Error::DataDir { path: config.data_dir.clone(), source })?
        }
    };
    Secret::new(key.trim().as_bytes()).ok_or(Error::ShortSecret)
}

fn read_or_make(path: &Path) -> std::io::Result<String> {
    match std::fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        read => return read,
    }
    let folder = path.parent().map(PathBuf::from).unwrap_or_default();
    std::fs::create_dir_all(&folder)?;
    // Whole or not at all: written beside it, then linked. Of two that start at once, one wins.
    let draft = folder.join(format!("secret.key.{}", std::process::id()));
    let mut file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(Secret::generate().as_bytes())?;
    file.sync_all()?;
    let linked = std::fs::hard_link(&draft, path);
    std::fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
        _ => std::fs::read_to_string(path),
    }
}
