use super::add_member;
use crate::{
    files::{client, png},
    harness::{Church, Program, Said, TestServer},
};
use reqwest::{Body, Method, StatusCode};
use serde_json::{Value, json};

fn new_file(content_type: &str, size: i64) -> Value {
    json!({ "name": "minutes.txt", "contentType": content_type, "size": size })
}

/// Sends a file as the answer to its spec says.
pub async fn upload(promised: &Value, bytes: impl Into<Body>) -> StatusCode {
    let text = |field: &str| promised[field].as_str().expect("text");
    let method: Method = text("method").parse().expect("a method");
    let mut request = client().request(method, text("uploadUrl")).body(bytes);
    for (name, value) in promised["headers"].as_object().expect("headers") {
        request = request.header(name, value.as_str().expect("text"));
    }
    request.send().await.expect("an answer").status()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_promised_sent_and_fetched() {
    let server = TestServer::start().await;
    let (ours, theirs) =
        tokio::join!(Church::open(&server, "Grace Chapel"), Church::open(&server, "Hope Church"));
    let program = Program::log_in(&server, &ours.email).await;
    let promised = program.post("/api/files", new_file("text/plain", 5)).await.expect(201);
    let at = promised.header("location");
    assert_eq!(at, format!("/api/files/{}", promised.text("fileId")));
    program.get(at).await.problem(409, "not-uploaded");
    assert_eq!(upload(&promised.body, "hello").await, StatusCode::OK);
    let found = program.get(at).await.expect(200);
    let fetched = client().get(found.text("downloadUrl")).send().await.expect("an answer");
    assert_eq!(fetched.text().await.expect("text"), "hello");

    let stranger = Program::log_in(&server, &theirs.email).await;
    stranger.get(at).await.problem(404, "not-found");
    // Whoever cares for some branches only has nothing to do with what others sent.
    ours.hire(&server, "admin", "helper@example.org", Some("Main church")).await;
    let helper = Program::log_in(&server, "helper@example.org").await;
    helper.get(at).await.problem(404, "not-found");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_taken_is_said_at_its_field() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let program = Program::log_in(&server, &church.email).await;
    for (new, field) in [
        (json!({}), "name"),
        (new_file("text/html", 5), "contentType"),
        (new_file("text/plain", 0), "size"),
        (new_file("text/plain", 20 * 1024 * 1024 + 1), "size"),
        (json!({ "name": "a", "contentType": "text/plain", "size": "5" }), "size"),
    ] {
        let said = program.post("/api/files", new).await.problem(422, "invalid");
        assert_ne!(said.why(field), "", "{}", said.body);
    }
    let no_picture = json!({ "name": "me.png", "contentType": "image/png", "size": 5 });
    let promised = program.post("/api/files", no_picture).await.expect(201);
    assert_eq!(upload(&promised.body, "hello").await, StatusCode::OK);
    let said = program.get(promised.header("location")).await.problem(422, "invalid");
    assert_eq!(said.why("contentType"), "What came is no image/png. Upload it anew.");
    program.get(promised.header("location")).await.problem(404, "not-found");
    assert_eq!(church.db().await.one::<i64>("select count(*) from files").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_promise_again_is_the_same_file() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let program = Program::log_in(&server, &church.email).await;
    let spec = || {
        program.send(Method::POST, "/api/files", |request| {
            request.header("idempotency-key", "key-1").json(&new_file("text/plain", 5))
        })
    };
    let first = spec().await.expect(201);
    let again = spec().await.expect(201);
    assert_eq!(again.body["fileId"], first.body["fileId"]);
    assert_eq!(again.header("location"), first.header("location"));
    let end = |said: &Said| said.text("expiresAt").parse::<chrono::DateTime<chrono::Utc>>().expect("a time");
    assert!(end(&again) > end(&first), "an address of now, not the one of before");
    assert_eq!(church.db().await.one::<i64>("select count(*) from files").await, 1);
    let other = |request: reqwest::RequestBuilder| {
        request.header("idempotency-key", "key-1").json(&new_file("text/plain", 6))
    };
    program.send(Method::POST, "/api/files", other).await.problem(422, "key-reused");
    assert_eq!(upload(&again.body, "hello").await, StatusCode::OK);
    program.get(first.header("location")).await.expect(200);
    // Also after it has come.
    assert_eq!(spec().await.expect(201).body["fileId"], first.body["fileId"]);
    assert_eq!(church.db().await.one::<i64>("select count(*) from files").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_ends_as_its_type_does() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let program = Program::log_in(&server, &church.email).await;
    let new = |name: &str| json!({ "name": name, "contentType": "text/plain", "size": 5 });
    for name in ["a.exe", "a.txt.html", "a.exe.", "a.E\u{200b}XE", "\u{202e}txt.exe", "a.pdf"] {
        let said = program.post("/api/files", new(name)).await.problem(422, "invalid");
        assert!(said.why("name").starts_with("The name of a file of type text/plain ends in .txt"), "{name}");
    }
    assert_eq!(church.db().await.one::<i64>("select count(*) from files").await, 0);
    for (name, kept) in [("a.TXT", "a.TXT"), ("Minutes", "Minutes.txt"), ("No. 3, May", "No. 3, May.txt")] {
        program.post("/api/files", new(name)).await.expect(201);
        let newest = "select name from files order by id desc limit 1";
        assert_eq!(church.db().await.one::<String>(newest).await, kept);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_listed_and_removed() {
    let server = TestServer::start().await;
    let (ours, theirs) =
        tokio::join!(Church::open(&server, "Grace Chapel"), Church::open(&server, "Hope Church"));
    let (program, stranger) =
        tokio::join!(Program::log_in(&server, &ours.email), Program::log_in(&server, &theirs.email));
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(program.post("/api/files", new_file("text/plain", 5)).await.expect(201).body);
    }
    assert_eq!(upload(&ids[4], "hello").await, StatusCode::OK);
    let first = program.get(&format!("/api/files/{}", ids[4]["fileId"].as_str().expect("an id"))).await;
    let download = first.expect(200).text("downloadUrl").to_owned();

    let (mut listed, mut cursor) = (Vec::new(), String::new());
    loop {
        let part = program.get(&format!("/api/files?limit=2{cursor}")).await.expect(200).body;
        let items = part["items"].as_array().expect("items");
        assert!(items.len() <= 2);
        listed.extend(items.clone());
        match part["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let found: Vec<_> = listed.iter().map(|file| &file["fileId"]).collect();
    assert_eq!(found, ids.iter().rev().map(|file| &file["fileId"]).collect::<Vec<_>>(), "newest first");
    assert_eq!((&listed[0]["name"], &listed[0]["size"]), (&json!("minutes.txt"), &json!(5)));
    assert!(listed[0]["storedAt"].is_string() && listed[1]["storedAt"].is_null());
    assert!(listed[0]["expiresAt"].is_string() && listed[0]["isPicture"] == json!(false));
    program.get("/api/files?cursor=nonsense").await.problem(422, "invalid");

    let rows = "select string_agg(f::text, ',' order by id) || (select count(*) from audit_log) from files f";
    let before: String = ours.db().await.one(rows).await;
    let at = format!("/api/files/{}", ids[4]["fileId"].as_str().expect("an id"));
    assert_eq!(stranger.get("/api/files").await.expect(200).body["items"], json!([]));
    stranger.delete(&at).await.problem(404, "not-found");
    ours.hire(&server, "admin", "helper@example.org", Some("Main church")).await;
    ours.hire(&server, "viewer", "viewer@example.org", None).await;
    let helper = Program::log_in(&server, "helper@example.org").await;
    let viewer = Program::log_in(&server, "viewer@example.org").await;
    assert_eq!(helper.get("/api/files").await.expect(200).body["items"], json!([]), "only what it uploaded");
    helper.delete(&at).await.problem(404, "not-found");
    viewer.delete(&at).await.problem(403, "forbidden");
    assert_eq!(ours.db().await.one::<String>(rows).await, before);
    let own = helper.post("/api/files", new_file("text/plain", 5)).await.expect(201);
    assert_eq!(helper.get("/api/files").await.body["items"][0]["fileId"], own.body["fileId"]);
    helper.delete(own.header("location")).await.expect(204);

    program.delete(&at).await.expect(204);
    program.delete(&at).await.problem(404, "not-found");
    program.get(&at).await.problem(404, "not-found");
    let fetched = client().get(download).send().await.expect("an answer");
    assert_eq!(fetched.status(), StatusCode::NOT_FOUND, "its address has ended with it");
    let lies = server.registry.data_dir().join("files").join(&ours.tenant_id).join("files");
    let lies = lies.join(ids[4]["fileId"].as_str().expect("an id"));
    assert!(!lies.exists(), "{}", lies.display());
    assert_eq!(ours.db().await.one::<i64>("select count(*) from files").await, 4);

    // What is a picture is removed where it is shown.
    let (member, _) = add_member(&program, "Naomi").await;
    let bytes = png(60, 60);
    let promised = json!({ "name": "me.png", "contentType": "image/png", "size": bytes.len() });
    let promised = program.post("/api/files", promised).await.expect(201);
    assert_eq!(upload(&promised.body, bytes).await, StatusCode::OK);
    program.patch(&member, json!({ "photoFileId": promised.body["fileId"] })).await.expect(200);
    program.delete(promised.header("location")).await.problem(409, "in-use");
    let newest = program.get("/api/files?limit=1").await.expect(200).body["items"][0].clone();
    assert_eq!((&newest["isPicture"], &newest["expiresAt"]), (&json!(true), &Value::Null));
}
