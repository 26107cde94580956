//! Reads request bodies within limits of size and time.

use axum::{
    body::{Body, BodyDataStream, Bytes},
    http::StatusCode,
};
use futures::{Stream, StreamExt, stream};
use http_body_util::LengthLimitError;
use std::{error::Error, io, time::Duration};
use tokio::time::{Instant, timeout, timeout_at};

/// Reads a body of at most `limit` bytes. Fails with the response status: 413 too large, 408 too slow, 400 cut off.
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

/// Timeout between two chunks.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// Time limit of a whole body: 20 MB at 1 Mbit/s, with a margin.
const DEADLINE: Duration = Duration::from_secs(180);

/// Limits for draining a rejected body. A browser that gets a response before it has sent everything shows a connection
/// error instead.
const MAX_DRAIN_BYTES: usize = 10 * 1024 * 1024 + 64 * 1024;
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    #[error("the body is too large")]
    TooLarge,
    /// The connection closed early, or timed out.
    #[error("the body ended too early")]
    Incomplete,
}

/// A body in transfer.
pub struct Incoming {
    stream: BodyDataStream,
    /// Remaining bytes of the limit.
    left: usize,
    deadline: Instant,
    ended: bool,
    failed: Option<BodyError>,
}

impl Incoming {
    pub fn new(body: Body, limit: usize) -> Self {
        let deadline = Instant::now() + DEADLINE;
        Self { stream: body.into_data_stream(), left: limit, deadline, ended: false, failed: None }
    }

    /// Returns the next chunk; `None` at the end. Repeats an error.
    pub async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        if let Some(failed) = self.failed {
            return Err(failed);
        }
        let until = self.deadline.min(Instant::now() + IDLE_TIMEOUT);
        match timeout_at(until, self.stream.next()).await {
            Ok(None) => {
                self.ended = true;
                Ok(None)
            }
            Ok(Some(Ok(bytes))) => match self.left.checked_sub(bytes.len()) {
                Some(left) => {
                    self.left = left;
                    Ok(Some(bytes))
                }
                None => Err(self.fail(BodyError::TooLarge)),
            },
            Ok(Some(Err(_))) | Err(_) => {
                self.ended = true;
                Err(self.fail(BodyError::Incomplete))
            }
        }
    }

    fn fail(&mut self, error: BodyError) -> BodyError {
        self.failed = Some(error);
        error
    }

    pub fn failed(&self) -> Option<BodyError> {
        self.failed
    }

    /// Returns the body as a stream.
    pub fn chunks(&mut self) -> impl Stream<Item = Result<Bytes, BodyError>> + Send + '_ {
        stream::unfold(self, |incoming| async move {
            let next = incoming.next().await.transpose()?;
            Some((next, incoming))
        })
    }

    /// Discards the rest, so that an error response reaches the client.
    pub async fn drain(&mut self) {
        if self.ended {
            return;
        }
        let mut left = MAX_DRAIN_BYTES;
        let rest = async {
            while let Some(Ok(bytes)) = self.stream.next().await {
                left = left.saturating_sub(bytes.len());
                if left == 0 {
                    return;
                }
            }
        };
        let _ = timeout(DRAIN_TIMEOUT, rest).await;
        self.ended = true;
    }
}
