//! Signing keys of access tokens.

use crate::{Identity, Result, cached_keys::SigningKey};
use jsonwebtoken::{DecodingKey, EncodingKey};
use std::{sync::Arc, time::Duration};

/// How long a replaced key stays valid: the lifetime of its tokens, plus time to notify every process.
const KEY_ROTATION_GRACE: Duration = Duration::from_secs(15 * 60 + 60);

impl Identity {
    /// Rotates the signing key of access tokens. Existing tokens stay valid until they expire.
    pub async fn rotate_signing_key(&self) -> Result<String> {
        let id = registry::tokens::rotate_signing_key(&self.registry, KEY_ROTATION_GRACE).await?;
        self.keys.forget();
        Ok(id)
    }

    /// Returns the valid keys, newest first: the newest signs.
    pub(crate) async fn signing_keys(&self) -> Result<Arc<Vec<SigningKey>>> {
        self.keys.cache.get_or_read(&(), self.load_signing_keys()).await
    }

    async fn load_signing_keys(&self) -> Result<Arc<Vec<SigningKey>>> {
        let ids = registry::tokens::signing_keys(&self.registry, KEY_ROTATION_GRACE).await?;
        let keys = ids.into_iter().map(|id| {
            let secret = self.secret.token_key(&id);
            SigningKey {
                id,
                encoding: EncodingKey::from_secret(&secret),
                decoding: DecodingKey::from_secret(&secret),
            }
        });
        Ok(Arc::new(keys.collect()))
    }

    /// Finds a key by id. Reloads if it is unknown: another process may have rotated the key.
    pub(crate) async fn decoding_key(&self, id: &str) -> Result<Option<DecodingKey>> {
        let find =
            |keys: Arc<Vec<SigningKey>>| keys.iter().find(|key| key.id == id).map(|key| key.decoding.clone());
        let cached = find(self.signing_keys().await?);
        if cached.is_some() || !self.keys.may_reload() {
            return Ok(cached);
        }
        self.keys.forget();
        Ok(find(self.signing_keys().await?))
    }
}
