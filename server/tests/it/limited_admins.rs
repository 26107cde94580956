//! What an admin of some branches, and one who may only look, can change: nothing of others.

use crate::harness::{Browser, Church, Program, TestServer};
use reqwest::Method;
use serde_json::json;
use server::config::Isolation;

for_both_kinds!(an_admin_of_some_branches_changes_nothing_of_others, a_viewer_restores_and_archives_nothing);

/// Everything of a church that may be changed, and how often something was.
const ROWS: &str = "select concat((select string_agg(m::text, '|' order by id) from members m),
                                  (select string_agg(b::text, '|' order by id) from branches b),
                                  (select string_agg(t::text, '|' order by id) from tags t),
                                  (select string_agg(mt::text, '|' order by member_id, tag_id) from member_tags mt),
                                  (select count(*) from audit_log))";

struct Scene {
    church: Church,
    /// Paths without the API's prefix.
    ours: String,
    theirs: String,
    archived: String,
    our_branch: String,
    main_branch: String,
    archived_branch: String,
    tag: String,
    status: String,
}

/// A church with a member in Westlands, two in the main branch of whom one is archived, and an archived branch.
async fn scene(server: &TestServer) -> Scene {
    let church = Church::open(server, "Grace Chapel").await;
    let owner = Program::log_in(server, &church.email).await;
    let id = |said: &crate::harness::Said| said.text("id").to_owned();
    let west = owner.post("/api/branches", json!({ "name": "Westlands" })).await.expect(201);
    let closed = owner.post("/api/branches", json!({ "name": "Closed" })).await.expect(201);
    let branches = owner.get("/api/branches").await.expect(200).body;
    let main = branches["items"][0]["id"].as_str().expect("an id").to_owned();
    let statuses = owner.get("/api/statuses").await.expect(200).body;
    let status = statuses["items"][2]["id"].as_str().expect("an id").to_owned();
    let mut members = Vec::new();
    for (name, branch) in [("Ours", id(&west)), ("Theirs", main.clone()), ("Archived", main.clone())] {
        let new = json!({ "firstName": name, "lastName": "Achieng", "branchId": branch, "statusId": status, "tags": ["Choir"] });
        members.push(id(&owner.post("/api/members", new).await.expect(201)));
    }
    owner.delete(&format!("/api/members/{}", members[2])).await.expect(204);
    owner.delete(&format!("/api/branches/{}", id(&closed))).await.expect(204);
    let tags = owner.get("/api/tags").await.expect(200).body;
    Scene {
        church,
        ours: format!("/members/{}", members[0]),
        theirs: format!("/members/{}", members[1]),
        archived: format!("/members/{}", members[2]),
        our_branch: format!("/branches/{}", id(&west)),
        main_branch: format!("/branches/{main}"),
        archived_branch: format!("/branches/{}", id(&closed)),
        tag: tags["items"][0]["id"].as_str().expect("an id").to_owned(),
        status,
    }
}

/// Posts a form, which is refused.
async fn refused(browser: &Browser, at: &str, fields: &[(&str, &str)]) {
    let page = browser.post(at, fields).await;
    assert!(page.status == 403 || page.status == 404, "{at}: {}", page.words());
}

async fn refused_by_api(program: &Program, method: Method, at: &str, body: serde_json::Value) {
    let said = program.send(method.clone(), at, |request| request.json(&body)).await;
    assert!(said.status == 403 || said.status == 404, "{method} {at}: {} {}", said.status, said.body);
}

async fn an_admin_of_some_branches_changes_nothing_of_others(isolation: Isolation) {
    let server = TestServer::start_with(|config| config.isolation = isolation).await;
    let scene = scene(&server).await;
    let browser = scene.church.hire(&server, "admin", "local@example.org", Some("Westlands")).await;
    let program = Program::log_in(&server, "local@example.org").await;
    let mut db = scene.church.db().await;
    let before: String = db.one(ROWS).await;
    let branch = |path: &str| path.trim_start_matches("/branches/").to_owned();
    let (west, main) = (branch(&scene.our_branch), branch(&scene.main_branch));
    let person = |branch: &str| {
        [
            ("first_name".to_owned(), "Mallory".to_owned()),
            ("branch_id".to_owned(), branch.to_owned()),
            ("status_id".to_owned(), scene.status.clone()),
        ]
    };

    // People of other branches: neither changed nor fetched over, archived nor brought back.
    for path in [&scene.theirs, &scene.archived] {
        for to in [&west, &main] {
            let fields = person(to);
            let fields = fields.each_ref().map(|(name, value)| (name.as_str(), value.as_str()));
            refused(&browser, &format!("{path}/edit"), &fields).await;
            let body = json!({ "firstName": "Mallory", "branchId": to });
            refused_by_api(&program, Method::PATCH, &format!("/api{path}"), body).await;
        }
        refused(&browser, &format!("{path}/archive"), &[]).await;
        refused(&browser, &format!("{path}/restore"), &[]).await;
        refused_by_api(&program, Method::DELETE, &format!("/api{path}"), json!({})).await;
        browser.get(path).await.expect(404);
        program.get(&format!("/api{path}")).await.problem(404, "not-found");
    }
    // Somebody of theirs is not put into another branch, and nobody new is.
    let fields = person(&main);
    let fields = fields.each_ref().map(|(name, value)| (name.as_str(), value.as_str()));
    refused(&browser, &format!("{}/edit", scene.ours), &fields).await;
    refused(&browser, "/members/new", &fields).await;
    let body = json!({ "branchId": main });
    refused_by_api(&program, Method::PATCH, &format!("/api{}", scene.ours), body).await;
    let body = json!({ "firstName": "Mallory", "branchId": main, "statusId": scene.status });
    refused_by_api(&program, Method::POST, "/api/members", body).await;

    // Branches are of the whole church, also the admin's own.
    for path in [&scene.our_branch, &scene.main_branch, &scene.archived_branch] {
        refused(&browser, &format!("{path}/edit"), &[("name", "Mallory"), ("timezone", "UTC")]).await;
        refused(&browser, &format!("{path}/archive"), &[]).await;
        refused(&browser, &format!("{path}/restore"), &[]).await;
        refused_by_api(&program, Method::PATCH, &format!("/api{path}"), json!({ "name": "Mallory" })).await;
        refused_by_api(&program, Method::PATCH, &format!("/api{path}"), json!({ "isMain": true })).await;
        refused_by_api(&program, Method::DELETE, &format!("/api{path}"), json!({})).await;
    }
    refused(&browser, "/branches/new", &[("name", "Mallory"), ("timezone", "UTC")]).await;
    refused_by_api(&program, Method::POST, "/api/branches", json!({ "name": "Mallory" })).await;
    // And so are tags.
    refused(&browser, &format!("/settings/tags/{}/edit", scene.tag), &[("name", "Mallory")]).await;
    refused(&browser, &format!("/settings/tags/{}/remove", scene.tag), &[]).await;
    let tag = format!("/api/tags/{}", scene.tag);
    refused_by_api(&program, Method::PATCH, &tag, json!({ "name": "Mallory" })).await;
    refused_by_api(&program, Method::DELETE, &tag, json!({})).await;
    assert_eq!(db.one::<String>(ROWS).await, before, "not a row has changed");

    // What is counted is what is seen.
    let list = browser.get("/members").await.expect(200);
    assert_eq!(list.text(".head p"), "1 person in 1 branch");
    assert_eq!(list.all("tbody .name a"), ["Achieng, Ours"]);
    assert_eq!(browser.get("/members?search=achieng").await.text(".head p"), "1 person found");
    assert_eq!(browser.get("/members?tag=Choir").await.text(".head p"), "1 person found");
    assert_eq!(browser.get("/members?show=archived").await.text(".head p"), "0 archived people");
    assert_eq!(browser.get("/branches").await.text(".head p"), "1 place where your church meets");
    assert_eq!(browser.get("/branches?show=archived").await.text(".head p"), "0 archived branches");
    assert_eq!(browser.get("/").await.all(".figure"), ["1", "1", "0", "0"]);
    assert_eq!(program.get("/api/tags").await.expect(200).body["items"][0]["members"], 1);
    let items = program.get("/api/members").await.expect(200).body;
    assert_eq!(items["items"].as_array().map(Vec::len), Some(1));

    // Within the branch all is as it should be.
    program.patch(&format!("/api{}", scene.ours), json!({ "firstName": "Still ours" })).await.expect(200);
    browser.post(&format!("{}/archive", scene.ours), &[]).await.location();
    browser.post(&format!("{}/restore", scene.ours), &[]).await.location();
    let restored = "select archived_at is null from members where first_name = 'Still ours'";
    assert!(db.one::<bool>(restored).await);
}

async fn a_viewer_restores_and_archives_nothing(isolation: Isolation) {
    let server = TestServer::start_with(|config| config.isolation = isolation).await;
    let scene = scene(&server).await;
    let browser = scene.church.hire(&server, "viewer", "viewer@example.org", None).await;
    let program = Program::log_in(&server, "viewer@example.org").await;
    let mut db = scene.church.db().await;
    let before: String = db.one(ROWS).await;
    for path in [
        &scene.ours,
        &scene.theirs,
        &scene.archived,
        &scene.our_branch,
        &scene.main_branch,
        &scene.archived_branch,
    ] {
        for action in ["edit", "archive", "restore"] {
            browser.post(&format!("{path}/{action}"), &[]).await.expect(403);
        }
        refused_by_api(&program, Method::PATCH, &format!("/api{path}"), json!({})).await;
        refused_by_api(&program, Method::DELETE, &format!("/api{path}"), json!({})).await;
        assert!(browser.get(path).await.expect(200).all(".head form, .head .btn").is_empty());
    }
    for path in ["/members/new", "/branches/new"] {
        browser.post(path, &[("name", "Mallory")]).await.expect(403);
    }
    let tag = format!("/settings/tags/{}", scene.tag);
    browser.post(&format!("{tag}/edit"), &[("name", "Mallory")]).await.expect(403);
    browser.post(&format!("{tag}/remove"), &[]).await.expect(403);
    assert_eq!(db.one::<String>(ROWS).await, before, "not a row has changed");
}
