use crate::seal::hex;
use moka::future::Cache;
use registry::{Registry, sessions};
use ring::digest::{SHA256, digest};
use std::time::Duration;
use tower_sessions::{
    SessionStore as TowerSessionStore,
    session::{Id, Record},
    session_store::{Error, Result},
};

/// The key under which a session says who is signed in.
pub(crate) const WHO: &str = "who";

/// And the one under which it says in which epoch of the admin's that was; see `admins.epoch`.
pub(crate) const EPOCH: &str = "epoch";

/// Browser sessions: rows in the registry, kept in memory for a while.
#[derive(Clone, Debug)]
pub struct SessionStore {
    registry: Registry,
    /// By the digest of the id, which is all that the registry knows of it.
    cache: Cache<String, Record>,
}

impl SessionStore {
    pub(crate) fn new(registry: Registry) -> Self {
        // Whoever ends a session tells every process; the short life is for the case that it was not heard.
        let cache = Cache::builder().max_capacity(50_000).time_to_live(Duration::from_secs(60)).build();
        Self { registry, cache }
    }

    pub(crate) async fn forget(&self, digest: &str) {
        self.cache.invalidate(digest).await;
    }

    pub(crate) fn forget_all(&self) {
        self.cache.invalidate_all();
    }
}

#[async_trait::async_trait]
impl TowerSessionStore for SessionStore {
    async fn create(&self, record: &mut Record) -> Result<()> {
        while !sessions::create(&self.registry, &row(record)?).await.map_err(backend)? {
            record.id = Id::default();
        }
        self.cache.insert(digest_of(&record.id), record.clone()).await;
        Ok(())
    }

    async fn save(&self, record: &Record) -> Result<()> {
        match sessions::save(&self.registry, &row(record)?).await.map_err(backend)? {
            true => self.cache.insert(digest_of(&record.id), record.clone()).await,
            // It was ended meanwhile, and stays so.
            false => self.cache.invalidate(&digest_of(&record.id)).await,
        }
        Ok(())
    }

    async fn load(&self, id: &Id) -> Result<Option<Record>> {
        let digest = digest_of(id);
        if let Some(record) = self.cache.get(&digest).await {
            return Ok((record.expiry_date > time::OffsetDateTime::now_utc()).then_some(record));
        }
        let Some((data, expires_at)) = sessions::load(&self.registry, &digest).await.map_err(backend)? else {
            return Ok(None);
        };
        let record = Record {
            id: *id,
            data: serde_json::from_value(data).map_err(|error| Error::Decode(error.to_string()))?,
            expiry_date: time::OffsetDateTime::from_unix_timestamp(expires_at.timestamp())
                .map_err(|error| Error::Decode(error.to_string()))?,
        };
        self.cache.insert(digest, record.clone()).await;
        Ok(Some(record))
    }

    async fn delete(&self, id: &Id) -> Result<()> {
        let digest = digest_of(id);
        self.cache.invalidate(&digest).await;
        sessions::delete(&self.registry, &digest).await.map_err(backend)
    }
}

/// What the registry knows a session by. An id has 128 random bits, so that one round of SHA-256 protects it.
fn digest_of(id: &Id) -> String {
    hex(digest(&SHA256, id.to_string().as_bytes()).as_ref())
}

fn row(record: &Record) -> Result<sessions::Session> {
    Ok(sessions::Session {
        digest: digest_of(&record.id),
        admin: record.data.get(WHO).and_then(|who| serde_json::from_value(who.clone()).ok()),
        data: serde_json::to_value(&record.data).map_err(|error| Error::Encode(error.to_string()))?,
        expires_at: chrono::DateTime::from_timestamp(record.expiry_date.unix_timestamp(), 0)
            .unwrap_or_default(),
    })
}

fn backend(error: registry::Error) -> Error {
    Error::Backend(registry::chain(&error).to_string())
}
