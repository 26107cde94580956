//! A church that an older release has filled is upgraded with what is in it.

use crate::harness::{Church, Program, TestServer, cluster};
use server::config::Isolation;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, migrate::Migrator};
use std::path::Path;

for_both_kinds!(texts_of_an_older_release_are_folded_again);

/// The last migration of the release that folded by case and marks alone.
const OLD: i64 = 7;

/// Makes the church's tables anew by the migrations of the old release, with the admins, branches and statuses it has.
async fn turn_back(server: &TestServer, church: &Church) {
    let (schema, own) = (&church.schema, format!("tenant_{}", church.tenant_id));
    let group = if church.database == own { "vestry_tenants" } else { own.as_str() };
    let kept = ["admins", "branches", "member_statuses"];
    let keep = kept.map(|table| format!("create temporary table kept_{table} as table {table};")).concat();
    let back = kept.map(|table| {
        format!(
            "insert into {table} select * from jsonb_populate_recordset(null::{table}, (select jsonb_agg(to_jsonb(k)) from kept_{table} k));"
        )
    });
    let options = cluster().clone().database(&church.database);
    let mut connection = PgConnection::connect_with(&options).await.expect("it can be looked into");
    let before =
        format!("set search_path = {schema}; {keep} drop schema {schema} cascade; create schema {schema}");
    connection.execute(AssertSqlSafe(before)).await.expect("it is empty");
    let migrations = Migrator::new(Path::new("../tenant-migrations")).await.expect("they are there");
    let old = migrations.iter().filter(|migration| migration.version <= OLD).cloned().collect();
    Migrator::with_migrations(old).run_direct(None, &mut connection, false).await.expect("made");
    let after = format!(
        "{} grant usage on schema {schema} to {group};
         grant select, insert, update, delete on all tables in schema {schema} to {group}",
        back.concat()
    );
    connection.execute(AssertSqlSafe(after)).await.expect("it is as it was");
    server.db().await.run(&format!("update tenants set schema_version = {OLD}")).await;
}

/// What the old release has stored of a member: its keys folded by case and marks alone.
fn member(first: &str, last: &str, sort_name: &str, search_text: &str) -> String {
    let quoted = |text: &str| text.replace('\'', "''");
    format!(
        "insert into members (id, branch_id, status_id, first_name, last_name, mobile_e164, home_phone, sort_name, search_text)
         values (gen_random_uuid(), (select id from branches where is_main), (select id from member_statuses limit 1),
                 '{}', '{}', '+254712345678', '020-555-0199', '{}', '{} +254712345678 0205550199')",
        quoted(first),
        quoted(last),
        quoted(sort_name),
        quoted(search_text),
    )
}

async fn texts_of_an_older_release_are_folded_again(isolation: Isolation) {
    let server = TestServer::start_with(|config| config.isolation = isolation).await;
    let church = Church::open(&server, "Grace Chapel").await;
    turn_back(&server, &church).await;
    let mut db = church.db().await;
    for (first, last, sort_name, search_text) in [
        ("Pat", "O'Tester", "o'tester pat", "pat o'tester"),
        ("Łukasz", "Groß", "groß łukasz", "łukasz groß"),
        ("Anne-Marie", "Rene\u{301}", "rene anne-marie", "anne-marie rene"),
        // It would not fit when it is composed, and stays.
        (&"\u{958}".repeat(80), "Khan", "khan", "khan"),
    ] {
        db.run(&member(first, last, sort_name, search_text)).await;
    }
    // More than are folded at once.
    db.run(
        "insert into members (id, branch_id, status_id, first_name, last_name, sort_name, search_text)
         select gen_random_uuid(), (select id from branches where is_main), (select id from member_statuses limit 1),
                'Øystein', 'Nr ' || n, 'nr ' || n || ' øystein', 'øystein nr ' || n
           from generate_series(1, 4500) n",
    )
    .await;
    db.run(
        "insert into tags (id, name, created_at) values
             (gen_random_uuid(), 'Cafe\u{301}', now() - interval '1 day'), (gen_random_uuid(), 'CAFÉ', now()),
             (gen_random_uuid(), 'Choir', now());
         insert into member_tags (member_id, tag_id, added_by)
         select m.id, t.id, (select id from admins) from members m, tags t
          where (m.last_name = 'O''Tester' and t.name <> 'Choir') or (m.last_name = 'Groß' and t.name = 'CAFÉ')",
    )
    .await;
    db.run(
        "insert into branches (id, name, city, timezone) values
             (gen_random_uuid(), 'Saint-E\u{301}tienne', 'Zu\u{308}rich', 'UTC'),
             (gen_random_uuid(), 'Pare\u{301}', null, 'UTC'), (gen_random_uuid(), 'Paré', null, 'UTC')",
    )
    .await;
    let versions = "select string_agg(updated_at::text, ',' order by id) from members";
    let before: String = db.one(versions).await;

    let found = async |search: &str| {
        let query = serde_urlencoded::to_string([("search", search)]).expect("a query");
        let page = church.browser.get(&format!("/members?{query}")).await.expect(200);
        page.all("tbody .name a")
    };
    assert_eq!(found("otester").await, ["O'Tester, Pat"]);
    for (search, name) in [
        ("O’T", "O'Tester, Pat"),
        ("lukasz gross", "Groß, Łukasz"),
        ("Anne Marie", "René, Anne-Marie"),
        ("oystein 4500", "Nr 4500, Øystein"),
    ] {
        assert_eq!(found(search).await, [name], "{search}");
    }
    assert_eq!(found("0712-345-678").await.len(), 4);
    assert_eq!(found("020-555-0199").await.len(), 4);
    let sorted =
        "select string_agg(sort_name, '|' order by sort_name) from members where sort_name !~ '^nr '";
    let sorted: String = db.one(sorted).await;
    assert!(sorted.starts_with("gross lukasz|khan"), "{sorted}");
    assert!(sorted.ends_with("|otester pat|rene anne marie"), "{sorted}");
    assert_eq!(db.one::<String>(versions).await, before, "nobody has changed them");

    // What looked the same is one, and nobody has lost it.
    let tags = "select string_agg(t.name || ' ' || n, '|' order by t.name)
                  from tags t, lateral (select count(*) as n from member_tags where tag_id = t.id) c";
    assert_eq!(db.one::<String>(tags).await, "Café 2|Choir 0");
    let branches = "select string_agg(name || coalesce(' ' || city, ''), '|' order by name collate \"C\")
                      from branches where not is_main";
    assert_eq!(db.one::<String>(branches).await, "Pare\u{301}|Paré|Saint-Étienne Zürich");
    let page = church.browser.get("/branches?search=zurich").await.expect(200);
    assert_eq!(page.all("tbody a"), ["Saint-Étienne"]);

    // One name is taken from now on, and saving without a change changes nothing.
    let program = Program::log_in(&server, &church.email).await;
    let page = program.get("/api/members?search=otester").await.expect(200);
    let at = format!("/api/members/{}", page.body["items"][0]["id"].as_str().expect("an id"));
    let etag = program.get(&at).await.expect(200).header("etag").to_owned();
    let same = program.patch(&at, serde_json::json!({})).await.expect(200);
    assert_eq!(same.header("etag"), etag);
    program.patch(&at, serde_json::json!({ "firstName": null })).await.expect(200);
}
