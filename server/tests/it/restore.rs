//! A registry that is older than the churches: it was restored from a dump.

use crate::harness::{Church, Db, Registry, TestServer, command, sign_up, watch};

const READY: &str = "select count(*) from ready_databases where ready_at is not null";

/// A server with one ready database, and what the registry knew of it then.
async fn dumped() -> (TestServer, Db) {
    let server = TestServer::start_with(|config| config.ready_databases = 1).await;
    let mut db = server.db().await;
    db.until(&format!("select ({READY}) = 1")).await;
    db.run("create table dumped as select * from ready_databases").await;
    (server, db)
}

async fn exists(database: &str) -> bool {
    let sql = format!("select exists (select from pg_database where datname = '{database}')");
    Db::open("postgres").await.one(&sql).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_never_gets_the_database_of_a_church() {
    // The church's own row may be in the dump or not.
    for forgets_the_church in [true, false] {
        let (server, mut db) = dumped().await;
        let church = Church::open(&server, "Grace Chapel").await;
        let id = church.tenant_id.as_str();
        assert_eq!(db.one::<String>("select id from dumped").await, id, "it was the one that stood ready");
        let rows = "select (select string_agg(email, ',') from admins) || (select count(*) from audit_log)";
        let before: String = church.db().await.one(rows).await;
        if forgets_the_church {
            db.run("delete from tenants").await;
        }
        db.run("insert into ready_databases select * from dumped").await;

        let newcomer = Church::open(&server, "Hope Church").await;
        assert_ne!(newcomer.tenant_id, id);
        assert_eq!(newcomer.browser.get("/members").await.expect(200).text("h1"), "Members");
        assert_eq!(church.db().await.one::<String>(rows).await, before, "nothing in it has changed");
        let still = format!("select count(*) from ready_databases where id = '{id}'");
        assert_eq!(db.one::<i64>(&still).await, 0, "it is not offered again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_missing_is_forgotten_and_the_next_one_taken() {
    let server = TestServer::start_with(|config| config.ready_databases = 2).await;
    let mut db = server.db().await;
    db.until(&format!("select ({READY}) = 2")).await;
    let first: String = db.one("select id from ready_databases order by ready_at limit 1").await;
    Db::open("postgres").await.run(&format!("drop database tenant_{first} with (force)")).await;
    let church = Church::open(&server, "Grace Chapel").await;
    assert_ne!(church.tenant_id, first);
    assert_eq!(db.one::<i64>(&format!("select count(*) from ready_databases where id = '{first}'")).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_or_surplus_one_is_dropped_only_if_it_is_empty() {
    let (server, mut db) = dumped().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let members = "select count(*) from admins";
    db.run("delete from tenants; delete from ready_databases").await;
    db.run("insert into ready_databases select * from dumped").await;
    db.run("update ready_databases set edition = 'long ago'").await;
    let tools = server.running.installation.provisioner(0);
    while tools.drop_unwanted().await.expect("it can be looked at") {}
    db.until("select not exists (select from ready_databases where edition = 'long ago')").await;
    assert!(exists(&church.database).await, "{} was dropped", church.database);
    assert_eq!(church.db().await.one::<i64>(members).await, 1);
    let role = format!("select count(*) from pg_roles where rolname = '{}'", church.database);
    assert_eq!(db.one::<i64>(&role).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_forgets_what_only_the_registry_believes_to_be_ready() {
    let (server, mut db) = dumped().await;
    let church = Church::open(&server, "Grace Chapel").await;
    server.running.stop().await.expect("it stops in order");
    db.run("delete from tenants; delete from ready_databases").await;
    db.run("insert into ready_databases select * from dumped").await;
    let registry = server.registry.clone();
    let said = command(&registry, &["doctor"]).await.expect_err("something is wrong");
    assert_eq!(said, "vestry: one problem was found\n");

    let _next = TestServer::on(&registry).await;
    db.until("select not exists (select from ready_databases)").await;
    assert!(exists(&church.database).await);
    // It is nobody's now, and is told of until somebody has looked after it.
    let json = crate::harness::printed(&registry, &["doctor", "--json"]).await;
    let found: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(found[0]["severity"], "problem", "{json}");
    let what = found[0]["what"].as_str().unwrap_or_default();
    assert!(what.starts_with(&church.database) && what.contains("does not know that church"), "{json}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_succeeded_since_is_not_undone_and_can_be_opened_again() {
    for isolation in [server::config::Isolation::Database, server::config::Isolation::Schema] {
        let server = TestServer::start_with(|config| config.isolation = isolation).await;
        let mut db = server.db().await;
        db.run(
            "create table dumped (sealed bytea);
             create function dump() returns trigger language plpgsql as $$
             begin insert into dumped values (new.sealed); return new; end $$;
             create trigger dump before insert on provisioning_runs for each row execute function dump();",
        )
        .await;
        let church = Church::open(&server, "Grace Chapel").await;
        // That the owner has entered is noted while the answer is on its way.
        church.db().await.until("select bool_and(last_login_at is not null) from admins").await;
        db.run(
            "update tenants set status = 'failed';
             update provisioning_runs set status = 'failed', finished_at = now() - interval '8 days',
                    sealed = (select sealed from dumped);
             delete from provisioning_events where step = 'open'",
        )
        .await;
        let tools = server.running.installation.provisioner(0);
        while tools.undo_abandoned().await.expect("it can be looked at") {
            let later = "select finished_at > now() - interval '1 minute' from provisioning_runs";
            assert!(db.one::<bool>(later).await, "it is looked at again in a week, not at once");
        }
        assert_eq!(church.db().await.one::<i64>("select count(*) from admins").await, 1, "{isolation:?}");
        let said = crate::harness::printed(&server.registry, &["doctor"]).await;
        let advice = format!("vestry tenants retry {}", church.tenant_id);
        assert!(said.contains(&advice), "{said}");

        command(&server.registry, &["tenants", "retry", &church.tenant_id]).await.expect("it has failed");
        db.until("select status = 'active' from tenants").await;
        let browser = server.browser();
        let fields = [("email", church.email.as_str()), ("password", crate::harness::PASSWORD)];
        assert_eq!(browser.post("/signin", &fields).await.location(), "/");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_maker_that_has_lost_its_lease_hands_out_nothing() {
    use registry::ready::{self, SchemaRevision};
    let server = TestServer::start().await;
    let registry = &server.running.installation.registry;
    let edition = SchemaRevision { name: "of a test", schema_version: 1 };
    let slow = ready::claim_new(registry, edition, 1).await.expect("it answers").expect("there is room");
    let mut db = server.db().await;
    db.run("update ready_databases set lease_until = now() - interval '1 second'").await;
    let other =
        ready::claim_unwanted(registry, edition, 1).await.expect("it answers").expect("it is unwanted");
    assert_eq!(slow.id, other.id);
    let made = ready::mark_ready(registry, &slow).await;
    assert!(matches!(made, Err(registry::Error::LeaseLost)), "{made:?}");
    assert_eq!(db.one::<i64>(READY).await, 0, "another worker removes it at this moment");
    ready::delete_claimed(registry, &slow).await.expect("it answers");
    assert_eq!(db.one::<i64>("select count(*) from ready_databases").await, 1, "nor is it forgotten");
    assert!(ready::renew(registry, &slow).await.is_err());
    ready::renew(registry, &other).await.expect("it has the lease");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_church_without_a_database_is_told_of() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let (id, registry) = (church.tenant_id.as_str(), &server.registry);
    let said = command(registry, &["doctor"]).await.expect("nothing is wrong");
    assert!(!said.contains("problem"), "{said}");
    let shown = command(registry, &["tenants", "show", id]).await.expect("it is there");
    assert!(shown.contains("is there"), "{shown}");

    Db::open("postgres").await.run(&format!("drop database tenant_{id} with (force)")).await;
    let shown = command(registry, &["tenants", "show", id]).await.expect("the row is there");
    assert!(shown.contains("is gone"), "{shown}");
    let json = command(registry, &["tenants", "show", id, "--json"]).await.expect("the row is there");
    let shown: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((&shown["databaseState"], &shown["id"]), (&"missing".into(), &id.into()));
    let said = crate::harness::printed(registry, &["doctor"]).await;
    assert!(said.contains(&format!("the database of the church {id} is gone")), "{said}");
    assert!(command(registry, &["doctor"]).await.is_err(), "a monitor notices");
}

/// What is open to everybody is open to the roles of all churches.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_was_restored_open_is_told_of() {
    let registry = Registry::create().await;
    let server = TestServer::on(&registry).await;
    let church = Church::open(&server, "Grace Chapel").await;
    let mut all = Db::open("postgres").await;
    all.run(&format!("grant connect on database {} to public", church.database)).await;
    let said = crate::harness::printed(&registry, &["doctor"]).await;
    assert!(said.contains(&format!("vestry tenants repair {} closes it", church.tenant_id)), "{said}");
    let opening = sign_up(&server.browser(), "Hope Church", "hope@example.org").await;
    assert_eq!(watch(&server.browser(), &opening).await["status"], "succeeded", "the others go on");
}
