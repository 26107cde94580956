//! Addresses of our own for files in the data directory. Each is good for one method, one file, one size and one type,
//! and for a while; who changes any of it has an address that is good for nothing.

use super::attachment;
use crate::router::AppState;
use axum::{
    body::Body,
    extract::{FromRequestParts, Path, Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use futures::StreamExt;
use object_store::{ObjectStore, ObjectStoreExt, WriteMultipart};
use ring::hmac;
use serde::Deserialize;
use std::sync::Arc;

pub struct Doors {
    objects: Arc<dyn ObjectStore>,
    key: hmac::Key,
    base: String,
}

/// What stands behind the question mark. Which of it is signed how is known to [`text`].
#[derive(Deserialize)]
pub struct Terms {
    /// Seconds since 1970.
    expires: i64,
    #[serde(rename = "type")]
    content_type: String,
    /// In bytes, of what is sent.
    #[serde(default)]
    size: Option<u64>,
    /// Of what is fetched.
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    signature: String,
}

impl Doors {
    pub fn new(objects: Arc<dyn ObjectStore>, key: &[u8], base: &str) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        Self { objects, key, base: base.trim_end_matches('/').to_owned() }
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
        let mut terms =
            Terms { expires: until.timestamp(), content_type, size, name, signature: String::new() };
        let signature = hmac::sign(&self.key, text(method, key, &terms).as_bytes());
        terms.signature = BASE64_URL_SAFE_NO_PAD.encode(signature);
        let query = query(&terms);
        format!("{}/files/{key}?{query}", self.base)
    }

    /// Whether we gave this address out, and it is still good.
    fn check(&self, method: &str, key: &str, terms: &Terms) -> Result<(), Refusal> {
        let signature = BASE64_URL_SAFE_NO_PAD.decode(&terms.signature).unwrap_or_default();
        hmac::verify(&self.key, text(method, key, terms).as_bytes(), &signature).map_err(|_| NOT_OURS)?;
        match terms.expires > Utc::now().timestamp() {
            true => Ok(()),
            false => Err(Refusal(StatusCode::GONE, "This address has expired. Ask for a new one.")),
        }
    }
}

/// What is signed. Each part is preceded by its length, so that none can pass for a part of another.
fn text(method: &str, key: &str, terms: &Terms) -> String {
    let expires = terms.expires.to_string();
    let size = terms.size.map(|size| size.to_string()).unwrap_or_default();
    let name = terms.name.as_deref().unwrap_or_default();
    let parts: [&str; 6] = [method, key, &expires, &terms.content_type, &size, name];
    parts.iter().map(|part| format!("{} {part}\n", part.len())).collect()
}

fn query(terms: &Terms) -> String {
    let size = terms.size.map(|size| format!("&size={size}")).unwrap_or_default();
    let name = terms.name.as_ref().map(|name| format!("&name={}", super::percent(name))).unwrap_or_default();
    let kind = super::percent(&terms.content_type);
    format!("expires={}&type={kind}{size}{name}&signature={}", terms.expires, terms.signature)
}

/// A file's key, and the terms its address was given out on.
pub struct Signed(String, Terms);

impl<S: Send + Sync> FromRequestParts<S> for Signed {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let key = Path::<String>::from_request_parts(parts, state).await;
        let terms = Query::<Terms>::from_request_parts(parts, state).await;
        match (key, terms) {
            (Ok(Path(key)), Ok(Query(terms))) => Ok(Self(key, terms)),
            _ => Err(NOT_OURS),
        }
    }
}

const NOT_OURS: Refusal = Refusal(StatusCode::FORBIDDEN, "This address was not given out by us.");

pub struct Refusal(StatusCode, &'static str);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, self.1).into_response()
    }
}

fn away(error: object_store::Error) -> Refusal {
    tracing::error!(error = %registry::chain(&error), "a file could not be written or read");
    Refusal(StatusCode::SERVICE_UNAVAILABLE, "The file could not be written or read just now. Try again.")
}

fn doors(state: &AppState) -> Result<Arc<Doors>, Refusal> {
    let nothing = Refusal(StatusCode::NOT_FOUND, "There is nothing here.");
    state.files.storage.doors().cloned().ok_or(nothing)
}

/// Takes what was promised, as it comes, and puts it in its place when all of it is there.
pub async fn upload(
    State(state): State<AppState>,
    Signed(key, terms): Signed,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, Refusal> {
    let doors = doors(&state)?;
    doors.check("PUT", &key, &terms)?;
    let promised = terms.size.unwrap_or_default();
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    match header(header::CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok()) {
        None => return Err(Refusal(StatusCode::LENGTH_REQUIRED, "Say how long it is: Content-Length.")),
        Some(length) if length > promised => {
            return Err(Refusal(StatusCode::PAYLOAD_TOO_LARGE, "It is larger than was promised."));
        }
        Some(length) if length < promised => {
            return Err(Refusal(StatusCode::BAD_REQUEST, "It is smaller than was promised."));
        }
        Some(_) => {}
    }
    if header(header::CONTENT_TYPE) != Some(terms.content_type.as_str()) {
        return Err(Refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, "It is of another type than was promised."));
    }
    let path = object_store::path::Path::from(key.as_str());
    let mut file = WriteMultipart::new(doors.objects.put_multipart(&path).await.map_err(away)?);
    let mut sent = 0;
    let mut body = body.into_data_stream();
    while let Some(chunk) = body.next().await {
        let Ok(chunk) = chunk else {
            let _ = file.abort().await;
            return Err(Refusal(StatusCode::BAD_REQUEST, "It ended too early."));
        };
        sent += chunk.len() as u64;
        file.wait_for_capacity(2).await.map_err(away)?;
        file.put(chunk);
    }
    if sent != promised {
        let _ = file.abort().await;
        return Err(Refusal(StatusCode::BAD_REQUEST, "It ended too early."));
    }
    file.finish().await.map_err(away)?;
    Ok(StatusCode::OK)
}

/// Hands a file out, to be kept and not to be shown.
pub async fn download(
    State(state): State<AppState>,
    Signed(key, terms): Signed,
) -> Result<Response, Refusal> {
    let doors = doors(&state)?;
    doors.check("GET", &key, &terms)?;
    let path = object_store::path::Path::from(key.as_str());
    let found = match doors.objects.get(&path).await {
        Err(object_store::Error::NotFound { .. }) => {
            return Err(Refusal(StatusCode::NOT_FOUND, "This file is not here any more."));
        }
        found => found.map_err(away)?,
    };
    let size = found.meta.size;
    let mut response = Body::from_stream(found.into_stream()).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, size.into());
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    let disposition = attachment(terms.name.as_deref().unwrap_or("file"));
    for (name, value) in
        [(header::CONTENT_TYPE, &terms.content_type), (header::CONTENT_DISPOSITION, &disposition)]
    {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    }
    Ok(response)
}
