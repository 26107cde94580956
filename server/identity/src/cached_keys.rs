use crate::cache::{CACHE_TTL, Cache};
use jsonwebtoken::{DecodingKey, EncodingKey};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Minimum interval between two reloads caused by unknown keys.
const RELOAD_INTERVAL: Duration = Duration::from_secs(1);

/// Cached signing keys of access tokens.
pub(crate) struct CachedKeys {
    pub(crate) cache: Cache<(), Arc<Vec<SigningKey>>>,
    reloaded: Mutex<Option<Instant>>,
}

pub(crate) struct SigningKey {
    pub id: String,
    pub encoding: EncodingKey,
    pub decoding: DecodingKey,
}

impl CachedKeys {
    pub fn new() -> Self {
        Self { cache: Cache::new(1, CACHE_TTL), reloaded: Mutex::default() }
    }

    pub fn forget(&self) {
        self.cache.invalidate(&());
    }

    /// Returns whether an unknown key may cause a reload now, and counts it.
    pub fn may_reload(&self) -> bool {
        let mut reloaded = self.reloaded.lock().unwrap_or_else(PoisonError::into_inner);
        let may_reload = reloaded.is_none_or(|at| at.elapsed() > RELOAD_INTERVAL);
        if may_reload {
            *reloaded = Some(Instant::now());
        }
        may_reload
    }
}
