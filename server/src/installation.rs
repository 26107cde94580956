//! Opens what every process needs: the registry, the secret key and the embedded PostgreSQL.

use crate::{
    Error,
    config::Config,
    provisioning::{Provisioner, RoleRepair, Servers, upgrade, vacancy},
};
use embedded::{Cluster, Passwords, Supervisor};
use futures::FutureExt;
use identity::{Identity, Secret};
use registry::{
    Registry, SchemaState, installation,
    notifications::Notifications,
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

/// Maximum connections of a process to the registry.
const REGISTRY_CONNECTIONS: u32 = 12;

/// Timeout for running queries at shutdown, and for connection checks.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// An open installation.
pub struct Installation {
    pub registry: Registry,
    pub notifications: Notifications,
    pub identity: Identity,
    pub secret: Secret,
    pub servers: Servers,
    /// Marks the databases of this installation.
    pub id: Option<Uuid>,
    pub role_repair: RoleRepair,
    options: PgConnectOptions,
    postgres: Postgres,
}

/// Access of a process to the registry. Only `Run` migrates it and registers the installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// A read-only command: PostgreSQL rejects every write.
    Read,
    /// A command that writes.
    Write,
    /// `serve` and `work`.
    Run,
}

/// The PostgreSQL of the registry.
enum Postgres {
    External,
    /// Embedded, for the duration of a command.
    Embedded(Box<Cluster>),
    /// Embedded, and restarted when it ends.
    Supervised(Supervisor),
}

impl Installation {
    /// Opens the installation; with [`Access::Run`], migrates the registry first.
    pub async fn open(config: &Config, access: Access) -> Result<Self, Error> {
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
            require_current_schema(&registry).await?;
        }
        let registered = check_secret(&registry, &secret, access).await?;
        let (notifications, primary) = if access == Access::Run {
            let embedded = cluster.is_some();
            (Notifications::listen(&registry).await?, register_primary(&registry, &options, embedded).await?)
        } else {
            let primary = servers::primary(&registry).await?.ok_or(Error::NotStarted)?;
            (Notifications::disabled(), primary.server)
        };
        let isolation = config.isolation.into();
        let id = registered.map(|registered| registered.id);
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
        let role_repair = RoleRepair {
            registry: registry.clone(),
            servers: servers.clone(),
            secret: secret.clone(),
            per_tenant: config.tenant_connections as usize,
        };
        let repair: tenant::Repair = {
            let role_repair = role_repair.clone();
            Arc::new(move |id| repair(role_repair.clone(), id).boxed())
        };
        let limits = config.limits();
        let admin = identity::ServerAdmin {
            primary_tls: tenant::Tls::from_options(&options),
            upgrade,
            inspect,
            repair,
        };
        let identity = Identity::new(registry.clone(), secret.clone(), limits, isolation, oidc, admin);
        if access == Access::Run {
            tokio::spawn(identity.clone().follow(notifications.clone()));
        }
        let postgres = match cluster {
            None => Postgres::External,
            Some(cluster) if access == Access::Run => Postgres::Supervised(cluster.supervise()),
            Some(cluster) => Postgres::Embedded(Box::new(cluster)),
        };
        Ok(Self { servers, role_repair, options, registry, notifications, identity, secret, id, postgres })
    }

    /// Migrates the registry; returns the applied versions.
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

    /// Returns the secret and the registry's connection options; starts the embedded PostgreSQL if configured.
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

    pub fn provisioner(&self, ready_databases: u32) -> Provisioner {
        Provisioner {
            registry: self.registry.clone(),
            identity: self.identity.clone(),
            secret: self.secret.clone(),
            servers: self.servers.clone(),
            ready_databases,
        }
    }

    /// Returns the connection options of the registry's server, as the owning role.
    pub fn server_options(&self) -> PgConnectOptions {
        self.options.clone()
    }

    /// Completes only when the embedded PostgreSQL has ended and cannot be restarted.
    pub async fn postgres_failed(&mut self) -> Error {
        match &mut self.postgres {
            Postgres::Supervised(supervisor) => supervisor.failed().await.into(),
            Postgres::External | Postgres::Embedded(_) => std::future::pending().await,
        }
    }

    /// Closes the registry, and stops PostgreSQL if this process started it.
    pub async fn close(self) {
        // A hanging query must not block the exit.
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, self.registry.close()).await;
        match self.postgres {
            Postgres::External => {}
            Postgres::Embedded(cluster) => cluster.stop().await,
            Postgres::Supervised(supervisor) => supervisor.stop().await,
        }
    }
}

/// Repairs a role in a separate task: a cancelled request must not leave it half repaired.
async fn repair(role_repair: RoleRepair, id: String) -> bool {
    let Ok(id) = id.parse() else { return false };
    tokio::spawn(async move { role_repair.run(&id).await }).await.unwrap_or(false)
}

/// Rejects an older registry for commands: they do not migrate, and their queries need this release's tables.
async fn require_current_schema(registry: &Registry) -> Result<(), Error> {
    match registry.schema_state().await.map_err(Error::RegistryOpen)? {
        SchemaState::Missing => Err(Error::NotStarted),
        SchemaState::Older => Err(Error::OlderRegistry),
        SchemaState::Current | SchemaState::Newer => Ok(()),
    }
}

/// Rejects a secret key other than the installation's: it derives other role passwords and unseals nothing.
async fn check_secret(
    registry: &Registry,
    secret: &Secret,
    access: Access,
) -> Result<Option<installation::Installation>, Error> {
    let digest = secret.digest("installation", b"secret key");
    // The table is missing before its migration.
    let registered = match registry.schema_state().await? {
        SchemaState::Older if access != Access::Run => installation::find(registry).await.unwrap_or_default(),
        _ => installation::find(registry).await?,
    };
    let registered = match registered {
        None if access == Access::Run => {
            check_without_digest(registry, secret).await?;
            Some(installation::register(registry, &digest).await?)
        }
        registered => registered,
    };
    match &registered {
        Some(registered) if registered.secret_digest != digest => Err(Error::OtherSecret),
        _ => Ok(registered),
    }
}

/// Checks the key of an installation that has no stored digest yet: by sealed URLs, and by a tenant role's password.
async fn check_without_digest(registry: &Registry, secret: &Secret) -> Result<(), Error> {
    const INVALID_PASSWORD: &str = "28P01";
    for (server, sealed) in servers::list_with_admin_urls(registry).await? {
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
        .username(&id.pg_identifier())
        .password(&secret.tenant_roles().password(id.as_str(), tenant.role_version))
        .database(&placement.database);
    match tokio::time::timeout(CLOSE_TIMEOUT, options.connect()).await {
        Ok(Err(error))
            if error.as_database_error().and_then(|db| db.code()).as_deref() == Some(INVALID_PASSWORD) =>
        {
            Err(Error::OtherSecret)
        }
        // Other errors have other causes than the key.
        _ => Ok(()),
    }
}

/// Registers the registry's server. A stored address is kept, except for the embedded PostgreSQL.
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
            // Changes after pg_upgrade or a restore in place.
            servers::set_address(registry, &server.name, &host, port, here).await?;
        }
        return Ok(server);
    }
    let known = format!("{}:{}", server.host, server.port);
    if is_other {
        return Err(Error::OtherServer { known });
    }
    if embedded {
        tracing::info!("address of the embedded PostgreSQL has changed");
        servers::set_address(registry, &server.name, &host, port, here).await?;
        return Ok(Server { host, port, ..server });
    }
    if is_copy(options, &server).await {
        return Err(Error::OtherServer { known });
    }
    tracing::warn!(
        "VESTRY_REGISTRY_URL differs from the stored address of the primary server, which is kept; if the server has \
         moved, run: vestry servers set primary --url …"
    );
    Ok(server)
}

/// Returns whether the stored address leads to another running PostgreSQL than the registry's. A restored base backup or
/// a promoted standby has the `system_identifier` of its origin, so this compares the start times: two running servers
/// never share one to the microsecond.
async fn is_copy(options: &PgConnectOptions, primary: &Server) -> bool {
    let there = match primary.host.starts_with('/') {
        true => options.clone().socket(&primary.host),
        false => options.clone().host(&primary.host),
    };
    let (here, there) = tokio::join!(started_at(options.clone()), started_at(there.port(primary.port)));
    here.zip(there).is_some_and(|(here, there)| here != there)
}

async fn started_at(options: PgConnectOptions) -> Option<String> {
    let query = async {
        let mut connection = options.database("postgres").disable_statement_logging().connect().await.ok()?;
        let start_time =
            sqlx::query_scalar::<_, String>("select extract(epoch from pg_postmaster_start_time())::text");
        start_time.fetch_one(&mut connection).await.ok()
    };
    tokio::time::timeout(CLOSE_TIMEOUT, query).await.ok()?
}

pub(crate) fn host_of(options: &PgConnectOptions) -> String {
    match options.get_socket() {
        Some(socket) => socket.display().to_string(),
        None => options.get_host().to_owned(),
    }
}

/// Returns the configured secret, or the one generated at the first start and stored with mode 0600.
fn generated_secret(config: &Config) -> Result<Secret, Error> {
    let key = match &config.secret_key {
        Some(key) => key.to_string(),
        None => {
            let path = config.data_dir.join("secret.key");
            read_or_generate(&path)
                .map_err(|source| Error::DataDir { path: config.data_dir.clone(), source })?
        }
    };
    Secret::new(key.trim().as_bytes()).ok_or(Error::ShortSecret)
}

fn read_or_generate(path: &Path) -> std::io::Result<String> {
    match std::fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        read => return read,
    }
    let folder = path.parent().map(PathBuf::from).unwrap_or_default();
    std::fs::create_dir_all(&folder)?;
    // Atomic: written to a draft, then hard-linked. Of two concurrent starts, one wins.
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
