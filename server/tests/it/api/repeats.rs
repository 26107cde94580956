use super::new_member;
use crate::harness::{Church, Program, Said, TestServer};
use reqwest::Method;
use serde_json::{Value, json};

async fn under(program: &Program, path: &str, key: &str, body: &Value) -> Said {
    program.send(Method::POST, path, |request| request.header("idempotency-key", key).json(body)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_again_makes_nothing_new_and_is_answered_the_same() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let program = Program::log_in(&server, &church.email).await;
    let new = new_member(&program, "Naomi").await;
    let first = under(&program, "/api/members", "key-1", &new).await.expect(201);
    program.patch(first.header("location"), json!({ "firstName": "Ruth" })).await.expect(200);
    let again = under(&program, "/api/members", "key-1", &new).await.expect(201);
    assert_eq!(again.body, first.body);
    for header in ["location", "etag", "content-type"] {
        assert_eq!(again.header(header), first.header(header));
    }
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(church.db().await.one::<i64>("select count(*) from members").await, 1);

    let other = new_member(&program, "Lydia").await;
    under(&program, "/api/members", "key-1", &other).await.problem(422, "key-reused");
    under(&program, "/api/members", "key-2", &other).await.expect(201);
    // What was refused did nothing: corrected, it may come under the same key.
    under(&program, "/api/members", "key-3", &json!({})).await.problem(422, "invalid");
    under(&program, "/api/members", "key-3", &other).await.expect(201);
    under(&program, "/api/members", &"k".repeat(256), &other).await.problem(400, "malformed");
    let branch = json!({ "name": "Westlands" });
    let first = under(&program, "/api/branches", "key-4", &branch).await.expect(201);
    assert_eq!(under(&program, "/api/branches", "key-4", &branch).await.expect(201).body, first.body);

    // A key is its owner's: another person's request under it is another request.
    church.hire(&server, "admin", "helper@example.org", None).await;
    let helper = Program::log_in(&server, "helper@example.org").await;
    under(&helper, "/api/members", "key-1", &new).await.expect(201);
    assert_eq!(church.db().await.one::<i64>("select count(*) from members").await, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_at_the_same_moment_makes_one() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let program = Program::log_in(&server, &church.email).await;
    let new = new_member(&program, "Naomi").await;
    let tries = (0..8).map(|_| under(&program, "/api/members", "at-once", &new));
    let answers = futures::future::join_all(tries).await;
    let first = answers[0].clone().expect(201);
    for said in answers {
        assert_eq!(said.expect(201).body, first.body);
    }
    let mut db = church.db().await;
    assert_eq!(db.one::<i64>("select count(*) from members").await, 1);
    assert_eq!(db.one::<i64>("select count(*) from audit_log where entity = 'member'").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_lost_on_the_way_is_given_again() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let program = Program::log_in(&server, &church.email).await;
    let new = new_member(&program, "Naomi").await;
    let first = under(&program, "/api/members", "lost", &new).await.expect(201);
    // As if the process had died after the member was written, and before the answer was kept.
    church
        .db()
        .await
        .run("update idempotency_keys set status = null, body = null, location = null, etag = null")
        .await;
    let again = under(&program, "/api/members", "lost", &new).await.expect(201);
    assert_eq!(again.body, first.body);
    assert_eq!(church.db().await.one::<i64>("select count(*) from members").await, 1);
    assert_eq!(
        church.db().await.one::<i64>("select count(*) from audit_log where entity = 'member'").await,
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_forgotten_after_a_day() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let program = Program::log_in(&server, &church.email).await;
    let new = new_member(&program, "Naomi").await;
    under(&program, "/api/members", "old", &new).await.expect(201);
    let mut db = church.db().await;
    db.run("update idempotency_keys set created_at = now() - interval '25 hours'").await;
    under(&program, "/api/members", "new", &new).await.expect(201);
    assert_eq!(db.one::<String>("select string_agg(key, ',') from idempotency_keys").await, "new");
}
