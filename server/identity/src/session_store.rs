use moka::future::Cache;
use registry::{Error as RegistryError, Registry, sessions};
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

/// Browser sessions: rows in the registry, kept in memory for a while.
#[derive(Clone, Debug)]
pub struct SessionStore {
    registry: Registry,
    cache: Cache<Id, Record>,
}

impl SessionStore {
    pub(crate) fn new(registry: Registry) -> Self {
        // Whoever ends a session tells every process; the short life is for the case that it was not heard.
        let cache = Cache::builder().max_capacity(50_000).time_to_live(Duration::from_secs(60)).build();
        Self { registry, cache }
    }

    pub(crate) async fn forget(&self, id: &str) {
        if let Ok(id) = id.parse::<Id>() {
            self.cache.invalidate(&id).await;
        }
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
        self.cache.insert(record.id, record.clone()).await;
        Ok(())
    }

    async fn save(&self, record: &Record) -> Result<()> {
        let cached = self.cache.get(&record.id).await;
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
            true => self.cache.insert(record.id, record.clone()).await,
            // It was ended meanwhile, and stays so.
            false => self.cache.invalidate(&record.id).await,
        }
        Ok(())
    }

    async fn load(&self, id: &Id) -> Result<Option<Record>> {
        if let Some(record) = self.cache.get(id).await {
            return Ok((record.expiry_date > time::OffsetDateTime::now_utc()).then_some(record));
        }
        let Some((data, expires_at)) =
            sessions::load(&self.registry, &id.to_string()).await.map_err(backend)?
        else {
            return Ok(None);
        };
        let record = Record {
            id: *id,
            data: serde_json::from_value(data).map_err(|error| Error::Decode(error.to_string()))?,
            expiry_date: time::OffsetDateTime::from_unix_timestamp(expires_at.timestamp())
                .map_err(|error| Error::Decode(error.to_string()))?,
        };
        self.cache.insert(*id, record.clone()).await;
        Ok(Some(record))
    }

    async fn delete(&self, id: &Id) -> Result<()> {
        self.cache.invalidate(id).await;
        sessions::delete(&self.registry, &id.to_string()).await.map_err(backend)
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

fn row(record: &Record) -> Result<sessions::Session> {
    Ok(sessions::Session {
        id: record.id.to_string(),
        admin: record.data.get(WHO).and_then(|who| serde_json::from_value(who.clone()).ok()),
        data: serde_json::to_value(&record.data).map_err(|error| Error::Encode(error.to_string()))?,
        expires_at: chrono::DateTime::from_timestamp(record.expiry_date.unix_timestamp(), 0)
            .unwrap_or_default(),
    })
}

fn backend(error: registry::Error) -> Error {
    Error::Backend(registry::chain(&error).to_string())
}
