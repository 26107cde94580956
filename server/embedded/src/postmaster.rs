//! The running server of this process: started here, or taken over from a process that was killed.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::process::{Child, Command};

use crate::{
    Error, Passwords, Pauses, binaries, creation,
    home::{self, Home, PORT},
    pid_file::{self, PidFile},
};

/// How long to wait for another server that is just appearing, or for the last processes of one that was
/// killed.
const ORPHANS_PATIENCE: Duration = Duration::from_secs(10);

/// How often a server that is no child of ours is looked at.
const TAKEN_OVER_POLL: Duration = Duration::from_millis(500);

pub(crate) struct Postmaster {
    pid: Pid,
    /// `None` when it was taken over.
    child: Option<Child>,
    cluster: PathBuf,
}

impl Postmaster {
    /// Takes over the server that runs in `home`, or starts one, creating its cluster where there is none. It
    /// is ready when this returns. The caller holds the lock.
    pub async fn open(home: &Home, folders: &[PathBuf], passwords: &Passwords) -> Result<Postmaster, Error> {
        let mut pauses = Pauses::new();
        loop {
            match PidFile::read(&home.cluster).filter(|file| pid_file::serves(file.pid, &home.cluster)) {
                Some(file) if file.is_ready() => {
                    tracing::info!("took over the PostgreSQL of a process that was killed");
                    return Ok(Postmaster { pid: file.pid, child: None, cluster: home.cluster.clone() });
                }
                // It may have been told to wait for its last client.
                Some(file) if file.is_stopping() => drop(kill(file.pid, Signal::SIGINT)),
                Some(_) => {}
                None => match Postmaster::start(home, folders, passwords).await {
                    Err(Error::Start { reason, .. })
                        if held_by_another(&reason) && pauses.elapsed() < ORPHANS_PATIENCE => {}
                    result => return result,
                },
            }
            pauses.next().await;
        }
    }

    /// Fast shutdown: ends all connections, writes everything to disk and waits until the process is gone.
    pub async fn stop(mut self) {
        self.ask_to_stop();
        match self.child.take() {
            Some(mut child) => drop(child.wait().await),
            None => {
                let mut pauses = Pauses::new();
                while pid_file::serves(self.pid, &self.cluster) {
                    pauses.next().await;
                }
            }
        }
    }

    /// Waits until the process is gone, whoever has ended it; how it ended, as far as that is known.
    pub async fn ended(&mut self) -> String {
        if let Some(child) = &mut self.child {
            return child.wait().await.map_or_else(|error| error.to_string(), |status| status.to_string());
        }
        while pid_file::serves(self.pid, &self.cluster) {
            tokio::time::sleep(TAKEN_OVER_POLL).await;
        }
        "unknown".into()
    }

    async fn start(home: &Home, folders: &[PathBuf], passwords: &Passwords) -> Result<Postmaster, Error> {
        let programs = binaries::find(folders, home).await?;
        if home.made_by().is_none() {
            creation::create(home, &programs, &passwords.superuser).await?;
        }
        let socket_folder = home.socket_folder()?;
        let socket_lock = home::socket(&socket_folder).with_added_extension("lock");
        pid_file::remove_if_stale(&home.cluster.join("postmaster.pid"), &home.cluster);
        pid_file::remove_if_stale(&socket_lock, &home.cluster);

        let log = File::create(home.start_log()).map_err(Error::folder(&home.start_log()))?;
        let mut command = command(home, &programs, &socket_folder);
        let child = command.stderr(log).spawn().map_err(|error| failed(home, error.to_string()))?;
        let pid = Pid::from_raw(child.id().expect("it was not waited for") as i32);
        let mut postmaster = Postmaster { pid, child: Some(child), cluster: home.cluster.clone() };
        let mut pauses = Pauses::new();
        let mut said = false;
        // No limit in time: after a power cut it reads its journal first, and it either succeeds or ends.
        while !PidFile::read(&home.cluster).is_some_and(|file| file.pid == pid && file.is_ready()) {
            let exited = postmaster.child.as_mut().map(Child::try_wait);
            if !matches!(exited, Some(Ok(None))) {
                let reason = last_words(home);
                return Err(failed(home, reason));
            }
            if pauses.elapsed() > Duration::from_secs(5) && !said {
                tracing::info!("PostgreSQL is still starting");
                said = true;
            }
            pauses.next().await;
        }
        Ok(postmaster)
    }

    fn ask_to_stop(&self) {
        // The number of a child is its own until it was waited for.
        let lives = match &self.child {
            Some(child) => child.id().is_some(),
            None => pid_file::serves(self.pid, &self.cluster),
        };
        if lives {
            let _ = kill(self.pid, Signal::SIGINT);
        }
    }
}

impl Drop for Postmaster {
    fn drop(&mut self) {
        self.ask_to_stop();
    }
}

/// The server with what we rely on, whatever stands in its `postgresql.conf`.
fn command(home: &Home, programs: &Path, socket_folder: &Path) -> Command {
    let mut command = home.account.command(&programs.join("postgres"));
    // A group of its own: Ctrl-C in our terminal is ours to handle, and stops the server when we are done
    // with it.
    command.stdout(Stdio::null()).process_group(0).arg("-D").arg(&home.cluster);
    // A list of folders, in which quotes protect a comma.
    let socket_folders = format!("\"{}\"", socket_folder.to_string_lossy().replace('"', "\"\""));
    for (name, value) in [
        ("port", &*PORT.to_string()),
        ("listen_addresses", ""),
        ("unix_socket_directories", &socket_folders),
        ("unix_socket_permissions", "0700"),
        ("password_encryption", "scram-sha-256"),
        // A file for each day of the week, overwritten a week later.
        ("logging_collector", "on"),
        ("log_directory", "log"),
        ("log_filename", "postgres-%a.log"),
        ("log_rotation_age", "1d"),
        ("log_rotation_size", "0"),
        ("log_truncate_on_rotation", "on"),
        ("log_statement", "none"),
        ("log_min_error_statement", "panic"),
        ("log_error_verbosity", "terse"),
    ] {
        command.arg("-c").arg(format!("{name}={value}"));
    }
    command
}

/// PostgreSQL's own guard against two servers: a server started just before its owner was killed was faster,
/// or the memory of one that was killed is still attached to a last process of it.
fn held_by_another(reason: &str) -> bool {
    reason.contains("already exists") || reason.contains("still in use")
}

fn failed(home: &Home, reason: String) -> Error {
    let full = reason.clone();
    Error::Start { reason, log: home.cluster.join("log") }.or_disk_full(&home.folder, &full)
}

/// Why a server ended: the last fatal message of what it wrote before it opened its log, or else of the
/// newest log.
fn last_words(home: &Home) -> String {
    let logs = fs::read_dir(home.cluster.join("log")).into_iter().flatten().flatten();
    let newest = logs.max_by_key(|entry| entry.metadata().and_then(|data| data.modified()).ok());
    let texts: Vec<_> = [Some(home.start_log()), newest.map(|entry| entry.path())]
        .into_iter()
        .flatten()
        .map(|path| String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned())
        .collect();
    let fatal = |line: &&str| line.contains("FATAL: ") || line.contains("PANIC: ");
    let line = texts.iter().find_map(|text| text.lines().rev().take(5).find(fatal));
    let line = line.or(texts.first().and_then(|text| text.lines().last())).unwrap_or("it gave no reason");
    // "2026-01-02 03:04:05.678 UTC [9] FATAL:  could not …"
    line.rsplit_once(":  ").map_or(line, |(_, message)| message).to_owned()
}
