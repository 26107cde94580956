//! Where files lie: object storage (S3), or the data directory behind addresses of our own. Both are one `ObjectStore`;
//! what differs is who gives out the addresses.

mod folder;
mod own;
mod s3;

pub use own::{Doors, download, upload};

use folder::Folder;

use crate::{Error, config::Config};
use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use identity::Secret;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt, path::Path};
use std::{fs::File, future::Future, io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

/// How long an address is good for. Object storage takes one that it has been shown, whatever has happened since: a
/// church that is suspended can be reached there for so long at most.
pub const GOOD_FOR: Duration = Duration::from_secs(5 * 60);

/// How long the storage is waited for.
const DEADLINE: Duration = Duration::from_secs(10);

#[derive(Clone)]
pub struct Storage {
    objects: Arc<dyn ObjectStore>,
    addresses: Addresses,
    /// Where the objects are, unless in a bucket.
    folder: Option<Folder>,
    /// Where uploads wait that are not objects yet.
    spool: PathBuf,
    /// In bytes; nothing is written to the disk when less would be left.
    min_free: u64,
}

#[derive(Clone)]
enum Addresses {
    Own(Arc<Doors>),
    S3(Arc<s3::Signer>),
}

/// The storage does not answer, or not as it should.
#[derive(Debug, thiserror::Error)]
pub enum Away {
    #[error("the storage did not answer in time")]
    Late,
    #[error("the storage failed")]
    Failed(#[from] object_store::Error),
    #[error("the data directory failed")]
    Disk(#[source] io::Error),
}

/// An address that somebody may use without signing in, for a while and for one thing.
#[derive(Clone, Debug)]
pub struct Address {
    pub url: String,
    pub method: &'static str,
    /// What has to be sent along, exactly.
    pub headers: Vec<(&'static str, String)>,
    pub expires_at: DateTime<Utc>,
}

impl Storage {
    /// `addr` is where this server listens, for addresses of our own.
    pub fn open(config: &Config, secret: &Secret, addr: SocketAddr) -> Result<Self, Error> {
        let min_free = config.min_free_disk.as_u64();
        if let Some((objects, signer)) = s3::open(config)? {
            let addresses = Addresses::S3(Arc::new(signer));
            let spool = std::env::temp_dir();
            return Ok(Self { objects: Arc::new(objects), addresses, folder: None, spool, min_free });
        }
        let root = config.data_dir.join("files");
        let unusable = |source| Error::DataDir { path: root.clone(), source };
        std::fs::create_dir_all(&config.data_dir).map_err(unusable)?;
        let folder = Folder::open(root.clone()).map_err(unusable)?;
        let objects = folder.objects().map_err(unusable)?;
        let spool = config.data_dir.join("spool");
        folder::make_private(&spool).map_err(unusable)?;
        let base = config.public_url.clone().unwrap_or_else(|| format!("http://{addr}"));
        let doors = Doors::new(&secret.file_key(), &base);
        let addresses = Addresses::Own(Arc::new(doors));
        Ok(Self { objects, addresses, folder: Some(folder), spool, min_free })
    }

    /// Whether so many bytes can be written without filling the disk. A bucket has no end.
    pub fn has_room(&self, bytes: u64) -> bool {
        if self.folder.is_none() {
            return true;
        }
        match rustix::fs::statvfs(&self.spool) {
            Ok(disk) => disk.f_bavail.saturating_mul(disk.f_frsize) >= self.min_free.saturating_add(bytes),
            Err(error) => {
                tracing::warn!(error = %registry::chain(&error), "the free space of the disk cannot be read");
                true
            }
        }
    }

    /// A file without a name, for what is being received.
    pub fn spool(&self) -> io::Result<File> {
        tempfile::tempfile_in(&self.spool)
    }

    /// Behind which our own addresses lead; none when the files lie elsewhere.
    pub fn doors(&self) -> Option<&Arc<Doors>> {
        match &self.addresses {
            Addresses::Own(doors) => Some(doors),
            Addresses::S3(_) => None,
        }
    }

    /// Where to send what has been promised, and nothing else.
    pub fn upload_address(&self, key: &str, content_type: &str, size: i64) -> Address {
        let now = Utc::now();
        let url = match &self.addresses {
            Addresses::Own(doors) => doors.upload_url(key, content_type, size, now + GOOD_FOR),
            Addresses::S3(signer) => signer.upload_url(key, content_type, size, now),
        };
        let headers = vec![("Content-Type", content_type.to_owned()), ("Content-Length", size.to_string())];
        Address { url, method: "PUT", headers, expires_at: now + GOOD_FOR }
    }

    /// Where to fetch a file, to be kept and not to be shown.
    pub async fn download_address(&self, key: &str, name: &str, content_type: &str) -> Result<Address, Away> {
        let now = Utc::now();
        let url = match &self.addresses {
            Addresses::Own(doors) => doors.download_url(key, name, content_type, now + GOOD_FOR),
            Addresses::S3(signer) => {
                within(signer.download_url(key, &attachment(name), content_type)).await?
            }
        };
        Ok(Address { url, method: "GET", headers: Vec::new(), expires_at: now + GOOD_FOR })
    }

    pub async fn put(&self, key: &str, bytes: Vec<u8>) -> Result<(), Away> {
        self.prepare(key)?;
        within(self.objects.put(&Path::from(key), bytes.into())).await?;
        self.close(key)
    }

    fn prepare(&self, key: &str) -> Result<(), Away> {
        self.folder.as_ref().map_or(Ok(()), |folder| folder.prepare(key)).map_err(Away::Disk)
    }

    fn close(&self, key: &str) -> Result<(), Away> {
        self.folder.as_ref().map_or(Ok(()), |folder| folder.close(key)).map_err(Away::Disk)
    }

    /// The whole file; `None` when there is none.
    pub async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Away> {
        let path = Path::from(key);
        let whole = async { self.objects.get(&path).await?.bytes().await };
        found(within(whole).await).map(|bytes| bytes.map(Vec::from))
    }

    /// How many bytes it has, and the first of them; `None` when there is none.
    pub async fn beginning(&self, key: &str, length: u64) -> Result<Option<(u64, Vec<u8>)>, Away> {
        let path = Path::from(key);
        let beginning = async {
            let size = self.objects.head(&path).await?.size;
            if size == 0 {
                return Ok((0, Vec::new()));
            }
            let options =
                GetOptions { range: Some(GetRange::Bounded(0..length.min(size))), ..GetOptions::default() };
            Ok((size, self.objects.get_opts(&path, options).await?.bytes().await?.to_vec()))
        };
        found(within(beginning).await)
    }

    /// Moves a file; false when there is none.
    pub async fn rename(&self, from: &str, to: &str) -> Result<bool, Away> {
        self.prepare(to)?;
        let moved = within(self.objects.rename(&Path::from(from), &Path::from(to))).await;
        found(moved).map(|moved| moved.is_some())
    }

    /// Deletes a file; one that is not there is fine.
    pub async fn delete(&self, key: &str) -> Result<(), Away> {
        found(within(self.objects.delete(&Path::from(key))).await).map(drop)
    }

    /// Deletes all files of a tenant.
    pub async fn delete_all(&self, tenant_id: &str) -> Result<(), Away> {
        if let Some(folder) = self.folder.clone() {
            let prefix = tenant_id.to_owned();
            let deleted = tokio::task::spawn_blocking(move || folder.delete_all(&prefix)).await;
            return deleted.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(Away::Disk);
        }
        let prefix = Path::from(tenant_id);
        let mut objects = self.objects.list(Some(&prefix));
        while let Some(object) = within(objects.try_next()).await? {
            found(within(self.objects.delete(&object.location)).await)?;
        }
        Ok(())
    }
}

async fn within<T>(call: impl Future<Output = object_store::Result<T>>) -> Result<T, Away> {
    Ok(tokio::time::timeout(DEADLINE, call).await.map_err(|_| Away::Late)??)
}

fn found<T>(answer: Result<T, Away>) -> Result<Option<T>, Away> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(Away::Failed(object_store::Error::NotFound { .. })) => Ok(None),
        Err(away) => Err(away),
    }
}

/// Tells a browser to keep the file under its name, whatever letters that has (RFC 6266, RFC 8187).
pub fn attachment(name: &str) -> String {
    format!("attachment; filename*=UTF-8''{}", percent(name))
}

/// As a part of an address: everything but unreserved letters written as `%xx`.
fn percent(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => (byte as char).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
