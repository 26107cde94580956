//! Handlers of the signed URLs: upload and download of files in the data directory.

use super::{
    Storage, StorageError, attachment,
    local::{LocalUrlSigner, SignedQuery, UrlError},
};
use crate::{
    body::{BodyError, Incoming},
    state::AppState,
};
use axum::{
    body::Body,
    extract::{FromRequestParts, Path, Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use object_store::{ObjectStoreExt, WriteMultipart};
use registry::TenantId;
use tenant::files::{self, File};
use uuid::Uuid;

/// Size of one write, and how many writes may be in flight.
const CHUNK_BYTES: usize = 256 * 1024;
const MAX_PENDING_CHUNKS: usize = 2;

/// Extracts the file's key and the signed query.
pub struct SignedRequest(String, SignedQuery);

impl<S: Send + Sync> FromRequestParts<S> for SignedRequest {
    type Rejection = FileError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, FileError> {
        let key = Path::<String>::from_request_parts(parts, state).await;
        let query = Query::<SignedQuery>::from_request_parts(parts, state).await;
        match (key, query) {
            (Ok(Path(key)), Ok(Query(query))) => Ok(Self(key, query)),
            _ => Err(BAD_SIGNATURE),
        }
    }
}

const BAD_SIGNATURE: FileError = FileError(StatusCode::FORBIDDEN, "This address was not given out by us.");

#[derive(Debug)]
pub struct FileError(StatusCode, &'static str);

const GONE: FileError = FileError(StatusCode::NOT_FOUND, "This file is not here any more.");
const TOO_EARLY: FileError = FileError(StatusCode::BAD_REQUEST, "It ended too early.");

impl IntoResponse for FileError {
    fn into_response(self) -> Response {
        let mut response = (self.0, self.1).into_response();
        if matches!(self.0, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response
    }
}

impl From<StorageError> for FileError {
    fn from(error: StorageError) -> Self {
        tracing::error!(error = %registry::chain(&error), "file storage failed");
        Self(StatusCode::SERVICE_UNAVAILABLE, "The file could not be written or read just now. Try again.")
    }
}

impl From<object_store::Error> for FileError {
    fn from(error: object_store::Error) -> Self {
        StorageError::from(error).into()
    }
}

impl From<identity::Error> for FileError {
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

impl From<tenant::Error> for FileError {
    fn from(error: tenant::Error) -> Self {
        unavailable(&error)
    }
}

fn unavailable(error: &(dyn std::error::Error + 'static)) -> FileError {
    tracing::warn!(error = %registry::chain(error), "cannot open the tenant of a file");
    FileError(StatusCode::SERVICE_UNAVAILABLE, "This cannot be done just now. Try again.")
}

impl From<UrlError> for FileError {
    fn from(error: UrlError) -> Self {
        match error {
            UrlError::BadSignature => BAD_SIGNATURE,
            UrlError::Expired => Self(StatusCode::GONE, "This address has expired. Ask for a new one."),
        }
    }
}

fn signer(state: &AppState) -> Result<&LocalUrlSigner, FileError> {
    let not_found = FileError(StatusCode::NOT_FOUND, "There is nothing here.");
    state.files.storage.local_signer().ok_or(not_found)
}

/// Returns the row of a file whose tenant is active. A URL is useless once the file is gone or the tenant suspended.
async fn file_of(state: &AppState, key: &str) -> Result<(TenantId, File), FileError> {
    let mut parts = key.split('/');
    let tenant_id: Option<TenantId> = parts.next().and_then(|id| id.parse().ok());
    let file_id: Option<Uuid> = parts.nth(1).and_then(|id| id.parse().ok());
    let (Some(tenant_id), Some(file_id)) = (tenant_id, file_id) else { return Err(GONE) };
    let tenant = state.files.open(&tenant_id).await?;
    Ok((tenant_id, files::find_unscoped(&tenant, file_id).await?.ok_or(GONE)?))
}

/// Streams an upload to the disk; the file appears once it is complete.
pub async fn upload(
    State(state): State<AppState>,
    SignedRequest(key, query): SignedRequest,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, FileError> {
    let expected = query.size.unwrap_or_default();
    let mut incoming = Incoming::new(body, usize::try_from(expected).unwrap_or_default());
    let done = verify_upload(&state, &key, &query, &headers, &mut incoming).await;
    if done.is_err() {
        incoming.drain().await;
    }
    done.map(|()| StatusCode::OK)
}

async fn verify_upload(
    state: &AppState,
    key: &str,
    query: &SignedQuery,
    headers: &HeaderMap,
    incoming: &mut Incoming,
) -> Result<(), FileError> {
    signer(state)?.verify("PUT", key, query)?;
    let expected = query.size.unwrap_or_default();
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    match header(header::CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok()) {
        None => return Err(FileError(StatusCode::LENGTH_REQUIRED, "Say how long it is: Content-Length.")),
        Some(length) if length > expected => {
            return Err(FileError(StatusCode::PAYLOAD_TOO_LARGE, "It is larger than was promised."));
        }
        Some(length) if length < expected => {
            return Err(FileError(StatusCode::BAD_REQUEST, "It is smaller than was promised."));
        }
        Some(_) => {}
    }
    if header(header::CONTENT_TYPE) != Some(query.content_type.as_str()) {
        return Err(FileError(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "It is of another type than was promised.",
        ));
    }
    let (tenant_id, file) = file_of(state, key).await?;
    if file.stored_at.is_some() {
        return Err(FileError(StatusCode::CONFLICT, "This file was uploaded already. UploadSpec a new one."));
    }
    let busy = FileError(
        StatusCode::TOO_MANY_REQUESTS,
        "Too many uploads at a time. Wait for the others to finish.",
    );
    let _slot = state.files.upload_slot(tenant_id.as_str()).await.ok_or(busy)?;
    if !state.files.storage.has_room(expected) {
        return Err(FileError(
            StatusCode::INSUFFICIENT_STORAGE,
            "Files cannot be stored right now. Try again later.",
        ));
    }
    write(&state.files.storage, key, expected, incoming).await
}

async fn write(
    storage: &Storage,
    key: &str,
    expected: u64,
    incoming: &mut Incoming,
) -> Result<(), FileError> {
    storage.prepare(key)?;
    let path = object_store::path::Path::from(key);
    let upload = storage.objects.put_multipart(&path).await?;
    let mut file = WriteMultipart::new_with_chunk_size(upload, CHUNK_BYTES);
    let mut sent = 0;
    loop {
        match incoming.next().await {
            Ok(Some(chunk)) => {
                sent += chunk.len() as u64;
                file.wait_for_capacity(MAX_PENDING_CHUNKS).await?;
                file.put(chunk);
            }
            Ok(None) if sent == expected => break,
            Ok(None) | Err(BodyError::Incomplete) => {
                let _ = file.abort().await;
                return Err(TOO_EARLY);
            }
            Err(BodyError::TooLarge) => {
                let _ = file.abort().await;
                return Err(FileError(StatusCode::PAYLOAD_TOO_LARGE, "It is larger than was promised."));
            }
        }
    }
    file.finish().await?;
    Ok(storage.make_file_private(key)?)
}

/// Serves a file as an attachment.
pub async fn download(
    State(state): State<AppState>,
    SignedRequest(key, query): SignedRequest,
) -> Result<Response, FileError> {
    signer(&state)?.verify("GET", &key, &query)?;
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
    let disposition = attachment(query.name.as_deref().unwrap_or("file"));
    for (name, value) in
        [(header::CONTENT_TYPE, &query.content_type), (header::CONTENT_DISPOSITION, &disposition)]
    {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    }
    Ok(response)
}
