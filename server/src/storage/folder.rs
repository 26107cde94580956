//! The folder in the data directory, where there is no bucket: readable by the user that Vestry runs as, and nobody else.

use object_store::{ObjectStore, local::LocalFileSystem};
use std::{
    fs::{self, DirBuilder, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

/// A file that was being written when its process ended is removed at a start so long after.
const LEFT_BEHIND: Duration = Duration::from_secs(24 * 3600);

#[derive(Clone)]
pub struct Folder {
    root: PathBuf,
}

impl Folder {
    /// Makes the folder, or takes the rights away that an earlier release has left to others.
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

    /// Makes the folders that a file needs: what makes them on the way would leave them open to others.
    pub fn prepare(&self, key: &str) -> io::Result<()> {
        self.path(key).parent().map_or(Ok(()), make_private)
    }

    /// Takes the rights of others to a file that was written.
    pub fn close(&self, key: &str) -> io::Result<()> {
        match set_mode(&self.path(key), 0o600) {
            // Somebody has moved or deleted it at once.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        }
    }

    /// Deletes everything below, also what was being written.
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

/// Goes through all there is, once at the start: files an earlier release has made are readable by everybody.
fn tighten(folder: &Path) -> io::Result<()> {
    set_mode(folder, 0o700)?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        let done = if kind.is_dir() {
            tighten(&path)
        } else if kind.is_file() && is_left_behind(&entry)? {
            fs::remove_file(&path)
        } else if kind.is_file() {
            set_mode(&path, 0o600)
        } else {
            Ok(())
        };
        match done {
            // Another process deletes files while this one starts.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            done => done?,
        }
    }
    Ok(())
}

/// `object_store` writes beside the file, with `#` and a number after its name, which no key has.
fn is_left_behind(entry: &fs::DirEntry) -> io::Result<bool> {
    if !entry.file_name().to_string_lossy().contains('#') {
        return Ok(false);
    }
    let age = SystemTime::now().duration_since(entry.metadata()?.modified()?);
    Ok(age.is_ok_and(|age| age > LEFT_BEHIND))
}

fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    if fs::metadata(path)?.mode() & 0o777 == mode {
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(mode))
}
