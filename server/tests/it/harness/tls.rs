use embedded::{Cluster, Passwords};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, PgConnection, postgres::PgConnectOptions};
use std::{
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

/// Where PostgreSQL's programs are.
pub fn programs() -> PathBuf {
    let installed = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<_> = installed.map(|version| version.path().join("bin")).collect();
    folders.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let all =
        |folder: &PathBuf| ["postgres", "pg_restore"].iter().all(|program| folder.join(program).exists());
    folders.into_iter().find(all).expect("PostgreSQL is installed")
}

/// A PostgreSQL that is reached by TCP, with TLS and a certificate of the test's own.
pub struct TlsPostgres {
    folder: tempfile::TempDir,
    port: u16,
    child: Child,
}

const CONFIG: &str = "[req]
distinguished_name = name
[name]
[ca]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
[server]
basicConstraints = critical, CA:FALSE
subjectAltName = DNS:localhost
";

impl TlsPostgres {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).expect("ours");
        let passwords = Passwords { superuser: "throwaway".into(), vestry: "throwaway".into() };
        // Made by ours, which does not listen for TCP, and then started anew.
        let cluster = Cluster::start(folder.path(), &passwords).await;
        cluster.unwrap_or_else(|error| panic!("{error}")).stop().await;
        let port =
            std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port");
        std::fs::write(folder.path().join("openssl.cnf"), CONFIG).expect("written");
        for ca in ["right", "wrong"] {
            make_ca(folder.path(), ca);
        }
        let port = port.port();
        let child = start(folder.path(), port);
        let postgres = Self { folder, port, child };
        postgres.certify("right");
        let patience = std::time::Instant::now() + Duration::from_secs(20);
        while let Err(error) = postgres.connect().await {
            assert!(std::time::Instant::now() < patience, "{error}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        postgres.run("alter system set ssl = on").await;
        postgres.reload().await;
        postgres
    }

    /// As the role `vestry`, trusting this authority.
    pub fn url(&self, database: &str, ca: &str) -> String {
        let ca = self.folder.path().join(format!("{ca}.pem"));
        let ca = ca.to_str().expect("a path");
        let port = self.port;
        format!(
            "postgres://vestry:throwaway@localhost:{port}/{database}?sslmode=verify-full&sslrootcert={ca}"
        )
    }

    /// The same without encryption.
    pub fn plain_url(&self, database: &str) -> String {
        format!("postgres://vestry:throwaway@localhost:{}/{database}?sslmode=disable", self.port)
    }

    /// From now on, the server shows a certificate of this authority, to those who connect.
    pub async fn show(&self, ca: &str) {
        self.certify(ca);
        self.reload().await;
    }

    pub async fn encrypt(&self, on: bool) {
        self.run(&format!("alter system set ssl = {on}")).await;
        self.reload().await;
    }

    /// Cuts all connections of Vestry, so that it connects again.
    pub async fn cut(&self) {
        self.run("select pg_terminate_backend(pid, 5000) from pg_stat_activity where usename <> 'postgres'")
            .await;
    }

    pub async fn one<T>(&self, sql: &str) -> T
    where
        T: Send + Unpin + for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        let mut superuser = self.connect().await.expect("it answers");
        let found = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut superuser).await;
        found.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    pub async fn run(&self, sql: &str) {
        let mut superuser = self.connect().await.expect("it answers");
        superuser.execute(AssertSqlSafe(sql)).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    async fn connect(&self) -> sqlx::Result<PgConnection> {
        let options = PgConnectOptions::new_without_pgpass().socket(self.folder.path()).port(self.port);
        options.username("postgres").password("throwaway").database("postgres").connect().await
    }

    async fn reload(&self) {
        self.run("select pg_reload_conf()").await;
        // The postmaster takes its time.
        tokio::time::sleep(Duration::from_millis(200)).await;
    }

    fn certify(&self, ca: &str) {
        let folder = self.folder.path();
        let data = folder.join("postgres");
        let owner = std::fs::metadata(&data).expect("it is there");
        for (from, to, mode) in [("server.pem", "server.crt", 0o644), ("server.key", "server.key", 0o600)] {
            let to = data.join(to);
            std::fs::copy(folder.join(format!("{ca}-{from}")), &to).expect("copied");
            chown(&to, Some(owner.uid()), Some(owner.gid())).expect("given away");
            std::fs::set_permissions(&to, std::fs::Permissions::from_mode(mode)).expect("private");
        }
    }
}

impl Drop for TlsPostgres {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }
}

fn start(folder: &Path, port: u16) -> Child {
    use std::os::unix::process::CommandExt;
    let data = folder.join("postgres");
    let owner = std::fs::metadata(&data).expect("it is there");
    // The sockets lie beside the data.
    chown(folder, Some(owner.uid()), Some(owner.gid())).expect("given away");
    let mut command = Command::new(programs().join("postgres"));
    command.arg("-D").arg(&data).args(["-c", &format!("port={port}"), "-c", "listen_addresses=localhost"]);
    command.arg("-c").arg(format!("unix_socket_directories={}", folder.display()));
    if std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() != owner.uid()) {
        command.uid(owner.uid()).gid(owner.gid());
    }
    command.current_dir("/").stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("PostgreSQL runs")
}

/// An authority, and the certificate of a server that it has signed.
fn make_ca(folder: &Path, name: &str) {
    let openssl = |extra: &[&str]| {
        let mut command = Command::new("openssl");
        command.current_dir(folder).args(["req", "-x509", "-config", "openssl.cnf", "-days", "2", "-nodes"]);
        command.args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]).args(extra);
        let output = command.output().expect("openssl is installed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let (key, pem) = (format!("{name}.key"), format!("{name}.pem"));
    openssl(&[
        "-extensions",
        "ca",
        "-subj",
        &format!("/CN=The {name} authority"),
        "-keyout",
        &key,
        "-out",
        &pem,
    ]);
    let (server_key, server_pem) = (format!("{name}-server.key"), format!("{name}-server.pem"));
    let signed = ["-CA", &pem, "-CAkey", &key, "-extensions", "server", "-subj", "/CN=localhost"];
    openssl(&[&signed[..], &["-keyout", &server_key, "-out", &server_pem]].concat());
}
