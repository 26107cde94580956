//! Everything that goes wrong is told the same way.

use super::new_member;
use crate::harness::{Church, Program, TestServer};
use reqwest::Method;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn whatever_goes_wrong_is_a_problem_and_tells_nothing_of_the_inside() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let program = Program::log_in(&server, &church.email).await;
    program.get("/api/nothing").await.problem(404, "not-found");
    program.get("/api/members/nonsense").await.problem(404, "not-found");
    program.get("/api/members/019ab0c6-4a76-7c1c-9a51-2f1f4f4a6c55").await.problem(404, "not-found");
    let said = program.send(Method::PUT, "/api/members", |request| request).await;
    let said = said.problem(405, "method-not-allowed");
    assert!(said.header("allow").contains("POST"), "{}", said.header("allow"));

    let post = async |kind: &str, body: String| {
        let kind = kind.to_owned();
        program
            .send(Method::POST, "/api/members", |request| request.header("content-type", kind).body(body))
            .await
    };
    post("text/plain", "{}".into()).await.problem(415, "unsupported-media-type");
    post("application/json", "{".into()).await.problem(400, "malformed");
    post("application/json", "[]".into()).await.problem(400, "malformed");
    post("application/json", "\u{0}".into()).await.problem(400, "malformed");
    let large = json!({ "notes": "x".repeat(300_000) }).to_string();
    post("application/json", large).await.problem(413, "too-large");
    let mut wrong = new_member(&program, "Naomi").await;
    wrong["birthYear"] = json!("long ago");
    let said = program.post("/api/members", wrong).await.problem(422, "invalid");
    assert!(said.why("birthYear").starts_with("Must be a whole number"));
    let said = program.post("/api/members", json!({ "frstName": "Naomi" })).await.problem(422, "invalid");
    assert!(said.body.to_string().contains("frstName"));
    let said = program.post("/api/members", json!({})).await.problem(422, "invalid");
    for field in ["firstName", "lastName", "branchId", "statusId"] {
        assert!(!said.why(field).is_empty(), "{}", said.body);
    }
    for said in [
        program.post("/api/members", json!({ "firstName": "\u{0}" })).await,
        program.get("/api/members?search=%00").await,
        program.get("/api/members?search=%ff").await,
        program.post("/api/auth/login", json!({ "email": "a\u{0}@example.org", "password": "x" })).await,
        program.post("/api/auth/refresh", json!({ "refreshToken": "\u{0}" })).await,
    ] {
        assert!(said.status.as_u16() < 500, "{}", said.body);
        let text = said.body.to_string().to_lowercase();
        for inside in ["sqlx", "postgres", "select ", "server/src", "panicked"] {
            assert!(!text.contains(inside), "{text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_out_of_reach_is_503_with_the_time_to_come_again() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let program = Program::log_in(&server, &church.email).await;
    program.get("/api/health").await.expect(200);
    let mut db = server.db().await;
    db.run(&format!("alter database {} allow_connections false", church.database)).await;
    db.run(&format!(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = '{}'",
        church.database
    ))
    .await;
    let said = program.get("/api/members").await.problem(503, "unavailable");
    assert!(said.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds >= 1));
    db.run(&format!("alter database {} allow_connections true", church.database)).await;
    program.get("/api/members").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_too_often_is_told_when_to_come_again() {
    let server = TestServer::start_with(|config| config.api_rate = 20).await;
    let church = Church::open(&server, "Grace Chapel").await;
    let program = Program::log_in(&server, &church.email).await;
    let said = program.get("/api/me").await.expect(200);
    assert_eq!(said.header("ratelimit-policy"), "\"account\";q=20;w=60");
    assert!(said.header("ratelimit").starts_with("\"account\";r=19;t="), "{}", said.header("ratelimit"));
    let mut last = said;
    for _ in 0..20 {
        last = program.get("/api/me").await;
    }
    let last = last.problem(429, "too-many-requests");
    assert!(last.header("ratelimit").contains(";r=0;"));
    assert!(last.header("retry-after").parse::<u64>().is_ok_and(|seconds| (1..=4).contains(&seconds)));
    // Somebody else of another church, from another address, is not held up.
    let other = Church::open(&server, "Hope Church").await;
    Program::log_in(&server, &other.email).await.get("/api/me").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documentation_is_there_without_any_other_host() {
    let server = TestServer::start().await;
    let program = Program::new(server.addr());
    let document = program.get("/api/openapi.json").await.expect(200).body;
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")));
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            let responses = operation["responses"].as_object().expect("responses");
            let error = &responses["default"]["content"]["application/problem+json"]["schema"]["$ref"];
            assert_eq!(error, "#/components/schemas/Problem", "{method} {path}");
            assert!(
                operation["summary"].is_string() && operation["operationId"].is_string(),
                "{method} {path}"
            );
        }
    }
    let page = program.get("/api/docs/").await.expect(200);
    assert!(page.header("content-security-policy").starts_with("default-src 'none'"));
    let html = page.body.as_str().expect("HTML").to_owned();
    for address in html.split(['"', '\'']).filter(|text| text.ends_with(".js") || text.ends_with(".css")) {
        assert!(!address.contains("//"), "{address} is of another host");
        program.get(&format!("/api/docs/{}", address.trim_start_matches("./"))).await.expect(200);
    }
}
