use crate::{Error, Result};
use ring::{
    aead::{self, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey},
    digest::{SHA256, digest},
    hkdf, hmac,
    rand::{SecureRandom, SystemRandom},
};
use serde::{Deserialize, Serialize};

/// The installation's secret key, and what is derived from it. Never shown, not even by `Debug`.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    /// At least 32 bytes of randomness, in whatever letters they are written.
    pub fn new(key: &[u8]) -> Option<Self> {
        (key.len() >= 32).then(|| Self(key.to_vec()))
    }

    /// 32 fresh bytes, in hexadecimal.
    pub fn generate() -> String {
        hex(&random::<32>())
    }

    pub fn tenant_roles(&self) -> tenant::Credentials {
        tenant::Credentials::new(&self.0)
    }

    /// The password of a database role of the installation's own.
    pub fn role_password(&self, role: &str) -> String {
        hex(&self.derive(b"role", role.as_bytes()))
    }

    /// What access tokens are signed with, by the id of the key.
    pub fn token_key(&self, id: &str) -> [u8; 32] {
        self.derive(b"token", id.as_bytes())
    }

    /// What a text is known by, to whoever has this secret only.
    pub fn digest(&self, purpose: &str, text: &[u8]) -> Vec<u8> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.derive(b"digest", purpose.as_bytes()));
        hmac::sign(&key, text).as_ref().to_vec()
    }

    fn derive(&self, purpose: &[u8], name: &[u8]) -> [u8; 32] {
        let info = [purpose, b"/", name];
        let mut out = [0; 32];
        hkdf::Salt::new(hkdf::HKDF_SHA256, b"vestry installation")
            .extract(&self.0)
            .expand(&info, hkdf::HKDF_SHA256)
            .and_then(|okm| okm.fill(&mut out))
            .expect("32 bytes are within HKDF's limit");
        out
    }

    /// Encrypts a text that is of use under this name only; nonce first.
    pub fn seal(&self, name: &str, text: &[u8]) -> Vec<u8> {
        let nonce = random::<{ aead::NONCE_LEN }>();
        let mut text = text.to_vec();
        self.seal_key()
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(name.as_bytes()),
                &mut text,
            )
            .expect("a few hundred bytes can be sealed");
        [&nonce[..], &text].concat()
    }

    /// What was sealed under this name.
    pub fn open(&self, name: &str, sealed: &[u8]) -> Result<Vec<u8>> {
        let (nonce, text) = sealed.split_at_checked(aead::NONCE_LEN).ok_or(Error::Sealed)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Error::Sealed)?;
        let mut text = text.to_vec();
        let text = self
            .seal_key()
            .open_in_place(nonce, Aad::from(name.as_bytes()), &mut text)
            .map_err(|_| Error::Sealed)?;
        Ok(text.to_vec())
    }

    /// What addresses of files are signed with.
    pub fn file_key(&self) -> [u8; 32] {
        self.derive(b"files", b"addresses")
    }

    fn seal_key(&self) -> LessSafeKey {
        let key =
            UnboundKey::new(&CHACHA20_POLY1305, &self.derive(b"seal", b"run")).expect("the key has 32 bytes");
        LessSafeKey::new(key)
    }
}

/// The person who signs a church up; sealed in the run until the office stands.
#[derive(Clone, Serialize, Deserialize)]
pub struct Founder {
    pub first_name: String,
    pub last_name: String,
    pub email: String,
    pub password_hash: String,
}

impl Founder {
    pub(crate) fn seal(&self, secret: &Secret, tenant_id: &str) -> Vec<u8> {
        secret.seal(tenant_id, &serde_json::to_vec(self).expect("four strings are JSON"))
    }

    pub fn open(secret: &Secret, tenant_id: &str, sealed: &[u8]) -> Result<Self> {
        serde_json::from_slice(&secret.open(tenant_id, sealed)?).map_err(|_| Error::Sealed)
    }
}

/// Compares in a time that tells nothing.
pub(crate) fn equal(one: &[u8], other: &[u8]) -> bool {
    digest(&SHA256, one).as_ref() == digest(&SHA256, other).as_ref()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).expect("the system has randomness");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_for_the_same_tenant_and_key_only() {
        let (key, other) = (Secret::new(&[7; 32]).unwrap(), Secret::new(&[8; 32]).unwrap());
        let founder = Founder {
            first_name: "Ruth".into(),
            last_name: "Okafor".into(),
            email: "ruth@example.org".into(),
            password_hash: "hash".into(),
        };
        let sealed = founder.seal(&key, "a");
        assert_eq!(Founder::open(&key, "a", &sealed).unwrap().email, founder.email);
        assert!(Founder::open(&key, "b", &sealed).is_err());
        assert!(Founder::open(&other, "a", &sealed).is_err());
        assert!(Founder::open(&key, "a", &[]).is_err());
    }
}
