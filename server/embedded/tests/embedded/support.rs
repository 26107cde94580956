//! Clusters in throwaway folders, and the processes of their own that some tests need: this program, run
//! again with one of the two ignored tests below.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Stdio},
};

use embedded::{Cluster, Passwords};
use nix::unistd::Pid;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};
use tempfile::TempDir;

pub fn folder() -> TempDir {
    // As root the server runs as another user, who has to be able to enter.
    folder_with(0o755)
}

pub fn folder_with(mode: u32) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    // Set afterwards, so that no umask takes a bit away.
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
    folder
}

pub fn passwords() -> Passwords {
    // Characters that would end a string constant in SQL.
    Passwords { superuser: "it's".into(), vestry: r"it\'s '$1' %L".into() }
}

pub async fn start(folder: &Path) -> Cluster {
    Cluster::start(folder, &passwords()).await.unwrap_or_else(|error| panic!("{error}"))
}

pub async fn execute(options: &PgConnectOptions, sql: &str) -> sqlx::Result<()> {
    let mut connection: PgConnection = options.connect().await?;
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await?;
    connection.close().await
}

pub fn code(error: &sqlx::Error) -> String {
    error.as_database_error().and_then(|error| error.code()).unwrap_or_default().into_owned()
}

pub fn server_pid(folder: &Path) -> Pid {
    let text = fs::read_to_string(folder.join("postgres/postmaster.pid")).unwrap();
    Pid::from_raw(text.lines().next().unwrap().parse().unwrap())
}

/// A process that ended but was not yet waited for by its parent lives no more.
pub fn lives(pid: Pid) -> bool {
    let state = Command::new("ps").args(["-o", "stat=", "-p", &pid.to_string()]).output().unwrap();
    let state = String::from_utf8(state.stdout).unwrap();
    !state.trim().is_empty() && !state.starts_with('Z')
}

const FOLDER: &str = "EMBEDDED_TEST_FOLDER";

#[tokio::test]
#[ignore = "run by other tests as a process of its own"]
async fn owns_a_cluster_until_it_is_killed() {
    let Ok(folder) = env::var(FOLDER) else { return };
    let _cluster = start(Path::new(&folder)).await;
    println!("\nstarted");
    std::future::pending().await
}

#[tokio::test]
#[ignore = "run by other tests as a process of its own"]
async fn explains_missing_programs() {
    let Ok(folder) = env::var(FOLDER) else { return };
    let result = Cluster::start_with(&[], Path::new(&folder), &passwords()).await;
    println!("\nerror: {}", result.err().unwrap());
}

fn this_program(test: &str, folder: &Path) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", test, "--ignored", "--nocapture"]).env(FOLDER, folder);
    command
}

/// The error of a start where nothing is installed and nothing can be downloaded: nobody listens at this
/// proxy.
pub fn error_without_download(folder: &Path) -> String {
    let output = this_program("support::explains_missing_programs", folder)
        .env("HTTPS_PROXY", "http://127.0.0.1:1")
        .output()
        .unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    output.lines().find_map(|line| line.strip_prefix("error: ")).expect(&output).to_owned()
}

/// A process that is killed, with no chance to stop a server of its own, when this is dropped.
pub struct Process(pub Child);

impl Process {
    pub fn creating_a_cluster(folder: &Path) -> Process {
        let mut command = this_program("support::owns_a_cluster_until_it_is_killed", folder);
        Process(command.stdout(Stdio::piped()).spawn().unwrap())
    }

    pub fn owning_a_cluster(folder: &Path) -> Process {
        let mut process = Process::creating_a_cluster(folder);
        let output = BufReader::new(process.0.stdout.take().unwrap());
        assert!(output.lines().any(|line| line.unwrap() == "started"));
        process
    }

    pub fn kill(self) {
        drop(self);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}
