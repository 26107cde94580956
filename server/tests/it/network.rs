//! What stands between clients and handlers: bounds, deadlines, proxies, request targets and headers.

use crate::harness::{Church, PASSWORD, Process, Program, Registry, TestServer, client, sign_up};
use futures::StreamExt;
use reqwest::{Method, StatusCode};
use serde_json::json;
use server::config::Config;
use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    process::Command,
    time::{sleep, timeout},
};

const PATIENCE: Duration = Duration::from_secs(20);
const HALF_A_REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ";

async fn connect(addr: SocketAddr) -> TcpStream {
    TcpStream::connect(addr).await.expect("it listens")
}

/// All that is answered until the connection ends.
async fn rest(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    // Being reset is an end as well.
    let _ = read.expect("the connection is closed");
    String::from_utf8_lossy(&answer).into_owned()
}

async fn send(addr: SocketAddr, request: &str) -> String {
    let mut stream = connect(addr).await;
    stream.write_all(request.as_bytes()).await.expect("it is sent");
    rest(&mut stream).await
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default()
}

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

/// A signup that does not get on, so that it can be watched for ever.
async fn stuck_run(server: &TestServer, church: &str) -> String {
    let opening = sign_up(&server.browser(), church, &format!("{church}@example.org")).await;
    format!("{opening}/events")
}

async fn without_workers(server: &TestServer) {
    let refuse = "create function refuse() returns trigger language plpgsql as
                    $$ begin raise exception 'not now'; end $$;
                  create trigger refuse before update on provisioning_runs for each row execute function refuse();";
    server.db().await.run(refuse).await;
}

async fn watch(server: &TestServer, path: &str, address: &str) -> reqwest::Response {
    let program = client();
    let request = program.get(format!("http://{}{path}", server.addr())).header("x-forwarded-for", address);
    request.send().await.expect("it is answered")
}

#[tokio::test(flavor = "multi_thread")]
async fn event_streams_are_limited_by_run_and_by_address_and_end_at_an_age() {
    const MOST: usize = 32;
    let server = TestServer::start().await;
    without_workers(&server).await;
    let (one, two) = (stuck_run(&server, "one").await, stuck_run(&server, "two").await);
    let mut streams = Vec::new();
    for n in 0..MOST {
        let stream = watch(&server, &one, &format!("203.0.113.{n}")).await;
        assert_eq!(stream.status(), StatusCode::OK);
        assert_eq!(stream.headers()["x-accel-buffering"], "no");
        streams.push(stream);
    }
    let refused = watch(&server, &one, "198.51.100.1").await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS, "so many watch one run");
    assert!(refused.headers().contains_key("retry-after"));
    let api = one.replace("/signup/", "/api/provisioning/");
    assert_eq!(watch(&server, &api, "198.51.100.1").await.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(watch(&server, &two, "198.51.100.1").await.status(), StatusCode::OK);

    streams.clear();
    let until = Instant::now() + PATIENCE;
    while watch(&server, &one, "198.51.100.1").await.status() != StatusCode::OK {
        assert!(Instant::now() < until, "what was closed counts no more");
    }
    // Of one network, and of two runs.
    let mut open = 0;
    for n in 0..=MOST {
        let path = if n % 2 == 0 { &one } else { &two };
        let stream = watch(&server, path, &format!("2001:db8:1:2::{n:x}")).await;
        open += usize::from(stream.status() == StatusCode::OK);
        streams.push(stream);
    }
    assert_eq!(open, MOST, "so many for one address");

    let aged = TestServer::on_with(&server.registry, |config| {
        config.deadlines.stream = Duration::from_millis(300);
        config.deadlines.idle = Duration::from_millis(100);
    })
    .await;
    let asked = Instant::now();
    let stream = watch(&aged, &one, "198.51.100.1").await;
    let text = timeout(PATIENCE, stream.text()).await.expect("it ends").expect("it is text");
    assert!(text.contains("event: progress"), "{text}");
    assert!(asked.elapsed() >= Duration::from_millis(300), "it does not idle: we are the one who is silent");
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_request_targets_and_methods_are_refused_before_anything_is_rendered() {
    let server = TestServer::start().await;
    let addr = server.addr();
    let cases = [
        ("CONNECT x:443", 405),
        ("CONNECT /", 405),
        ("TRACE /", 405),
        ("TRACE /api/me", 405),
        ("OPTIONS *", 405),
        ("GET *", 400),
        ("GET x:443", 400),
        ("POST x", 400),
        ("GET http://evil.example/", 400),
        ("GET ftp://HOST/", 400),
        ("GET /members/%ff", 400),
        ("GET /api/members/%ff", 400),
        ("GET http://HOST/healthz", 200),
        ("GET http://HOST", 200),
        ("GET /healthz", 200),
        ("GET //evil.example/", 404),
    ];
    for (line, expected) in cases {
        let line = line.replace("HOST", &addr.to_string());
        let answer =
            send(addr, &format!("{line} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n")).await;
        assert_eq!(status(&answer), expected, "{line}: {answer}");
        assert!(!answer.contains("Invalid"), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_that_means_one_thing_stands_there_once() {
    let server = TestServer::start().await;
    let addr = server.addr();
    let ask = async |line: &str, headers: &str| {
        send(addr, &format!("{line} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n")).await
    };
    let wrong = [
        "Host: x\r\nHost: x\r\n",
        "",
        "Host: \r\n",
        "Host: me@x\r\n",
        "Host: x/y\r\n",
        "Host: x\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b\r\n",
        "Host: x\r\nX-Tenant-ID: a\r\nX-Tenant-ID: b\r\n",
        "Host: x\r\nIdempotency-Key: a\r\nidempotency-key: a\r\n",
        "Host: x\r\nOrigin: http://x\r\nOrigin: http://evil.example\r\n",
    ];
    for headers in wrong {
        let api = ask("GET /api/me", headers).await;
        assert_eq!(status(&api), 400, "{headers}: {api}");
        assert!(api.contains("application/problem+json") && api.contains("urn:vestry:malformed"), "{api}");
        let page = ask("GET /signin", headers).await;
        assert_eq!(status(&page), 400, "{headers}: {page}");
        assert!(page.contains("text/html") && page.contains("We could not read what was sent"), "{page}");
        assert_eq!(status(&ask("GET /metrics", headers).await), 400, "{headers}");
    }
    assert_eq!(status(&ask("GET /signin", "Host: x\r\n").await), 200);
    let old = send(addr, "GET /healthz HTTP/1.0\r\n\r\n").await;
    assert_eq!(status(&old), 200, "balancers ask without Host: {old}");
}

/// A request that came through proxies.
async fn forwarded(server: &TestServer, method: Method, path: &str, lines: &[&str]) -> reqwest::Response {
    let program = client();
    let mut request = program.request(method.clone(), format!("http://{}{path}", server.addr()));
    for line in lines {
        request = request.header("x-forwarded-for", *line);
    }
    if method == Method::POST {
        // An email of its own each time: here is about addresses, not accounts.
        let email = format!("{}@example.org", uuid::Uuid::new_v4().simple());
        request = request.form(&[("email", email.as_str()), ("password", "not this one")]);
    }
    request.send().await.expect("it is answered")
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_in_is_limited_by_the_address_that_the_last_proxy_saw() {
    let server = TestServer::start().await;
    // What stands to the left is the client's own word, in one line or in several.
    let guess = async |n: usize, from: &str| {
        let (invented, list) = (format!("10.0.0.{n}"), format!("10.0.0.{n}, {from}"));
        match n % 2 {
            0 => forwarded(&server, Method::POST, "/signin", &[&list]).await,
            _ => forwarded(&server, Method::POST, "/signin", &[&invented, from]).await,
        }
        .status()
    };
    for from in ["203.0.113.9", "unknown"] {
        let answers = futures::future::join_all((0..45).map(|n| guess(n, from))).await;
        let refused = answers.iter().filter(|status| **status == StatusCode::TOO_MANY_REQUESTS).count();
        assert!((5..=15).contains(&refused), "{refused} of 45 from {from}: 30 at once, and one every 2 s");
    }
    assert_eq!(
        guess(1, "203.0.113.10").await,
        StatusCode::UNPROCESSABLE_ENTITY,
        "another one is not held up"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_counts_ipv6_by_network_and_what_it_cannot_read_as_one() {
    let server = TestServer::start_with(|config| config.api_rate = 10).await;
    let ask = async |from: String| forwarded(&server, Method::GET, "/api/me", &[&from]).await.status();
    for n in 0..10 {
        assert_eq!(ask(format!("2001:db8:1:2::{n:x}")).await, 401);
        assert_eq!(ask(format!("nonsense {n}")).await, 401);
    }
    assert_eq!(ask("2001:db8:1:2:ffff::1".into()).await, 429);
    assert_eq!(ask("[2001:db8:1:2::9]:4711".into()).await, 429);
    assert_eq!(ask("other nonsense".into()).await, 429);
    assert_eq!(ask("2001:db8:1:3::1".into()).await, 401);
    assert_eq!(forwarded(&server, Method::GET, "/api/me", &[]).await.status(), 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_proxies_that_are_trusted_are_believed() {
    let server = TestServer::start_with(|config| {
        config.api_rate = 3;
        config.trusted_proxies = "10.0.0.0/8, 192.0.2.1".parse().expect("a list");
    })
    .await;
    let ask = async |n: u32| {
        forwarded(&server, Method::GET, "/api/me", &[&format!("203.0.113.{n}")]).await.status()
    };
    for n in 0..3 {
        assert_eq!(ask(n).await, 401);
    }
    assert_eq!(ask(9).await, 429, "loopback is no proxy here: all are one address");
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_without_a_token_are_for_this_machine_and_for_nobody_behind_a_proxy() {
    let server = TestServer::start().await;
    let program = client();
    let ask = async |header: Option<(&str, &str)>| {
        let request = program.get(format!("http://{}/metrics", server.addr()));
        let request = match header {
            Some((name, value)) => request.header(name, value),
            None => request,
        };
        request.send().await.expect("it is answered").status()
    };
    assert_eq!(ask(None).await, 200);
    for header in [
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-for", "nonsense"),
        ("x-forwarded-for", ""),
        ("x-forwarded-for", "203.0.113.7, 127.0.0.1"),
        ("x-forwarded-proto", "https"),
        ("x-real-ip", "127.0.0.1"),
        ("forwarded", "for=127.0.0.1"),
        ("via", "1.1 proxy"),
    ] {
        assert_eq!(ask(Some(header)).await, 403, "{header:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn https_is_insisted_on_where_it_is_configured() {
    let plain = TestServer::start().await;
    let church = Church::open(&plain, "Grace Chapel").await;
    let set = |config: &mut Config| config.public_url = Some("https://office.example.org".into());
    let secure = TestServer::on_with(&plain.registry, set).await;
    let credentials = [("email", church.email.as_str()), ("password", PASSWORD)];
    for (server, is_https) in [(&secure, true), (&plain, false)] {
        let browser = server.browser();
        let session = browser.post("/signin", &credentials).await;
        let theme = browser.post("/theme", &[("theme", "dark")]).await;
        let flash = browser.post("/signout", &[]).await;
        for (page, name) in [(&session, "vestry="), (&theme, "theme="), (&flash, "flash=")] {
            let cookies: Vec<_> =
                page.headers.get_all("set-cookie").iter().filter_map(|c| c.to_str().ok()).collect();
            let name = if is_https && name == "vestry=" { "__Host-vestry=" } else { name };
            let cookie = cookies.iter().find(|cookie| cookie.starts_with(name));
            let cookie = cookie.unwrap_or_else(|| panic!("no {name} in {cookies:?}"));
            assert_eq!(cookie.contains("; Secure"), is_https, "{cookie}");
            assert!(cookie.contains("; HttpOnly") && cookie.contains("; Path=/"), "{cookie}");
            assert!(!cookie.contains("Domain"), "{cookie}");
        }
        let hsts = browser.get("/signin").await.headers.contains_key("strict-transport-security");
        assert_eq!(hsts, is_https);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_has_its_headers_and_only_what_is_public_is_kept() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let program = Program::log_in(&server, &church.email).await;
    let token = program.token.clone().expect("signed in");
    for path in [
        "/",
        "/members",
        "/settings/tokens",
        "/nothing",
        "/api/me",
        "/api/members",
        "/api/nothing",
        "/healthz",
        "/metrics",
        "/files/nothing",
        "/members/nothing/photo.jpg",
        "/api/openapi.json",
    ] {
        let page =
            church.browser.request(|client, base| client.get(format!("{base}{path}")).bearer_auth(&token));
        let page = page.await;
        assert_eq!(page.header("cache-control"), "no-store", "{path}");
        assert_eq!(page.header("cross-origin-opener-policy"), "same-origin", "{path}");
        assert_eq!(page.header("cross-origin-resource-policy"), "same-origin", "{path}");
        assert_eq!(page.header("x-content-type-options"), "nosniff", "{path}");
        assert!(page.header("permissions-policy").contains("geolocation=()"), "{path}");
        assert!(page.header("content-security-policy").starts_with("default-src 'none'"), "{path}");
    }
    let login = json!({ "email": church.email, "password": PASSWORD });
    let said = program.post("/api/auth/login", login).await.expect(200);
    assert_eq!(said.header("cache-control"), "no-store");
    let icon = church.browser.get("/favicon.svg").await;
    // It is there once the browser's part was built.
    assert!(icon.status == 404 || icon.header("cache-control").starts_with("public"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_cannot_be_taken_has_a_page_in_our_words() {
    let server = TestServer::start().await;
    let browser = server.browser();
    let send = async |method: Method, path: &str, kind: &str, body: Vec<u8>| {
        let request = browser.request(|client, base| {
            client.request(method, format!("{base}{path}")).header("content-type", kind).body(body)
        });
        request.await
    };
    let form = "application/x-www-form-urlencoded";
    for (page, expected, heading) in [
        (
            send(Method::POST, "/signin", "application/json", b"{}".into()).await,
            415,
            "We could not read what was sent",
        ),
        (
            send(Method::POST, "/theme", "text/plain", b"theme=dark".into()).await,
            415,
            "We could not read what was sent",
        ),
        (
            send(Method::POST, "/signin", form, b"email=\xff".into()).await,
            400,
            "We could not read what was sent",
        ),
        (send(Method::POST, "/signin", form, vec![b'a'; 300_000]).await, 413, "That is too large to send"),
        (send(Method::POST, "/theme", form, vec![b'a'; 300_000]).await, 413, "That is too large to send"),
        (send(Method::DELETE, "/members", form, Vec::new()).await, 405, "This page cannot do that"),
        (send(Method::POST, "/members", form, Vec::new()).await, 405, "This page cannot do that"),
        (send(Method::GET, "/theme", form, Vec::new()).await, 405, "This page cannot do that"),
    ] {
        assert_eq!(page.status, expected, "{}", page.words());
        assert!(page.header("content-type").starts_with("text/html"));
        assert_eq!(page.text("h1"), heading);
        assert_eq!(page.header("allow").is_empty(), expected != 405);
    }
    let cross =
        browser.request(|client, base| client.post(format!("{base}/signin")).header("origin", "null")).await;
    assert_eq!(cross.expect(403).text("h1"), "This form came from another website");

    // Cut off in the middle it is not too large, and nothing is made of it.
    let mut stream = connect(server.addr()).await;
    let head = "POST /signin HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n\
                Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nemail\r\nnonsense\r\n";
    stream.write_all(head.as_bytes()).await.expect("it is sent");
    assert_eq!(status(&rest(&mut stream).await), 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_tells_of_the_inside() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let program = Program::log_in(&server, &church.email).await;
    let mut answers = Vec::new();
    for (path, expected) in [
        ("/members/nonsense/photo.jpg", 404),
        ("/members/nonsense/photo-small.jpg", 404),
        ("/branches/nonsense/picture.jpg", 404),
        ("/members/nonsense", 404),
        ("/signup/nonsense", 404),
        ("/signup/nonsense/events", 404),
        ("/files/nonsense", 403),
        ("/files/nonsense?expires=soon&type=a", 403),
        ("/fonts/%2e%2e%2fsecret", 404),
    ] {
        answers.push(church.browser.get(path).await.expect(expected).html);
    }
    let put = church.browser.request(|client, base| client.put(format!("{base}/files/x?expires=soon")));
    answers.push(put.await.expect(403).html);
    for (path, field) in [
        ("/api/members?limit=many", "limit"),
        ("/api/members?limit=999", "limit"),
        ("/api/members?branchId=nonsense", "branchId"),
        ("/api/members?nonsense=1", "nonsense"),
    ] {
        let said = program.get(path).await.problem(422, "invalid");
        assert!(!said.why(field).is_empty(), "{}", said.body);
        answers.push(said.body.to_string());
    }
    for body in [
        json!({ "firstName": 1 }),
        json!({ "firstName": ["a"] }),
        json!({ "branchId": "nonsense" }),
        json!({ "branchId": {} }),
        json!({ "birthYear": "long ago" }),
        json!({ "nonsense": 1 }),
    ] {
        let said = program.post("/api/members", body).await.problem(422, "invalid");
        answers.push(said.body.to_string());
    }
    let said =
        program.post("/api/auth/login", json!({ "email": "a@example.org" })).await.problem(422, "invalid");
    assert_eq!(said.why("password"), "This field is required.");
    let operator = program.post("/api/auth/refresh", json!({})).await.problem(422, "invalid");
    assert_eq!(operator.why("refreshToken"), "This field is required.");
    let finish =
        |request: reqwest::RequestBuilder| request.header("content-type", "application/json").body("{\"a\"");
    answers.push(
        program.send(Method::POST, "/api/members", finish).await.problem(400, "malformed").body.to_string(),
    );
    for answer in answers {
        for inside in [
            "UUID",
            "deserialize",
            "Failed to",
            "parsing",
            "invalid type",
            "expected",
            "invalid digit",
            "Invalid",
            "EOF",
            "struct ",
            "axum",
            "serde",
        ] {
            assert!(!answer.contains(inside), "{inside} in {answer}");
        }
    }
}
