//! Runs a command beside a throwaway PostgreSQL, with two empty databases to check SQL against:
//!
//!     with-postgres [--dir FOLDER] COMMAND [ARGUMENT…]
//!
//! The command finds them in `REGISTRY_DATABASE_URL` and `TENANT_DATABASE_URL`, the server in `PGHOST`,
//! `PGPORT`, `PGUSER` and `PGPASSWORD`. With `--dir` the cluster is kept in that folder, which saves making
//! it the next time.

use std::{
    ffi::OsString,
    fs::{self, Permissions},
    os::unix::{fs::PermissionsExt, process::ExitStatusExt},
    path::PathBuf,
    process::ExitCode,
};

use embedded::{Cluster, Passwords};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use tokio::{
    process::Command,
    signal::unix::{Signal, SignalKind, signal},
};

/// No secret: the socket's folder is private, and nothing is kept in these databases.
const PASSWORD: &str = "throwaway";
const DATABASES: [&str; 2] = ["registry", "tenant"];

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("with-postgres: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<u8> {
    let mut arguments = std::env::args_os().skip(1).peekable();
    let kept = arguments.next_if(|argument| argument == "--dir").and_then(|_| arguments.next());
    let command: Vec<OsString> = arguments.collect();
    if command.is_empty() {
        return Err("usage: with-postgres [--dir FOLDER] COMMAND [ARGUMENT…]".into());
    }

    // Taking these signals keeps them from ending us before the server is stopped.
    let signals = [signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?];
    let temporary = tempfile::Builder::new().prefix("with-postgres.").tempdir()?;
    // As root the server runs as another user, who has to be able to enter.
    fs::set_permissions(temporary.path(), Permissions::from_mode(0o755))?;
    let folder = kept.map_or(temporary.path().to_owned(), PathBuf::from);
    let passwords = Passwords { superuser: PASSWORD.into(), vestry: PASSWORD.into() };
    let cluster = Cluster::start(&folder, &passwords).await?;
    let code = beside(&cluster, &command, signals).await;
    cluster.stop().await;
    code
}

async fn beside(cluster: &Cluster, command: &[OsString], signals: [Signal; 2]) -> Result<u8> {
    let [mut interrupted, mut terminated] = signals;
    // Nothing here has to survive a crash of the machine.
    let superuser = cluster.registry_options().username("postgres").database("postgres");
    let mut superuser = superuser.connect().await?;
    for sql in
        ["alter system set fsync = off", "alter system set full_page_writes = off", "select pg_reload_conf()"]
    {
        sqlx::raw_sql(sql).execute(&mut superuser).await?;
    }
    superuser.close().await?;
    let mut maintenance = cluster.registry_options().database("postgres").connect().await?;
    for name in DATABASES {
        for sql in [format!("drop database if exists {name} with (force)"), format!("create database {name}")]
        {
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut maintenance).await?;
        }
    }
    maintenance.close().await?;

    let mut child = Command::new(&command[0])
        .args(&command[1..])
        .env("PGHOST", cluster.socket_dir())
        .env("PGPORT", cluster.port().to_string())
        .env("PGUSER", "vestry")
        .env("PGPASSWORD", PASSWORD)
        .env("REGISTRY_DATABASE_URL", url(cluster, "registry"))
        .env("TENANT_DATABASE_URL", url(cluster, "tenant"))
        .spawn()?;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status?,
            _ = terminated.recv() => child.start_kill()?,
            // The terminal sends this one to the command as well, which may take its time.
            _ = interrupted.recv() => {}
        }
    };
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    Ok(u8::try_from(code).unwrap_or(u8::MAX))
}

/// A URL that both sqlx and libpq understand: the host is the socket's folder, percent-encoded.
fn url(cluster: &Cluster, database: &str) -> String {
    let encoded = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    let host: String = cluster.socket_dir().to_string_lossy().bytes().map(encoded).collect();
    format!("postgres://vestry:{PASSWORD}@{host}:{}/{database}", cluster.port())
}
