//! Which user of the machine the server runs as. PostgreSQL refuses root; an ordinary user runs it as itself.

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt, lchown},
        process::CommandExt,
    },
    path::Path,
    process::Stdio,
};

use nix::unistd::{Gid, Uid, User};
use tokio::process::Command;

use crate::Error;

pub(crate) struct Account {
    uid: u32,
    gid: u32,
    /// Whether we are root, and so change to this account rather than being it.
    switch: bool,
}

impl Account {
    /// Whoever may own a new cluster.
    pub fn choose() -> Result<Account, Error> {
        let me = Uid::effective();
        if !me.is_root() {
            return Ok(Account { uid: me.as_raw(), gid: Gid::effective().as_raw(), switch: false });
        }
        ["postgres", "nobody"]
            .into_iter()
            .find_map(|name| User::from_name(name).ok().flatten())
            .map(|user| Account { uid: user.uid.as_raw(), gid: user.gid.as_raw(), switch: true })
            .ok_or(Error::NoAccount)
    }

    /// An existing cluster is run by the user it belongs to, which need not be the one we should choose now:
    /// root may start what an ordinary user created, and leaves it usable for that user.
    pub fn owning(cluster: &Path) -> Result<Account, Error> {
        let owner = fs::metadata(cluster).map_err(Error::folder(cluster))?;
        let me = Uid::effective();
        let account = Account { uid: owner.uid(), gid: owner.gid(), switch: me.is_root() };
        let runnable = if me.is_root() { account.uid != 0 } else { account.uid == me.as_raw() };
        if !runnable {
            return Err(Error::ForeignFolder { path: cluster.to_owned(), owner: account.name() });
        }
        Ok(account)
    }

    pub fn is(&self, uid: u32) -> bool {
        self.uid == uid
    }

    pub fn switches(&self) -> bool {
        self.switch
    }

    pub fn name(&self) -> String {
        let user = User::from_uid(Uid::from_raw(self.uid)).ok().flatten();
        user.map_or_else(|| self.uid.to_string(), |user| user.name)
    }

    /// One of PostgreSQL's programs, run as this account with nothing of our environment: secrets are in it,
    /// and variables such as `PGPORT` that would change what the program does. Its messages are English.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = std::process::Command::new(program);
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("LC_ALL", "C")
            .current_dir("/")
            .stdin(Stdio::null());
        self.switch_in(&mut command);
        command.into()
    }

    /// Gives a file or folder of ours to this account; a symbolic link is not followed.
    pub fn give(&self, path: &Path) -> Result<(), Error> {
        if self.switch {
            lchown(path, Some(self.uid), Some(self.gid)).map_err(Error::folder(path))
        } else {
            Ok(())
        }
    }

    /// Whether this account can enter `folder`. Asked of the kernel by going there, because permission bits
    /// are not all there is to it.
    pub fn can_enter(&self, folder: &Path) -> bool {
        let mut probe = std::process::Command::new("/bin/sh");
        probe.args(["-c", ":"]).current_dir(folder);
        self.switch_in(&mut probe);
        probe.status().is_ok_and(|status| status.success())
    }

    /// The standard library drops the supplementary groups when root changes the user.
    fn switch_in(&self, command: &mut std::process::Command) {
        if self.switch {
            command.uid(self.uid).gid(self.gid);
        }
    }
}
