//! Client address of a request, behind trusted proxies.

use axum::{
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, header, request::Parts, uri::Authority},
    middleware::Next,
    response::Response,
};
use ipnet::IpNet;
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

/// Addresses and networks of proxies whose `X-Forwarded-For` is trusted.
#[derive(Clone, Debug)]
pub struct TrustedProxies(Vec<IpNet>);

impl FromStr for TrustedProxies {
    type Err = String;

    /// Parses a list separated by commas; `none` is the empty list.
    fn from_str(list: &str) -> Result<Self, String> {
        if list.trim().eq_ignore_ascii_case("none") {
            return Ok(Self(Vec::new()));
        }
        let parts = list.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts.map(network).collect::<Result<_, _>>().map(Self)
    }
}

fn network(text: &str) -> Result<IpNet, String> {
    let network = match text.parse::<IpAddr>() {
        Ok(address) => Ok(IpNet::from(address)),
        Err(_) => text.parse::<IpNet>(),
    };
    network.map_err(|_| format!("{text} is not an address or network, such as 10.0.0.5 or 10.0.0.0/8"))
}

impl TrustedProxies {
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// The client of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// `None` if a trusted proxy sent no valid address.
    address: Option<IpAddr>,
    /// Whether the trusted peer itself sent the request.
    is_trusted: bool,
    is_local: bool,
}

impl Client {
    /// Finds the last hop that is not a trusted proxy. The client may have forged everything left of it.
    pub fn new(peer: IpAddr, headers: &HeaderMap, proxies: &TrustedProxies) -> Self {
        let peer = peer.to_canonical();
        let is_local = peer.is_loopback() && !is_forwarded(headers) && names_this_machine(headers);
        let is_trusted = proxies.contains(peer);
        let direct = Self { address: Some(peer), is_trusted, is_local };
        if !is_trusted {
            return direct;
        }
        // Repeated headers form one list.
        let lines = headers.get_all("x-forwarded-for").iter();
        let hops: Vec<_> = lines.flat_map(|line| line.to_str().unwrap_or("?").split(',').map(hop)).collect();
        let Some(first) = hops.first() else { return direct };
        let last_untrusted = hops.iter().rev().find(|hop| hop.is_none_or(|hop| !proxies.contains(hop)));
        Self { address: *last_untrusted.unwrap_or(first), is_trusted: false, is_local: false }
    }

    /// Returns the key for rate limits. Invalid addresses share one key.
    pub fn limit_key(self) -> IpAddr {
        self.address.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), limit_key)
    }

    /// Returns whether a trusted proxy sent the request without naming a client: such requests must not share one limit.
    pub fn is_trusted(self) -> bool {
        self.is_trusted
    }

    /// Returns whether the request came from this machine, without a proxy.
    pub fn is_local(self) -> bool {
        self.is_local
    }
}

/// Masks IPv6 to its /64, the smallest prefix a customer gets.
pub fn limit_key(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        address => address,
    }
}

/// Parses one entry of `X-Forwarded-For`; some proxies add the port.
fn hop(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let address = text.parse::<IpAddr>().ok();
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::from);
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    address.or_else(bracketed).or_else(with_port).map(|address| address.to_canonical())
}

/// Returns whether a header shows that a proxy forwarded the request.
fn is_forwarded(headers: &HeaderMap) -> bool {
    const MARKS: [&str; 9] = [
        "via",
        "cdn-loop",
        "cf-ray",
        "cf-connecting-ip",
        "x-real-ip",
        "x-azure-clientip",
        "x-envoy-external-address",
        "x-proxyuser-ip",
        "x-scheme",
    ];
    let is_mark =
        |name: &str| name.contains("forwarded") || name.contains("client-ip") || MARKS.contains(&name);
    headers.keys().any(|name| is_mark(name.as_str()))
}

/// Returns whether `Host` is missing or names this machine. Detects proxies that pass on the public name, and DNS
/// rebinding from a local browser.
fn names_this_machine(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST) else { return true };
    let Some(host) = host.to_str().ok().and_then(|host| host.parse::<Authority>().ok()) else { return false };
    let host = host.host().trim_matches(['[', ']']);
    let is_loopback = |address: IpAddr| address.to_canonical().is_loopback();
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(is_loopback)
}

/// Adds the [`Client`] to the request's extensions.
pub async fn identify(
    State(trusted_proxies): State<TrustedProxies>,
    mut request: Request,
    next: Next,
) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
    let peer = peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let client = Client::new(peer, request.headers(), &trusted_proxies);
    request.extensions_mut().insert(client);
    next.run(request).await
}

/// Returns the client that [`identify`] found.
pub fn client_of(parts: &Parts) -> Client {
    let unknown = Client { address: None, is_trusted: false, is_local: false };
    parts.extensions.get().copied().unwrap_or(unknown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn client(peer: &str, lines: &[&[u8]], proxies: &str) -> Client {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("x-forwarded-for", HeaderValue::from_bytes(line).expect("a value"));
        }
        Client::new(peer.parse().expect("a peer"), &headers, &proxies.parse().expect("proxies"))
    }

    #[test]
    fn the_last_hop_that_is_no_trusted_proxy_is_the_client() {
        const LOOPBACK: &str = "127.0.0.0/8,::1";
        let cases: [(&str, &[&[u8]], &str, &str); 17] = [
            ("198.51.100.1", &[b"203.0.113.7"], LOOPBACK, "198.51.100.1"),
            ("127.0.0.1", &[], LOOPBACK, "127.0.0.1"),
            ("127.0.0.1", &[b"203.0.113.7"], LOOPBACK, "203.0.113.7"),
            ("127.0.0.1", &[b"1.2.3.4, 203.0.113.7"], LOOPBACK, "203.0.113.7"),
            ("127.0.0.1", &[b"1.2.3.4", b"203.0.113.7"], LOOPBACK, "203.0.113.7"),
            ("::ffff:127.0.0.1", &[b"203.0.113.7"], LOOPBACK, "203.0.113.7"),
            ("10.0.0.5", &[b"1.2.3.4, 203.0.113.7, 10.0.0.9"], "10.0.0.0/8", "203.0.113.7"),
            ("10.0.0.5", &[b"10.0.0.7, 10.0.0.9"], "10.0.0.0/8", "10.0.0.7"),
            ("10.0.0.5", &[b"203.0.113.7"], "10.0.0.5", "203.0.113.7"),
            ("127.0.0.1", &[b"203.0.113.7"], "none", "127.0.0.1"),
            ("127.0.0.1", &[b"203.0.113.7:4711"], LOOPBACK, "203.0.113.7"),
            ("127.0.0.1", &[b"[2001:db8:1:2:3:4:5:6]:4711"], LOOPBACK, "2001:db8:1:2::"),
            ("127.0.0.1", &[b"2001:db8:1:2:3:4:5:6"], LOOPBACK, "2001:db8:1:2::"),
            ("127.0.0.1", &[b"unknown"], LOOPBACK, "0.0.0.0"),
            ("127.0.0.1", &[b""], LOOPBACK, "0.0.0.0"),
            ("127.0.0.1", &[b"203.0.113.7, \xff"], LOOPBACK, "0.0.0.0"),
            ("127.0.0.1", &[b"203.0.113.7", b"_hidden"], LOOPBACK, "0.0.0.0"),
        ];
        for (peer, lines, proxies, expected) in cases {
            let key = client(peer, lines, proxies).limit_key();
            assert_eq!(key.to_string(), expected, "{peer} {lines:?} {proxies}");
        }
    }

    #[test]
    fn only_loopback_without_any_mark_of_a_proxy_is_local() {
        assert!(client("127.0.0.1", &[], "127.0.0.1").is_local());
        assert!(client("::1", &[], "none").is_local());
        assert!(!client("127.0.0.1", &[b"127.0.0.1"], "127.0.0.1").is_local());
        assert!(!client("127.0.0.1", &[b""], "none").is_local());
        assert!(!client("10.0.0.1", &[], "10.0.0.1").is_local());
        let with = |name: &'static str, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.append(name, HeaderValue::from_static(value));
            Client::new(IpAddr::V4(Ipv4Addr::LOCALHOST), &headers, &TrustedProxies(Vec::new())).is_local()
        };
        for host in ["localhost:3000", "127.0.0.1:3000", "[::1]:3000", "127.0.0.1"] {
            assert!(with("host", host), "{host}");
        }
        for (name, value) in [
            ("host", "office.example.org"),
            ("host", "127.0.0.1.example.org"),
            ("x-original-forwarded-for", "203.0.113.7"),
            ("x-cluster-client-ip", "203.0.113.7"),
            ("fastly-client-ip", "203.0.113.7"),
            ("cf-ray", "x"),
        ] {
            assert!(!with(name, value), "{name}: {value}");
        }
    }

    #[test]
    fn a_list_that_cannot_be_read_is_refused() {
        for wrong in ["proxy.example.org", "10.0.0.0/33", "10.0.0.1;10.0.0.2", "*"] {
            assert!(wrong.parse::<TrustedProxies>().is_err(), "{wrong}");
        }
    }
}
