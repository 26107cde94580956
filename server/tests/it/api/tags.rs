use super::{add_member, new_member};
use crate::harness::{Church, Program, Said, TestServer};
use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use server::config::Isolation;

const BOTH: [Isolation; 2] = [Isolation::Database, Isolation::Schema];

/// Somebody with tags; where they are.
async fn tagged(program: &Program, first_name: &str, tags: Value) -> String {
    let mut new = new_member(program, first_name).await;
    new["tags"] = tags;
    program.post("/api/members", new).await.expect(201).header("location").to_owned()
}

async fn first_names(program: &Program, query: &str) -> Vec<String> {
    let page = program.get(&format!("/api/members?{query}")).await.expect(200).body;
    let items = page["items"].as_array().expect("items").iter();
    items.map(|item| item["firstName"].as_str().expect("a name").to_owned()).collect()
}

/// The address of a tag.
async fn address(program: &Program, name: &str) -> String {
    let list = program.get("/api/tags").await.expect(200).body;
    let tag = list["items"].as_array().expect("items").iter().find(|tag| tag["name"] == name);
    format!("/api/tags/{}", tag.expect("it is listed")["id"].as_str().expect("an id"))
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_are_written_read_and_filtered_by() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let program = Program::log_in(&server, &church.email).await;
    let (at, said) = add_member(&program, "Naomi").await;
    assert_eq!(said.body["tags"], json!([]));
    let said =
        program.patch(&at, json!({ "tags": ["Ushers", " choir ", "CHOIR", "a, b"] })).await.expect(200);
    assert_eq!(said.body["tags"], json!(["a, b", "choir", "Ushers"]));
    let version = said.header("etag").to_owned();

    // What is absent stays, null and nothing take them all, and a list takes the place of what was.
    let said = program.patch(&at, json!({ "notes": "Sings alto." })).await.expect(200);
    assert_eq!(said.body["tags"], json!(["a, b", "choir", "Ushers"]));
    assert_ne!(said.header("etag"), version);
    let said = program.patch(&at, json!({ "tags": ["Choir"] })).await.expect(200);
    assert_eq!(said.body["tags"], json!(["choir"]), "as it was first written");
    for none in [Value::Null, json!([])] {
        program.patch(&at, json!({ "tags": ["Choir", "Youth"] })).await.expect(200);
        let said = program.patch(&at, json!({ "tags": none })).await.expect(200);
        assert_eq!(said.body["tags"], json!([]));
    }
    program.patch(&at, json!({ "tags": ["Choir", "Youth"] })).await.expect(200);
    assert_eq!(program.get(&at).await.expect(200).body["tags"], json!(["choir", "Youth"]));

    tagged(&program, "Ruth", json!(["choir"])).await;
    add_member(&program, "Kevin").await;
    let page = program.get("/api/members").await.expect(200).body;
    let tags = page["items"].as_array().expect("items").iter().map(|item| item["tags"].clone());
    assert_eq!(tags.collect::<Vec<_>>(), [json!(["choir", "Youth"]), json!(["choir"]), json!([])]);
    assert_eq!(first_names(&program, "tag=CHOIR").await, ["Naomi", "Ruth"]);
    assert_eq!(first_names(&program, "tag=+youth&search=naomi").await, ["Naomi"]);
    assert!(first_names(&program, "tag=nobody").await.is_empty());
    assert_eq!(first_names(&program, "tag=choir&limit=1").await, ["Naomi"]);
    let list = program.get("/api/tags").await.expect(200).body;
    let counted = list["items"].as_array().expect("items").iter();
    let counted: Vec<_> = counted.map(|tag| (tag["name"].clone(), tag["members"].clone())).collect();
    let expected = [("a, b", 0), ("choir", 2), ("Ushers", 0), ("Youth", 1)];
    assert_eq!(counted, expected.map(|(name, members)| (json!(name), json!(members))));

    let many: Vec<_> = (0..21).map(|n| n.to_string()).collect();
    for (wrong, why) in [
        (json!(["x".repeat(51)]), "Use at most 50 characters for a tag; “xxxxxxxxxxxxxxxxxxxx…” has 51."),
        (json!(many), "Use at most 20 tags for a member; these are 21."),
        (json!(["Choir", " "]), "Give every tag a name."),
    ] {
        let said = program.patch(&at, json!({ "tags": wrong })).await.problem(422, "invalid");
        assert_eq!(said.why("tags"), why);
    }
    program.patch(&at, json!({ "tags": "Choir" })).await.problem(422, "invalid");
    program.patch(&at, json!({ "tags": [1] })).await.problem(422, "invalid");
    program.get("/api/members?tag=").await.problem(422, "invalid");
    assert_eq!(program.get(&at).await.expect(200).body["tags"], json!(["choir", "Youth"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_is_renamed_and_removed_by_version() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let program = Program::log_in(&server, &church.email).await;
    let naomi = tagged(&program, "Naomi", json!(["Choir", "Ushers"])).await;
    let kevin = tagged(&program, "Kevin", json!(["Ushers"])).await;
    let choir = address(&program, "Choir").await;
    let found = program.get(&choir).await.expect(200);
    assert_eq!((found.text("name"), &found.body["members"]), ("Choir", &json!(1)));
    let seen = found.header("etag").to_owned();
    let before =
        [program.get(&naomi).await, program.get(&kevin).await].map(|said| said.header("etag").to_owned());

    let rename = async |name: Value, version: &str| {
        let finish = |request: reqwest::RequestBuilder| {
            request.header("if-match", version).json(&json!({ "name": name }))
        };
        program.send(Method::PATCH, &choir, finish).await
    };
    for (name, why) in [
        (json!(null), "Enter a name for the tag."),
        (json!("ushers"), "Another tag has this name."),
        (json!("x".repeat(51)), "Use at most 50 characters; this has 51."),
    ] {
        assert_eq!(rename(name, &seen).await.problem(422, "invalid").why("name"), why);
    }
    let same = program.patch(&choir, json!({})).await.expect(200);
    assert_eq!(same.header("etag"), seen, "nothing has changed");
    let said = rename(json!(" The  singers "), &seen).await.expect(200);
    assert_eq!(said.text("name"), "The singers");
    rename(json!("Too late"), &seen).await.problem(412, "changed");
    let stale = program.send(Method::DELETE, &choir, |request| request.header("if-match", &seen)).await;
    stale.problem(412, "changed");
    // Whoever has read a member that bears it is told; nobody else is.
    let known = async |at: &str, etag: &str| {
        program.send(Method::GET, at, |request| request.header("if-none-match", etag)).await
    };
    let now = known(&naomi, &before[0]).await.expect(200);
    assert_eq!(now.body["tags"], json!(["The singers", "Ushers"]));
    known(&kevin, &before[1]).await.expect(304);

    let now = now.header("etag").to_owned();
    program
        .send(Method::DELETE, &choir, |request| request.header("if-match", said.header("etag")))
        .await
        .expect(204);
    assert_eq!(known(&naomi, &now).await.expect(200).body["tags"], json!(["Ushers"]));
    for said in [
        program.get(&choir).await,
        program.patch(&choir, json!({ "name": "Back" })).await,
        program.delete(&choir).await,
        program.get("/api/tags/nonsense").await,
    ] {
        said.problem(404, "not-found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_of_some_branches_renames_and_removes_none() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let owner = Program::log_in(&server, &church.email).await;
    owner.post("/api/branches", json!({ "name": "Westlands" })).await.expect(201);
    tagged(&owner, "Naomi", json!(["Choir"])).await;
    church.hire(&server, "admin", "helper@example.org", Some("Westlands")).await;
    let helper = Program::log_in(&server, "helper@example.org").await;
    let kevin = tagged(&helper, "Kevin", json!(["choir", "Youth"])).await;
    assert_eq!(helper.get(&kevin).await.expect(200).body["tags"], json!(["Choir", "Youth"]));
    assert_eq!(first_names(&helper, "tag=choir").await, ["Kevin"]);
    let choir = address(&helper, "Choir").await;
    assert_eq!(helper.get(&choir).await.expect(200).body["members"], 1);
    assert_eq!(owner.get(&choir).await.expect(200).body["members"], 2);
    helper.patch(&choir, json!({ "name": "Mine" })).await.problem(403, "forbidden");
    helper.delete(&choir).await.problem(403, "forbidden");
    let tags: String = church.db().await.one("select string_agg(name, ',' order by name) from tags").await;
    assert_eq!(tags, "Choir,Youth");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_church_gets_nothing_of_a_tag() {
    for isolation in BOTH {
        another_church_gets_nothing(isolation).await;
    }
}

async fn another_church_gets_nothing(isolation: Isolation) {
    let server = TestServer::start_with(|config| config.isolation = isolation).await;
    let (ours, theirs) =
        tokio::join!(Church::open(&server, "Grace Chapel"), Church::open(&server, "Hope Church"));
    let (mine, other) =
        tokio::join!(Program::log_in(&server, &ours.email), Program::log_in(&server, &theirs.email));
    tagged(&other, "Naomi", json!(["Secret"])).await;
    tagged(&mine, "Kevin", json!(["Choir"])).await;
    let secret = address(&other, "Secret").await;
    let snapshot = "select concat((select string_agg(t::text, ',') from tags t),
                                  (select string_agg(mt::text, ',') from member_tags mt),
                                  (select string_agg(m::text, ',') from members m),
                                  (select count(*) from audit_log))";
    let before: String = theirs.db().await.one(snapshot).await;
    for said in [
        mine.get(&secret).await,
        mine.patch(&secret, json!({ "name": "Mallory" })).await,
        mine.delete(&secret).await,
    ] {
        said.problem(404, "not-found");
    }
    assert!(first_names(&mine, "tag=Secret").await.is_empty());
    let list = mine.get("/api/tags").await.expect(200).body;
    assert_eq!(list["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(list["items"][0]["name"], "Choir");
    assert_eq!(theirs.db().await.one::<String>(snapshot).await, before, "not a row has changed");
}

/// Locks are taken in one order by all: nobody waits for somebody who waits for them.
#[tokio::test(flavor = "multi_thread")]
async fn saving_renaming_and_removing_at_once_breaks_nothing() {
    for isolation in BOTH {
        saving_renaming_and_removing_at_once(isolation).await;
    }
}

async fn saving_renaming_and_removing_at_once(isolation: Isolation) {
    let server = TestServer::start_with(|config| config.isolation = isolation).await;
    let church = Church::open(&server, "Grace Chapel").await;
    let program = Program::log_in(&server, &church.email).await;
    let mut members = Vec::new();
    for n in 0..4 {
        members.push(tagged(&program, &format!("No {n}"), json!(["A", "B", "C"])).await);
    }
    let mut tags = Vec::new();
    for name in ["A", "B", "C"] {
        tags.push(address(&program, name).await);
    }
    for round in 0..6 {
        let save = |at: &'_ String, n: usize| {
            let (program, at) = (program.clone(), at.clone());
            let names =
                [["C", "new", "A"], ["new", "newer", "B"], ["A", "B", "C"], ["newer", "C", "new"]][n % 4];
            async move { program.patch(&at, json!({ "tags": names })).await }
        };
        let saved =
            join_all(members.iter().enumerate().flat_map(|(n, at)| [save(at, n), save(at, n + round)]));
        let renamed = async {
            let first = program.patch(&tags[round % 3], json!({ "name": format!("Round {round}") })).await;
            let last = program.delete(&tags[(round + 1) % 3]).await;
            [first, last]
        };
        let emptied = program.patch(&members[round % 4], json!({ "tags": [] }));
        let (saved, renamed, emptied) = tokio::join!(saved, renamed, emptied);
        for said in saved.into_iter().chain(renamed).chain([emptied]) {
            let expected = [200, 204, 404, 412];
            assert!(expected.contains(&said.status.as_u16()), "{} {}", said.status, said.body);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_make_the_last_tag_at_once_one_does() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let program = Program::log_in(&server, &church.email).await;
    let fill = "insert into tags (id, name) select gen_random_uuid(), 'Filling ' || n from generate_series(1, 499) n";
    church.db().await.run(fill).await;
    let new = new_member(&program, "Naomi").await;
    let add = |n: usize| {
        let (program, mut new) = (program.clone(), new.clone());
        new["tags"] = json!([format!("Last {n}")]);
        async move { program.post("/api/members", new).await }
    };
    let said: Vec<Said> = join_all((0..8).map(add)).await;
    let (made, refused): (Vec<_>, Vec<_>) = said.into_iter().partition(|said| said.status == 201);
    assert_eq!((made.len(), refused.len()), (1, 7));
    for said in refused {
        let said = said.problem(422, "invalid");
        assert!(said.why("tags").starts_with("A church can have 500 tags"), "{}", said.body);
    }
    let mut db = church.db().await;
    assert_eq!(db.one::<i64>("select count(*) from tags").await, 500);
    assert_eq!(db.one::<i64>("select count(*) from members").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn joiners_that_nobody_sees_make_no_other_tag() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let program = Program::log_in(&server, &church.email).await;
    let spelled =
        json!(["Choir", "Cho\u{200D}ir", "Ch\u{200C}oir", "Choir\u{200D}", "\u{200C}Choir", "Choir\u{FE0F}"]);
    let at = tagged(&program, "Naomi", spelled).await;
    assert_eq!(program.get(&at).await.expect(200).body["tags"], json!(["Choir"]));
    tagged(&program, "Ruth", json!(["cho\u{200D}ir"])).await;
    let page = church.browser.get("/members/new").await.expect(200);
    let (branch, status) =
        (page.value("branch_id"), page.attribute("#status_id option:nth-child(3)", "value"));
    let fields = [
        ("first_name", "Lydia"),
        ("branch_id", branch.as_str()),
        ("status_id", status.as_deref().expect("a status")),
        ("new_tags", "Choi\u{200D}r"),
    ];
    church.browser.post("/members/new", &fields).await.location();
    let mut db = church.db().await;
    assert_eq!(db.one::<String>("select string_agg(name, ',') from tags").await, "Choir");
    assert_eq!(first_names(&program, "tag=Cho%E2%80%8Dir").await, ["Naomi", "Ruth", "Lydia"]);
    let list = church.browser.get("/members?tag=Choir%E2%80%8C").await.expect(200);
    assert_eq!(list.text(".head p"), "3 people found");

    tagged(&program, "Agnes", json!(["Ushers"])).await;
    let ushers = address(&program, "Ushers").await;
    let said = program.patch(&ushers, json!({ "name": "Ch\u{200D}oir" })).await.problem(422, "invalid");
    assert_eq!(said.why("name"), "Another tag has this name.");
    // Inside a word of another script a joiner is a letter.
    tagged(&program, "Maryam", json!(["نمی\u{200C}دانم", "نمیدانم"])).await;
    assert_eq!(db.one::<i64>("select count(*) from tags").await, 4);
}
