//! Reading what a client sends, within limits of size and time.

use axum::{
    body::{Body, BodyDataStream, Bytes},
    http::StatusCode,
};
use futures::{Stream, StreamExt, stream};
use http_body_util::LengthLimitError;
use std::{
    error::Error,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

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

/// A client that sends nothing for so long has gone.
const IDLE: Duration = Duration::from_secs(10);

/// How long a body may take in all: 20 MB at 1 Mbit/s, with a little to spare.
const DEADLINE: Duration = Duration::from_secs(180);

/// How much of a refused body is read, and for how long. A browser that is answered before it has sent everything shows
/// a connection error instead of the answer.
const DRAINED_BYTES: usize = 10 * 1024 * 1024 + 64 * 1024;
const DRAINED_FOR: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    #[error("the body is too large")]
    TooLarge,
    /// The connection ended early, or nothing came for too long.
    #[error("the body ended too early")]
    Incomplete,
    /// Cancelled: a slow client held an upload slot that other clients waited for.
    #[error("the body came too slowly while others waited")]
    TooSlow,
}

/// Receive rate of a body, and its cancellation when it is too slow.
pub struct Progress {
    step: usize,
    /// The last step, and the bytes received since.
    last: Mutex<(Instant, usize)>,
    cancelled: CancellationToken,
}

impl Progress {
    /// `step` is in bytes.
    pub fn new(step: usize) -> Self {
        Self { step, last: Mutex::new((Instant::now(), 0)), cancelled: CancellationToken::new() }
    }

    fn received(&self, bytes: usize) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.1 += bytes;
        if last.1 >= self.step {
            *last = (Instant::now(), 0);
        }
    }

    /// Time in which less than a step has come.
    pub fn since_step(&self) -> Duration {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).0.elapsed()
    }

    pub fn cancel(&self) {
        self.cancelled.cancel();
    }

    pub fn is_cancelled(&self) -> bool {
        self.cancelled.is_cancelled()
    }
}

/// A body that is being received.
pub struct Incoming {
    stream: BodyDataStream,
    /// How many bytes may still come.
    left: usize,
    deadline: Instant,
    ended: bool,
    failed: Option<BodyError>,
    progress: Option<Arc<Progress>>,
}

impl Incoming {
    pub fn new(body: Body, limit: usize) -> Self {
        let deadline = Instant::now() + DEADLINE;
        let stream = body.into_data_stream();
        Self { stream, left: limit, deadline, ended: false, failed: None, progress: None }
    }

    /// Reports received bytes to `progress`, which may cancel the body.
    pub fn report_to(&mut self, progress: Arc<Progress>) {
        self.progress = Some(progress);
    }

    /// The next part; `None` at the end. After an error it stays that error.
    pub async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        if let Some(failed) = self.failed {
            return Err(failed);
        }
        let until = self.deadline.min(Instant::now() + IDLE);
        let next = timeout_at(until, self.stream.next());
        let next = match &self.progress {
            Some(progress) => match progress.cancelled.run_until_cancelled(next).await {
                Some(next) => next,
                None => return Err(self.fail(BodyError::TooSlow)),
            },
            None => next.await,
        };
        if let (Some(progress), Ok(Some(Ok(bytes)))) = (&self.progress, &next) {
            progress.received(bytes.len());
        }
        match next {
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

    /// The same as a stream.
    pub fn chunks(&mut self) -> impl Stream<Item = Result<Bytes, BodyError>> + Send + '_ {
        stream::unfold(self, |incoming| async move {
            let next = incoming.next().await.transpose()?;
            Some((next, incoming))
        })
    }

    /// Reads the rest and throws it away, so that a refusal reaches the client.
    pub async fn drain(&mut self) {
        if self.ended {
            return;
        }
        let mut left = DRAINED_BYTES;
        let rest = async {
            while let Some(Ok(bytes)) = self.stream.next().await {
                left = left.saturating_sub(bytes.len());
                if left == 0 {
                    return;
                }
            }
        };
        let _ = timeout(DRAINED_FOR, rest).await;
        self.ended = true;
    }
}
