//! Starting and stopping.

use crate::{
    Error, api, billing,
    budget::Share,
    config::Config,
    connections::{Bounds, Server},
    doctor,
    files::{self, Files},
    health,
    installation::Installation,
    log, metrics,
    pages::layout_settings,
    provisioning::{Servers, Template, Tools, Worker},
    router::router,
    state::{self, AppState},
    storage::Storage,
    streams::Streams,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::{net::SocketAddr, sync::Arc};
use tokio::{net::TcpListener, signal, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// Serves and provisions, until the process is told to stop.
pub async fn serve(config: Config) -> Result<(), Error> {
    let told = Told::listen();
    let format = config.log;
    let drain = std::time::Duration::from_secs(config.drain_seconds.into());
    let mut running = Running::start(config).await?;
    log::listening(format, running.addr);
    let failed = told.or_failed(&mut running.installation).await;
    if failed.is_none() {
        // Load balancers need a moment to see that /readyz says no before nobody answers here any more.
        running.drain();
        tokio::time::sleep(drain).await;
    }
    let stopped = running.stop().await;
    failed.map_or(stopped, Err)
}

/// Provisions only, until the process is told to stop.
pub async fn work(config: Config) -> Result<(), Error> {
    let told = Told::listen();
    let mut installation = Installation::open(&config).await?;
    let stop = CancellationToken::new();
    let budget = config.connection_budget as usize;
    let share = Share::claim(&installation, budget, CONNECTIONS_OF_A_WORKER).await?;
    let worker = start_worker(&installation, &config, &stop).await?;
    let billing = billing::start(&config, &installation, &stop)?;
    let failed = told.or_failed(&mut installation).await;
    stop.cancel();
    let _ = worker.await;
    if let Some(billing) = billing {
        let _ = billing.worker.await;
    }
    share.leave().await;
    installation.close().await;
    failed.map_or(Ok(()), Err)
}

/// A server that runs, as tests and benchmarks start it too.
pub struct Running {
    pub addr: SocketAddr,
    pub installation: Installation,
    pub files: Files,
    /// Unless churches are not billed.
    pub billing: Option<billing::Running>,
    stop: CancellationToken,
    draining: CancellationToken,
    worker: JoinHandle<()>,
    share: Share,
    watching: [JoinHandle<()>; 4],
    server: JoinHandle<()>,
}

impl Running {
    pub async fn start(config: Config) -> Result<Self, Error> {
        let operator_token = config.operator_token()?;
        // First of all: who finds the address taken should not wait for a database.
        let listening = |source| Error::Listen { addr: config.addr, source };
        let listener = TcpListener::bind(config.addr).await.map_err(listening)?;
        let addr = listener.local_addr().map_err(listening)?;
        let bounds = bounds(&config);
        tracing::info!(
            connections = bounds.in_all,
            per_address = bounds.per_address,
            "bounds of connections"
        );
        metrics::recorder();
        let source_url = config.source_url()?;
        let installation = Installation::open(&config).await?;
        let storage = Storage::open(&config, &installation.secret, addr)?;
        let stop = CancellationToken::new();
        let budget = config.connection_budget as usize;
        let share = Share::claim(&installation, budget, budget).await?;
        let worker = start_worker(&installation, &config, &stop).await?;
        let billing = billing::start(&config, &installation, &stop)?;
        let (registry, identity) = (installation.registry.clone(), installation.identity.clone());
        let files =
            Files::new(&config, registry.clone(), storage, identity.clone(), installation.secret.clone());
        // By processes that serve: whoever only provisions may stand where the files are not.
        let sweep = files::sweep(files.clone(), stop.clone());
        let limits = Arc::new(api::Limits::new(config.api_rate));
        let watching = [
            tokio::spawn(health::sample(registry, identity)),
            tokio::spawn(metrics::upkeep()),
            tokio::spawn(sweep),
            tokio::spawn(api::Limits::evict_stale(limits.clone())),
        ];
        let draining = CancellationToken::new();
        let state = AppState::from(state::Inner {
            registry: installation.registry.clone(),
            changes: installation.changes.clone(),
            identity: installation.identity.clone(),
            layout: layout_settings(config.is_https(), source_url),
            operator_token: operator_token.as_deref().map(Into::into),
            trusted_proxies: config.trusted_proxies.clone(),
            https: config.is_https(),
            files: files.clone(),
            limits,
            streams: Streams::new(bounds.in_all / 2, config.deadlines.stream),
            draining: draining.clone(),
        });
        let server = Server {
            listener,
            app: router(state),
            bounds,
            deadlines: config.deadlines,
            trusted_proxies: config.trusted_proxies,
            grace: GRACE,
            stop: stop.clone(),
        };
        let server = tokio::spawn(server.run());
        Ok(Self { addr, installation, files, billing, stop, draining, worker, share, watching, server })
    }

    /// From now on `/readyz` says that no more requests should come. They are answered all the same.
    pub fn drain(&self) {
        self.draining.cancel();
    }

    /// Finishes what runs, then leaves.
    pub async fn stop(self) -> Result<(), Error> {
        self.drain();
        self.stop.cancel();
        self.watching.iter().for_each(JoinHandle::abort);
        let _ = self.server.await;
        let _ = self.worker.await;
        if let Some(billing) = self.billing {
            let _ = billing.worker.await;
        }
        self.share.leave().await;
        self.installation.close().await;
        Ok(())
    }
}

/// A process that only provisions furnishes a few offices at a time.
const CONNECTIONS_OF_A_WORKER: usize = 4;

/// How long requests that run may take when the server stops; watchers of progress are cut off then.
const GRACE: std::time::Duration = std::time::Duration::from_secs(5);

/// File descriptors that are not for clients, beside the connections to databases.
const OTHER_FILES: u64 = 256;

/// Raises the soft limit on open files to the hard one, and keeps the connections of clients below it.
fn bounds(config: &Config) -> Bounds {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let files = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(error) => {
            tracing::warn!(%error, "the limit on open files cannot be raised");
            limit.current
        }
    };
    let others = OTHER_FILES + u64::from(config.connection_budget);
    let possible = files.map_or(u64::MAX, |files| files.saturating_sub(others).max(files / 4));
    Bounds {
        in_all: possible.min(config.http_connections.into()) as usize,
        per_address: config.http_connections_per_address as usize,
    }
}

/// Says what an operator should know of the database servers.
async fn report(servers: Servers, registry: registry::Registry, budget: i64) {
    let processes = registry::processes::count(&registry).await.unwrap_or(1);
    for finding in servers.findings(budget, processes as i64).await {
        tracing::warn!("{finding}");
    }
}

async fn start_worker(
    installation: &Installation,
    config: &Config,
    stop: &CancellationToken,
) -> Result<JoinHandle<()>, Error> {
    tokio::spawn(report(
        installation.servers.clone(),
        installation.registry.clone(),
        config.connection_budget.into(),
    ));
    Template::ensure(&installation.servers.primary()).await?;
    let worker = Worker {
        tools: Tools::of(installation, config.ready_databases),
        changes: installation.changes.clone(),
        stop: stop.clone(),
    };
    doctor::report_at_start(installation, stop);
    Ok(tokio::spawn(worker.run()))
}

/// Heard from the first moment on: whoever is told to stop while it starts does so in order as well.
struct Told(Option<signal::unix::Signal>);

impl Told {
    fn listen() -> Self {
        Self(signal::unix::signal(signal::unix::SignalKind::terminate()).ok())
    }

    /// Waits until the process is told to stop, or has to: the embedded PostgreSQL cannot be started again.
    async fn or_failed(self, installation: &mut Installation) -> Option<Error> {
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
