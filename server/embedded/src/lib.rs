//! A PostgreSQL of the binary's own, in a data directory. It knows nothing of what is stored there.
//!
//! | module | knows |
//! | --- | --- |
//! | `home` | where the files, the lock and the socket are |
//! | `account` | which user of the machine the server runs as |
//! | `binaries` | where PostgreSQL is installed, or how to download it |
//! | `creation` | `initdb` |
//! | `postmaster` | the running server: starting, taking over, stopping |
//! | `supervisor` | what starts it again when it ends |
//! | `pid_file` | what a server says of itself in `postmaster.pid` |
//! | `bootstrap` | the role `vestry` and the database `vestry_registry` |
//!
//! Invariants:
//!
//! 1. Never two servers on one folder. Only the process that holds the lock on `postgres.lock` creates,
//!    starts or stops a server; every other one is a guest. A server whose owner was killed is taken over.
//! 2. A cluster appears whole, by a rename, or not at all.
//! 3. Every step is check-then-act, so that a start interrupted anywhere is mended by the next one.
//! 4. The server is reached by a Unix socket in a private folder and a password, never over the network.
//! 5. The server never runs as root, and sees none of our environment (it holds secrets).
//! 6. Nothing private reaches the server's log: no statements, no parameters, no details of an error.

mod account;
mod binaries;
mod bootstrap;
mod creation;
mod error;
mod home;
mod pid_file;
mod postmaster;
mod supervisor;

use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use sqlx::postgres::{PgConnectOptions, PgSslMode};

pub use error::Error;
pub use supervisor::Supervisor;

use home::Home;
use pid_file::PidFile;
use postmaster::Postmaster;

/// How long a guest waits for the owner's server, and an owner for one that is just shutting down.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a guest looks whether the owner has gone.
const OWNER_POLL: Duration = Duration::from_secs(1);

/// The passwords of the two roles that exist from the start, derived by the caller from the installation's
/// secret.
#[derive(Clone)]
pub struct Passwords {
    pub superuser: String,
    pub vestry: String,
}

/// A running PostgreSQL. When this process owns it, [`Cluster::stop`] stops it; merely dropping it asks for
/// the same without waiting, so that an early return leaves no server behind.
pub struct Cluster {
    address: Address,
    passwords: Passwords,
    program_folders: Vec<PathBuf>,
    home: Home,
    /// `None` for a guest. The fields are dropped in this order: the lock outlives the request to stop.
    postmaster: Option<Postmaster>,
    /// Held by the owner.
    lock: File,
}

impl Cluster {
    /// Starts PostgreSQL in `<data_dir>/postgres`, creating it first where there is none, takes over the one
    /// that runs there without an owner, or attaches to another process's. It accepts connections when this
    /// returns.
    ///
    /// # Errors
    /// Each in one sentence for the operator, with the remedy.
    pub async fn start(data_dir: &Path, passwords: &Passwords) -> Result<Cluster, Error> {
        Cluster::start_with(&binaries::usual_folders().await, data_dir, passwords).await
    }

    /// The same, with PostgreSQL's programs looked for in these folders only.
    pub async fn start_with(
        program_folders: &[PathBuf],
        data_dir: &Path,
        passwords: &Passwords,
    ) -> Result<Cluster, Error> {
        let home = Home::settle(data_dir)?;
        let mut guest = Some(home.lock_file()?);
        let mut owner = None;
        let mut pauses = Pauses::new();
        loop {
            // A guest tries for the lock each time: the owner may stop while the guest waits.
            if let Some(lock) = guest.take() {
                match lock.try_lock() {
                    Ok(()) => owner = Some(lock),
                    Err(TryLockError::WouldBlock) => guest = Some(lock),
                    Err(TryLockError::Error(error)) => {
                        return Err(Error::folder(&home.folder)(error));
                    }
                }
            }
            let postmaster = match owner {
                Some(_) => Some(Postmaster::open(&home, program_folders, passwords).await?),
                None => None,
            };
            match bootstrap_running(&home, passwords).await {
                Ok(address) => {
                    if owner.is_none() {
                        tracing::info!("attached to the PostgreSQL that another process started here");
                    }
                    let lock = owner.or(guest).expect("it is with the one or the other");
                    let (passwords, program_folders) = (passwords.clone(), program_folders.to_vec());
                    return Ok(Cluster { address, passwords, program_folders, home, postmaster, lock });
                }
                Err(error) if error.may_pass() && pauses.elapsed() < PATIENCE => pauses.next().await,
                Err(error) => {
                    if let Some(postmaster) = postmaster {
                        postmaster.stop().await;
                    }
                    return Err(error);
                }
            }
        }
    }

    /// The folder of the Unix socket: what libpq calls the host.
    pub fn socket_dir(&self) -> &Path {
        &self.address.socket_dir
    }

    pub fn port(&self) -> u16 {
        self.address.port
    }

    /// How the role `vestry` connects to the database `vestry_registry`, or to another by `.database(…)`.
    pub fn registry_options(&self) -> PgConnectOptions {
        self.address.options(bootstrap::ROLE, &self.passwords.vestry, bootstrap::REGISTRY)
    }

    /// How the superuser connects, for what only it may do.
    pub fn superuser_options(&self) -> PgConnectOptions {
        self.address.options("postgres", &self.passwords.superuser, "postgres")
    }

    /// Stops the server at once, ending its connections, and waits until it is gone; a guest merely leaves.
    pub async fn stop(self) {
        if let Some(postmaster) = self.postmaster {
            postmaster.stop().await;
        }
    }

    /// Starts the server again whenever it ends, until the supervisor is told to stop. A guest becomes the owner when
    /// that has gone.
    pub fn supervise(self) -> Supervisor {
        self.supervise_for(supervisor::GIVE_UP)
    }

    /// The same, and gives up when no start has succeeded for so long.
    pub fn supervise_for(self, give_up: Duration) -> Supervisor {
        Supervisor::start(self, give_up)
    }

    /// Waits until the server has ended, or its owner has gone.
    async fn ended(&mut self) {
        match &mut self.postmaster {
            Some(postmaster) => {
                let status = postmaster.ended().await;
                tracing::error!(status, "the embedded PostgreSQL has ended, and is started again");
            }
            None => {
                while self.lock.try_lock().is_err() {
                    tokio::time::sleep(OWNER_POLL).await;
                }
                tracing::info!("the process that ran the embedded PostgreSQL has gone; this one runs it now");
            }
        }
        // From here on this process holds the lock.
        self.postmaster = None;
    }

    /// Starts the server, or takes over the one that runs. The caller holds the lock.
    async fn revive(&mut self) -> Result<(), Error> {
        if let Some(postmaster) = &mut self.postmaster
            && tokio::time::timeout(Duration::ZERO, postmaster.ended()).await.is_ok()
        {
            self.postmaster = None;
        }
        // One that runs and does not let us in yet is not started twice.
        if self.postmaster.is_none() {
            let opened = Postmaster::open(&self.home, &self.program_folders, &self.passwords).await?;
            self.postmaster = Some(opened);
        }
        self.address = bootstrap_running(&self.home, &self.passwords).await?;
        Ok(())
    }
}

async fn bootstrap_running(home: &Home, passwords: &Passwords) -> Result<Address, Error> {
    let server = PidFile::read(&home.cluster).filter(PidFile::is_ready).ok_or(Error::NotReady)?;
    bootstrap::run(&server.address, passwords).await.map_err(|error| {
        let text = error.to_string();
        error.or_disk_full(&home.folder, &text)
    })?;
    Ok(server.address)
}

struct Address {
    socket_dir: PathBuf,
    port: u16,
}

impl Address {
    fn options(&self, role: &str, password: &str, database: &str) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .socket(&self.socket_dir)
            .port(self.port)
            .ssl_mode(PgSslMode::Disable)
            .username(role)
            .password(password)
            .database(database)
    }
}

/// Pauses between two looks at something that reports nothing by itself: 5 ms at first, 100 ms at most.
struct Pauses {
    since: Instant,
    next: Duration,
}

impl Pauses {
    fn new() -> Pauses {
        Pauses { since: Instant::now(), next: Duration::from_millis(5) }
    }

    fn elapsed(&self) -> Duration {
        self.since.elapsed()
    }

    async fn next(&mut self) {
        tokio::time::sleep(self.next).await;
        self.next = (self.next * 2).min(Duration::from_millis(100));
    }
}
