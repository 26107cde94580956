//! HTTP/1.1 connections with limits: connections in total and per address, header bytes, and deadlines for headers,
//! bodies, responses and idling.
//!
//! When all slots are taken, the connection that has waited longest for its client is closed, so that slow requests cannot
//! lock out new ones (Slowloris).

mod slots;
mod stream;
mod transfer;

pub use slots::ConnectionLimits;

use crate::{
    address::{TrustedProxies, limit_key},
    config::Deadlines,
};
use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Request},
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
};
use slots::{ConnectionSlot, ConnectionSlots};
use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};
use stream::TimedStream;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use transfer::{RequestBody, ResponseBody};

/// Maximum bytes of request line and headers.
const MAX_HEADER_BYTES: usize = 32 * 1024;

/// Maximum bytes of one connection's buffers.
const MAX_BUFFER_BYTES: usize = 128 * 1024;

/// Pause after a failed accept, as without file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

pub struct Server {
    pub listener: TcpListener,
    pub app: Router,
    pub limits: ConnectionLimits,
    pub deadlines: Deadlines,
    pub trusted_proxies: TrustedProxies,
    /// Time that running requests have to finish after `stop`.
    pub grace: Duration,
    pub stop: CancellationToken,
}

impl Server {
    /// Serves until `stop`, then finishes running requests.
    pub async fn run(self) {
        let slots = ConnectionSlots::new(self.limits);
        let graceful = GracefulShutdown::new();
        let protocol = protocol(self.deadlines);
        loop {
            let accepted = tokio::select! {
                accepted = self.accept(&slots) => accepted,
                () = self.stop.cancelled() => break,
            };
            let Some((stream, peer)) = accepted else { continue };
            let trusted = self.trusted_proxies.contains(peer.ip());
            let Some(slot) = slots.take(limit_key(peer.ip()), trusted) else { continue };
            // Events are small writes, which Nagle's algorithm would delay.
            let _ = stream.set_nodelay(true);
            let connection = Connection {
                stream,
                peer,
                slot: Arc::new(slot),
                app: self.app.clone(),
                deadlines: self.deadlines,
                watcher: graceful.watcher(),
            };
            tokio::spawn(connection.serve(protocol.clone()));
        }
        drop(self.listener);
        let _ = tokio::time::timeout(self.grace, graceful.shutdown()).await;
        slots.close_all();
    }

    /// Accepts the next connection, once a slot is free.
    async fn accept(&self, slots: &ConnectionSlots) -> Option<(TcpStream, SocketAddr)> {
        slots.make_room().await;
        match self.listener.accept().await {
            Ok(accepted) => Some(accepted),
            Err(error) => {
                tracing::warn!(%error, "accept failed");
                slots.close_longest_waiting();
                tokio::time::sleep(ACCEPT_PAUSE).await;
                None
            }
        }
    }
}

fn protocol(deadlines: Deadlines) -> http1::Builder {
    let mut protocol = http1::Builder::new();
    // The stream's own deadlines are shorter; with a timeout set, hyper also polls the stream after a response.
    protocol.timer(TokioTimer::new()).header_read_timeout(deadlines.idle + deadlines.headers);
    protocol.max_header_size(MAX_HEADER_BYTES).max_buf_size(MAX_BUFFER_BYTES);
    protocol
}

struct Connection {
    stream: TcpStream,
    peer: SocketAddr,
    slot: Arc<ConnectionSlot>,
    app: Router,
    deadlines: Deadlines,
    watcher: Watcher,
}

impl Connection {
    async fn serve(self, protocol: http1::Builder) {
        let Self { stream, peer, slot, app, deadlines, watcher } = self;
        let io = TokioIo::new(TimedStream::new(stream, slot.clone(), deadlines));
        let service = {
            let slot = slot.clone();
            service_fn(move |request| respond(app.clone(), request, peer, slot.clone(), deadlines))
        };
        let connection = watcher.watch(protocol.serve_connection(io, service));
        tokio::select! {
            served = connection => {
                if let Err(error) = served {
                    tracing::trace!(%error, "connection closed with an error");
                }
            }
            () = slot.closed() => {}
        }
    }
}

async fn respond(
    app: Router,
    request: Request<Incoming>,
    peer: SocketAddr,
    slot: Arc<ConnectionSlot>,
    deadlines: Deadlines,
) -> Result<axum::http::Response<ResponseBody>, Infallible> {
    // Created before the handler runs, so that a failure resets the phase too.
    let responding = slot.responding();
    let mut request = request.map(|body| Body::new(RequestBody::new(body, slot, deadlines.transfer)));
    request.extensions_mut().insert(ConnectInfo(peer));
    let response = app.oneshot(request).await?;
    Ok(response.map(|body| ResponseBody::new(body, responding)))
}
