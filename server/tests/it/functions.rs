//! Server functions: who may call them, and what is answered when something is wrong.

use crate::harness::{Browser, Church, Page, TestServer};
use leptos::server_fn::axum::server_fn_paths;
use serde_json::{Value, json};

/// What a function is called with, and what the users who may not change things are answered.
struct Function {
    path: &'static str,
    arguments: Value,
    /// Changes something.
    writes: bool,
}

/// Every function that is registered, with ids of a church.
struct Ids {
    member: String,
    branch: String,
    status: String,
    tag: String,
    token: String,
}

fn functions(ids: &Ids) -> Vec<Function> {
    let id = |id: &str| json!({ "id": id });
    let member = json!([["first_name", "Mallory"], ["branch_id", ids.branch], ["status_id", ids.status]]);
    let branch = json!([["name", "Mallory"], ["timezone", "UTC"]]);
    let function = |path, arguments, writes| Function { path, arguments, writes };
    vec![
        function("/fn/members/save", json!({ "id": ids.member, "form": member }), true),
        function("/fn/members/archive", id(&ids.member), true),
        function("/fn/members/restore", id(&ids.member), true),
        function("/fn/members/similar", json!({ "form": [["first_name", "Naomi"], ["last_name", "Achieng"]] }), false),
        function("/fn/branches/save", json!({ "id": ids.branch, "form": branch }), true),
        function("/fn/branches/archive", id(&ids.branch), true),
        function("/fn/branches/restore", id(&ids.branch), true),
        function("/fn/branches/suggest", json!({ "text": "west" }), false),
        function("/fn/tags/rename", json!({ "id": ids.tag, "form": [["name", "Mallory"]] }), true),
        function("/fn/tags/delete", id(&ids.tag), true),
        function("/fn/tags/suggest", json!({ "text": "cho" }), false),
        function("/fn/personal_tokens/revoke", id(&ids.token), true),
    ]
}

async fn call(browser: &Browser, path: &str, arguments: &Value) -> Page {
    browser.request(|client, base| client.post(format!("{base}{path}")).json(arguments)).await
}

async fn filled(server: &TestServer, name: &str) -> (Church, Ids) {
    let church = Church::open(server, name).await;
    let browser = &church.browser;
    let west = [("name", "Westlands"), ("timezone", "Africa/Nairobi")];
    let branch = browser.post("/branches/new", &west).await.location().replace("/branches/", "");
    let form = browser.get("/members/new").await;
    let status = form.attribute("#status_id option:nth-child(3)", "value").expect("a status");
    let naomi = [
        ("first_name", "Naomi"),
        ("last_name", "Achieng"),
        ("mobile", "0712 345 678"),
        ("branch_id", branch.as_str()),
        ("status_id", status.as_str()),
        ("new_tags", "Choir"),
    ];
    let member = browser.post("/members/new", &naomi).await.location().replace("/members/", "");
    let token = [("name", "Website"), ("scope", "read"), ("expires", "30")];
    browser.post("/settings/tokens/new", &token).await.expect(200);
    let mut db = church.db().await;
    let tag: uuid::Uuid = db.one("select id from tags").await;
    let token: uuid::Uuid = db.one("select id from personal_tokens").await;
    let ids = Ids { member, branch, status, tag: tag.to_string(), token: token.to_string() };
    (church, ids)
}

/// All rows that a function could change.
const ROWS: &str = "select concat((select string_agg(m::text, ',' order by id) from members m),
                                  (select string_agg(b::text, ',' order by id) from branches b),
                                  (select string_agg(t::text, ',' order by id) from tags t),
                                  (select string_agg(id::text, ',' order by id) from personal_tokens),
                                  (select count(*) from audit_log))";

#[tokio::test(flavor = "multi_thread")]
async fn nobody_calls_a_function_they_may_not() {
    let server = TestServer::start().await;
    let ((church, ids), other) =
        tokio::join!(filled(&server, "Grace Chapel"), Church::open(&server, "Hope Church"));
    let functions = functions(&ids);
    let mut known: Vec<_> = functions.iter().map(|function| function.path).collect();
    let mut registered: Vec<_> = server_fn_paths().map(|(path, _)| path).collect();
    known.sort_unstable();
    registered.sort_unstable();
    assert_eq!(known, registered, "every function stands in this table");

    let stranger = server.browser();
    let viewer = church.hire(&server, "member", "viewer@example.org", None).await;
    let before: String = church.db().await.one(ROWS).await;
    for Function { path, arguments, writes } in &functions {
        let page = call(&stranger, path, arguments).await.expect(401);
        assert_eq!(page.html, "\"SignedOut\"", "{path}");
        let foreign = |client: &reqwest::Client, base: &str| {
            client.post(format!("{base}{path}")).header("sec-fetch-site", "cross-site").json(arguments)
        };
        church.browser.request(foreign).await.expect(403);
        let page = call(&other.browser, path, arguments).await;
        match writes {
            // A branch or status of another church is not found, or not to be chosen.
            true => assert!([404, 403, 422].contains(&page.status.as_u16()) || path.ends_with("revoke") || path.ends_with("tags/delete"), "{path}"),
            false => assert_eq!(page.expect(200).html, "[]", "{path}"),
        }
        if *writes && !path.starts_with("/fn/personal_tokens") {
            call(&viewer, path, arguments).await.expect(403);
        }
    }
    call(&viewer, "/fn/personal_tokens/revoke", &json!({ "id": ids.token })).await;
    assert_eq!(church.db().await.one::<String>(ROWS).await, before, "not a row has changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_is_saved_in_place() {
    let server = TestServer::start().await;
    let (church, ids) = filled(&server, "Grace Chapel").await;
    let form = |pairs: &[(&str, &str)]| json!({ "id": ids.member, "form": pairs });
    let valid = [
        ("first_name", "Naomi"),
        ("last_name", "Wanjiru"),
        ("branch_id", ids.branch.as_str()),
        ("status_id", ids.status.as_str()),
    ];
    let page = call(&church.browser, "/fn/members/save", &form(&valid)).await.expect(200);
    let saved: Value = serde_json::from_str(&page.html).expect("it is JSON");
    assert_eq!(saved["location"], format!("/members/{}", ids.member));
    assert!(page.header("set-cookie").starts_with("flash=member-saved"), "{:?}", page.headers);
    assert_eq!(church.db().await.one::<String>("select last_name from members").await, "Wanjiru");

    let wrong = [("first_name", ""), ("email", "no"), ("branch_id", ids.branch.as_str())];
    let page = call(&church.browser, "/fn/members/save", &form(&wrong)).await.expect(422);
    let error: Value = serde_json::from_str(&page.html).expect("it is JSON");
    let fields: Vec<_> = error["Invalid"].as_array().expect("errors").iter().map(|e| &e["field"]).collect();
    assert_eq!(fields, ["first_name", "last_name", "status_id", "email"]);

    let stale = [("version", "1"), ("first_name", "Naomi"), ("branch_id", &ids.branch), ("status_id", &ids.status)];
    let page = call(&church.browser, "/fn/members/save", &form(&stale)).await.expect(409);
    let error: Value = serde_json::from_str(&page.html).expect("it is JSON");
    let replace = error["Conflict"]["replace"][0].clone();
    assert_eq!(replace[0], "version");
    let again = [("version", replace[1].as_str().expect("a version")), stale[1], stale[2], stale[3]];
    call(&church.browser, "/fn/members/save", &form(&again)).await.expect(200);
    assert!(church.db().await.one::<Option<String>>("select last_name from members").await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_call_is_said_in_our_own_words() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    for path in ["/fn/members/unknown", "/fn/save_member123456", "/fn/x"] {
        assert_eq!(call(&church.browser, path, &json!({})).await.expect(404).html, "\"NotFound\"");
    }
    for body in ["", "{", "[]", "{\"id\":5}", "{\"id\":\"no id\",\"form\":[]}", "id=1"] {
        let send = |client: &reqwest::Client, base: &str| {
            let request = client.post(format!("{base}/fn/members/save"));
            request.header("content-type", "application/json").body(body)
        };
        let page = church.browser.request(send).await.expect(422);
        assert!(page.html.starts_with("{\"Invalid\":"), "{body}: {}", page.html);
        assert!(!page.html.contains("column") && !page.html.contains("expected"), "{}", page.html);
    }
    let large = json!({ "id": null, "form": [["notes", "x".repeat(300_000)]] });
    let page = call(&church.browser, "/fn/members/save", &large).await.expect(422);
    assert!(page.html.contains("Nothing was saved"), "{}", page.html);
    for path in ["/fn/members/save", "/fn/unknown"] {
        assert!(church.browser.get(path).await.status.is_client_error(), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn suggestions_and_similar_people_are_those_that_the_user_may_see() {
    let server = TestServer::start().await;
    let (church, _) = filled(&server, "Grace Chapel").await;
    let main = church.db().await.one::<String>("select name from branches where is_main").await;
    let helper = church.hire(&server, "admin", "helper@example.org", Some(&main)).await;
    let names = |page: Page| serde_json::from_str::<Value>(&page.html).expect("it is JSON");
    let similar = async |browser: &Browser, form: Value| {
        names(call(browser, "/fn/members/similar", &json!({ "form": form })).await.expect(200))
    };
    let all = [
        json!([["first_name", "naomi"], ["last_name", "ACHIENG"]]),
        json!([["first_name", "Achieng"], ["last_name", "Naomi"]]),
        json!([["first_name", "Naómi"], ["mobile", "+254 712 345678"]]),
    ];
    for form in all {
        let found = similar(&church.browser, form.clone()).await;
        assert_eq!(found[0]["name"], "Naomi Achieng", "{form}");
        assert_eq!(found[0]["details"], "0712 345678 · Westlands");
        assert_eq!(similar(&helper, form).await, json!([]));
    }
    for form in [
        json!([["first_name", "Ruth"], ["mobile", "0712 345 678"]]),
        json!([["first_name", "Naomi"]]),
        json!([["mobile", "0712 345 678"]]),
        json!([["first_name", "Naomi"], ["last_name", "Wanjiru"]]),
    ] {
        assert_eq!(similar(&church.browser, form.clone()).await, json!([]), "{form}");
    }
    let suggest = |path: &'static str, text: &'static str| (path, json!({ "text": text }));
    let (path, west) = suggest("/fn/branches/suggest", "WEST");
    assert_eq!(names(call(&church.browser, path, &west).await.expect(200)), json!(["Westlands"]));
    assert_eq!(names(call(&helper, path, &west).await.expect(200)), json!([]));
    let (path, choir) = suggest("/fn/tags/suggest", "oir");
    assert_eq!(names(call(&church.browser, path, &choir).await.expect(200)), json!(["Choir"]));
    let (path, empty) = suggest("/fn/tags/suggest", " ");
    assert_eq!(names(call(&church.browser, path, &empty).await.expect(200)), json!([]));
}
