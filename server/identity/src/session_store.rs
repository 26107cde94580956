use crate::seal::hex;
use moka::future::Cache;
use registry::{Error as RegistryError, Registry, sessions};
use ring::digest::{SHA256, digest};
use std::time::Duration;
use tower_sessions::{
    SessionStore as TowerSessionStore,
    session::{Id, Record},
    session_store::{Error, Result},
};

/// The key under which a session says on which day it was used last.
pub(crate) const SEEN: &str = "seen";

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
        let digest = digest_of(&record.id);
        let cached = self.cache.get(&digest).await;
        // The session layer saves again what a sign-in has just saved.
        if cached.as_ref().is_some_and(|cached| is_same(cached, record)) {
            return Ok(());
        }
        let saved = match sessions::save(&self.registry, &row(record)?).await {
            // A page that can be read is not refused because nobody can write down that the session was used.
            Err(RegistryError::ReadOnly(_) | RegistryError::Unavailable(_))
                if cached.as_ref().is_some_and(|cached| only_kept_alive(cached, record)) =>
            {
                return Ok(());
            }
            saved => saved.map_err(backend)?,
        };
        match saved {
            true => self.cache.insert(digest, record.clone()).await,
            // It was ended meanwhile, and stays so.
            false => self.cache.invalidate(&digest).await,
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

fn is_same(cached: &Record, record: &Record) -> bool {
    const MINUTE: time::Duration = time::Duration::MINUTE;
    cached.data == record.data && (record.expiry_date - cached.expiry_date).abs() < MINUTE
}

fn only_kept_alive(cached: &Record, record: &Record) -> bool {
    let known = |record: &Record| {
        let mut data = record.data.clone();
        data.remove(SEEN);
        data
    };
    known(cached) == known(record)
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
