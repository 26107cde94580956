use crate::harness::{Church, PASSWORD, Program, Said, TestServer};
use futures::StreamExt;
use reqwest::Method;
use serde_json::{Value, json};

fn registration(church: &str, email: &str) -> Value {
    json!({ "churchName": church, "firstName": "Ruth", "lastName": "Okafor", "email": email, "password": PASSWORD })
}

/// Waits until a run is over; the last thing that its events told.
async fn watch(server: &TestServer, opening: &Said) -> Value {
    let events = server.browser().stream(opening.text("eventsUrl")).await;
    assert_eq!(events.headers()["content-type"], "text/event-stream");
    let mut events = events.bytes_stream();
    let mut text = String::new();
    while let Some(Ok(bytes)) = events.next().await {
        text += std::str::from_utf8(&bytes).expect("events are text");
    }
    let last = text.lines().rev().find_map(|line| line.strip_prefix("data: ")).expect("something was told");
    serde_json::from_str(last).expect("progress is JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_church_signs_up_is_watched_and_signs_in() {
    let server = TestServer::start().await;
    let program = Program::new(server.addr());
    let new = registration("Grace Chapel", "ruth@example.org");
    let said = program.post("/api/auth/register", new.clone()).await.expect(202);
    assert_eq!((said.text("status"), said.header("location")), ("queued", said.text("statusUrl")));
    let last = watch(&server, &said).await;
    assert_eq!(last["status"], "succeeded", "{last}");
    let now = program.get(said.text("statusUrl")).await.expect(200);
    assert_eq!(now.body, last);
    assert_eq!(now.text("tenantId"), said.text("tenantId"));
    assert!(!now.text("reference").is_empty());
    let steps: Vec<_> =
        now.body["steps"].as_array().expect("steps").iter().map(|step| &step["name"]).collect();
    assert_eq!(steps, ["place", "database", "schema", "office", "open"]);
    let program = Program::log_in(&server, "ruth@example.org").await;
    let health = program.get("/api/health").await.expect(200);
    assert_eq!((health.text("status"), health.text("isolation")), ("ok", "database"));
    assert!(health.body["latencyMs"].as_f64().is_some_and(|ms| ms > 0.0));
    assert_eq!(health.body["schemaVersion"], tenant::schema::version());
    program.get("/api/provisioning/019ab0c6-4a76-7c1c-9a51-2f1f4f4a6c55").await.problem(404, "not-found");

    let wrong =
        json!({ "churchName": " ", "firstName": "", "lastName": " ", "email": "ruth", "password": "short" });
    let said = program.post("/api/auth/register", wrong).await.problem(422, "invalid");
    for field in ["churchName", "firstName", "email", "password"] {
        assert!(!said.why(field).is_empty(), "{field}: {}", said.body);
    }
    let mut nowhere = new;
    nowhere["region"] = json!("atlantis");
    nowhere["country"] = json!("XX");
    let said = program.post("/api/auth/register", nowhere).await.problem(422, "invalid");
    assert!(!said.why("region").is_empty() && !said.why("country").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signup_repeated_under_its_key_makes_one_church() {
    let server = TestServer::start().await;
    let program = Program::new(server.addr());
    let new = registration("Grace Chapel", "ruth@example.org");
    let under = async |key: &str, body: &Value| {
        let finish = |request: reqwest::RequestBuilder| request.header("idempotency-key", key).json(body);
        program.send(Method::POST, "/api/auth/register", finish).await
    };
    let first = under("a", &new).await.expect(202);
    assert_eq!(under("a", &new).await.expect(202).body, first.body);
    // Another request under it is refused, whatever is different.
    for (field, value) in [
        ("password", "another good password"),
        ("churchName", "Grace Church"),
        ("lastName", "Mallory"),
        ("timezone", "Africa/Lagos"),
    ] {
        let mut other = new.clone();
        other[field] = json!(value);
        under("a", &other).await.problem(422, "key-reused");
    }
    let keys = "select count(*) from provisioning_runs r where r::text like '%ruth@%' or idempotency_key !~ '^[0-9a-f]{64}$'";
    assert_eq!(server.db().await.one::<i64>(keys).await, 0, "only a digest is kept");
    // The same key of somebody else is another request.
    let other = under("a", &registration("Hope Church", "naomi@example.org")).await.expect(202);
    assert_ne!(other.text("tenantId"), first.text("tenantId"));
    assert_eq!(server.db().await.one::<i64>("select count(*) from tenants").await, 2);
    // A day later it makes nothing either.
    server.db().await.run("update provisioning_runs set created_at = created_at - interval '25 hours'").await;
    under("a", &new).await.problem(422, "key-reused");
    assert_eq!(server.db().await.one::<i64>("select count(*) from tenants").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_opens_churches_and_lists_them() {
    let token = "the operator's own token";
    let server = TestServer::start_with(|config| config.operator_token = Some(token.into())).await;
    let operator = Program::new(server.addr()).with(token);
    let new = json!({
        "name": "Grace Chapel", "isolation": "schema", "country": "KE",
        "admin": { "firstName": "Ruth", "lastName": "Okafor", "email": "ruth@example.org", "password": PASSWORD },
    });
    let said = operator.post("/api/tenants", new.clone()).await.expect(202);
    assert_eq!(watch(&server, &said).await["status"], "succeeded");
    let program = Program::log_in(&server, "ruth@example.org").await;
    assert_eq!(program.get("/api/health").await.expect(200).text("isolation"), "schema");
    let _ = Church::open(&server, "Hope Church").await;
    let first = operator.get("/api/tenants?limit=1").await.expect(200).body;
    assert_eq!(first["items"][0]["name"], "Hope Church");
    let cursor = first["nextCursor"].as_str().expect("there is more");
    let second = operator.get(&format!("/api/tenants?limit=1&cursor={cursor}")).await.expect(200).body;
    assert_eq!((&second["items"][0]["name"], &second["nextCursor"]), (&json!("Grace Chapel"), &Value::Null));
    let text = second.to_string();
    assert!(!text.contains("example.org"), "nothing that is in a church");
    let mut wrong = new.clone();
    wrong["name"] = json!("");
    wrong["admin"]["email"] = json!("ruth");
    let said = operator.post("/api/tenants", wrong).await.problem(422, "invalid");
    assert!(!said.why("name").is_empty() && !said.why("admin.email").is_empty(), "{}", said.body);
    program.get("/api/tenants").await.problem(401, "unauthenticated");

    let unset = TestServer::start().await;
    Program::new(unset.addr()).with("").get("/api/tenants").await.problem(403, "no-operator");
}
