use crate::{
    files::client,
    harness::{Church, Program, TestServer},
};
use reqwest::{Body, Method, StatusCode};
use serde_json::{Value, json};

fn new_file(content_type: &str, size: i64) -> Value {
    json!({ "name": "minutes.txt", "contentType": content_type, "size": size })
}

/// Sends a file as the answer to its promise says.
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
    let promised = program.post("/api/files", new_file("image/png", 5)).await.expect(201);
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
    let promise = || {
        program.send(Method::POST, "/api/files", |request| {
            request.header("idempotency-key", "key-1").json(&new_file("text/plain", 5))
        })
    };
    let (first, again) = (promise().await.expect(201), promise().await.expect(201));
    assert_eq!(again.body, first.body);
    assert_eq!(church.db().await.one::<i64>("select count(*) from files").await, 1);
}
