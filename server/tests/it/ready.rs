//! Databases that stand ready.

use crate::harness::{Church, Db, Registry, TestServer, sign_up, watch};
use futures::future::join_all;

const READY: &str = "select count(*) from ready_databases where ready_at is not null";

async fn with_ready(depth: u32) -> TestServer {
    let server = TestServer::start_with(|config| config.ready_databases = depth).await;
    server.db().await.until(&format!("select ({READY}) = {depth}")).await;
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn a_church_takes_one_over_and_another_takes_its_place() {
    let server = with_ready(2).await;
    let mut db = server.db().await;
    let ids: String = db.one("select string_agg(id, ',') from ready_databases").await;
    let church = Church::open(&server, "Grace Chapel").await;
    assert!(ids.contains(&church.tenant_id), "it has the id of one that stood ready");
    assert_eq!(church.browser.get("/members").await.expect(200).text("h1"), "Members");
    let mut own = church.db().await;
    assert_eq!(own.one::<i64>("select count(*) from admins").await, 1);
    let steps = "select count(*) from provisioning_events where state = 'succeeded'";
    assert_eq!(db.one::<i64>(steps).await, 5, "all steps are told of");
    db.until(&format!("select ({READY}) = 2")).await;
    let still = format!("select count(*) from ready_databases where id = '{}'", church.tenant_id);
    assert_eq!(db.one::<i64>(&still).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_come_at_once_each_gets_its_own() {
    let first = with_ready(3).await;
    let second = TestServer::on_with(&first.registry, |config| config.ready_databases = 3).await;
    let names: Vec<_> = (0..8).map(|n| format!("Church {n}")).collect();
    let servers = [&first, &second];
    let opened = names.iter().enumerate().map(|(n, name)| Church::open(servers[n % 2], name));
    let mut ids: Vec<_> = join_all(opened).await.into_iter().map(|church| church.tenant_id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 8);
    let mut db = first.db().await;
    db.until(&format!("select ({READY}) = 3")).await;
    assert_eq!(db.one::<i64>("select count(*) from ready_databases").await, 3, "not more than wanted");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_of_no_use_is_removed_with_its_database_and_role() {
    let server = with_ready(3).await;
    let mut db = server.db().await;
    let ids: String =
        db.one("select string_agg(quote_literal('tenant_' || id), ',') from ready_databases").await;
    // One was made with tables of long ago, one was left half made by somebody who died.
    db.run(
        "with two as (select id, row_number() over () as nth from ready_databases)
         update ready_databases r
            set edition = case two.nth when 1 then 'long ago' else edition end,
                ready_at = case two.nth when 2 then null else ready_at end,
                lease_until = case two.nth when 2 then now() - interval '1 minute' end
           from two where two.id = r.id",
    )
    .await;
    let tools = server.running.installation.provisioner(3);
    while tools.drop_unwanted().await.expect("it can be removed") {}
    let left = format!("select count(*) from ready_databases where 'tenant_' || id in ({ids})");
    db.until(&format!("select ({left}) = 1")).await;
    let mut all = Db::open("postgres").await;
    for (table, name) in [("pg_database", "datname"), ("pg_roles", "rolname")] {
        all.until(&format!("select count(*) = 1 from {table} where {name} in ({ids})")).await;
    }
    db.until(&format!("select ({READY}) = 3")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signup_that_is_not_accepted_leaves_it_ready() {
    let server = with_ready(1).await;
    let mut db = server.db().await;
    db.run("alter table tenants add constraint full_house check (name <> 'Grace Chapel')").await;
    let browser = server.browser();
    let page =
        browser.get("/signup/you?church=Grace+Chapel&country=KE&timezone=Africa/Nairobi").await.expect(200);
    let fields = [
        ("key", page.value("key")),
        ("first_name", "Ruth".into()),
        ("last_name", "Okafor".into()),
        ("email", "ruth@example.org".into()),
        ("password", crate::harness::PASSWORD.into()),
    ];
    let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    browser
        .post("/signup/you?church=Grace+Chapel&country=KE&timezone=Africa/Nairobi", &fields)
        .await
        .expect(500);
    assert_eq!(db.one::<i64>(READY).await, 1);
    assert_eq!(db.one::<i64>("select count(*) from tenants").await, 0);
    let opening = sign_up(&server.browser(), "Hope Church", "hope@example.org").await;
    assert_eq!(watch(&server.browser(), &opening).await["status"], "succeeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_made_for_a_registry_is_no_way_into_it() {
    let registry = Registry::create().await;
    let server = TestServer::on_with(&registry, |config| config.ready_databases = 1).await;
    let mut db = server.db().await;
    db.until(&format!("select ({READY}) = 1")).await;
    let id: String = db.one("select id from ready_databases").await;
    let mut all = Db::open("postgres").await;
    for database in [registry.database.as_str(), "postgres"] {
        let may = format!("select has_database_privilege('tenant_{id}', '{database}', 'connect')");
        assert!(!all.one::<bool>(&may).await, "{database}");
    }
}
