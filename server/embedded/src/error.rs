//! What can go wrong, each in one sentence that ends with what to do.

use std::{
    io,
    path::{Path, PathBuf},
};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "the data directory cannot be used ({path}: {source}): correct its permissions, or choose another with \
         VESTRY_DATA_DIR"
    )]
    Folder { path: PathBuf, source: io::Error },

    #[error("the disk of {0} is full: free some space and start again")]
    DiskFull(PathBuf),

    #[error(
        "{path} belongs to the user {owner}: start as that user, or give the folder away with `chown -R`"
    )]
    ForeignFolder { path: PathBuf, owner: String },

    #[error(
        "PostgreSQL does not run as root, and the user {user} it would run as cannot enter {path}: \
         open the folder with `chmod o+x`, or choose another with VESTRY_DATA_DIR"
    )]
    Unreachable { path: PathBuf, user: String },

    #[error(
        "PostgreSQL does not run as root, and there is neither a user postgres nor a user nobody to run it: \
         create one, e.g. `useradd --system postgres`, or start as an ordinary user"
    )]
    NoAccount,

    #[error("{0} is not a private folder of ours, so no socket can be opened there: remove it")]
    SocketFolder(PathBuf),

    #[error(
        "PostgreSQL is not installed and could not be downloaded ({reason}): install it, e.g. \
         `apt-get install postgresql`, or set VESTRY_REGISTRY_URL to a server of yours"
    )]
    NotInstalled { reason: String },

    #[error(
        "{path} was made by PostgreSQL {made_by}, which is not installed and could not be downloaded \
         ({reason}): install it, e.g. `apt-get install postgresql-{made_by}`"
    )]
    OtherVersion { path: PathBuf, made_by: u32, reason: String },

    #[error("PostgreSQL could not set up a folder for its data ({reason}): correct that and start again")]
    Creation { reason: String },

    #[error("PostgreSQL did not start ({reason}): correct that and start again; its log is {log}")]
    Start { reason: String, log: PathBuf },

    #[error(
        "another process holds this data directory, and its PostgreSQL does not accept connections: \
         wait until it does, or stop that process"
    )]
    NotReady,

    #[error(
        "the secret key does not belong to this data directory: restore the key it was created with \
         (VESTRY_SECRET_KEY), or choose another with VESTRY_DATA_DIR"
    )]
    WrongSecret,

    #[error(
        "PostgreSQL refused to set itself up ({0}): start again; if it persists, restore the data directory"
    )]
    Bootstrap(#[source] sqlx::Error),
}

impl Error {
    /// For `map_err` after touching `path`.
    pub(crate) fn folder(path: &Path) -> impl FnOnce(io::Error) -> Error {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull => Error::DiskFull(path.to_owned()),
            _ => Error::Folder { path: path.to_owned(), source },
        }
    }

    /// PostgreSQL's programs run in the C locale and tell a full disk only by these words.
    pub(crate) fn or_disk_full(self, path: &Path, output: &str) -> Error {
        if output.contains("No space left on device") { Error::DiskFull(path.to_owned()) } else { self }
    }

    /// Whether the server is merely still starting, or already stopping.
    pub(crate) fn may_pass(&self) -> bool {
        const CANNOT_CONNECT_NOW: &str = "57P03";
        const ADMIN_SHUTDOWN: &str = "57P01";
        match self {
            Error::NotReady | Error::Bootstrap(sqlx::Error::Io(_)) => true,
            Error::Bootstrap(sqlx::Error::Database(error)) => {
                error.code().is_some_and(|code| code == CANNOT_CONNECT_NOW || code == ADMIN_SHUTDOWN)
            }
            _ => false,
        }
    }
}
