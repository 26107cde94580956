//! Addresses of our own for files in the data directory. Each is good for one method, one file, one size and one type,
//! and for a while; who changes any of it has an address that is good for nothing.

use super::{Away, Storage, attachment};
use crate::{
    body::{BodyError, Incoming},
    router::AppState,
};
use axum::{
    body::Body,
    extract::{FromRequestParts, Path, Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use object_store::{ObjectStoreExt, WriteMultipart};
use registry::TenantId;
use ring::hmac;
use serde::Deserialize;
use std::sync::Arc;
use tenant::files::{self, File};
use uuid::Uuid;

/// How much of a file is written at a time, and how many such parts may wait for the disk.
const PART: usize = 256 * 1024;
const PARTS: usize = 2;

pub struct Doors {
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

#[derive(Debug)]
pub struct Refusal(StatusCode, &'static str);

const GONE: Refusal = Refusal(StatusCode::NOT_FOUND, "This file is not here any more.");
const BUSY: Refusal =
    Refusal(StatusCode::TOO_MANY_REQUESTS, "Too many uploads at a time. Wait for the others to finish.");
const TOO_EARLY: Refusal = Refusal(StatusCode::BAD_REQUEST, "It ended too early.");

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.0, self.1).into_response();
        if matches!(self.0, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response
    }
}

impl From<Away> for Refusal {
    fn from(error: Away) -> Self {
        tracing::error!(error = %registry::chain(&error), "a file could not be written or read");
        Self(StatusCode::SERVICE_UNAVAILABLE, "The file could not be written or read just now. Try again.")
    }
}

impl From<object_store::Error> for Refusal {
    fn from(error: object_store::Error) -> Self {
        Away::from(error).into()
    }
}

impl From<identity::Error> for Refusal {
    fn from(error: identity::Error) -> Self {
        match error {
            identity::Error::Suspended { .. } => {
                Self(StatusCode::FORBIDDEN, "This church's account is suspended. Its data is safe.")
            }
            identity::Error::Registry(registry::Error::NotFound) => GONE,
            error => unavailable(&error),
        }
    }
}

impl From<tenant::Error> for Refusal {
    fn from(error: tenant::Error) -> Self {
        unavailable(&error)
    }
}

fn unavailable(error: &(dyn std::error::Error + 'static)) -> Refusal {
    tracing::warn!(error = %registry::chain(error), "a file's church could not be reached");
    Refusal(StatusCode::SERVICE_UNAVAILABLE, "This cannot be done just now. Try again.")
}

fn doors(state: &AppState) -> Result<Arc<Doors>, Refusal> {
    let nothing = Refusal(StatusCode::NOT_FOUND, "There is nothing here.");
    state.files.storage.doors().cloned().ok_or(nothing)
}

/// The file of an address that we gave out, while its church is open: an address outlives neither.
async fn file_of(state: &AppState, key: &str) -> Result<(TenantId, File), Refusal> {
    let mut parts = key.split('/');
    let tenant_id: Option<TenantId> = parts.next().and_then(|id| id.parse().ok());
    let file_id: Option<Uuid> = parts.nth(1).and_then(|id| id.parse().ok());
    let (Some(tenant_id), Some(file_id)) = (tenant_id, file_id) else { return Err(GONE) };
    let tenant = state.files.open(&tenant_id).await?;
    Ok((tenant_id, files::known(&tenant, file_id).await?.ok_or(GONE)?))
}

/// Takes what was promised, as it comes, and puts it in its place when all of it is there.
pub async fn upload(
    State(state): State<AppState>,
    Signed(key, terms): Signed,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, Refusal> {
    let promised = terms.size.unwrap_or_default();
    let mut incoming = Incoming::new(body, usize::try_from(promised).unwrap_or_default());
    let done = receive(&state, &key, &terms, &headers, &mut incoming).await;
    if done.is_err() {
        incoming.drain().await;
    }
    done.map(|()| StatusCode::OK)
}

async fn receive(
    state: &AppState,
    key: &str,
    terms: &Terms,
    headers: &HeaderMap,
    incoming: &mut Incoming,
) -> Result<(), Refusal> {
    doors(state)?.check("PUT", key, terms)?;
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
    let (tenant_id, file) = file_of(state, key).await?;
    if file.stored_at.is_some() {
        return Err(Refusal(StatusCode::CONFLICT, "This file was uploaded already. Promise a new one."));
    }
    let mut slot = state.files.upload_slot(tenant_id.as_str()).await.ok_or(BUSY)?;
    if !state.files.storage.has_room(promised) {
        return Err(Refusal(
            StatusCode::INSUFFICIENT_STORAGE,
            "Files cannot be stored right now. Try again later.",
        ));
    }
    incoming.report_to(slot.progress());
    write(&state.files.storage, key, promised, incoming).await
}

async fn write(storage: &Storage, key: &str, promised: u64, incoming: &mut Incoming) -> Result<(), Refusal> {
    storage.prepare(key)?;
    let path = object_store::path::Path::from(key);
    let upload = storage.objects.put_multipart(&path).await?;
    let mut file = WriteMultipart::new_with_chunk_size(upload, PART);
    let mut sent = 0;
    loop {
        match incoming.next().await {
            Ok(Some(chunk)) => {
                sent += chunk.len() as u64;
                file.wait_for_capacity(PARTS).await?;
                file.put(chunk);
            }
            Ok(None) if sent == promised => break,
            Ok(None) | Err(BodyError::Incomplete) => {
                let _ = file.abort().await;
                return Err(TOO_EARLY);
            }
            Err(BodyError::TooSlow) => {
                let _ = file.abort().await;
                return Err(BUSY);
            }
            Err(BodyError::TooLarge) => {
                let _ = file.abort().await;
                return Err(Refusal(StatusCode::PAYLOAD_TOO_LARGE, "It is larger than was promised."));
            }
        }
    }
    file.finish().await?;
    Ok(storage.close(key)?)
}

/// Hands a file out, to be kept and not to be shown.
pub async fn download(
    State(state): State<AppState>,
    Signed(key, terms): Signed,
) -> Result<Response, Refusal> {
    doors(&state)?.check("GET", &key, &terms)?;
    file_of(&state, &key).await?;
    let path = object_store::path::Path::from(key.as_str());
    let found = match state.files.storage.objects.get(&path).await {
        Err(object_store::Error::NotFound { .. }) => return Err(GONE),
        found => found?,
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
