//! File storage: an S3 bucket, or the data directory behind signed URLs of this server. Both are one `ObjectStore`; they
//! differ in who signs the URLs.

mod folder;
pub mod handlers;
mod local;
mod s3;

pub use local::LocalUrlSigner;

use folder::Folder;

use crate::{Error, config::Config};
use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use identity::Secret;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt, path::Path};
use std::{fs::File, future::Future, io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

/// TTL of signed URLs. A bucket honours a URL until it expires, even if the tenant was suspended meanwhile.
pub const URL_TTL: Duration = Duration::from_secs(5 * 60);

/// Timeout of one storage call.
const TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Clone)]
pub struct Storage {
    objects: Arc<dyn ObjectStore>,
    signer: UrlSigner,
    /// Directory of the objects; `None` with a bucket.
    folder: Option<Folder>,
    /// Directory of unfinished uploads.
    spool: PathBuf,
    /// Free bytes that a write must leave on the disk.
    min_free: u64,
}

#[derive(Clone)]
enum UrlSigner {
    Local(Arc<LocalUrlSigner>),
    S3(Arc<s3::Signer>),
}

#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    #[error("the file storage timed out")]
    Timeout,
    #[error("the file storage failed")]
    Failed(#[from] object_store::Error),
    #[error("the data directory failed")]
    Disk(#[source] io::Error),
}

/// A presigned URL: valid without signing in, for a limited time and one request.
#[derive(Clone, Debug)]
pub struct SignedUrl {
    pub url: String,
    pub method: &'static str,
    /// Headers the client must send exactly.
    pub headers: Vec<(&'static str, String)>,
    pub expires_at: DateTime<Utc>,
}

impl Storage {
    /// Opens the storage. `addr` is the listen address, the base of local URLs without VESTRY_PUBLIC_URL.
    pub fn open(config: &Config, secret: &Secret, addr: SocketAddr) -> Result<Self, Error> {
        let min_free = config.min_free_disk.as_u64();
        if let Some((objects, signer)) = s3::open(config)? {
            let signer = UrlSigner::S3(Arc::new(signer));
            let spool = std::env::temp_dir();
            return Ok(Self { objects: Arc::new(objects), signer, folder: None, spool, min_free });
        }
        let root = config.data_dir.join("files");
        let unusable = |source| Error::DataDir { path: root.clone(), source };
        std::fs::create_dir_all(&config.data_dir).map_err(unusable)?;
        let folder = Folder::open(root.clone()).map_err(unusable)?;
        let objects = folder.objects().map_err(unusable)?;
        let spool = config.data_dir.join("spool");
        folder::make_private(&spool).map_err(unusable)?;
        let base = config.public_url.clone().unwrap_or_else(|| format!("http://{addr}"));
        let signer = UrlSigner::Local(Arc::new(LocalUrlSigner::new(&secret.file_key(), &base)));
        Ok(Self { objects, signer, folder: Some(folder), spool, min_free })
    }

    /// Returns whether `bytes` can be written and `min_free` stays free; always true with a bucket.
    pub fn has_room(&self, bytes: u64) -> bool {
        if self.folder.is_none() {
            return true;
        }
        match rustix::fs::statvfs(&self.spool) {
            Ok(disk) => disk.f_bavail.saturating_mul(disk.f_frsize) >= self.min_free.saturating_add(bytes),
            Err(error) => {
                tracing::warn!(error = %registry::chain(&error), "cannot read the free disk space");
                true
            }
        }
    }

    /// Creates an unnamed temporary file for an upload.
    pub fn spool(&self) -> io::Result<File> {
        tempfile::tempfile_in(&self.spool)
    }

    /// Returns the signer of local URLs; `None` with a bucket.
    pub fn local_signer(&self) -> Option<&LocalUrlSigner> {
        match &self.signer {
            UrlSigner::Local(signer) => Some(signer),
            UrlSigner::S3(_) => None,
        }
    }

    /// Returns a URL to which the client may PUT exactly this size and type.
    pub fn upload_url(&self, key: &str, content_type: &str, size: i64) -> SignedUrl {
        let now = Utc::now();
        let url = match &self.signer {
            UrlSigner::Local(signer) => signer.upload_url(key, content_type, size, now + URL_TTL),
            UrlSigner::S3(signer) => signer.upload_url(key, content_type, size, now),
        };
        let headers = vec![("Content-Type", content_type.to_owned()), ("Content-Length", size.to_string())];
        SignedUrl { url, method: "PUT", headers, expires_at: now + URL_TTL }
    }

    /// Returns a URL that serves the file as an attachment.
    pub async fn download_url(
        &self,
        key: &str,
        name: &str,
        content_type: &str,
    ) -> Result<SignedUrl, StorageError> {
        let now = Utc::now();
        let url = match &self.signer {
            UrlSigner::Local(signer) => signer.download_url(key, name, content_type, now + URL_TTL),
            UrlSigner::S3(signer) => {
                with_timeout(signer.download_url(key, &attachment(name), content_type)).await?
            }
        };
        Ok(SignedUrl { url, method: "GET", headers: Vec::new(), expires_at: now + URL_TTL })
    }

    pub async fn put(&self, key: &str, bytes: Vec<u8>) -> Result<(), StorageError> {
        self.prepare(key)?;
        with_timeout(self.objects.put(&Path::from(key), bytes.into())).await?;
        self.make_file_private(key)
    }

    fn prepare(&self, key: &str) -> Result<(), StorageError> {
        self.folder.as_ref().map_or(Ok(()), |folder| folder.prepare(key)).map_err(StorageError::Disk)
    }

    fn make_file_private(&self, key: &str) -> Result<(), StorageError> {
        self.folder
            .as_ref()
            .map_or(Ok(()), |folder| folder.make_file_private(key))
            .map_err(StorageError::Disk)
    }

    /// Reads a whole file; `None` if it does not exist.
    pub async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StorageError> {
        let path = Path::from(key);
        let whole = async { self.objects.get(&path).await?.bytes().await };
        found(with_timeout(whole).await).map(|bytes| bytes.map(Vec::from))
    }

    /// Returns the size and the first `length` bytes; `None` if the file does not exist.
    pub async fn read_head(&self, key: &str, length: u64) -> Result<Option<(u64, Vec<u8>)>, StorageError> {
        let path = Path::from(key);
        let head = async {
            let size = self.objects.head(&path).await?.size;
            if size == 0 {
                return Ok((0, Vec::new()));
            }
            let options =
                GetOptions { range: Some(GetRange::Bounded(0..length.min(size))), ..GetOptions::default() };
            Ok((size, self.objects.get_opts(&path, options).await?.bytes().await?.to_vec()))
        };
        found(with_timeout(head).await)
    }

    /// Moves a file; returns false if it does not exist.
    pub async fn rename(&self, from: &str, to: &str) -> Result<bool, StorageError> {
        self.prepare(to)?;
        let moved = with_timeout(self.objects.rename(&Path::from(from), &Path::from(to))).await;
        found(moved).map(|moved| moved.is_some())
    }

    /// Deletes a file, if it exists.
    pub async fn delete(&self, key: &str) -> Result<(), StorageError> {
        found(with_timeout(self.objects.delete(&Path::from(key))).await).map(drop)
    }

    /// Deletes all files of a tenant.
    pub async fn delete_all(&self, tenant_id: &str) -> Result<(), StorageError> {
        if let Some(folder) = self.folder.clone() {
            let prefix = tenant_id.to_owned();
            let deleted = tokio::task::spawn_blocking(move || folder.delete_all(&prefix)).await;
            return deleted.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(StorageError::Disk);
        }
        let prefix = Path::from(tenant_id);
        let mut objects = self.objects.list(Some(&prefix));
        while let Some(object) = with_timeout(objects.try_next()).await? {
            found(with_timeout(self.objects.delete(&object.location)).await)?;
        }
        Ok(())
    }
}

async fn with_timeout<T>(call: impl Future<Output = object_store::Result<T>>) -> Result<T, StorageError> {
    Ok(tokio::time::timeout(TIMEOUT, call).await.map_err(|_| StorageError::Timeout)??)
}

fn found<T>(answer: Result<T, StorageError>) -> Result<Option<T>, StorageError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(StorageError::Failed(object_store::Error::NotFound { .. })) => Ok(None),
        Err(away) => Err(away),
    }
}

/// Returns a `Content-Disposition` that saves the file under `name` (RFC 6266, RFC 8187).
pub fn attachment(name: &str) -> String {
    format!("attachment; filename*=UTF-8''{}", percent(name))
}

/// Percent-encodes everything but unreserved characters.
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
