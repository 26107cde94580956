//! What commands and starts may do to an installation that is there.

use crate::harness::{Browser, Church, Db, Other, Registry, TestServer, command, printed, sign_up, watch};
use sqlx::ConnectOptions;

const PRIMARY: &str =
    "select host || ' ' || port || ' ' || updated_at from database_servers where name = 'primary'";

/// The same registry under another address of the same server, as through a tunnel.
fn through_a_tunnel(registry: &Registry, folder: &tempfile::TempDir) -> Registry {
    let socket = crate::harness::cluster().get_socket().expect("a socket").clone();
    let link = folder.path().join("tunnel");
    std::os::unix::fs::symlink(&socket, &link).expect("a link");
    let encoded = |path: &std::path::Path| path.to_str().expect("a path").replace('/', "%2F");
    Registry { url: registry.url.replace(&encoded(&socket), &encoded(&link)), ..registry.clone() }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_address_of_the_registry_takes_no_church_along() {
    let registry = Registry::create().await;
    let server = TestServer::on(&registry).await;
    let church = Church::open(&server, "Grace Chapel").await;
    let mut db = registry.db().await;
    let before: String = db.one(PRIMARY).await;
    let folder = tempfile::tempdir().expect("a folder");
    let tunnel = through_a_tunnel(&registry, &folder);
    assert_ne!(tunnel.url, registry.url);
    let id = church.tenant_id.as_str();
    for arguments in [
        &["tenants", "list"][..],
        &["tenants", "show", id],
        &["servers", "list"],
        &["doctor"],
        &["tenants", "suspend", id],
        &["tenants", "resume", id],
        &["keys", "rotate"],
        &["migrate"],
    ] {
        command(&tunnel, arguments).await.unwrap_or_else(|said| panic!("{arguments:?}: {said}"));
        assert_eq!(db.one::<String>(PRIMARY).await, before, "{arguments:?}");
    }
    // Nor does a process that serves.
    let second = TestServer::on(&tunnel).await;
    assert_eq!(db.one::<String>(PRIMARY).await, before);
    drop(folder);
    for addr in [server.addr(), second.addr()] {
        while church.browser.at(addr).get("/members").await.status == 403 {}
        church.browser.at(addr).get("/members").await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_of_the_primary_server_is_told_by_a_command() {
    let registry = Registry::create().await;
    let server = TestServer::on(&registry).await;
    let church = Church::open(&server, "Grace Chapel").await;
    let mut db = registry.db().await;
    let folder = tempfile::tempdir().expect("a folder");
    let tunnel = through_a_tunnel(&registry, &folder);
    let other = Other::start().await;
    let before: String = db.one(PRIMARY).await;
    let said = command(&registry, &["servers", "set", "primary", "--url", &other.url()]).await;
    assert!(said.expect_err("it is another").contains("this is another PostgreSQL server"));
    assert_eq!(db.one::<String>(PRIMARY).await, before);

    command(&registry, &["servers", "set", "primary", "--url", &tunnel.url]).await.expect("it is the same");
    assert!(db.one::<String>("select host from database_servers").await.ends_with("/tunnel"));
    church.browser.get("/members").await.expect(200);
    let said = command(&registry, &["servers", "set", "nowhere", "--url", &tunnel.url]).await;
    assert_eq!(
        said.expect_err("no such server"),
        "vestry: no server is named nowhere; see vestry servers list\n"
    );
    other.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_on_another_server_than_its_churches_is_not_served() {
    let registry = Registry::create().await;
    TestServer::on(&registry).await.running.stop().await.expect("it stops in order");
    let mut db = registry.db().await;
    // As in a dump of a server that stands elsewhere.
    db.run("update database_servers set host = '10.1.2.3', system_identifier = 1").await;
    let before: String = db.one(PRIMARY).await;
    let started = server::serve::Running::start(registry.config()).await;
    let said = started.err().expect("it does not start").to_string();
    assert!(said.contains("10.1.2.3:") && said.contains("vestry servers set primary"), "{said}");
    let found = printed(&registry, &["doctor"]).await;
    assert!(found.starts_with("problem: churches are looked for at 10.1.2.3:"), "{found}");
    assert_eq!(db.one::<String>(PRIMARY).await, before);
    command(&registry, &["servers", "set", "primary", "--url", &registry.url]).await.expect("it is this one");
    TestServer::on(&registry).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_neither_make_nor_change_tables() {
    let registry = Registry::create().await;
    let mut db = registry.db().await;
    let tables = "select count(*) from pg_tables where schemaname = 'public'";
    for arguments in [&["tenants", "list"][..], &["servers", "list"], &["doctor"], &["keys", "rotate"]] {
        let said = command(&registry, arguments).await.expect_err("there are no tables");
        assert_eq!(said, "vestry: the registry has no tables yet: start vestry, or run: vestry migrate\n");
        assert_eq!(db.one::<i64>(tables).await, 0, "{arguments:?}");
    }
    let said = command(&registry, &["migrate"]).await.expect("it migrates");
    assert!(said.starts_with("migrated the registry from 0001 to "), "{said}");
    let said = command(&registry, &["migrate"]).await.expect("it migrates");
    assert_eq!(said, "the registry is up to date.\n");
    assert_eq!(db.one::<i64>("select count(*) from database_servers").await, 0, "nothing is registered");

    TestServer::on(&registry).await.running.stop().await.expect("it stops in order");
    db.run("delete from _sqlx_migrations where version = (select max(version) from _sqlx_migrations)").await;
    let said = command(&registry, &["tenants", "list"]).await.expect_err("it is older");
    assert!(said.contains("of an older release") && said.contains("vestry migrate"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_is_rolled_back_starts_and_serves() {
    let registry = Registry::create().await;
    let server = TestServer::on(&registry).await;
    let church = Church::open(&server, "Grace Chapel").await;
    registry
        .db()
        .await
        .run(
            "create table of_tomorrow ();
             insert into _sqlx_migrations (version, description, success, checksum, execution_time)
             values (9000, 'of tomorrow', true, '\\x00', 1)",
        )
        .await;
    let older = TestServer::on(&registry).await;
    church.browser.at(older.addr()).get("/members").await.expect(200);
    command(&registry, &["tenants", "list"]).await.expect("it lists");
    assert!(printed(&registry, &["doctor"]).await.contains("of a newer release"));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_secret_key_is_refused_by_starts_and_commands() {
    let registry = Registry::create().await;
    let server = TestServer::on(&registry).await;
    let church = Church::open(&server, "Grace Chapel").await;
    let wrong = Registry { secret: "0123456789abcdef0123456789abcdef".into(), ..registry.clone() };
    let started = server::serve::Running::start(wrong.config()).await;
    let said = started.err().expect("it does not start").to_string();
    assert!(said.starts_with("VESTRY_SECRET_KEY is not the key of this installation"), "{said}");
    for arguments in [&["tenants", "list"][..], &["doctor"], &["keys", "rotate"], &["migrate"]] {
        let said = command(&wrong, arguments).await.expect_err("the key is another");
        assert!(said.contains("is not the key of this installation"), "{arguments:?}: {said}");
    }
    // An installation of a release that kept no digest tells by its churches.
    let mut db = registry.db().await;
    db.run("delete from installation").await;
    assert!(server::serve::Running::start(wrong.config()).await.is_err());
    assert_eq!(
        db.one::<i64>("select count(*) from installation").await,
        0,
        "a wrong key is not written down"
    );
    let right = TestServer::on(&registry).await;
    assert_eq!(db.one::<i64>("select count(*) from installation").await, 1);
    church.browser.at(right.addr()).get("/members").await.expect(200);
    let stored: Vec<u8> = db.one("select secret_digest from installation").await;
    assert!(!stored.windows(16).any(|part| registry.secret.as_bytes().windows(16).any(|key| key == part)));
}

/// Nothing is written by a command that only looks: PostgreSQL would refuse it.
#[tokio::test(flavor = "multi_thread")]
async fn commands_that_look_work_on_a_registry_that_takes_no_writes() {
    let registry = Registry::create().await;
    let server = TestServer::on(&registry).await;
    let church = Church::open(&server, "Grace Chapel").await;
    let mut db = Db::open("postgres").await;
    db.run(&format!("alter database {} set default_transaction_read_only = on", registry.database)).await;
    for arguments in
        [&["tenants", "list"][..], &["tenants", "show", &church.tenant_id], &["servers", "list"], &["doctor"]]
    {
        command(&registry, arguments).await.unwrap_or_else(|said| panic!("{arguments:?}: {said}"));
    }
    let said =
        command(&registry, &["tenants", "suspend", &church.tenant_id]).await.expect_err("it takes no writes");
    assert!(said.contains("read-only") && said.lines().count() == 1, "{said}");
}

/// Tables belong to the role that made the template: a church made from another installation's could not be upgraded.
#[tokio::test(flavor = "multi_thread")]
async fn two_installations_under_different_roles_own_what_is_theirs() {
    let postgres = crate::chaos::postgres::Postgres::start().await;
    for sql in [
        "create role second login createdb createrole password 'throwaway'",
        "grant pg_signal_backend to second",
        "grant connect on database postgres to second",
        "create database second_registry owner second",
    ] {
        postgres.run(sql).await;
    }
    let second =
        postgres.url().replace("//vestry:", "//second:").replace("/vestry_registry", "/second_registry");
    let mut running = Vec::new();
    for (owner, url) in [("vestry", postgres.url()), ("second", second)] {
        let secret = uuid::Uuid::new_v4().simple().to_string() + owner;
        let registry = Registry { database: format!("of_{owner}"), url, secret };
        let server =
            server::serve::Running::start(registry.config()).await.unwrap_or_else(|error| panic!("{error}"));
        let browser = Browser::new(server.addr);
        let opening = sign_up(&browser, "Grace Chapel", &format!("ruth@{owner}.example.org")).await;
        assert_eq!(watch(&browser, &opening).await["status"], "succeeded");
        let mut maintenance = postgres.superuser("postgres").connect().await.expect("it answers");
        let newest =
            "select datname::text from pg_database where datname like 'tenant\\_%' order by oid desc limit 1";
        let church: String =
            sqlx::query_scalar(newest).fetch_one(&mut maintenance).await.expect("one is there");
        let mut church = postgres.superuser(&church).connect().await.expect("it answers");
        let owners = "select string_agg(distinct tableowner, ',') from pg_tables where schemaname = 'church'";
        let owners: String =
            sqlx::query_scalar(owners).fetch_one(&mut church).await.expect("there are tables");
        assert_eq!(owners, owner);
        // Neither takes the other's church for its own.
        let found = server::doctor::examine(&(&server.installation).into()).await.expect("it looks");
        assert!(found.is_empty(), "{found:?}");
        running.push(server);
    }
    for server in running {
        server.stop().await.expect("it stops in order");
    }
    postgres.stop().await;
}
