use axum::{
    body::{Body, Bytes},
    http::StatusCode,
};
use http_body_util::LengthLimitError;
use std::{error::Error, io};

/// Reads a whole body of at most `limit` bytes. The error is the status to answer: 413 only for a body that is too
/// large, 408 for one that came too slowly, 400 for one that was cut off.
pub async fn read(body: Body, limit: usize) -> Result<Bytes, StatusCode> {
    axum::body::to_bytes(body, limit).await.map_err(|error| status(&error))
}

fn status(error: &(dyn Error + 'static)) -> StatusCode {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<LengthLimitError>() {
            return StatusCode::PAYLOAD_TOO_LARGE;
        }
        if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::TimedOut) {
            return StatusCode::REQUEST_TIMEOUT;
        }
        cause = error.source();
    }
    StatusCode::BAD_REQUEST
}
