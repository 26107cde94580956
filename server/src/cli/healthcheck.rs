//! `vestry healthcheck`, for container engines: the image has no other HTTP client.

use crate::Error;
use std::{
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    time::Duration,
};

/// Container engines usually allow a check 30 seconds.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Fails unless the server that listens on `addr` answers `GET /healthz` with 200.
pub fn run(addr: SocketAddr) -> Result<(), Error> {
    let addr = reachable(addr);
    match status_line(addr) {
        Ok(line) if line.split(' ').nth(1) == Some("200") => Ok(()),
        Ok(line) => Err(Error::Command(format!("{addr} is not healthy: {}", line.trim()))),
        Err(error) => Err(Error::Command(format!("{addr} does not answer ({error})"))),
    }
}

/// Replaces a wildcard address with loopback.
fn reachable(addr: SocketAddr) -> SocketAddr {
    let ip = match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, addr.port())
}

fn status_line(addr: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&addr, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.take(4096).read_to_string(&mut answer)?;
    Ok(answer.lines().next().unwrap_or_default().to_owned())
}
