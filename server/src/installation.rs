use crate::{
    Error,
    config::Config,
    provisioning::{Servers, upgrade},
};
use embedded::{Cluster, Passwords};
use futures::FutureExt;
use identity::{Identity, Secret};
use registry::{Registry, changes::Changes, servers};
use sqlx::postgres::PgConnectOptions;
use std::{
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

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
    options: PgConnectOptions,
    cluster: Option<Cluster>,
}

impl Installation {
    pub async fn open(config: &Config) -> Result<Self, Error> {
        let oidc = config.oidc()?;
        let (secret, cluster, options) = match &config.registry_url {
            Some(url) => {
                let options: PgConnectOptions = url.parse().map_err(|_| Error::RegistryUrl)?;
                let key = config.secret_key.as_deref().ok_or(Error::NoSecret)?;
                (Secret::new(key.as_bytes()).ok_or(Error::ShortSecret)?, None, options)
            }
            None => {
                let secret = generated_secret(config)?;
                let passwords = Passwords {
                    superuser: secret.role_password("postgres"),
                    vestry: secret.role_password("vestry"),
                };
                let cluster = Cluster::start(&config.data_dir, &passwords).await?;
                let options = cluster.registry_options();
                (secret, Some(cluster), options)
            }
        };
        let registry = Registry::open(options.clone(), REGISTRY_CONNECTIONS).await?;
        let changes = Changes::listen(&registry).await?;
        let primary = servers::register_primary(&registry, &host_of(&options), options.get_port()).await?;
        let isolation = config.isolation.into();
        let servers = Servers::new(registry.clone(), secret.clone(), primary, options.clone());
        let upgrade = {
            let (registry, servers) = (registry.clone(), servers.clone());
            Box::new(move |id| upgrade(registry.clone(), servers.clone(), id).boxed())
        };
        let limits = config.limits();
        let identity = Identity::new(registry.clone(), secret.clone(), limits, isolation, oidc, upgrade);
        tokio::spawn(identity.clone().follow(changes.clone()));
        Ok(Self { servers, options, registry, changes, identity, secret, cluster })
    }

    /// How the server that holds the registry is reached, by the role that owns everything on it.
    pub fn server_options(&self) -> PgConnectOptions {
        self.options.clone()
    }

    /// Leaves the registry, and stops PostgreSQL if this process started it.
    pub async fn close(self) {
        // A query that hangs must not keep the process from ending.
        let _ = tokio::time::timeout(LEAVE, self.registry.close()).await;
        if let Some(cluster) = self.cluster {
            cluster.stop().await;
        }
    }
}

fn host_of(options: &PgConnectOptions) -> String {
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
