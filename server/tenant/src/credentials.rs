use ring::{digest, hkdf, hmac, pbkdf2};
use std::num::NonZeroU32;

/// Derives the passwords of tenant roles from the installation's secret, so that none is stored.
#[derive(Clone)]
pub struct Credentials {
    key: hkdf::Prk,
}

impl Credentials {
    pub fn new(secret: &[u8]) -> Self {
        Self { key: hkdf::Salt::new(hkdf::HKDF_SHA256, b"vestry tenant roles").extract(secret) }
    }

    /// Returns the password of a tenant's role; it differs for each `role_version`.
    pub fn password(&self, tenant_id: &str, role_version: i32) -> String {
        hex(&self.derive(tenant_id, role_version, b"password"))
    }

    /// Returns the SCRAM verifier of the password (RFC 5803), so that no statement contains the password. Uses one
    /// iteration: stretching protects weak passwords, and this one has 256 random bits.
    pub fn verifier(&self, tenant_id: &str, role_version: i32) -> String {
        const ITERATIONS: NonZeroU32 = NonZeroU32::MIN;
        let password = self.password(tenant_id, role_version);
        let salt = &self.derive(tenant_id, role_version, b"salt")[..16];
        let mut salted = [0; 32];
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, ITERATIONS, salt, password.as_bytes(), &mut salted);
        let key = hmac::Key::new(hmac::HMAC_SHA256, &salted);
        let client_key = hmac::sign(&key, b"Client Key");
        let stored_key = digest::digest(&digest::SHA256, client_key.as_ref());
        let server_key = hmac::sign(&key, b"Server Key");
        format!(
            "SCRAM-SHA-256${ITERATIONS}:{}${}:{}",
            base64(salt),
            base64(stored_key.as_ref()),
            base64(server_key.as_ref())
        )
    }

    fn derive(&self, tenant_id: &str, role_version: i32, purpose: &[u8]) -> [u8; 32] {
        let version = role_version.to_be_bytes();
        let info = [purpose, b"/", tenant_id.as_bytes(), b"/", &version];
        let mut out = [0; 32];
        // HKDF refuses only outputs of more than 255 blocks.
        self.key
            .expand(&info, hkdf::HKDF_SHA256)
            .and_then(|okm| okm.fill(&mut out))
            .expect("32 bytes are within HKDF's limit");
        out
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn base64(bytes: &[u8]) -> String {
    use base64::{Engine, prelude::BASE64_STANDARD};
    BASE64_STANDARD.encode(bytes)
}
