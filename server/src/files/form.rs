//! The form that sends a picture: read as it comes, with the picture kept on the disk.

use super::{Error, MAX_PICTURE_BYTES, Result, pictures, refused};
use crate::{
    body::{BodyError, Incoming},
    storage::Storage,
};
use axum::http::{HeaderMap, header};
use std::io::SeekFrom;
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt},
};

/// What stands in a form beside the picture.
const ROOM: usize = 64 * 1024;

/// The most that a form may have.
pub const MAX_FORM_BYTES: usize = MAX_PICTURE_BYTES + ROOM;

/// A picture on the disk, in a file without a name: it ends with the process, however that ends.
pub struct Spooled {
    file: File,
    size: usize,
}

impl Spooled {
    pub async fn into_bytes(mut self) -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(self.size);
        self.file.seek(SeekFrom::Start(0)).await?;
        self.file.read_to_end(&mut bytes).await?;
        Ok(bytes)
    }
}

/// Whether a form may hold a file.
pub fn is_multipart(headers: &HeaderMap) -> bool {
    content_type(headers).starts_with("multipart/form-data")
}

fn content_type(headers: &HeaderMap) -> &str {
    headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default()
}

/// A form without a file: its button removes the picture.
pub async fn read_removal(incoming: &mut Incoming) -> Result<()> {
    let mut fields = Vec::new();
    while let Some(part) = incoming.next().await.map_err(unread)? {
        fields.extend_from_slice(&part);
        if fields.len() > ROOM {
            return refused("photo", pictures::EMPTY);
        }
    }
    if fields.starts_with(b"remove=") { Ok(()) } else { refused("photo", pictures::EMPTY) }
}

/// A form with a file.
pub async fn read_picture(
    storage: &Storage,
    headers: &HeaderMap,
    incoming: &mut Incoming,
) -> Result<Spooled> {
    let Ok(boundary) = multer::parse_boundary(content_type(headers)) else {
        return refused("photo", pictures::NOT_A_PICTURE);
    };
    let read = spool(storage, boundary, incoming).await;
    // What the parser says of a body that failed is only that.
    match incoming.failed() {
        Some(failed) => Err(unread(failed)),
        None => read,
    }
}

async fn spool(storage: &Storage, boundary: String, incoming: &mut Incoming) -> Result<Spooled> {
    let mut form = multer::Multipart::new(incoming.chunks(), boundary);
    while let Some(mut field) = form.next_field().await.map_err(malformed)? {
        if field.name() != Some("photo") {
            continue;
        }
        let mut file = File::from_std(storage.spool().map_err(Error::Spool)?);
        let mut size = 0;
        while let Some(chunk) = field.chunk().await.map_err(malformed)? {
            size += chunk.len();
            if size > MAX_PICTURE_BYTES {
                return refused("photo", pictures::TOO_LARGE);
            }
            file.write_all(&chunk).await.map_err(Error::Spool)?;
        }
        file.flush().await.map_err(Error::Spool)?;
        if size == 0 {
            return refused("photo", pictures::EMPTY);
        }
        return Ok(Spooled { file, size });
    }
    refused("photo", pictures::EMPTY)
}

fn malformed(error: multer::Error) -> Error {
    let message = match error {
        multer::Error::IncompleteStream
        | multer::Error::IncompleteHeaders
        | multer::Error::IncompleteFieldData { .. } => pictures::INCOMPLETE,
        _ => pictures::NOT_A_PICTURE,
    };
    Error::Refused { field: "photo", message: message.to_owned() }
}

fn unread(error: BodyError) -> Error {
    let message = match error {
        BodyError::TooLarge => pictures::TOO_LARGE,
        BodyError::Incomplete => pictures::INCOMPLETE,
    };
    Error::Refused { field: "photo", message: message.to_owned() }
}
