//! Forms that send a photo: many at a time, cut off, refused.

use crate::{
    files::png,
    harness::{
        Browser, Church, Process, Program, TestServer,
        uploads::{ROWS, add_member, choose, promise_picture},
    },
};
use axum::body::Bytes;
use futures::future::join_all;
use reqwest::StatusCode;
use serde_json::json;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::Command,
};

/// A picture of about 10 MB: noise cannot be compressed.
fn noise(side: u32) -> Bytes {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let picture = image::RgbImage::from_fn(side, side, |_, _| image::Rgb([next(), next(), next()]));
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, image::ImageFormat::Png).expect("it can be written");
    bytes.into_inner().into()
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_of_one_church_do_not_delay_those_of_another() {
    let server = TestServer::start().await;
    let (ours, theirs) =
        tokio::join!(Church::open(&server, "Grace Chapel"), Church::open(&server, "Hope Church"));
    let (many, one) = tokio::join!(add_member(&ours.browser), add_member(&theirs.browser));
    let (slow, done) = (noise(1200), Arc::new(AtomicUsize::new(0)));
    let sending: Vec<_> = (0..20)
        .map(|_| {
            let (browser, page, slow) = (ours.browser.clone(), format!("{many}/photo"), slow.clone());
            let done = done.clone();
            tokio::spawn(async move {
                let answer = choose(&browser, &page, slow).await;
                if answer.status == StatusCode::SEE_OTHER {
                    done.fetch_add(1, Ordering::SeqCst);
                }
                answer
            })
        })
        .collect();
    while done.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let before = done.load(Ordering::SeqCst);
    let started = Instant::now();
    choose(&theirs.browser, &format!("{one}/photo"), png(60, 60)).await.location();
    let (took, meanwhile) = (started.elapsed(), done.load(Ordering::SeqCst) - before);
    println!("the other church's picture took {took:?}; {meanwhile} of the many were done meanwhile");
    assert!(meanwhile <= 2, "{meanwhile} of another church's were done before it");
    let mut answered = BTreeMap::new();
    for answer in join_all(sending).await {
        let answer = answer.expect("it ends");
        *answered.entry(answer.status.as_u16()).or_insert(0) += 1;
        assert!(!answer.words().contains("database"), "{}", answer.words());
    }
    println!("the many were answered {answered:?}");
    assert!(answered.keys().all(|status| matches!(status, 303 | 429)), "{answered:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_and_fifty_photos_at_once_are_answered_in_little_memory() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let page = format!("{}/photo", add_member(&church.browser).await);
    let process = Process::start(&server.registry).await;
    let pid = process.pid().to_string();
    let capped = Command::new("prlimit").args(["--as=2147483648", "--pid", &pid]).status().await;
    assert!(capped.expect("prlimit").success());
    let (browser, picture) = (church.browser.at(process.addr), noise(1850));
    assert!(picture.len() > 10_000_000, "{}", picture.len());
    let mut answered = BTreeMap::new();
    for answer in join_all((0..150).map(|_| choose(&browser, &page, picture.clone()))).await {
        *answered.entry(answer.status.as_u16()).or_insert(0) += 1;
        assert!(answer.status != StatusCode::TOO_MANY_REQUESTS || answer.header("retry-after") == "5");
    }
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().expect("a number");
    println!("150 photos of 10 MB: answered {answered:?}, peak {} MB", peak / 1024);
    assert!(answered.keys().all(|status| matches!(status, 303 | 429)), "{answered:?}");
    assert!(answered.get(&303).is_some_and(|saved| *saved >= 2), "{answered:?}");
    assert!(peak < 300 * 1024, "{peak} kB");
    browser.get("/members").await.expect(200);
}

/// Sends a request by hand, ends the connection for writing, and reads the answer.
async fn send_cut(server: &TestServer, browser: &Browser, head: &str, body: &str) -> String {
    let mut connection = TcpStream::connect(server.addr()).await.expect("it listens");
    let request = format!(
        "POST {head}\r\nHost: {}\r\nCookie: {}\r\nConnection: close\r\n\r\n{body}",
        server.addr(),
        browser.cookies()
    );
    connection.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), connection.read_to_end(&mut answer));
    read.await.expect("it is answered").expect("read");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_is_cut_off_is_not_called_too_large() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let member = add_member(&church.browser).await;
    let before: String = church.db().await.one(ROWS).await;
    // A chunk that has no length ends the body early, and the connection can still carry the answer.
    let broken = "5\r\nhello\r\nnonsense\r\n";
    let plain = "HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Type: application/x-www-form-urlencoded";
    let multipart = "HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Type: multipart/form-data; boundary=x";
    for (head, status) in [
        (format!("/members/new {plain}"), "HTTP/1.1 400"),
        (format!("{member}/photo {multipart}"), "HTTP/1.1 422"),
    ] {
        let answer = send_cut(&server, &church.browser, &head, broken).await;
        assert!(answer.starts_with(status), "{head}: {answer}");
    }
    let cut = "--x\r\nContent-Disposition: form-data; name=\"photo\"; filename=\"me.png\"\r\n\r\n\u{1}PNG";
    let head = format!(
        "{member}/photo HTTP/1.1\r\nContent-Length: {}\r\nContent-Type: multipart/form-data; boundary=x",
        cut.len()
    );
    let answer = send_cut(&server, &church.browser, &head, cut).await;
    assert!(answer.starts_with("HTTP/1.1 422") && answer.contains("did not arrive completely"), "{answer}");
    let program = Program::log_in(&server, &church.email).await;
    let token = program.token.as_deref().expect("signed in");
    let head = format!(
        "/api/members HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\nAuthorization: Bearer {token}"
    );
    for key in ["", "\r\nIdempotency-Key: cut"] {
        let answer = send_cut(&server, &church.browser, &format!("{head}{key}"), broken).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    }
    assert_eq!(church.db().await.one::<String>(ROWS).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_photo_is_read_to_its_end() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let page = format!("{}/photo", add_member(&church.browser).await);
    let large = Bytes::from(vec![7; 9 * 1024 * 1024]);
    let viewer = church.hire(&server, "member", "viewer@example.org", None).await;
    choose(&viewer, &page, large.clone()).await.expect(403);
    let stranger = server.browser();
    choose(&stranger, &page, large.clone()).await.expect(303);
    choose(&church.browser, "/members/nonsense/photo", large).await.expect(404);
    let answer = choose(&church.browser, &page, vec![7; 15 * 1024 * 1024]).await.expect(422);
    assert!(answer.why("photo").starts_with("The picture has more than 10 MB."), "{}", answer.words());
}

#[tokio::test(flavor = "multi_thread")]
async fn photos_outside_of_ones_branches_stay_as_they_are() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let owner = Program::log_in(&server, &church.email).await;
    let (with, without) = (add_member(&church.browser).await, add_member(&church.browser).await);
    owner.post("/api/branches", json!({ "name": "Westlands" })).await.expect(201);
    choose(&church.browser, &format!("{with}/photo"), png(60, 60)).await.location();
    let main: uuid::Uuid = church.db().await.one("select id from branches where name = 'Main church'").await;
    let west: uuid::Uuid = church.db().await.one("select id from branches where name = 'Westlands'").await;
    choose(&church.browser, &format!("/branches/{main}/picture"), png(60, 60)).await.location();

    let helper = church.hire(&server, "admin", "helper@example.org", Some("Westlands")).await;
    let viewer = church.hire(&server, "member", "viewer@example.org", None).await;
    let (helping, viewing) = tokio::join!(
        Program::log_in(&server, "helper@example.org"),
        Program::log_in(&server, "viewer@example.org")
    );
    let promised = promise_picture(&helping).await;
    let before: String = church.db().await.one(ROWS).await;
    let mut registry = server.db().await;
    let noted: i64 = registry.one("select count(*) from uploads").await;
    for page in [
        format!("{with}/photo"),
        format!("{without}/photo"),
        format!("/branches/{main}/picture"),
        format!("/branches/{west}/picture"),
    ] {
        let refused = if page.starts_with("/members") { 404 } else { 403 };
        for (browser, status) in [(&helper, refused), (&viewer, 403)] {
            for answer in
                [choose(browser, &page, png(60, 60)).await, browser.post(&page, &[("remove", "1")]).await]
            {
                answer.expect(status);
            }
        }
    }
    for (path, field) in [
        (format!("/api{with}"), "photoFileId"),
        (format!("/api{without}"), "photoFileId"),
        (format!("/api/branches/{main}"), "pictureFileId"),
        (format!("/api/branches/{west}"), "pictureFileId"),
    ] {
        for change in [json!({ field: promised }), json!({ field: null })] {
            for program in [&helping, &viewing] {
                let said = program.patch(&path, change.clone()).await;
                assert!(matches!(said.status.as_u16(), 403 | 404), "{path}: {}", said.body);
            }
        }
    }
    assert_eq!(church.db().await.one::<String>(ROWS).await, before);
    assert_eq!(registry.one::<i64>("select count(*) from uploads").await, noted, "nothing was stored either");
}
