//! Request and response bodies that track the phase of their connection.

use super::{
    slots::{ConnectionSlot, Responding},
    stream::Deadline,
};
use axum::body::{Body, Bytes};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::Instant;

/// Minimum upload rate, beyond the first deadline. Slow mobile uploads pass; a trickle does not.
const MIN_BYTES_PER_SECOND: u32 = 1024;

/// A request body. Fails when the client pauses too long or is too slow. Counts only the time spent waiting for the client,
/// not the handler's.
pub struct RequestBody {
    body: Incoming,
    slot: Arc<ConnectionSlot>,
    max_wait: Duration,
    deadline: Deadline,
    received: u32,
    waited: Duration,
    waiting_since: Option<Instant>,
}

impl RequestBody {
    pub fn new(body: Incoming, slot: Arc<ConnectionSlot>, max_wait: Duration) -> Self {
        let (deadline, received, waited, waiting_since) = Default::default();
        Self { body, slot, max_wait, deadline, received, waited, waiting_since }
    }

    /// Returns the remaining time to wait for the client.
    fn left(&self) -> Duration {
        let total = self.max_wait + Duration::from_secs(1) * self.received / MIN_BYTES_PER_SECOND;
        total.saturating_sub(self.waited).min(self.max_wait)
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        self.slot.resumed();
    }
}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
            self.slot.stalled();
            let since = *self.waiting_since.get_or_insert_with(Instant::now);
            let due = since + self.left();
            return self.deadline.check(cx, due).map(|late| Some(Err(late)));
        };
        if let Some(since) = self.waiting_since.take() {
            self.waited += since.elapsed();
            self.slot.resumed();
        }
        if let Some(Ok(frame)) = &frame {
            let bytes = frame.data_ref().map_or(0, Bytes::len);
            self.received = self.received.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
        }
        Poll::Ready(frame.map(|frame| frame.map_err(io::Error::other)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A response body. Its connection becomes idle when the body is dropped.
pub struct ResponseBody {
    body: Body,
    _answering: Responding,
}

impl ResponseBody {
    pub fn new(body: Body, responding: Responding) -> Self {
        Self { body, _answering: responding }
    }
}

impl http_body::Body for ResponseBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
