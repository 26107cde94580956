use super::{add_member, new_member};
use crate::harness::{Church, Program, TestServer};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::HashSet;

#[tokio::test(flavor = "multi_thread")]
async fn a_member_is_added_read_changed_and_archived() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let program = Program::log_in(&server, &church.email).await;
    let mut new = new_member(&program, "Naomi").await;
    new["mobile"] = json!("0712 345 678");
    new["birthDay"] = json!(29);
    new["birthMonth"] = json!(2);
    let said = program.post("/api/members", new).await.expect(201);
    assert_eq!(said.text("mobile"), "+254712345678");
    assert_eq!((&said.body["birthYear"], said.text("status")), (&Value::Null, "member"));
    let at = said.header("location").to_owned();
    let version = said.header("etag").to_owned();
    let read = program.get(&at).await.expect(200);
    assert_eq!((&read.body, read.header("etag")), (&said.body, version.as_str()));
    let known = program.send(Method::GET, &at, |request| request.header("if-none-match", &version)).await;
    known.expect(304);

    // What is absent stays, null empties, and an empty change changes nothing.
    let changed =
        program.patch(&at, json!({ "email": "naomi@example.org", "birthDay": null })).await.expect(200);
    assert_eq!((changed.text("email"), &changed.body["birthDay"]), ("naomi@example.org", &Value::Null));
    assert_eq!((changed.text("mobile"), &changed.body["birthMonth"]), ("+254712345678", &json!(2)));
    let emptied = program.patch(&at, json!({ "email": null })).await.expect(200);
    assert_eq!(emptied.body["email"], Value::Null);
    let nameless = json!({ "firstName": null, "lastName": null, "mobile": "12" });
    let said = program.patch(&at, nameless).await.problem(422, "invalid");
    assert_eq!(said.why("firstName"), "Enter a first or last name.");
    assert_eq!(said.why("mobile"), "This number is too short.");

    program.delete(&at).await.expect(204);
    program.delete(&at).await.expect(204);
    assert!(program.get(&at).await.expect(200).body["archivedAt"].is_string());
    assert_eq!(program.get("/api/members").await.expect(200).body["items"], json!([]));
    let log: Vec<String> = {
        let mut db = church.db().await;
        let log: String = db
            .one("select string_agg(action, ',' order by at) from audit_log where entity = 'member' and actor_id is not null")
            .await;
        log.split(',').map(str::to_owned).collect()
    };
    assert_eq!(log, ["added", "changed", "changed", "archived"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_edit_do_not_write_over_each_other() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let program = Program::log_in(&server, &church.email).await;
    let (at, said) = add_member(&program, "Naomi").await;
    let page = at.trim_start_matches("/api").to_owned();
    let seen = said.header("etag").to_owned();
    let form = church.browser.get(&format!("{page}/edit")).await.expect(200);

    let change = async |version: &str, body: Value| {
        let finish = |request: reqwest::RequestBuilder| request.header("if-match", version).json(&body);
        program.send(Method::PATCH, &at, finish).await
    };
    let said = change(&seen, json!({ "notes": "first" })).await.expect(200);
    change(&seen, json!({ "notes": "second" })).await.problem(412, "changed");
    change("\"1\"", json!({ "notes": "third" })).await.problem(412, "changed");
    change("nonsense", json!({ "notes": "third" })).await.problem(412, "changed");
    let stale = program.send(Method::DELETE, &at, |request| request.header("if-match", &seen)).await;
    stale.problem(412, "changed");
    change(said.header("etag"), json!({ "notes": "fourth" })).await.expect(200);
    change("*", json!({ "notes": "fifth" })).await.expect(200);

    // The page that was opened before says so, and keeps what was typed.
    let fields = |version: &str, first: &str| {
        [
            ("version", version.to_owned()),
            ("first_name", first.to_owned()),
            ("last_name", "Achieng".to_owned()),
            ("branch_id", form.value("branch_id")),
            ("status_id", form.value("status_id")),
        ]
    };
    let send = async |fields: [(&str, String); 5]| {
        let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
        church.browser.post(&format!("{page}/edit"), &fields).await
    };
    let again = send(fields(&form.value("version"), "Typed")).await.expect(422);
    assert!(
        again.form_error().starts_with("Someone else changed this"),
        "{}",
        again.words()
    );
    assert_eq!(again.value("first_name"), "Typed");
    assert_eq!(church.db().await.one::<String>("select notes from members").await, "fifth");
    // Sent once more, it is meant.
    send(fields(&again.value("version"), "Typed")).await.location();
    assert_eq!(church.db().await.one::<String>("select first_name from members").await, "Typed");
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_at_the_same_moment_go_on_top_of_one_another() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let program = Program::log_in(&server, &church.email).await;
    let (at, _) = add_member(&program, "Naomi").await;
    let one = program.patch(&at, json!({ "notes": "kept" }));
    let two = program.patch(&at, json!({ "homePhone": "020 123 4567" }));
    let three = program.patch(&at, json!({ "email": "naomi@example.org" }));
    let (one, two, three) = tokio::join!(one, two, three);
    for said in [one, two, three] {
        said.expect(200);
    }
    let now = program.get(&at).await.expect(200);
    assert_eq!(
        (now.text("notes"), now.text("homePhone"), now.text("email")),
        ("kept", "020 123 4567", "naomi@example.org")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_shows_each_once_whatever_is_written_meanwhile() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let program = Program::log_in(&server, &church.email).await;
    let new = new_member(&program, "Member").await;
    let mut ids = Vec::new();
    for _ in 0..30 {
        let said = program.post("/api/members", new.clone()).await.expect(201);
        ids.push(said.text("id").to_owned());
    }
    let mut seen = Vec::new();
    let mut address = "/api/members?limit=7".to_owned();
    loop {
        let page = program.get(&address).await.expect(200).body;
        let items = page["items"].as_array().expect("items");
        seen.extend(items.iter().map(|item| item["id"].as_str().expect("an id").to_owned()));
        // Somebody is renamed, somebody goes, somebody comes.
        let renamed = format!("/api/members/{}", ids[(seen.len() + 3) % ids.len()]);
        program.patch(&renamed, json!({ "lastName": "Aaa" })).await.expect(200);
        if seen.len() == 7 {
            program.delete(&format!("/api/members/{}", ids[0])).await.expect(204);
            program.delete(&format!("/api/members/{}", ids[20])).await.expect(204);
            program.post("/api/members", new.clone()).await.expect(201);
        }
        match page["nextCursor"].as_str() {
            Some(cursor) => address = format!("/api/members?limit=7&cursor={cursor}"),
            None => break,
        }
    }
    let unique: HashSet<_> = seen.iter().collect();
    assert_eq!(unique.len(), seen.len(), "nobody twice");
    let missing: Vec<_> = ids.iter().filter(|id| !unique.contains(id)).collect();
    assert_eq!(missing, [&ids[20]], "nobody is missed but who went");
    assert_eq!(seen.len(), 30, "and who came is there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_searched_and_filtered() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let program = Program::log_in(&server, &church.email).await;
    let west = program.post("/api/branches", json!({ "name": "Westlands" })).await.expect(201);
    let statuses = program.get("/api/statuses").await.expect(200).body;
    for (name, branch, status) in [("Léa", 0, 2), ("Naomi", 1, 2), ("Ruth", 1, 0)] {
        let mut new = new_member(&program, name).await;
        if branch == 1 {
            new["branchId"] = west.body["id"].clone();
        }
        new["statusId"] = statuses["items"][status]["id"].clone();
        program.post("/api/members", new).await.expect(201);
    }
    let names = async |query: &str| {
        let page = program.get(&format!("/api/members?{query}")).await.expect(200).body;
        let items = page["items"].as_array().expect("items");
        items.iter().map(|item| item["firstName"].as_str().expect("a name").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names("search=lea").await, ["Léa"]);
    assert_eq!(names("search=achieng").await, ["Léa", "Naomi", "Ruth"]);
    assert_eq!(names(&format!("branchId={}", west.text("id"))).await, ["Naomi", "Ruth"]);
    assert_eq!(names("status=visitor").await, ["Ruth"]);
    assert_eq!(names(&format!("status=member&branchId={}", west.text("id"))).await, ["Naomi"]);
    for wrong in ["limit=0", "limit=101", "limit=x", "status=king", "cursor=x", "branchId=x", "serach=x"] {
        program.get(&format!("/api/members?{wrong}")).await.problem(422, "invalid");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn branches_are_added_changed_and_archived() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let program = Program::log_in(&server, &church.email).await;
    let said = program
        .post("/api/branches", json!({ "name": "Westlands", "phone": "020 123 4567" }))
        .await
        .expect(201);
    assert_eq!((said.text("country"), said.text("timezone")), ("KE", "Africa/Nairobi"));
    assert_eq!((said.text("phone"), &said.body["isMain"]), ("+254201234567", &json!(false)));
    let at = said.header("location").to_owned();
    let twice = program.post("/api/branches", json!({ "name": "westlands" })).await.problem(422, "invalid");
    assert_eq!(twice.why("name"), "Another branch has this name.");
    let said = program.patch(&at, json!({ "isMain": true, "city": "Nairobi" })).await.expect(200);
    assert_eq!((&said.body["isMain"], said.text("phone")), (&json!(true), "+254201234567"));
    program.delete(&at).await.problem(422, "invalid");
    let main: i64 = church.db().await.one("select count(*) from branches where is_main").await;
    assert_eq!(main, 1);
    let list = program.get("/api/branches?search=main").await.expect(200).body;
    let other = format!("/api/branches/{}", list["items"][0]["id"].as_str().expect("an id"));
    program.delete(&other).await.expect(204);
    let list = program.get("/api/branches").await.expect(200).body;
    assert_eq!(list["items"].as_array().map(Vec::len), Some(1));
}
