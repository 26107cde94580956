use axum::http::HeaderMap;
use std::net::{IpAddr, SocketAddr};

/// Where a request comes from. A proxy on this machine is believed when it says for whom it asks.
pub fn of(peer: SocketAddr, headers: &HeaderMap) -> IpAddr {
    let peer = peer.ip().to_canonical();
    let forwarded = || headers.get("x-forwarded-for")?.to_str().ok()?.rsplit(',').next()?.trim().parse().ok();
    if peer.is_loopback() { forwarded().unwrap_or(peer) } else { peer }
}
