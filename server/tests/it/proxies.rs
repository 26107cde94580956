//! The address of a client, as proxies tell it, and what is limited or allowed by it.

use crate::harness::{TestServer, client};
use reqwest::{Method, StatusCode};

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
