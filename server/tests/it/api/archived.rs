//! What is archived, and takes nobody in any more.

use super::{add_member, new_member};
use crate::harness::{Church, Program, TestServer};
use reqwest::Method;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn an_archived_branch_takes_no_member_in_and_keeps_those_it_has() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let program = Program::log_in(&server, &church.email).await;
    let west = program.post("/api/branches", json!({ "name": "Westlands" })).await.expect(201);
    let (west, at_west) = (west.text("id").to_owned(), west.header("location").to_owned());
    let mut inside = new_member(&program, "Naomi").await;
    inside["branchId"] = json!(west);
    let add = async || {
        let finish =
            |request: reqwest::RequestBuilder| request.header("idempotency-key", "naomi").json(&inside);
        program.send(Method::POST, "/api/members", finish).await
    };
    let inside_at = add().await.expect(201).header("location").to_owned();
    let (outside, _) = add_member(&program, "Lydia").await;
    program.delete(&at_west).await.expect(204);

    let rows = "select concat((select string_agg(m::text, '|' order by id) from members m),
                              (select count(*) from audit_log))";
    let mut db = church.db().await;
    let before: String = db.one(rows).await;
    let mut new = new_member(&program, "Ruth").await;
    new["branchId"] = json!(west);
    for said in [
        program.post("/api/members", new.clone()).await,
        program.patch(&outside, json!({ "branchId": west, "notes": "moved" })).await,
    ] {
        assert_eq!(said.problem(422, "invalid").why("branchId"), "Choose one of your branches.");
    }
    let status = new["statusId"].as_str().expect("an id");
    let fields = [("first_name", "Ruth"), ("branch_id", west.as_str()), ("status_id", status)];
    let page = church.browser.post("/members/new", &fields).await.expect(422);
    assert_eq!(page.why("branch_id"), "Choose one of your branches.");
    assert_eq!(
        add().await.expect(201).header("location"),
        inside_at,
        "a repeated request is answered as before"
    );
    assert_eq!(db.one::<String>(rows).await, before);

    program.patch(&inside_at, json!({ "notes": "still here" })).await.expect(200);
    church.browser.post(&format!("/branches/{west}/restore"), &[]).await.location();
    program.post("/api/members", new).await.expect(201);
}
