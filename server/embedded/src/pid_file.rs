//! `postmaster.pid`, in which a server says where it is reached and how far it is.

use std::{fs, os::unix::ffi::OsStrExt, path::Path, process::Command};

use nix::{sys::signal::kill, unistd::Pid};

use crate::Address;

pub(crate) struct PidFile {
    pub pid: Pid,
    pub address: Address,
    state: String,
}

impl PidFile {
    /// `None` while there is no such file or it is still being written.
    pub fn read(cluster: &Path) -> Option<PidFile> {
        let bytes = fs::read(cluster.join("postmaster.pid")).ok()?;
        let text = String::from_utf8_lossy(&bytes);
        // Lines: process, data directory, start time, port, socket folder, TCP address, shared memory, state.
        let lines: Vec<_> = text.lines().collect();
        Some(PidFile {
            pid: Pid::from_raw(lines.first()?.trim().parse().ok().filter(|pid| *pid > 0)?),
            address: Address { port: lines.get(3)?.trim().parse().ok()?, socket_dir: lines.get(4)?.into() },
            state: lines.get(7).unwrap_or(&"").trim().to_owned(),
        })
    }

    pub fn is_ready(&self) -> bool {
        self.state == "ready"
    }

    pub fn is_stopping(&self) -> bool {
        self.state == "stopping"
    }
}

/// Whether process `pid` is the server of this cluster: its command line names the folder. The number alone
/// proves nothing, since the system gives it to another process in time; and its working folder, which would
/// prove more, is hidden from root in a container. A process that ended but was not waited for has no command
/// line.
pub(crate) fn serves(pid: Pid, cluster: &Path) -> bool {
    let cluster = cluster.as_os_str().as_bytes();
    if Path::new("/proc/self/cmdline").exists() {
        let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        return arguments.split(|byte| *byte == 0).any(|argument| argument == cluster);
    }
    let ps = Command::new("ps").args(["-ww", "-o", "command=", "-p"]).arg(pid.to_string()).output();
    ps.is_ok_and(|ps| ps.stdout.windows(cluster.len()).any(|text| text == cluster))
}

/// Removes a file that names a process which lives and is not the server of this cluster: PostgreSQL knows by
/// itself that a dead process holds nothing, but takes any living one of the same user for a server.
pub(crate) fn remove_if_stale(file: &Path, cluster: &Path) {
    let first = fs::read_to_string(file).unwrap_or_default();
    let pid = first.lines().next().and_then(|line| line.trim().parse().ok()).filter(|pid| *pid > 0);
    if let Some(pid) = pid.map(Pid::from_raw)
        && kill(pid, None).is_ok()
        && !serves(pid, cluster)
    {
        let _ = fs::remove_file(file);
    }
}
