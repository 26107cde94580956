//! Where the files are: the cluster, the lock, the downloaded programs and the socket.

use std::{
    env,
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::ErrorKind,
    os::unix::{
        ffi::OsStrExt,
        fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, symlink},
    },
    path::{Path, PathBuf},
};

use nix::unistd::Uid;

use crate::{Error, account::Account};

/// The only port there is: the socket's folder tells one cluster from another.
pub(crate) const PORT: u16 = 5432;

/// `sun_path` holds 104 bytes on macOS with its closing zero, 108 on Linux.
const LONGEST_SOCKET_PATH: usize = 103;

/// Where root keeps a cluster whose data directory the server's account cannot enter.
const ELSEWHERE: &str = "/var/lib/vestry";

pub(crate) struct Home {
    /// The folder of all the files below: the data directory, or one in [`ELSEWHERE`].
    pub folder: PathBuf,
    /// What PostgreSQL calls its data directory. It may not exist yet.
    pub cluster: PathBuf,
    pub account: Account,
}

impl Home {
    /// Creates the data directory where it is missing and finds, or decides, where its cluster lives: in
    /// `<data_dir>/postgres`, which may be a symbolic link.
    pub fn settle(data_dir: &Path) -> Result<Home, Error> {
        fs::create_dir_all(data_dir).map_err(Error::folder(data_dir))?;
        let data_dir = data_dir.canonicalize().map_err(Error::folder(data_dir))?;
        let entry = data_dir.join("postgres");
        loop {
            let link = fs::read_link(&entry).ok();
            let cluster = data_dir.join(link.as_deref().unwrap_or(&entry));
            let exists = cluster.exists();
            let account = if exists { Account::owning(&cluster)? } else { Account::choose()? };
            let folder = cluster.parent().unwrap_or(&data_dir).to_owned();
            if !account.switches() || account.can_enter(&folder) {
                return Ok(Home { folder, cluster, account });
            }
            if exists || link.is_some() {
                return Err(Error::Unreachable { path: folder, user: account.name() });
            }
            settle_elsewhere(&data_dir, &entry, &account)?;
        }
    }

    /// The file whose lock makes a process the owner. Private, so that no other user can take the lock.
    pub fn lock_file(&self) -> Result<File, Error> {
        let path = self.folder.join("postgres.lock");
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(0o600);
        options.open(&path).map_err(Error::folder(&path))
    }

    /// The major version that made the cluster; `None` when there is no cluster yet.
    pub fn made_by(&self) -> Option<u32> {
        fs::read_to_string(self.cluster.join("PG_VERSION")).ok()?.trim().parse().ok()
    }

    pub fn programs(&self) -> PathBuf {
        self.folder.join("postgresql-binaries")
    }

    /// What the server says before it opens its own log in `<cluster>/log`.
    pub fn start_log(&self) -> PathBuf {
        self.folder.join("postgres-start.log")
    }

    /// The private folder of the socket, created where it is missing: beside the cluster, or where that path
    /// is too long for a socket, a short one of the same meaning. Only an owner asks; guests read it from the
    /// pid file.
    pub fn socket_folder(&self) -> Result<PathBuf, Error> {
        let usual = self.folder.join("run");
        if fits(&usual) {
            return self.private_folder(usual);
        }
        let name = format!("vestry-{}", fingerprint(&self.folder));
        [env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from), Some(env::temp_dir()), Some("/tmp".into())]
            .into_iter()
            .flatten()
            .filter(|base| self.account.can_enter(base))
            .map(|base| base.join(&name))
            .find(|folder| folder.is_absolute() && fits(folder))
            .map_or(Err(Error::SocketFolder(usual)), |folder| self.private_folder(folder))
    }

    /// The name can be foreseen in a folder where everybody writes, so what stands there already is trusted
    /// only when it is a folder that nobody else can have put there or can enter.
    fn private_folder(&self, path: PathBuf) -> Result<PathBuf, Error> {
        match DirBuilder::new().mode(0o700).create(&path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                return Err(Error::folder(&path)(error));
            }
            _ => {}
        }
        let found = fs::symlink_metadata(&path).map_err(Error::folder(&path))?;
        let ours = self.account.is(found.uid()) || found.uid() == Uid::effective().as_raw();
        if !found.is_dir() || !ours || found.mode() & 0o077 != 0 {
            return Err(Error::SocketFolder(path));
        }
        self.account.give(&path)?;
        Ok(path)
    }
}

pub(crate) fn socket(folder: &Path) -> PathBuf {
    folder.join(format!(".s.PGSQL.{PORT}"))
}

fn fits(folder: &Path) -> bool {
    socket(folder).as_os_str().len() <= LONGEST_SOCKET_PATH
}

/// Points `entry` at a folder that does not exist yet. A cluster found there already belonged to a data
/// directory that was since moved or deleted; it is neither taken up, because its passwords differ, nor
/// deleted.
fn settle_elsewhere(data_dir: &Path, entry: &Path, account: &Account) -> Result<(), Error> {
    let name = fingerprint(data_dir);
    let folder = (1..)
        .map(|n| if n == 1 { name.clone() } else { format!("{name}-{n}") })
        .map(|name| Path::new(ELSEWHERE).join(name))
        .find(|folder| !folder.join("postgres").exists())
        .expect("some number is free");
    fs::create_dir_all(&folder).map_err(Error::folder(&folder))?;
    for path in [Path::new(ELSEWHERE), &folder] {
        fs::set_permissions(path, Permissions::from_mode(0o755)).map_err(Error::folder(path))?;
    }
    match symlink(folder.join("postgres"), entry) {
        // Another process was faster, and its choice holds.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(Error::folder(entry)(error)),
        Ok(()) => {
            let user = account.name();
            tracing::info!(
                data_dir = %data_dir.display(),
                folder = %folder.display(),
                "the user {user}, who runs PostgreSQL for root, cannot enter the data directory: \
                 the database is kept elsewhere"
            );
            Ok(())
        }
    }
}

/// Sixteen digits that stand for a path.
fn fingerprint(path: &Path) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, path.as_os_str().as_bytes());
    digest.as_ref()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}
