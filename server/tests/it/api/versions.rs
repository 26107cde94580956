//! Preconditions, and changes that change nothing.

use super::add_member;
use crate::harness::{Church, Program, Said, TestServer};
use reqwest::Method;
use serde_json::{Value, json};

async fn under(program: &Program, method: Method, at: &str, lines: &[&str], body: Option<Value>) -> Said {
    let finish = |mut request: reqwest::RequestBuilder| {
        for line in lines {
            request = request.header("if-match", *line);
        }
        match &body {
            Some(body) => request.json(body),
            None => request,
        }
    };
    program.send(method, at, finish).await
}

/// A member, a branch and a tag, each with the change of a name.
async fn records(program: &Program) -> [(String, &'static str); 3] {
    let (member, _) = add_member(program, "Naomi").await;
    program.patch(&member, json!({ "tags": ["Choir"] })).await.expect(200);
    let branch = program.post("/api/branches", json!({ "name": "Westlands", "phone": "020 123 4567" })).await;
    let branch = branch.expect(201).header("location").to_owned();
    let tags = program.get("/api/tags").await.expect(200).body;
    let tag = format!("/api/tags/{}", tags["items"][0]["id"].as_str().expect("an id"));
    [(member, "firstName"), (branch, "name"), (tag, "name")]
}

#[tokio::test(flavor = "multi_thread")]
async fn if_match_takes_a_list_of_versions() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let program = Program::log_in(&server, &church.email).await;
    for (at, name) in records(&program).await {
        let current = async || program.get(&at).await.expect(200).header("etag").to_owned();
        let patch = async |lines: &[&str], value: &str| {
            under(&program, Method::PATCH, &at, lines, Some(json!({ name: value }))).await
        };
        let stale = current().await;
        patch(&[&format!("\"x\", {stale}")], "One").await.expect(200);
        patch(&["\"x\"", &current().await], "Two").await.expect(200);
        patch(&["*"], "Three").await.expect(200);
        let now = current().await;
        let weak = format!("W/{now}");
        let unquoted = now.trim_matches('"').to_owned();
        for lines in [&["\"x\""][..], &[&stale], &[&weak], &[&unquoted], &["nonsense"], &["\"*\""], &[""]] {
            patch(lines, "Four").await.problem(412, "changed");
            under(&program, Method::DELETE, &at, lines, None).await.problem(412, "changed");
        }
        assert_eq!(program.get(&at).await.expect(200).text(name), "Three", "{at}");
        // Who has this version already is told so, also by a cache that has compressed the answer.
        for known in [now.as_str(), &weak, &format!("\"x\", {weak}"), "*"] {
            program
                .send(Method::GET, &at, |request| request.header("if-none-match", known))
                .await
                .expect(304);
        }
        program.send(Method::GET, &at, |request| request.header("if-none-match", "\"x\"")).await.expect(200);
        let lines = [format!("\"x\" , {now}")];
        under(&program, Method::DELETE, &at, &lines.each_ref().map(String::as_str), None).await.expect(204);
    }
    let left = "select (select count(*) from members where archived_at is null)
                     + (select count(*) from branches where archived_at is null) + (select count(*) from tags)";
    assert_eq!(church.db().await.one::<i64>(left).await, 1, "only the main branch is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_saved_without_a_change_is_not_written() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let program = Program::log_in(&server, &church.email).await;
    let rows = "select concat((select string_agg(m::text, '|' order by id) from members m),
                              (select string_agg(b::text, '|' order by id) from branches b),
                              (select string_agg(t::text, '|' order by id) from tags t),
                              (select string_agg(mt::text, '|') from member_tags mt),
                              (select count(*) from audit_log))";
    let [member, branch, tag] = records(&program).await.map(|(at, _)| at);
    let full = json!({
        "prefix": "Dr", "mobile": "+54 9 11 2345 6789", "homePhone": "020 123 4567", "notes": "One\nTwo",
        "birthDay": 29, "birthMonth": 2, "joinedOn": "2020-02-29", "email": "Naomi@example.org",
        "tags": ["choir", "Ushers", "needs a lift"],
    });
    program.patch(&member, full).await.expect(200);
    program
        .patch(&branch, json!({ "website": "example.org", "serviceTimes": "9:00\n11:00" }))
        .await
        .expect(200);
    let mut db = church.db().await;
    let before: String = db.one(rows).await;
    for at in [&member, &branch, &tag] {
        let was = program.get(at).await.expect(200);
        let same = program.patch(at, json!({})).await.expect(200);
        assert_eq!((same.header("etag"), &same.body), (was.header("etag"), &was.body), "{at}");
        // All that may be written, as it was read.
        let mut equal = was.body.clone();
        let fields = equal.as_object_mut().expect("an object");
        for read_only in
            ["id", "branchName", "statusName", "status", "archivedAt", "createdAt", "updatedAt", "members"]
        {
            fields.remove(read_only);
        }
        let same = program.patch(at, equal).await.expect(200);
        assert_eq!(same.header("etag"), was.header("etag"), "{at}");
    }
    let tags = json!({ "tags": ["USHERS", "Needs a lift", "Choir"] });
    program.patch(&member, tags).await.expect(200);

    // The same by the forms, as a browser sends them.
    for (at, checkboxes) in [(&member, true), (&branch, false)] {
        let at = format!("{}/edit", at.trim_start_matches("/api"));
        let form = church.browser.get(&at).await.expect(200);
        let mut fields: Vec<(String, String)> = form
            .attributes("form.stack :is(input:not([type=checkbox]), select, textarea)", "name")
            .into_iter()
            .map(|name| (name.clone(), form.value(&name)))
            .collect();
        if checkboxes {
            fields.extend(
                form.attributes("input[name=tags][checked]", "value")
                    .into_iter()
                    .map(|tag| ("tags".into(), tag)),
            );
        }
        let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        church.browser.post(&at, &fields).await.location();
    }
    let at = tag.replace("/api/tags", "/settings/tags") + "/edit";
    let form = church.browser.get(&at).await.expect(200);
    let fields = [("version", form.value("version")), ("name", form.value("name"))];
    let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
    church.browser.post(&at, &fields).await.location();
    assert_eq!(db.one::<String>(rows).await, before, "not a row has changed");

    // A number stays what it is when the country beside it changes.
    let moved = program.patch(&branch, json!({ "country": "UG" })).await.expect(200);
    assert_eq!(moved.text("phone"), "+254201234567");
}
