//! Accepts clients and answers HTTP/1.1, within bounds: so many connections in all and from one address, so many bytes
//! of headers, so long for headers, bodies, answers and idling.
//!
//! When all places are taken, the connection whose client has kept us waiting longest gives way to a new one: requests
//! that nobody finishes cannot lock anybody out.

mod places;
mod stream;
mod transfer;

pub use places::Bounds;

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
use places::{Place, Places};
use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};
use stream::Timed;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use transfer::{Answer, Upload};

/// The request line and headers together, in bytes.
const MAX_HEADER_BYTES: usize = 32 * 1024;

/// Read and write buffers of one connection, at most.
const MAX_BUFFER_BYTES: usize = 128 * 1024;

/// The pause after a failure to accept, such as a process without file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

pub struct Server {
    pub listener: TcpListener,
    pub app: Router,
    pub bounds: Bounds,
    pub deadlines: Deadlines,
    pub trusted_proxies: TrustedProxies,
    /// How long requests that run may take after `stop`.
    pub grace: Duration,
    pub stop: CancellationToken,
}

impl Server {
    /// Serves until `stop`, then finishes the requests that run.
    pub async fn run(self) {
        let places = Places::new(self.bounds);
        let graceful = GracefulShutdown::new();
        let protocol = protocol(self.deadlines);
        loop {
            let accepted = tokio::select! {
                accepted = self.accept(&places) => accepted,
                () = self.stop.cancelled() => break,
            };
            let Some((stream, peer)) = accepted else { continue };
            let trusted = self.trusted_proxies.contains(peer.ip());
            let Some(place) = places.take(limit_key(peer.ip()), trusted) else { continue };
            // Events are written in small parts; Nagle's algorithm would hold each back until the last is confirmed.
            let _ = stream.set_nodelay(true);
            let connection = Connection {
                stream,
                peer,
                place: Arc::new(place),
                app: self.app.clone(),
                deadlines: self.deadlines,
                watcher: graceful.watcher(),
            };
            tokio::spawn(connection.serve(protocol.clone()));
        }
        drop(self.listener);
        let _ = tokio::time::timeout(self.grace, graceful.shutdown()).await;
        places.close_all();
    }

    /// The next connection, once there is a place for it.
    async fn accept(&self, places: &Places) -> Option<(TcpStream, SocketAddr)> {
        places.make_room().await;
        match self.listener.accept().await {
            Ok(accepted) => Some(accepted),
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be accepted");
                places.give_way();
                tokio::time::sleep(ACCEPT_PAUSE).await;
                None
            }
        }
    }
}

fn protocol(deadlines: Deadlines) -> http1::Builder {
    let mut protocol = http1::Builder::new();
    // The stream's own deadlines come first. hyper looks at the stream after an answer only because it has one too.
    protocol.timer(TokioTimer::new()).header_read_timeout(deadlines.idle + deadlines.headers);
    protocol.max_header_size(MAX_HEADER_BYTES).max_buf_size(MAX_BUFFER_BYTES);
    protocol
}

struct Connection {
    stream: TcpStream,
    peer: SocketAddr,
    place: Arc<Place>,
    app: Router,
    deadlines: Deadlines,
    watcher: Watcher,
}

impl Connection {
    async fn serve(self, protocol: http1::Builder) {
        let Self { stream, peer, place, app, deadlines, watcher } = self;
        let io = TokioIo::new(Timed::new(stream, place.clone(), deadlines));
        let service = {
            let place = place.clone();
            service_fn(move |request| answer(app.clone(), request, peer, place.clone(), deadlines))
        };
        let connection = watcher.watch(protocol.serve_connection(io, service));
        tokio::select! {
            served = connection => {
                if let Err(error) = served {
                    tracing::trace!(%error, "a connection ended");
                }
            }
            () = place.closed() => {}
        }
    }
}

async fn answer(
    app: Router,
    request: Request<Incoming>,
    peer: SocketAddr,
    place: Arc<Place>,
    deadlines: Deadlines,
) -> Result<axum::http::Response<Answer>, Infallible> {
    // Made before the handler runs: the connection counts as waiting again also when it fails.
    let answering = place.answering();
    let mut request = request.map(|body| Body::new(Upload::new(body, place, deadlines.transfer)));
    request.extensions_mut().insert(ConnectInfo(peer));
    let response = app.oneshot(request).await?;
    Ok(response.map(|body| Answer::new(body, answering)))
}
