use super::{
    Browser, Db, cluster,
    log::{ProcessLog, listening},
};
use clap::Parser;
use server::{cli::Cli, config::Config, serve::Running};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};
use uuid::Uuid;

/// A registry of the test's own, and the secret that goes with it.
#[derive(Clone)]
pub struct Registry {
    pub database: String,
    pub url: String,
    pub secret: String,
}

impl Registry {
    pub async fn create() -> Self {
        let database = format!("registry_{}", Uuid::new_v4().simple());
        Db::open("postgres").await.run(&format!("create database {database}")).await;
        let options = cluster();
        let host: String =
            options.get_socket().expect("a socket").to_str().expect("a path").replace('/', "%2F");
        let password = std::env::var("PGPASSWORD").unwrap_or_else(|_| "throwaway".into());
        let url = format!("postgres://vestry:{password}@{host}:{}/{database}", options.get_port());
        Self {
            database,
            url,
            secret: Uuid::new_v4().simple().to_string() + &Uuid::new_v4().simple().to_string(),
        }
    }

    pub async fn db(&self) -> Db {
        Db::open(&self.database).await
    }

    /// Where its servers keep files.
    pub fn data_dir(&self) -> PathBuf {
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(&self.database)
    }

    pub fn config(&self) -> Config {
        let arguments =
            ["vestry", "--addr", "127.0.0.1:0", "--registry-url", &self.url, "--secret-key", &self.secret];
        Config {
            data_dir: self.data_dir(),
            // Nor is anything kept in anybody's bucket.
            s3_bucket: None,
            // Most tests are about churches that make their database themselves.
            ready_databases: 0,
            // No test calls the real Stripe, whatever is set around it.
            stripe_secret_key: None,
            stripe_price: None,
            // Nor does an issuer that somebody has configured come in.
            oidc_issuer: None,
            oidc_jwks_url: None,
            oidc_audience: None,
            oidc_tenant_claim: None,
            ..Cli::parse_from(arguments).config
        }
    }
}

/// A server inside the test's process.
pub struct TestServer {
    pub registry: Registry,
    pub running: Running,
}

impl TestServer {
    pub async fn start() -> Self {
        Self::on(&Registry::create().await).await
    }

    pub async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        Self::on_with(&Registry::create().await, change).await
    }

    /// One more server on a registry.
    pub async fn on(registry: &Registry) -> Self {
        Self::on_with(registry, |_| {}).await
    }

    pub async fn on_with(registry: &Registry, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = registry.config();
        change(&mut config);
        let running = Running::start(config).await.unwrap_or_else(|error| panic!("{error}"));
        Self { registry: registry.clone(), running }
    }

    pub fn addr(&self) -> SocketAddr {
        self.running.addr
    }

    pub fn browser(&self) -> Browser {
        Browser::new(self.addr())
    }

    pub async fn db(&self) -> Db {
        self.registry.db().await
    }
}

/// Whatever says that tokens of an outside issuer are believed.
pub const OIDC: [&str; 4] = ["OIDC_ISSUER", "OIDC_JWKS_URL", "OIDC_AUDIENCE", "OIDC_TENANT_CLAIM"];

/// A server in a process of its own, to be killed or frozen.
pub struct Process {
    pub addr: SocketAddr,
    child: Child,
    log: ProcessLog,
}

impl Process {
    pub async fn start(registry: &Registry) -> Self {
        Self::configured(registry, |_| {}).await
    }

    pub async fn configured(registry: &Registry, configure: impl FnOnce(&mut Command)) -> Self {
        let mut command = Self::command(registry);
        configure(&mut command);
        Self::run(command).await.unwrap_or_else(|said| panic!("it did not start: {said}"))
    }

    fn command(registry: &Registry) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vestry"));
        command.env("VESTRY_REGISTRY_URL", &registry.url).env("VESTRY_SECRET_KEY", &registry.secret);
        command.env("VESTRY_READY_DATABASES", "0").env("VESTRY_DATA_DIR", registry.data_dir());
        command.env_remove("STRIPE_SECRET_KEY").env_remove("STRIPE_PRICE").env_remove("S3_BUCKET");
        for set in OIDC {
            command.env_remove(set);
        }
        command
    }

    /// Starts it on a free port; an error is what it said instead.
    pub async fn run(mut command: Command) -> Result<Self, String> {
        command.env("VESTRY_ADDR", "127.0.0.1:0").stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("the binary can be run");
        let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let log = ProcessLog::default();
        while let Ok(Some(line)) = lines.next_line().await {
            let addr = listening(&line);
            log.add(line);
            if let Some(addr) = addr {
                let rest = log.clone();
                // Whoever writes to a pipe that nobody reads stops.
                tokio::spawn(async move {
                    while let Ok(Some(line)) = lines.next_line().await {
                        rest.add(line);
                    }
                });
                return Ok(Self { addr, child, log });
            }
        }
        Err(log.lines().iter().map(|line| format!("{line}\n")).collect())
    }

    /// What it has written to standard error, line by line.
    pub fn log(&self) -> Vec<String> {
        self.log.lines()
    }

    /// Waits until it has written such a line.
    pub async fn logs(&self, wanted: impl Fn(&str) -> bool) -> String {
        self.log.until(wanted).await
    }

    /// It makes no step until it is thawed, and its connections stay open.
    pub async fn freeze(&self) {
        self.signal("-STOP").await;
    }

    pub async fn thaw(&self) {
        self.signal("-CONT").await;
    }

    async fn signal(&self, signal: &str) {
        let pid = self.child.id().expect("it runs").to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().await.expect("kill").success());
    }

    pub fn id(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    pub fn pid(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// As the machine's owner would with `kill -9`.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("it can be killed");
    }

    /// As a service manager does.
    pub async fn terminate(mut self) -> std::process::ExitStatus {
        let pid = self.child.id().expect("it runs").to_string();
        Command::new("kill").arg(pid).status().await.expect("kill");
        self.child.wait().await.expect("it ends")
    }
}

/// Carries out an operator's command on an installation; what it prints, or else what it complains of.
pub async fn command(registry: &Registry, arguments: &[&str]) -> Result<String, String> {
    let output = output(registry, arguments).await;
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match output.status.success() {
        true => Ok(said(&output.stdout)),
        false => Err(said(&output.stderr)),
    }
}

/// What a command prints, whether it succeeds or not.
pub async fn printed(registry: &Registry, arguments: &[&str]) -> String {
    String::from_utf8_lossy(&output(registry, arguments).await.stdout).into_owned()
}

async fn output(registry: &Registry, arguments: &[&str]) -> std::process::Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vestry"));
    command.env("VESTRY_REGISTRY_URL", &registry.url).env("VESTRY_SECRET_KEY", &registry.secret);
    command.env("RUST_LOG", "error");
    command.args(arguments).output().await.expect("the binary can be run")
}
