use crate::{cache::Cache, crypto::hex};
use registry::{Error as RegistryError, Registry, sessions};
use ring::digest::{SHA256, digest};
use std::{sync::Arc, time::Duration};
use tower_sessions::{
    SessionStore as TowerSessionStore,
    session::{Id, Record},
    session_store::{Error, Result},
};

/// The key under which a session says on which day it was used last.
pub(crate) const SESSION_LAST_DAY: &str = "seen";

/// The key under which a session says who is signed in.
pub(crate) const SESSION_USER: &str = "who";

/// And the one under which it says in which epoch of the admin's that was; see `admins.epoch`.
pub(crate) const SESSION_EPOCH: &str = "epoch";

/// Browser sessions: rows in the registry, kept in memory for a while.
#[derive(Clone, Debug)]
pub struct SessionStore {
    registry: Registry,
    /// By the digest of the id, which is all that the registry knows of it.
    cache: Arc<Cache<String, Record>>,
}

impl SessionStore {
    pub(crate) fn new(registry: Registry) -> Self {
        // Whoever ends a session tells every process; the short life is for the case that it was not heard.
        let cache = Cache::new(50_000, Duration::from_secs(60));
        Self { registry, cache: Arc::new(cache) }
    }

    pub(crate) fn forget(&self, digest: &str) {
        self.cache.invalidate(&digest.to_owned());
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
        let digest = digest_of(&record.id);
        self.cache.replace(self.cache.begin(&digest), &digest, record);
        Ok(())
    }

    async fn save(&self, record: &Record) -> Result<()> {
        let digest = digest_of(&record.id);
        let begun = self.cache.begin(&digest);
        let cached = self.cache.get(&digest);
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
            true => self.cache.replace(begun, &digest, record),
            // The session was deleted concurrently.
            false => self.cache.invalidate(&digest),
        }
        Ok(())
    }

    async fn load(&self, id: &Id) -> Result<Option<Record>> {
        let digest = digest_of(id);
        if let Some(record) = self.cache.get(&digest) {
            return Ok((record.expiry_date > time::OffsetDateTime::now_utc()).then_some(record));
        }
        let reading = self.cache.begin(&digest);
        let Some((data, expires_at)) = sessions::load(&self.registry, &digest).await.map_err(backend)? else {
            return Ok(None);
        };
        let record = Record {
            id: *id,
            data: serde_json::from_value(data).map_err(|error| Error::Decode(error.to_string()))?,
            expiry_date: time::OffsetDateTime::from_unix_timestamp(expires_at.timestamp())
                .map_err(|error| Error::Decode(error.to_string()))?,
        };
        self.cache.store(reading, &digest, &record);
        Ok(Some(record))
    }

    async fn delete(&self, id: &Id) -> Result<()> {
        let digest = digest_of(id);
        let deleted = sessions::delete(&self.registry, &digest).await.map_err(backend);
        self.cache.invalidate(&digest);
        deleted
    }
}

fn is_same(cached: &Record, record: &Record) -> bool {
    const MINUTE: time::Duration = time::Duration::MINUTE;
    cached.data == record.data && (record.expiry_date - cached.expiry_date).abs() < MINUTE
}

fn only_kept_alive(cached: &Record, record: &Record) -> bool {
    let known = |record: &Record| {
        let mut data = record.data.clone();
        data.remove(SESSION_LAST_DAY);
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
        admin: record.data.get(SESSION_USER).and_then(|who| serde_json::from_value(who.clone()).ok()),
        data: serde_json::to_value(&record.data).map_err(|error| Error::Encode(error.to_string()))?,
        expires_at: chrono::DateTime::from_timestamp(record.expiry_date.unix_timestamp(), 0)
            .unwrap_or_default(),
    })
}

fn backend(error: registry::Error) -> Error {
    Error::Backend(registry::chain(&error).to_string())
}
