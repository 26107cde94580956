use crate::{Identity, Result, cache::Cache, identity::BELIEVED};
use jsonwebtoken::{DecodingKey, EncodingKey};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long the tokens of a key are believed that another has succeeded: as long as they live, and until every
/// process has heard of its successor.
const SUCCEEDED: Duration = Duration::from_secs(15 * 60 + 60);

/// How often unknown keys may make this process ask the registry.
const PAUSE: Duration = Duration::from_secs(1);

/// What access tokens are signed with, as far as this process knows.
pub(crate) struct Keys {
    known: Cache<(), Arc<Vec<Key>>>,
    asked: Mutex<Option<Instant>>,
}

pub(crate) struct Key {
    pub id: String,
    pub signs: EncodingKey,
    pub checks: DecodingKey,
}

impl Keys {
    pub fn new() -> Self {
        Self { known: Cache::new(1, BELIEVED), asked: Mutex::default() }
    }

    pub fn forget(&self) {
        self.known.invalidate(&());
    }

    /// Whether an unknown key is a reason to ask again.
    fn is_worth_asking(&self) -> bool {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let worth = asked.is_none_or(|asked| asked.elapsed() > PAUSE);
        if worth {
            *asked = Some(Instant::now());
        }
        worth
    }
}

impl Identity {
    /// A new key signs access tokens from now on. Those signed before stay good for as long as they live.
    pub async fn renew_token_keys(&self) -> Result<String> {
        let id = registry::tokens::renew_keys(&self.registry, SUCCEEDED).await?;
        self.keys.forget();
        Ok(id)
    }

    /// The newest first: it signs.
    pub(crate) async fn token_keys(&self) -> Result<Arc<Vec<Key>>> {
        self.keys.known.get_or_read(&(), self.read_token_keys()).await
    }

    async fn read_token_keys(&self) -> Result<Arc<Vec<Key>>> {
        let ids = registry::tokens::keys(&self.registry, SUCCEEDED).await?;
        let keys = ids.into_iter().map(|id| {
            let secret = self.secret.token_key(&id);
            Key { id, signs: EncodingKey::from_secret(&secret), checks: DecodingKey::from_secret(&secret) }
        });
        Ok(Arc::new(keys.collect()))
    }

    /// The key of this id, which another process may have made a moment ago.
    pub(crate) async fn token_key(&self, id: &str) -> Result<Option<DecodingKey>> {
        let find = |keys: Arc<Vec<Key>>| keys.iter().find(|key| key.id == id).map(|key| key.checks.clone());
        let known = find(self.token_keys().await?);
        if known.is_some() || !self.keys.is_worth_asking() {
            return Ok(known);
        }
        self.keys.forget();
        Ok(find(self.token_keys().await?))
    }
}
