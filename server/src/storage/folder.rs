//! File storage in the data directory, private to the user that Vestry runs as.

use object_store::{ObjectStore, local::LocalFileSystem};
use std::{
    fs::{self, DirBuilder, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

/// Age at which a startup removes partial files of a dead process.
const PARTIAL_FILE_TTL: Duration = Duration::from_secs(24 * 3600);

#[derive(Clone)]
pub struct Folder {
    root: PathBuf,
}

impl Folder {
    /// Creates the folder with mode 0700, and tightens the modes of older releases.
    pub fn open(root: PathBuf) -> io::Result<Self> {
        make_private(&root)?;
        let root = root.canonicalize()?;
        tighten(&root)?;
        Ok(Self { root })
    }

    pub fn objects(&self) -> io::Result<Arc<dyn ObjectStore>> {
        let objects = LocalFileSystem::new_with_prefix(&self.root).map_err(io::Error::other)?;
        Ok(Arc::new(objects.with_fsync(true)))
    }

    /// Creates the parent folders with mode 0700; `object_store` would create them world-readable.
    pub fn prepare(&self, key: &str) -> io::Result<()> {
        self.path(key).parent().map_or(Ok(()), make_private)
    }

    /// Sets mode 0600 on a written file.
    pub fn make_file_private(&self, key: &str) -> io::Result<()> {
        match set_mode(&self.path(key), 0o600) {
            // It may have been moved or deleted already.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        }
    }

    /// Deletes everything below `prefix`, partial files included.
    pub fn delete_all(&self, prefix: &str) -> io::Result<()> {
        match fs::remove_dir_all(self.path(prefix)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        }
    }

    fn path(&self, key: &str) -> PathBuf {
        self.root.join(key)
    }
}

pub fn make_private(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Restricts the modes of all files at startup: an earlier release created them world-readable.
fn tighten(folder: &Path) -> io::Result<()> {
    set_mode(folder, 0o700)?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        let done = if kind.is_dir() {
            tighten(&path)
        } else if kind.is_file() && is_stale_partial(&entry)? {
            fs::remove_file(&path)
        } else if kind.is_file() {
            set_mode(&path, 0o600)
        } else {
            Ok(())
        };
        match done {
            // Another process may delete files concurrently.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            done => done?,
        }
    }
    Ok(())
}

/// Returns whether the entry is a stale partial file. `object_store` names them `file#number`; no key contains `#`.
fn is_stale_partial(entry: &fs::DirEntry) -> io::Result<bool> {
    if !entry.file_name().to_string_lossy().contains('#') {
        return Ok(false);
    }
    let age = SystemTime::now().duration_since(entry.metadata()?.modified()?);
    Ok(age.is_ok_and(|age| age > PARTIAL_FILE_TTL))
}

fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    if fs::metadata(path)?.mode() & 0o777 == mode {
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(mode))
}
