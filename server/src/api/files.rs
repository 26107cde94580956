use super::{
    extract::{Asked, Body, Id, NewId, Office, Page, Part},
    problem::Problem,
    repeats::AnsweredAnew,
};
use crate::{files, state::AppState, storage::SignedUrl};
use app::answer::Failure;
use axum::{
    Extension, Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tenant::files::File;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// A file that is going to be uploaded.
// What is left out is empty, and refused in the same words; but only after whoever may not is.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct NewFile {
    /// How whoever fetches it will find it called. Its ending must fit the type; without one it is given one.
    #[schema(required = true, example = "Minutes.pdf")]
    name: String,
    /// What it is: pictures, PDF, office documents, plain text, sound and film are taken.
    #[schema(required = true, example = "application/pdf")]
    content_type: String,
    /// In bytes.
    #[schema(required = true, minimum = 1, maximum = 20971520)]
    size: i64,
}

/// Where to send it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Upload {
    file_id: Uuid,
    /// Good for this file only, exactly as promised, until it expires.
    upload_url: String,
    #[schema(example = "PUT")]
    method: String,
    /// To be sent along with the same values.
    headers: BTreeMap<String, String>,
    expires_at: DateTime<Utc>,
}

/// Where to fetch it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Download {
    download_url: String,
    expires_at: DateTime<Utc>,
}

/// A file that was promised or uploaded.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = File)]
pub struct Listed {
    file_id: Uuid,
    #[schema(example = "Minutes.pdf")]
    name: String,
    #[schema(example = "application/pdf")]
    content_type: String,
    /// In bytes.
    size: i64,
    created_at: DateTime<Utc>,
    /// When what was sent was checked; null until then.
    stored_at: Option<DateTime<Utc>>,
    /// Whether it is the picture of a member or branch, which keeps it.
    is_picture: bool,
    /// When it is removed unless it becomes a picture; null for one that is.
    expires_at: Option<DateTime<Utc>>,
}

impl From<File> for Listed {
    fn from(file: File) -> Self {
        Self {
            expires_at: files::expires_at(&file),
            file_id: file.id,
            name: file.spec.name,
            content_type: file.spec.content_type,
            size: file.spec.size,
            created_at: file.created_at,
            stored_at: file.stored_at,
            is_picture: file.is_picture,
        }
    }
}

/// A part of the church's files, and how much of its quota they use.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FileList {
    #[serde(flatten)]
    #[schema(inline)]
    page: Page<Listed>,
    quota: Quota,
}

/// How much the church has, and may have. What is promised counts, until it is forgotten.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = FileQuota)]
pub struct Quota {
    files: i64,
    max_files: i64,
    bytes: i64,
    max_bytes: i64,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Listing {
    /// How many: 25 unless given, 100 at most.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u8>,
    /// `nextCursor` of the part before.
    cursor: Option<String>,
}

/// The church's files
///
/// The newest first. Whoever cares for some branches only sees the files it uploaded itself.
#[utoipa::path(
    get, path = "/files", tag = "Files", operation_id = "listFiles", params(Listing),
    responses((status = 200, description = "A part of the list", body = FileList)),
    security(("bearer" = []))
)]
pub async fn list(
    State(state): State<AppState>,
    Office(office): Office,
    Asked(listing): Asked<Listing>,
) -> Result<Json<FileList>, Problem> {
    let part = Part::new(listing.cursor.as_deref(), listing.limit)?;
    let viewer = office.admin.viewer();
    let found = state.files.list(&office.tenant, viewer, part.after, part.rows()).await?;
    let (quota, usage) = state.files.usage(&office.tenant, viewer).await?;
    let quota =
        Quota { files: usage.files, max_files: quota.files, bytes: usage.bytes, max_bytes: quota.bytes };
    Ok(Json(FileList { page: part.page(found, |file| file.id), quota }))
}

/// Removes a file
///
/// At once, with its addresses. One that is a picture is removed from its member or branch instead.
#[utoipa::path(
    delete, path = "/files/{id}", tag = "Files", operation_id = "removeFile", params(("id" = Uuid, Path)),
    responses((status = 204, description = "It is removed")),
    security(("bearer" = []))
)]
pub async fn remove(
    State(state): State<AppState>,
    Office(office): Office,
    Id(id): Id,
) -> Result<StatusCode, Problem> {
    let editor = office.admin.editor()?;
    state.files.remove(&office.tenant, &editor, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Promises a file
///
/// Send it by `method` to `uploadUrl`, with `headers`, before the address expires. What nobody sends is forgotten, and
/// what becomes nobody's picture within a day of being promised is removed. The same request again under its
/// `Idempotency-Key` is answered with a new address for the same file.
#[utoipa::path(
    post, path = "/files", tag = "Files", operation_id = "addFile", request_body = NewFile,
    responses((status = 201, description = "Where to send it", body = Upload)),
    security(("bearer" = []))
)]
pub async fn add(
    State(state): State<AppState>,
    Office(office): Office,
    NewId(id): NewId,
    Body(new): Body<NewFile>,
) -> Result<Response, Problem> {
    let editor = office.admin.editor()?;
    let NewFile { name, content_type, size } = new;
    let address = state.files.begin(&office.tenant, &editor, id, &name, &content_type, size).await?;
    let SignedUrl { url, method, headers, expires_at } = address;
    let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let upload = Upload { file_id: id, upload_url: url, method: method.to_owned(), headers, expires_at };
    let location = [(header::LOCATION, format!("/api/files/{id}"))];
    // The address expires: who repeats the request is given another one for the same file.
    Ok((StatusCode::CREATED, location, Extension(AnsweredAnew), Json(upload)).into_response())
}

/// Where to fetch a file
///
/// The first time it is seen whether what was sent is what was promised; what is not is deleted.
#[utoipa::path(
    get, path = "/files/{id}", tag = "Files", operation_id = "getFile", params(("id" = Uuid, Path)),
    responses((status = 200, description = "An address that is good for a while", body = Download)),
    security(("bearer" = []))
)]
pub async fn find(
    State(state): State<AppState>,
    Office(office): Office,
    Id(id): Id,
) -> Result<Json<Download>, Problem> {
    let address = state.files.fetch(&office.tenant, office.admin.viewer(), id).await?;
    Ok(Json(Download { download_url: address.url, expires_at: address.expires_at }))
}

impl From<files::Error> for Problem {
    fn from(error: files::Error) -> Self {
        match error {
            files::Error::Tenant(error) => error.into(),
            files::Error::Registry(error) => error.into(),
            files::Error::Refused { field, message } => Self::invalid(field, message),
            files::Error::NotUploaded => {
                let title = "The file was not uploaded yet";
                Self::new(StatusCode::CONFLICT, "not-uploaded", title)
                    .detail("Send it to its uploadUrl first, or spec it anew when that has expired.")
            }
            files::Error::InUse => {
                Self::new(StatusCode::CONFLICT, "in-use", "The file is the picture of a member or branch")
                    .detail("Remove the picture there: its photoFileId or pictureFileId set to null.")
            }
            files::Error::Busy => Failure::Busy.into(),
            files::Error::QuotaExceeded(quota) => {
                let title = "The church has no room for more files";
                Self::new(StatusCode::INSUFFICIENT_STORAGE, "quota-exceeded", title).detail(format!(
                    "It may have {} files with {} bytes in all: GET /api/files shows them. Remove some first.",
                    quota.files, quota.bytes
                ))
            }
            files::Error::DiskFull => {
                let title = "Files cannot be stored right now";
                Self::new(StatusCode::INSUFFICIENT_STORAGE, "storage-full", title)
                    .detail("The server's disk is nearly full. Nothing is lost. Try again later.")
                    .retry_after(300)
            }
            error @ (files::Error::Storage(_) | files::Error::Spool(_)) => {
                tracing::error!(error = %registry::chain(&error), "the storage of files is away");
                let title = "Files cannot be reached just now";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", title)
                    .detail("Nothing is lost. Try again in a moment.")
                    .retry_after(5)
            }
        }
    }
}
