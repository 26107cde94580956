use embedded::{Cluster, Passwords, Supervisor};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection, postgres::PgConnectOptions};
use std::{os::unix::fs::PermissionsExt, path::PathBuf, process::Command};

/// No secret: the socket's folder is private, and nothing is kept here.
const PASSWORD: &str = "throwaway";

/// A PostgreSQL of one's own, which can be stopped and started.
pub struct Postgres {
    cluster: Option<Supervisor>,
    folder: tempfile::TempDir,
    options: PgConnectOptions,
}

#[derive(Clone, Copy, Debug)]
pub enum Shutdown {
    /// Connections are ended, and all is written down.
    Fast,
    /// As in a crash: at the next start the journal is read.
    Immediate,
    /// As when memory runs out: nobody starts it again but its supervisor.
    Killed,
}

impl Postgres {
    pub async fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("vestry-chaos-").tempdir().expect("a folder");
        // As root, PostgreSQL runs as another user, who has to be able to enter.
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).expect("ours");
        let cluster = run(folder.path().into()).await;
        let options = cluster.registry_options();
        let postgres = Self { cluster: Some(cluster.supervise()), folder, options };
        // The machine itself does not crash here.
        for setting in ["fsync = off", "full_page_writes = off"] {
            postgres.run(&format!("alter system set {setting}")).await;
        }
        postgres.run("select pg_reload_conf()").await;
        postgres
    }

    pub async fn restart(&mut self, shutdown: Shutdown) {
        if let Shutdown::Killed = shutdown {
            let before = self.pid();
            self.signal("-KILL");
            while self.pid().is_none_or(|pid| Some(pid) == before)
                || self.superuser("postgres").connect().await.is_err()
            {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
            return;
        }
        self.shut_down(shutdown).await;
        self.start_again().await;
    }

    pub async fn shut_down(&mut self, shutdown: Shutdown) {
        if let Shutdown::Immediate = shutdown {
            self.signal("-QUIT");
        }
        self.cluster.take().expect("it runs").stop().await;
    }

    pub async fn start_again(&mut self) {
        self.cluster = Some(run(self.folder.path().into()).await.supervise());
    }

    fn signal(&self, signal: &str) {
        let pid = self.pid().expect("it runs");
        Command::new("kill").args([signal, &pid]).status().expect("it can be told");
    }

    fn pid(&self) -> Option<String> {
        let file = std::fs::read_to_string(self.folder.path().join("postgres/postmaster.pid")).ok()?;
        file.lines().next().map(str::to_owned)
    }

    /// Runs one of PostgreSQL's programs as the superuser.
    pub async fn program(&self, name: &str, arguments: &[&str]) {
        let host = self.options.get_socket().expect("a socket");
        let mut command = tokio::process::Command::new(name);
        command.env("PGHOST", host).env("PGPORT", self.options.get_port().to_string());
        command.env("PGUSER", "postgres").env("PGPASSWORD", PASSWORD);
        let output = command.args(arguments).output().await.expect("PostgreSQL's programs are installed");
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }

    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    pub async fn stop(mut self) {
        self.cluster.take().expect("it runs").stop().await;
    }

    /// How processes of Vestry reach the registry.
    pub fn url(&self) -> String {
        let host = self.options.get_socket().expect("a socket").to_str().expect("a path");
        let (host, port) = (host.replace('/', "%2F"), self.options.get_port());
        format!("postgres://vestry:{PASSWORD}@{host}:{port}/vestry_registry")
    }

    /// For whoever may do everything.
    pub fn superuser(&self, database: &str) -> PgConnectOptions {
        self.options.clone().username("postgres").password(PASSWORD).database(database)
    }

    pub async fn registry(&self) -> PgConnection {
        self.superuser("vestry_registry").connect().await.expect("it answers")
    }

    pub async fn run(&self, sql: &str) {
        let mut superuser = self.registry().await;
        superuser.execute(AssertSqlSafe(sql)).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        superuser.close().await.expect("it answers");
    }

    /// Waits until a query of the registry answers true; false when it has not for so long.
    pub async fn comes_true(&self, sql: &str, patience: std::time::Duration) -> bool {
        let mut registry = self.registry().await;
        let patience = std::time::Instant::now() + patience;
        while std::time::Instant::now() < patience {
            let answer = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut registry).await;
            if answer.unwrap_or_else(|error| panic!("{sql}: {error}")) {
                return true;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        false
    }
}

async fn run(folder: PathBuf) -> Cluster {
    let passwords = Passwords { superuser: PASSWORD.into(), vestry: PASSWORD.into() };
    Cluster::start(&folder, &passwords).await.unwrap_or_else(|error| panic!("{error}"))
}
