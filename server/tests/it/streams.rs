//! Event streams: how many there may be, and for how long.

use crate::harness::{TestServer, client, sign_up};
use reqwest::StatusCode;
use std::time::{Duration, Instant};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);

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
    let api = one.replace("/opening/", "/api/provisioning/");
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
