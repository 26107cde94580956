//! Requests that cannot be answered: targets, methods, headers and forms that are not as they have to be.

use crate::harness::{
    TestServer,
    raw::{connect, rest, send, status},
};
use reqwest::Method;
use tokio::io::AsyncWriteExt;

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
