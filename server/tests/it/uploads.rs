//! Files that are sent to their address: checked once, while the address is good and their church is open, two at a time.

use crate::{
    api::upload,
    files::{client, png},
    harness::{
        Church, Program, TestServer,
        uploads::{ROWS, add_member, at, choose, promise},
    },
};
use futures::future::join_all;
use reqwest::{Body, StatusCode};
use serde_json::Value;
use server::storage::Doors;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

#[tokio::test(flavor = "multi_thread")]
async fn checks_at_the_same_moment_lose_no_upload() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let program = Program::log_in(&server, &church.email).await;
    for _ in 0..10 {
        let promised = promise(&program, 5).await;
        assert_eq!(upload(&promised, "hello").await, StatusCode::OK);
        let path = at(&promised);
        for said in join_all((0..8).map(|_| program.get(&path))).await {
            let said = said.expect(200);
            let fetched = client().get(said.text("downloadUrl")).send().await.expect("an answer");
            assert_eq!(fetched.text().await.expect("text"), "hello");
        }
    }
    let mut db = church.db().await;
    assert_eq!(db.one::<i64>("select count(*) from files where stored_at is not null").await, 10);
    assert_eq!(db.one::<i64>("select count(*) from audit_log where action = 'stored'").await, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_of_a_suspended_church_stop_at_once() {
    let first = TestServer::start().await;
    let second = TestServer::on(&first.registry).await;
    let church = Church::open(&first, "Grace Chapel").await;
    let program = Program::log_in(&first, &church.email).await;
    let (there, promised) = (promise(&program, 5).await, promise(&program, 5).await);
    assert_eq!(upload(&there, "hello").await, StatusCode::OK);
    let download = program.get(&at(&there)).await.expect(200).text("downloadUrl").to_owned();
    let member = add_member(&church.browser).await;
    choose(&church.browser, &format!("{member}/photo"), png(60, 60)).await.location();
    let before: String = church.db().await.one(ROWS).await;

    let id = church.tenant_id.parse().expect("an id");
    registry::tenants::suspend(&first.running.installation.registry, &id).await.expect("suspended");
    for server in [&first, &second] {
        let browser = church.browser.at(server.addr());
        crate::faults::answers(&browser, "/members", 403).await;
        let here = |url: &str| url.replace(&first.addr().to_string(), &server.addr().to_string());
        let fetched = client().get(here(&download)).send().await.expect("an answer");
        assert_eq!(fetched.status(), StatusCode::FORBIDDEN);
        assert!(!fetched.text().await.expect("text").contains("hello"));
        let mut elsewhere = promised.clone();
        elsewhere["uploadUrl"] = here(promised["uploadUrl"].as_str().expect("text")).into();
        assert_eq!(upload(&elsewhere, "hello").await, StatusCode::FORBIDDEN);
        for picture in ["photo.jpg", "photo-small.jpg"] {
            let page = browser.get(&format!("{member}/{picture}")).await.expect(403);
            assert_eq!(page.text("h1"), browser.get("/members").await.text("h1"));
        }
        choose(&browser, &format!("{member}/photo"), png(60, 60)).await.expect(403);
    }
    assert_eq!(church.db().await.one::<String>(ROWS).await, before);
    registry::tenants::resume(&first.running.installation.registry, &id).await.expect("active");
    crate::faults::answers(&church.browser, "/members", 200).await;
    assert_eq!(upload(&promised, "hello").await, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_ends_when_it_says() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let program = Program::log_in(&server, &church.email).await;
    let promised = promise(&program, 5).await;
    let id = promised["fileId"].as_str().expect("an id");
    let expires: chrono::DateTime<chrono::Utc> =
        promised["expiresAt"].as_str().expect("text").parse().expect("a time");
    let left = (expires - chrono::Utc::now()).num_seconds();
    assert!((200..=300).contains(&left), "five minutes: {left} s");

    let doors =
        Doors::new(&server.running.installation.secret.file_key(), &format!("http://{}", server.addr()));
    let in_seconds = |seconds| chrono::Utc::now() + chrono::TimeDelta::seconds(seconds);
    let (up, down) =
        (format!("{}/uploads/{id}", church.tenant_id), format!("{}/files/{id}", church.tenant_id));
    let send = |until| {
        let mut promised = promised.clone();
        promised["uploadUrl"] = doors.upload_url(&up, "text/plain", 5, until).into();
        async move { upload(&promised, "hello").await }
    };
    for ago in [-1, -3600] {
        assert_eq!(send(in_seconds(ago)).await, StatusCode::GONE);
    }
    program.get(&at(&promised)).await.problem(409, "not-uploaded");
    assert_eq!(send(in_seconds(60)).await, StatusCode::OK, "as we sign it, it would be good");
    program.get(&at(&promised)).await.expect(200);
    assert_eq!(send(in_seconds(60)).await, StatusCode::CONFLICT, "a file is uploaded once");
    let fetch = |until| client().get(doors.download_url(&down, "a.txt", "text/plain", until)).send();
    assert_eq!(fetch(in_seconds(-1)).await.expect("an answer").status(), StatusCode::GONE);
    assert_eq!(fetch(in_seconds(60)).await.expect("an answer").status(), StatusCode::OK);
}

/// An upload that has begun, and ends when it is told to.
async fn begin(promised: &Value) -> (oneshot::Sender<()>, tokio::task::JoinHandle<StatusCode>) {
    let (go_on, told) = oneshot::channel::<()>();
    let (begun, has_begun) = oneshot::channel::<()>();
    let mut begun = Some(begun);
    let first = futures::stream::once(async { Ok::<_, std::io::Error>("he") });
    let rest = futures::stream::once(async move {
        begun.take().expect("once").send(()).expect("somebody waits");
        let _ = told.await;
        Ok("llo")
    });
    let body = Body::wrap_stream(futures::StreamExt::chain(first, rest));
    let promised = promised.clone();
    let sending = tokio::spawn(async move { upload(&promised, body).await });
    has_begun.await.expect("it begins");
    (go_on, sending)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_church_uploads_two_files_at_a_time() {
    let server = TestServer::start().await;
    let (ours, theirs) =
        tokio::join!(Church::open(&server, "Grace Chapel"), Church::open(&server, "Hope Church"));
    let (mine, other) =
        tokio::join!(Program::log_in(&server, &ours.email), Program::log_in(&server, &theirs.email));
    let promised = join_all((0..4).map(|_| promise(&mine, 5))).await;
    let (one, two) = (begin(&promised[0]).await, begin(&promised[1]).await);
    let member = add_member(&ours.browser).await;
    let page = format!("{member}/photo");
    let photo = choose(&ours.browser, &page, png(60, 60));
    let started = Instant::now();
    let (third, photo, theirs) = tokio::join!(upload(&promised[2], "hello"), photo, async {
        let promised = promise(&other, 5).await;
        (upload(&promised, "hello").await, started.elapsed())
    });
    assert_eq!(third, StatusCode::TOO_MANY_REQUESTS);
    let photo = photo.expect(429);
    assert_eq!((photo.text("h1").as_str(), photo.header("retry-after")), ("Too many photos at once", "5"));
    assert_eq!(theirs.0, StatusCode::OK);
    assert!(theirs.1 < Duration::from_secs(4), "another church does not wait: {:?}", theirs.1);

    // Whoever waits gets the place of one that ends.
    let next = tokio::spawn({
        let promised = promised[3].clone();
        async move { upload(&promised, "hello").await }
    });
    one.0.send(()).expect("it waits");
    assert_eq!(one.1.await.expect("it ends"), StatusCode::OK);
    assert_eq!(next.await.expect("it ends"), StatusCode::OK);
    two.0.send(()).expect("it waits");
    assert_eq!(two.1.await.expect("it ends"), StatusCode::OK);
    assert_eq!(
        ours.db().await.one::<i64>("select count(*) from members where photo_id is not null").await,
        0
    );
}
