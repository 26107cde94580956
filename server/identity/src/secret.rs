use crate::{
    Error, Result,
    crypto::{hex, random},
};
use ring::{
    aead::{self, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey},
    hkdf, hmac,
};

/// The installation's secret key, and the keys derived from it. `Debug` does not print it.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    /// Returns `None` for less than 32 bytes.
    pub fn new(key: &[u8]) -> Option<Self> {
        (key.len() >= 32).then(|| Self(key.to_vec()))
    }

    /// Generates 32 random bytes, in hexadecimal.
    pub fn generate() -> String {
        hex(&random::<32>())
    }

    pub fn tenant_roles(&self) -> tenant::Credentials {
        tenant::Credentials::new(&self.0)
    }

    /// Derives the password of one of the installation's own database roles.
    pub fn role_password(&self, role: &str) -> String {
        hex(&self.derive(b"role", role.as_bytes()))
    }

    /// Derives the signing key of access tokens with this id.
    pub fn token_key(&self, id: &str) -> [u8; 32] {
        self.derive(b"token", id.as_bytes())
    }

    /// Returns a keyed digest (HMAC), separated by purpose.
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

    /// Encrypts `text`, bound to `name` as associated data. The nonce comes first.
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

    /// Decrypts what was sealed under `name`.
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

    /// Derives the key that signs local file URLs.
    pub fn file_key(&self) -> [u8; 32] {
        self.derive(b"files", b"addresses")
    }

    fn seal_key(&self) -> LessSafeKey {
        let key =
            UnboundKey::new(&CHACHA20_POLY1305, &self.derive(b"seal", b"run")).expect("the key has 32 bytes");
        LessSafeKey::new(key)
    }
}
