//! Signed URLs for files in the data directory. Each URL is valid for one method, key, size and content type until it
//! expires; changing any part invalidates the signature.

use super::percent;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use ring::hmac;
use serde::Deserialize;

pub struct LocalUrlSigner {
    key: hmac::Key,
    base: String,
}

/// Query of a signed URL; [`canonical`] lists the signed parts.
#[derive(Deserialize)]
pub struct SignedQuery {
    /// Unix time in seconds.
    expires: i64,
    #[serde(rename = "type")]
    pub content_type: String,
    /// Size of an upload in bytes.
    #[serde(default)]
    pub size: Option<u64>,
    /// File name of a download.
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    signature: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UrlError {
    BadSignature,
    Expired,
}

impl LocalUrlSigner {
    pub fn new(key: &[u8], base: &str) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        Self { key, base: base.trim_end_matches('/').to_owned() }
    }

    pub fn upload_url(&self, key: &str, content_type: &str, size: i64, until: DateTime<Utc>) -> String {
        self.url("PUT", key, content_type, Some(size.unsigned_abs()), None, until)
    }

    pub fn download_url(&self, key: &str, name: &str, content_type: &str, until: DateTime<Utc>) -> String {
        self.url("GET", key, content_type, None, Some(name.to_owned()), until)
    }

    fn url(
        &self,
        method: &str,
        key: &str,
        content_type: &str,
        size: Option<u64>,
        name: Option<String>,
        until: DateTime<Utc>,
    ) -> String {
        let content_type = content_type.to_owned();
        let mut query =
            SignedQuery { expires: until.timestamp(), content_type, size, name, signature: String::new() };
        let signature = hmac::sign(&self.key, canonical(method, key, &query).as_bytes());
        query.signature = BASE64_URL_SAFE_NO_PAD.encode(signature);
        format!("{}/files/{key}?{}", self.base, query.encode())
    }

    /// Verifies the signature, then the expiry.
    pub fn verify(&self, method: &str, key: &str, query: &SignedQuery) -> Result<(), UrlError> {
        let signature = BASE64_URL_SAFE_NO_PAD.decode(&query.signature).unwrap_or_default();
        hmac::verify(&self.key, canonical(method, key, query).as_bytes(), &signature)
            .map_err(|_| UrlError::BadSignature)?;
        (query.expires > Utc::now().timestamp()).then_some(()).ok_or(UrlError::Expired)
    }
}

/// Returns the signed text. A length precedes each part, so no part can imitate another.
fn canonical(method: &str, key: &str, query: &SignedQuery) -> String {
    let expires = query.expires.to_string();
    let size = query.size.map(|size| size.to_string()).unwrap_or_default();
    let name = query.name.as_deref().unwrap_or_default();
    let parts: [&str; 6] = [method, key, &expires, &query.content_type, &size, name];
    parts.iter().map(|part| format!("{} {part}\n", part.len())).collect()
}

impl SignedQuery {
    fn encode(&self) -> String {
        let size = self.size.map(|size| format!("&size={size}")).unwrap_or_default();
        let name = self.name.as_ref().map(|name| format!("&name={}", percent(name))).unwrap_or_default();
        let content_type = percent(&self.content_type);
        format!("expires={}&type={content_type}{size}{name}&signature={}", self.expires, self.signature)
    }
}
