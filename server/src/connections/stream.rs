use super::slots::{ConnectionSlot, Phase};
use crate::config::Deadlines;
use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep},
};

/// A stream with deadlines for request headers, for the client to read a response, and for idling. Request bodies have
/// their own deadline ([`super::transfer::RequestBody`]).
pub struct TimedStream {
    stream: TcpStream,
    slot: Arc<ConnectionSlot>,
    deadlines: Deadlines,
    reading: Deadline,
    writing: Deadline,
    /// Time since which writes are blocked.
    write_blocked: Option<Instant>,
}

impl TimedStream {
    pub fn new(stream: TcpStream, slot: Arc<ConnectionSlot>, deadlines: Deadlines) -> Self {
        let (reading, writing) = Default::default();
        Self { stream, slot, deadlines, reading, writing, write_blocked: None }
    }

    fn read_deadline(&self) -> Option<Instant> {
        match self.slot.phase() {
            Phase::Idle(since) => Some(since + self.deadlines.idle),
            Phase::Headers(since) => Some(since + self.deadlines.headers),
            Phase::Responding | Phase::Stalled(_) => None,
        }
    }

    fn written(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            if self.write_blocked.take().is_some() {
                self.slot.resumed();
            }
            return written;
        }
        self.slot.stalled();
        let since = *self.write_blocked.get_or_insert_with(Instant::now);
        self.writing.check(cx, since + self.deadlines.transfer).map(Err)
    }
}

impl AsyncRead for TimedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        if let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(cx, buffer) {
            if buffer.filled().len() > before {
                self.slot.received();
            }
            return Poll::Ready(read);
        }
        match self.read_deadline() {
            Some(deadline) => self.reading.check(cx, deadline).map(Err),
            None => Poll::Pending,
        }
    }
}

impl AsyncWrite for TimedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.written(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.written(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A reusable timer, allocated on first use.
#[derive(Default)]
pub struct Deadline(Option<Pin<Box<Sleep>>>);

impl Deadline {
    /// Returns an error once the deadline has passed.
    pub fn check(&mut self, cx: &mut Context<'_>, at: Instant) -> Poll<io::Error> {
        let sleep = self.0.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
        if sleep.deadline() != at {
            sleep.as_mut().reset(at);
        }
        sleep.as_mut().poll(cx).map(|()| io::ErrorKind::TimedOut.into())
    }
}
