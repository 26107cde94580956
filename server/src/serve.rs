//! Startup and shutdown of the processes.

use crate::{
    Error, api, billing,
    budget::ConnectionShare,
    config::Config,
    connections::{ConnectionLimits, Server},
    doctor,
    files::{self, Files},
    installation::{Access, Installation},
    log, metrics,
    pages::leptos_options,
    provisioning::{Servers, Template, Worker},
    router::router,
    sampling,
    state::{self, AppState},
    storage::Storage,
    streams::Streams,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::{net::SocketAddr, sync::Arc};
use tokio::{net::TcpListener, signal, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// Serves and provisions until SIGTERM or Ctrl-C.
pub async fn serve(config: Config) -> Result<(), Error> {
    let shutdown = ShutdownSignal::listen();
    let format = config.log;
    let drain = std::time::Duration::from_secs(config.drain_seconds.into());
    let mut running = Running::start(config).await?;
    log::listening(format, running.addr);
    let failed = shutdown.or_failure(&mut running.installation).await;
    if failed.is_none() {
        // Load balancers need time to notice that /readyz is 503.
        running.drain();
        tokio::time::sleep(drain).await;
    }
    let stopped = running.stop().await;
    failed.map_or(stopped, Err)
}

/// Provisions only, until SIGTERM or Ctrl-C.
pub async fn work(config: Config) -> Result<(), Error> {
    let shutdown = ShutdownSignal::listen();
    let mut installation = Installation::open(&config, Access::Run).await?;
    let stop = CancellationToken::new();
    let budget = config.connection_budget as usize;
    let share = ConnectionShare::claim(&installation, budget, WORKER_CONNECTIONS).await?;
    let worker = start_worker(&installation, &config, &stop).await?;
    let billing = billing::start(&config, &installation, &stop)?;
    let failed = shutdown.or_failure(&mut installation).await;
    stop.cancel();
    let _ = worker.await;
    if let Some(billing) = billing {
        let _ = billing.worker.await;
    }
    share.release().await;
    installation.close().await;
    failed.map_or(Ok(()), Err)
}

/// A running server; tests and benchmarks start it too.
pub struct Running {
    pub addr: SocketAddr,
    pub installation: Installation,
    pub files: Files,
    /// `None` without billing.
    pub billing: Option<billing::Running>,
    stop: CancellationToken,
    draining: CancellationToken,
    worker: JoinHandle<()>,
    share: ConnectionShare,
    background: [JoinHandle<()>; 4],
    server: JoinHandle<()>,
}

impl Running {
    pub async fn start(config: Config) -> Result<Self, Error> {
        let operator_token = config.operator_token()?;
        // Binds first: a used address fails before the database starts.
        let listening = |source| Error::Listen { addr: config.addr, source };
        let listener = TcpListener::bind(config.addr).await.map_err(listening)?;
        let addr = listener.local_addr().map_err(listening)?;
        let connection_limits = connection_limits(&config);
        tracing::info!(
            connections = connection_limits.total,
            per_address = connection_limits.per_address,
            "HTTP connection limits"
        );
        metrics::recorder();
        let source_url = config.source_url()?;
        let installation = Installation::open(&config, Access::Run).await?;
        let storage = Storage::open(&config, &installation.secret, addr)?;
        let stop = CancellationToken::new();
        let budget = config.connection_budget as usize;
        let share = ConnectionShare::claim(&installation, budget, budget).await?;
        let worker = start_worker(&installation, &config, &stop).await?;
        let billing = billing::start(&config, &installation, &stop)?;
        let (registry, identity) = (installation.registry.clone(), installation.identity.clone());
        let files =
            Files::new(&config, registry.clone(), storage, identity.clone(), installation.secret.clone());
        // Only in serving processes: a worker may have no access to the data directory.
        let sweep = files::sweep(files.clone(), stop.clone());
        let limits = Arc::new(api::Limits::new(config.api_rate));
        let background = [
            tokio::spawn(sampling::run(registry, identity)),
            tokio::spawn(metrics::upkeep()),
            tokio::spawn(sweep),
            tokio::spawn(api::Limits::keep_small(limits.clone())),
        ];
        let draining = CancellationToken::new();
        let state = AppState::from(state::Inner {
            registry: installation.registry.clone(),
            notifications: installation.notifications.clone(),
            identity: installation.identity.clone(),
            leptos: leptos_options(),
            operator_token: operator_token.as_deref().map(Into::into),
            source_url: source_url.map(Into::into),
            trusted_proxies: config.trusted_proxies.clone(),
            https: config.is_https(),
            files: files.clone(),
            limits,
            streams: Streams::new(connection_limits.total / 2, config.deadlines.stream),
            draining: draining.clone(),
        });
        let server = Server {
            listener,
            app: router(state),
            limits: connection_limits,
            deadlines: config.deadlines,
            trusted_proxies: config.trusted_proxies,
            grace: GRACE,
            stop: stop.clone(),
        };
        let server = tokio::spawn(server.run());
        Ok(Self { addr, installation, files, billing, stop, draining, worker, share, background, server })
    }

    /// Makes `/readyz` answer 503. Requests are still served.
    pub fn drain(&self) {
        self.draining.cancel();
    }

    /// Finishes running requests and runs, then closes everything.
    pub async fn stop(self) -> Result<(), Error> {
        self.drain();
        self.stop.cancel();
        self.background.iter().for_each(JoinHandle::abort);
        let _ = self.server.await;
        let _ = self.worker.await;
        if let Some(billing) = self.billing {
            let _ = billing.worker.await;
        }
        self.share.release().await;
        self.installation.close().await;
        Ok(())
    }
}

/// Connections of a worker process: it seeds a few databases at a time.
const WORKER_CONNECTIONS: usize = 4;

/// Time that running requests have to finish at shutdown; event streams are cut off.
const GRACE: std::time::Duration = std::time::Duration::from_secs(5);

/// File descriptors reserved for other uses than client and database connections.
const RESERVED_FILES: u64 = 256;

/// Raises the soft limit on open files to the hard limit, and derives the connection limits from it.
fn connection_limits(config: &Config) -> ConnectionLimits {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let files = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(error) => {
            tracing::warn!(%error, "cannot raise the limit on open files");
            limit.current
        }
    };
    let others = RESERVED_FILES + u64::from(config.connection_budget);
    let possible = files.map_or(u64::MAX, |files| files.saturating_sub(others).max(files / 4));
    ConnectionLimits {
        total: possible.min(config.http_connections.into()) as usize,
        per_address: config.http_connections_per_address as usize,
    }
}

/// Logs findings about the database servers.
async fn log_server_checks(servers: Servers, registry: registry::Registry, budget: i64) {
    let processes = registry::processes::count(&registry).await.unwrap_or(1);
    for finding in servers.check(budget, processes as i64).await {
        tracing::warn!("{finding}");
    }
}

async fn start_worker(
    installation: &Installation,
    config: &Config,
    stop: &CancellationToken,
) -> Result<JoinHandle<()>, Error> {
    tokio::spawn(log_server_checks(
        installation.servers.clone(),
        installation.registry.clone(),
        config.connection_budget.into(),
    ));
    Template::ensure(&installation.servers.primary()).await?;
    let worker = Worker {
        provisioner: installation.provisioner(config.ready_databases),
        notifications: installation.notifications.clone(),
        stop: stop.clone(),
    };
    doctor::report_at_start(installation, stop);
    Ok(tokio::spawn(worker.run()))
}

/// SIGTERM, or Ctrl-C. Registered at startup, so that a signal during startup shuts down cleanly too.
struct ShutdownSignal(Option<signal::unix::Signal>);

impl ShutdownSignal {
    fn listen() -> Self {
        Self(signal::unix::signal(signal::unix::SignalKind::terminate()).ok())
    }

    /// Waits for the signal, or for the embedded PostgreSQL to fail for good.
    async fn or_failure(self, installation: &mut Installation) -> Option<Error> {
        tokio::select! {
            () = self.wait() => None,
            error = installation.postgres_failed() => Some(error),
        }
    }

    async fn wait(self) {
        let terminated = async {
            match self.0 {
                Some(mut terminate) => drop(terminate.recv().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = signal::ctrl_c() => {}
            () = terminated => {}
        }
    }
}
