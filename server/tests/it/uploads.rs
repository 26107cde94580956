//! Uploads under pressure: many at a time, cut off, too many for the quota or the disk, of churches that are suspended or
//! gone.

use crate::{
    api::upload,
    files::{client, png},
    harness::{Browser, Church, Db, Page, Process, Program, Registry, TestServer},
};
use axum::body::Bytes;
use futures::future::join_all;
use reqwest::{Body, StatusCode, multipart};
use serde_json::{Value, json};
use server::storage::LocalUrlSigner;
use std::{
    collections::BTreeMap,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
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
    sync::oneshot,
};

/// Everything that a photo could leave behind in a church's tables.
const ROWS: &str = "select concat((select string_agg(m::text, ',' order by id) from members m),
                                  (select string_agg(b::text, ',' order by id) from branches b),
                                  (select string_agg(f::text, ',' order by id) from files f),
                                  (select count(*) from audit_log))";

async fn spec(program: &Program, size: usize) -> Value {
    let file = json!({ "name": "a.txt", "contentType": "text/plain", "size": size });
    program.post("/api/files", file).await.expect(201).body
}

fn at(promised: &Value) -> String {
    format!("/api/files/{}", promised["fileId"].as_str().expect("an id"))
}

async fn choose(browser: &Browser, page: &str, bytes: impl Into<Bytes>) -> Page {
    let bytes = bytes.into();
    let length = bytes.len() as u64;
    let part = multipart::Part::stream_with_length(Body::from(bytes), length).file_name("me.png");
    let form = multipart::Form::new().part("photo", part.mime_str("image/png").expect("a type"));
    browser.request(|client, base| client.post(format!("{base}{page}")).multipart(form)).await
}

async fn add_member(browser: &Browser) -> String {
    let page = browser.get("/members/new").await;
    let fields = [
        ("first_name", "Naomi"),
        ("last_name", "Achieng"),
        ("branch_id", &page.value("branch_id")),
        ("status_id", &page.attribute("#status_id option:nth-child(3)", "value").expect("a status")),
    ];
    browser.post("/members/new", &fields).await.location().to_owned()
}

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

/// The modes of all that lies in a folder.
fn modes(folder: &Path, found: &mut Vec<(PathBuf, bool, u32)>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let meta = std::fs::metadata(&path).expect("it is there");
        found.push((path.clone(), meta.is_dir(), meta.permissions().mode() & 0o777));
        if meta.is_dir() {
            modes(&path, found);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_readable_by_the_servers_user_only() {
    let registry = Registry::create().await;
    let folder = registry.data_dir().join("files");
    let old = folder.join("x/files");
    std::fs::create_dir_all(&old).expect("a folder");
    std::fs::write(old.join("old"), "readable by all").expect("a file");
    for (path, mode) in [(&old.join("old"), 0o644), (&old, 0o755), (&folder, 0o755)] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("its own");
    }
    let server = TestServer::on(&registry).await;
    let church = Church::open(&server, "Grace Chapel").await;
    let program = Program::log_in(&server, &church.email).await;
    let (checked, unchecked) = (spec(&program, 5).await, spec(&program, 5).await);
    for promised in [&checked, &unchecked] {
        assert_eq!(upload(promised, "hello").await, StatusCode::OK);
    }
    program.get(&at(&checked)).await.expect(200);
    let member = add_member(&church.browser).await;
    choose(&church.browser, &format!("{member}/photo"), png(60, 60)).await.location();
    let mut found = Vec::new();
    modes(&folder, &mut found);
    let files = found.iter().filter(|(_, is_folder, _)| !is_folder).count();
    assert_eq!(files, 5, "the old one, both uploads, the photo in two sizes: {found:?}");
    for (path, is_folder, mode) in found {
        assert_eq!(mode, if is_folder { 0o700 } else { 0o600 }, "{mode:o} {}", path.display());
    }
    assert_eq!(std::fs::metadata(&folder).expect("it is there").permissions().mode() & 0o777, 0o700);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_files_of_a_church_go_with_it() {
    let server = TestServer::start().await;
    let folder = server.registry.data_dir().join("files");
    let (gone, stays) =
        tokio::join!(Church::open(&server, "Grace Chapel"), Church::open(&server, "Hope Church"));
    for church in [&gone, &stays] {
        let program = Program::log_in(&server, &church.email).await;
        let promised = spec(&program, 5).await;
        assert_eq!(upload(&promised, "hello").await, StatusCode::OK);
        program.get(&at(&promised)).await.expect(200);
        upload(&spec(&program, 5).await, "hello").await;
        assert!(folder.join(&church.tenant_id).is_dir());
    }
    let mut db = server.db().await;
    let id = &gone.tenant_id;
    let abandoned = format!(
        "update provisioning_runs set status = 'failed', finished_at = now() - interval '8 days',
                lease = null, lease_until = null where tenant_id = '{id}';
         update tenants set status = 'failed' where id = '{id}'"
    );
    let tools = server.running.installation.provisioner(0);
    db.run(&abandoned).await;
    assert!(tools.undo_abandoned().await.unwrap_or_else(|_| panic!("it is looked at")));
    assert_eq!(
        db.one::<i64>("select count(*) from removed_tenants").await,
        0,
        "what has data is not dropped"
    );

    Db::open("postgres").await.run(&format!("drop database {} with (force)", gone.database)).await;
    db.run(&abandoned).await;
    assert!(tools.undo_abandoned().await.unwrap_or_else(|_| panic!("it is undone")));
    db.until(&format!("select deleted from removed_tenants where tenant_id = '{id}'")).await;
    assert!(!folder.join(id).exists());
    let mut left = Vec::new();
    modes(&folder.join(&stays.tenant_id), &mut left);
    assert_eq!(left.iter().filter(|(_, is_folder, _)| !is_folder).count(), 2, "the other's are there");

    // Once more later, for what was still on its way; then it is forgotten.
    std::fs::create_dir_all(folder.join(id).join("uploads")).expect("a late upload");
    db.run("update removed_tenants set due_at = now()").await;
    db.until("select not exists (select from removed_tenants)").await;
    assert!(!folder.join(id).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_church_that_is_there_again_keeps_its_files() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let program = Program::log_in(&server, &church.email).await;
    let promised = spec(&program, 5).await;
    assert_eq!(upload(&promised, "hello").await, StatusCode::OK);
    program.get(&at(&promised)).await.expect(200);
    let mut db = server.db().await;
    let other = "a23456789012345678901234";
    db.run(&format!("insert into removed_tenants (tenant_id) values ('{}'), ('{other}')", church.tenant_id))
        .await;
    db.until(&format!("select deleted from removed_tenants where tenant_id = '{other}'")).await;
    program.get(&at(&promised)).await.expect(200);
    let lies = format!("{0}/files/{1}", church.tenant_id, promised["fileId"].as_str().expect("an id"));
    assert!(server.registry.data_dir().join("files").join(lies).is_file());
}

#[tokio::test(flavor = "multi_thread")]
async fn checks_at_the_same_moment_lose_no_upload() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let program = Program::log_in(&server, &church.email).await;
    for _ in 0..10 {
        let promised = spec(&program, 5).await;
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
    let (there, promised) = (spec(&program, 5).await, spec(&program, 5).await);
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
    let promised = spec(&program, 5).await;
    let id = promised["fileId"].as_str().expect("an id");
    let expires: chrono::DateTime<chrono::Utc> =
        promised["expiresAt"].as_str().expect("text").parse().expect("a time");
    let left = (expires - chrono::Utc::now()).num_seconds();
    assert!((200..=300).contains(&left), "five minutes: {left} s");

    let doors = LocalUrlSigner::new(
        &server.running.installation.secret.file_key(),
        &format!("http://{}", server.addr()),
    );
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
    let promised = join_all((0..4).map(|_| spec(&mine, 5))).await;
    let (one, two) = (begin(&promised[0]).await, begin(&promised[1]).await);
    let member = add_member(&ours.browser).await;
    let page = format!("{member}/photo");
    let photo = choose(&ours.browser, &page, png(60, 60));
    let started = Instant::now();
    let (third, photo, theirs) = tokio::join!(upload(&promised[2], "hello"), photo, async {
        let promised = spec(&other, 5).await;
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
    let viewer = church.hire(&server, "viewer", "viewer@example.org", None).await;
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
    let viewer = church.hire(&server, "viewer", "viewer@example.org", None).await;
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

/// Uploads a picture; its id.
async fn promise_picture(program: &Program) -> Value {
    let bytes = png(60, 60);
    let file = json!({ "name": "me.png", "contentType": "image/png", "size": bytes.len() });
    let promised = program.post("/api/files", file).await.expect(201).body;
    assert_eq!(upload(&promised, bytes).await, StatusCode::OK);
    program.get(&at(&promised)).await.expect(200);
    promised["fileId"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_church_has_so_many_files_and_no_more() {
    let server = TestServer::start_with(|config| config.file_quota_count = 3).await;
    let church = Church::open(&server, "Grace Chapel").await;
    let program = Program::log_in(&server, &church.email).await;
    let file = json!({ "name": "a.txt", "contentType": "text/plain", "size": 5 });
    let said = join_all((0..12).map(|_| program.post("/api/files", file.clone()))).await;
    let (made, refused): (Vec<_>, Vec<_>) = said.into_iter().partition(|said| said.status == 201);
    assert_eq!((made.len(), refused.len()), (3, 9), "also of those that came at the same moment");
    refused.into_iter().for_each(|said| drop(said.problem(507, "quota-exceeded")));
    let mut db = church.db().await;
    assert_eq!(db.one::<i64>("select count(*) from files").await, 3);
    let page = format!("{}/photo", add_member(&church.browser).await);
    let full = choose(&church.browser, &page, png(60, 60)).await.expect(507);
    assert!(full.why("photo").contains("no room for more files"), "{}", full.words());
    let quota = program.get("/api/files").await.expect(200).body["quota"].clone();
    assert_eq!(quota, json!({ "files": 3, "maxFiles": 3, "bytes": 15, "maxBytes": 1_073_741_824 }));

    program.delete(made[0].header("location")).await.expect(204);
    choose(&church.browser, &page, png(60, 60)).await.location();
    program.post("/api/files", file).await.problem(507, "quota-exceeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_church_has_so_many_bytes_and_no_more() {
    let server = TestServer::start_with(|config| config.file_quota = bytesize::ByteSize::b(100)).await;
    let church = Church::open(&server, "Grace Chapel").await;
    let program = Program::log_in(&server, &church.email).await;
    let file = |size: i64| json!({ "name": "a.txt", "contentType": "text/plain", "size": size });
    program.post("/api/files", file(101)).await.problem(507, "quota-exceeded");
    let said = join_all((0..10).map(|_| program.post("/api/files", file(40)))).await;
    assert_eq!(said.iter().filter(|said| said.status == 201).count(), 2);
    program.post("/api/files", file(20)).await.expect(201);
    program.post("/api/files", file(1)).await.problem(507, "quota-exceeded");
    assert_eq!(church.db().await.one::<i64>("select sum(size)::bigint from files").await, 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_while_the_disk_is_nearly_full() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let page = format!("{}/photo", add_member(&church.browser).await);
    let program = Program::log_in(&server, &church.email).await;
    let (mut promised, picture) = (spec(&program, 5).await, promise_picture(&program).await);
    let full = TestServer::on_with(&server.registry, |config| {
        config.min_free_disk = bytesize::ByteSize::pib(100);
    })
    .await;
    let before: String = church.db().await.one(ROWS).await;
    let there = program.at(full.addr());
    let file = json!({ "name": "a.txt", "contentType": "text/plain", "size": 5 });
    let said = there.post("/api/files", file).await.problem(507, "storage-full");
    assert_ne!(said.header("retry-after"), "");
    let url = promised["uploadUrl"].as_str().expect("text");
    promised["uploadUrl"] = url.replace(&server.addr().to_string(), &full.addr().to_string()).into();
    assert_eq!(upload(&promised, "hello").await, StatusCode::INSUFFICIENT_STORAGE);
    there
        .patch(&format!("/api{}", page.trim_end_matches("/photo")), json!({ "photoFileId": picture }))
        .await
        .problem(507, "storage-full");
    let answer = choose(&church.browser.at(full.addr()), &page, png(60, 60)).await.expect(507);
    assert!(answer.why("photo").starts_with("We can't store photos right now."), "{}", answer.words());
    assert_eq!(church.db().await.one::<String>(ROWS).await, before);
    // What needs no room goes on.
    there.get("/api/files").await.expect(200);
    choose(&church.browser, &page, png(60, 60)).await.location();
}
