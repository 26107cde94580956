//! What an operator does with churches from the command line.

use crate::harness::{Church, TestServer, command, sign_up, watch};

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_church_is_closed_everywhere_at_once_and_opens_again() {
    let first = TestServer::start().await;
    let second = TestServer::on(&first.registry).await;
    let church = Church::open(&first, "Grace Chapel").await;
    let other = Church::open(&first, "Hope Church").await;
    let elsewhere = church.browser.at(second.addr());
    elsewhere.get("/members").await.expect(200);
    let before: i64 = church.db().await.one("select count(*) from audit_log").await;

    let id = church.tenant_id.as_str();
    let said = command(&first.registry, &["tenants", "suspend", id]).await.expect("it is active");
    assert_eq!(said, format!("{id} is suspended.\n"));
    let mut db = first.db().await;
    let none = format!("select count(*) = 0 from pg_stat_activity where usename = 'tenant_{id}'");
    db.until(&none).await;
    for browser in [&church.browser, &elsewhere] {
        let page = browser.get("/members").await.expect(403);
        assert_eq!(page.text("h1"), "This office is closed for now");
        assert!(page.words().contains("The office of Grace Chapel is suspended"), "{}", page.words());
        browser.post("/branches/new", &[("name", "Karen"), ("timezone", "UTC")]).await.expect(403);
    }
    other.browser.get("/members").await.expect(200);
    assert_eq!(church.db().await.one::<i64>("select count(*) from audit_log").await, before);
    let twice = command(&first.registry, &["tenants", "suspend", id]).await.expect_err("it is suspended");
    assert_eq!(twice, format!("vestry: {id} is not active: there is nothing to suspend\n"));

    command(&first.registry, &["tenants", "resume", id]).await.expect("it is suspended");
    db.until(&format!("select status = 'active' from tenants where id = '{id}'")).await;
    // Both processes are told; here is waited until they have heard.
    for browser in [&church.browser, &elsewhere] {
        while browser.get("/members").await.status != 200 {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn they_are_listed_and_shown_for_people_and_for_programs() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    Church::open(&server, "Hope Church").await;
    let id = church.tenant_id.as_str();
    command(&server.registry, &["tenants", "suspend", id]).await.expect("it is active");
    let list = command(&server.registry, &["tenants", "list"]).await.expect("it lists");
    let lines: Vec<_> = list.lines().collect();
    assert_eq!(lines.len(), 3, "{list}");
    assert!(
        lines[0].trim().starts_with("ID") && lines[1].contains("Hope Church") && lines[2].contains(id),
        "{list}"
    );
    let json = command(&server.registry, &["tenants", "list", "--json", "--status", "suspended"]).await;
    let listed: serde_json::Value = serde_json::from_str(&json.expect("it lists")).expect("JSON");
    assert_eq!(listed.as_array().map(Vec::len), Some(1));
    assert_eq!((&listed[0]["id"], &listed[0]["server"]), (&id.into(), &"primary".into()));
    let shown = command(&server.registry, &["tenants", "show", id]).await.expect("it is there");
    assert!(shown.contains("Grace Chapel") && shown.contains(&format!("tenant_{id}")), "{shown}");
    let json = command(&server.registry, &["tenants", "show", id, "--json"]).await.expect("it is there");
    let shown: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(shown["run"]["status"], "succeeded");
    for unknown in ["nobody", "a23456789012345678901234"] {
        let said = command(&server.registry, &["tenants", "show", unknown]).await.expect_err("nobody");
        assert_eq!(said, format!("vestry: no church has the id {unknown}; see vestry tenants list\n"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_signup_is_tried_again() {
    let server = TestServer::start().await;
    let mut db = server.db().await;
    db.run(
        "create table sealed_before (sealed bytea);
         create function spoil() returns trigger language plpgsql as $$
         begin
             insert into sealed_before values (new.sealed);
             new.sealed := '\\x00'::bytea || new.sealed;
             return new;
         end $$;
         create trigger spoil before insert on provisioning_runs for each row execute function spoil();",
    )
    .await;
    let browser = server.browser();
    let opening = sign_up(&browser, "Grace Chapel", "ruth@example.org").await;
    assert_eq!(watch(&browser, &opening).await["status"], "failed");
    let id: String = db.one("select id from tenants").await;
    let shown = command(&server.registry, &["tenants", "show", &id]).await.expect("it is there");
    assert!(shown.contains("sealed with another secret key"), "{shown}");
    db.run("update provisioning_runs set sealed = (select sealed from sealed_before)").await;
    command(&server.registry, &["tenants", "retry", &id]).await.expect("it has failed");
    assert_eq!(watch(&browser, &opening).await["status"], "succeeded");
    let said = command(&server.registry, &["tenants", "retry", &id]).await.expect_err("it is open");
    assert!(said.contains("has not failed"), "{said}");
}
