//! Reading what a client sends, within limits of size and time.

use axum::body::{Body, BodyDataStream, Bytes};
use futures::{Stream, StreamExt, stream};
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};

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
}

/// A body that is being received.
pub struct Incoming {
    stream: BodyDataStream,
    /// How many bytes may still come.
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

    /// The next part; `None` at the end. After an error it stays that error.
    pub async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        if let Some(failed) = self.failed {
            return Err(failed);
        }
        let until = self.deadline.min(Instant::now() + IDLE);
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
