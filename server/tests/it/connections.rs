//! Bounds and deadlines of connections.

use crate::harness::{
    Process, Registry, TestServer,
    raw::{connect, rest, send, status},
};
use futures::StreamExt;
use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpSocket, TcpStream},
    process::Command,
    time::{sleep, timeout},
};

const PATIENCE: Duration = Duration::from_secs(20);

const HALF_A_REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ";

/// Half requests, as many as are asked for, from an address of this machine.
async fn half_requests(addr: SocketAddr, from: &str, number: usize) -> Vec<TcpStream> {
    let from: IpAddr = from.parse().expect("an address");
    let open = (0..number).map(|_| async move {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::new(from, 0)).expect("an address of this machine");
        let mut stream = socket.connect(addr).await.expect("it listens");
        // What is refused at once may be reset before it is written to.
        let _ = stream.write_all(HALF_A_REQUEST).await;
        stream
    });
    futures::stream::iter(open).buffered(16).collect().await
}

/// How many of them the server has not closed, once it has had the time.
async fn still_open(streams: &mut [TcpStream], at_most: usize) -> usize {
    let until = Instant::now() + Duration::from_secs(5);
    loop {
        let mut open = 0;
        for stream in streams.iter_mut() {
            let mut byte = [0];
            // Nothing is answered to half a request: what can be read is the end.
            open += usize::from(
                stream.try_read(&mut byte).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock),
            );
        }
        if open <= at_most || Instant::now() > until {
            return open;
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// How long a healthy request takes.
async fn healthy(addr: SocketAddr) -> Duration {
    let asked = Instant::now();
    let answer =
        timeout(PATIENCE, send(addr, "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
    assert_eq!(status(&answer.await.expect("it is answered")), 200);
    asked.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn half_requests_do_not_keep_anybody_out() {
    let server = TestServer::start_with(|config| config.http_connections = 20).await;
    // From a trusted proxy, so that only the bound in all counts.
    let mut halves = half_requests(server.addr(), "127.0.0.1", 100).await;
    for _ in 0..5 {
        assert!(healthy(server.addr()).await < Duration::from_secs(2));
    }
    assert!(still_open(&mut halves, 20).await <= 20);
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn the_limit_on_open_files_is_raised_and_connections_stay_below_it() {
    let registry = Registry::create().await;
    let mut command = Command::new("prlimit");
    command.args(["--nofile=200:512", env!("CARGO_BIN_EXE_vestry")]);
    command.env("VESTRY_REGISTRY_URL", &registry.url).env("VESTRY_SECRET_KEY", &registry.secret);
    command.env("VESTRY_READY_DATABASES", "0").env("VESTRY_DATA_DIR", registry.data_dir());
    command.env("VESTRY_CONNECTION_BUDGET", "20");
    let process = Process::run(command).await.unwrap_or_else(|said| panic!("{said}"));
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", process.id())).expect("it runs");
    let files = limits.lines().find(|line| line.starts_with("Max open files")).expect("a limit");
    assert_eq!(files.split_whitespace().nth(3), Some("512"), "{files}");
    let _halves = half_requests(process.addr, "127.0.0.1", 500).await;
    let browser = crate::harness::Browser::new(process.addr);
    for _ in 0..5 {
        assert!(healthy(process.addr).await < Duration::from_secs(2));
        browser.get("/signin").await.expect(200);
    }
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn one_address_has_so_many_connections_and_a_trusted_proxy_any_number() {
    let server = TestServer::start_with(|config| {
        config.http_connections_per_address = 10;
        config.trusted_proxies = "127.0.0.3".parse().expect("a list");
    })
    .await;
    let mut many = half_requests(server.addr(), "127.0.0.1", 40).await;
    assert_eq!(still_open(&mut many, 10).await, 10);
    assert!(healthy(server.addr()).await < Duration::from_secs(2), "nor is the address itself shut out");
    let mut proxied = half_requests(server.addr(), "127.0.0.3", 40).await;
    // It is accepted after all of them.
    healthy(server.addr()).await;
    assert_eq!(still_open(&mut proxied, 40).await, 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_takes_too_long_is_cut_off() {
    let server = TestServer::start_with(|config| {
        config.deadlines.headers = Duration::from_millis(400);
        config.deadlines.transfer = Duration::from_millis(600);
        config.deadlines.idle = Duration::from_millis(4000);
    })
    .await;
    let addr = server.addr();
    let headers = async {
        let asked = Instant::now();
        let mut stream = connect(addr).await;
        stream.write_all(HALF_A_REQUEST).await.expect("it is sent");
        // A byte now and then does not help.
        while stream.write_all(b"x").await.is_ok() {
            sleep(Duration::from_millis(50)).await;
        }
        assert!(asked.elapsed() < Duration::from_millis(3000), "a request is not idle");
    };
    let body = async {
        let head = "POST /signin HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\
                    Content-Type: application/x-www-form-urlencoded\r\n\r\nemail=";
        assert_eq!(status(&send(addr, head).await), 408);
    };
    let api_body = async {
        let head = "POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\
                    Content-Type: application/json\r\n\r\n{";
        let answer = send(addr, head).await;
        assert!(matches!(status(&answer), 400 | 408), "{answer}");
    };
    let idle = async {
        let asked = Instant::now();
        let answer = send(addr, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert_eq!(status(&answer), 200);
        assert!(asked.elapsed() >= Duration::from_millis(4000), "it may idle for a while");
    };
    let silent = async {
        let mut stream = connect(addr).await;
        assert_eq!(rest(&mut stream).await, "");
    };
    let started = Instant::now();
    timeout(PATIENCE, async { tokio::join!(headers, body, api_body, idle, silent) })
        .await
        .expect("all are cut off");
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_take_its_answer_is_cut_off() {
    let server =
        TestServer::start_with(|config| config.deadlines.transfer = Duration::from_millis(500)).await;
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small one");
    let mut stream = socket.connect(server.addr()).await.expect("it listens");
    // Many answers to one client, of which it reads none.
    let ask = "GET /api/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n".repeat(20_000);
    let cut_off = async {
        let mut sent = ask.as_bytes();
        while !sent.is_empty() {
            match stream.write(sent).await {
                Ok(written) => sent = &sent[written..],
                Err(_) => return,
            }
        }
        // All requests fit into buffers: then the end is seen by writing on.
        while stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.is_ok() {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, cut_off).await.expect("the connection is closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_have_a_size() {
    let server = TestServer::start().await;
    let with = |size: usize| {
        format!(
            "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Long: {}\r\n\r\n",
            "x".repeat(size)
        )
    };
    assert_eq!(status(&send(server.addr(), &with(30_000)).await), 200);
    let answer = send(server.addr(), &with(40_000)).await;
    assert!(matches!(status(&answer), 431 | 0), "{answer}");
}
