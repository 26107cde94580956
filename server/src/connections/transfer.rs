//! Bodies of requests and answers, as parts of a connection.

use super::{
    places::{Answering, Place},
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

/// A client may be this slow, in bytes a second, beyond what one deadline allows: 20 MB over a poor telephone line pass,
/// a byte now and then does not.
const SLOWEST: u32 = 1024;

/// A request's body. Fails when the client pauses too long, or is too slow altogether. Only waiting for the client
/// counts, not the time that its handler takes between two parts.
pub struct Upload {
    body: Incoming,
    place: Arc<Place>,
    patience: Duration,
    deadline: Deadline,
    received: u32,
    waited: Duration,
    waiting_since: Option<Instant>,
}

impl Upload {
    pub fn new(body: Incoming, place: Arc<Place>, patience: Duration) -> Self {
        let (deadline, received, waited, waiting_since) = Default::default();
        Self { body, place, patience, deadline, received, waited, waiting_since }
    }

    /// How long the client may still be waited for.
    fn left(&self) -> Duration {
        let in_all = self.patience + Duration::from_secs(1) * self.received / SLOWEST;
        in_all.saturating_sub(self.waited).min(self.patience)
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.place.moved_on();
    }
}

impl http_body::Body for Upload {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
            self.place.stalled();
            let since = *self.waiting_since.get_or_insert_with(Instant::now);
            let due = since + self.left();
            return self.deadline.check(cx, due).map(|late| Some(Err(late)));
        };
        if let Some(since) = self.waiting_since.take() {
            self.waited += since.elapsed();
            self.place.moved_on();
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

/// An answer's body. Its connection waits for the next request when it is done.
pub struct Answer {
    body: Body,
    _answering: Answering,
}

impl Answer {
    pub fn new(body: Body, answering: Answering) -> Self {
        Self { body, _answering: answering }
    }
}

impl http_body::Body for Answer {
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
