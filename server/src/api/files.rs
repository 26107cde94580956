use super::{
    extract::{Body, Id, NewId, Office},
    problem::Problem,
};
use crate::{files, router::AppState, storage::Address};
use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;
use uuid::Uuid;

/// A file that is going to be uploaded.
// What is left out is empty, and refused in the same words; but only after whoever may not is.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct NewFile {
    /// How whoever fetches it will find it called.
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

/// Promises a file
///
/// Send it by `method` to `uploadUrl`, with `headers`, before the address expires. What nobody sends is forgotten.
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
    let Address { url, method, headers, expires_at } = address;
    let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let upload = Upload { file_id: id, upload_url: url, method: method.to_owned(), headers, expires_at };
    Ok((StatusCode::CREATED, [(header::LOCATION, format!("/api/files/{id}"))], Json(upload)).into_response())
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
                    .detail("Send it to its uploadUrl first, or promise it anew when that has expired.")
            }
            files::Error::Away(error) => {
                tracing::error!(error = %registry::chain(&error), "the storage of files is away");
                let title = "Files cannot be reached just now";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", title)
                    .detail("Nothing is lost. Try again in a moment.")
                    .retry_after(5)
            }
        }
    }
}
