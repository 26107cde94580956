use crate::{
    chaos::postgres::{Postgres, Shutdown},
    faults::{answers, take_all},
    harness::{Browser, Church, Db, Process, Registry, TestServer, cluster, sign_up, watch},
};
use futures::future::{join, join_all};
use identity::Secret;
use server::config::Isolation;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, migrate::Migrator};
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{sync::oneshot, task::JoinHandle};

fn connections(church: &Church) -> String {
    format!("select count(*) from pg_stat_activity where usename = 'tenant_{}'", church.tenant_id)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_church_has_no_more_connections_than_it_may() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let pages = join_all((0..60).map(|_| church.browser.get("/members"))).await;
    assert!(pages.iter().all(|page| page.status == 200));
    let open = Db::open("postgres").await.one::<i64>(&connections(&church)).await;
    assert!((1..=4).contains(&open), "{open} connections");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_come_at_once_open_a_church_once() {
    let first = TestServer::start().await;
    let church = Church::open(&first, "Grace Chapel").await;
    // A second server has nothing open yet.
    let server = TestServer::on(&first.registry).await;
    let browser = church.browser.at(server.addr());
    let pages = join_all((0..40).map(|_| browser.get("/branches"))).await;
    assert!(pages.iter().all(|page| page.status == 200));
    let open = Db::open("postgres").await.one::<i64>(&connections(&church)).await;
    assert!(open <= 8, "{open} connections of two servers");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_churchs_connections_go_at_once() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    church.browser.get("/members").await.expect(200);
    let mut db = Db::open("postgres").await;
    assert!(db.one::<i64>(&connections(&church)).await > 0);
    server.db().await.run("update tenants set status = 'suspended'").await;
    db.until(&connections(&church).replace("count(*)", "count(*) = 0")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_went_away_comes_back_without_a_restart() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    church.browser.get("/members").await.expect(200);
    let cut = format!(
        "select count(pg_terminate_backend(pid)) from pg_stat_activity where usename = 'tenant_{}'",
        church.tenant_id
    );
    let mut db = Db::open("postgres").await;
    db.one::<i64>(&cut).await;
    church.browser.get("/members").await.expect(200);

    let refuse = format!("alter database tenant_{} with allow_connections", church.tenant_id);
    db.run(&format!("{refuse} false")).await;
    db.one::<i64>(&cut).await;
    let page = church.browser.get("/members").await;
    let page = if page.status == 503 { page } else { church.browser.get("/members").await };
    let page = page.expect(503);
    assert_eq!(page.text("h1"), "We can't reach your data right now");
    assert_eq!(page.header("retry-after"), "5");
    assert_eq!(page.text(".reference"), page.header("x-request-id"));
    db.run(&format!("{refuse} true")).await;
    church.browser.get("/members").await.expect(200);
}

async fn churches(server: &TestServer, number: usize) -> Vec<Church> {
    let names: Vec<_> = (0..number).map(|n| format!("Church {n}")).collect();
    join_all(names.iter().map(|name| Church::open(server, name))).await
}

/// Looks all the time how many connections these churches have; the most it saw.
fn watch_connections(churches: &[Church]) -> (oneshot::Sender<()>, JoinHandle<i64>) {
    let roles: Vec<_> = churches.iter().map(|church| format!("'tenant_{}'", church.tenant_id)).collect();
    let count = format!("select count(*) from pg_stat_activity where usename in ({})", roles.join(", "));
    let (stop, mut stopped) = oneshot::channel();
    let watching = tokio::spawn(async move {
        let mut db = Db::open("postgres").await;
        let mut most = 0;
        while stopped.try_recv() == Err(oneshot::error::TryRecvError::Empty) {
            most = most.max(db.one::<i64>(&count).await);
        }
        most
    });
    (stop, watching)
}

#[tokio::test(flavor = "multi_thread")]
async fn however_many_churches_are_active_the_budget_holds() {
    let server = TestServer::start_with(|config| config.connection_budget = 4).await;
    let churches = churches(&server, 8).await;
    let (stop, watching) = watch_connections(&churches);
    for _ in 0..6 {
        let all = churches.iter().flat_map(|church| [&church.browser; 3]);
        let pages = join_all(all.map(|browser| browser.get("/members"))).await;
        assert!(pages.iter().all(|page| page.status == 200), "nobody is turned away");
    }
    stop.send(()).expect("it watches");
    let most = watching.await.expect("it watched");
    assert!((2..=4).contains(&most), "{most} connections on a budget of 4");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_church_does_not_starve_another() {
    let server = TestServer::start_with(|config| config.connection_budget = 4).await;
    let [busy, quiet] = <[Church; 2]>::try_from(churches(&server, 2).await).unwrap_or_else(|_| panic!("two"));
    let done = AtomicUsize::new(0);
    let flood = join_all((0..300).map(|_| async {
        busy.browser.get("/members").await.expect(200);
        done.fetch_add(1, Ordering::Relaxed);
    }));
    let turn = async {
        for _ in 0..5 {
            quiet.browser.get("/members").await.expect(200);
        }
        done.load(Ordering::Relaxed)
    };
    let (_, before) = join(flood, turn).await;
    assert!(before < 300, "the quiet church was served among the others, not behind them");
}

#[tokio::test(flavor = "multi_thread")]
async fn when_all_connections_are_held_the_answer_is_to_come_back_later() {
    let server = TestServer::start_with(|config| {
        config.connection_budget = 2;
        config.tenant_connections = 2;
    })
    .await;
    let [stuck, other] =
        <[Church; 2]>::try_from(churches(&server, 2).await).unwrap_or_else(|_| panic!("two"));
    let mut db = stuck.db().await;
    db.run("begin; lock table members in access exclusive mode").await;
    let waits = format!(
        "select count(*) = 2 from pg_locks join pg_stat_activity using (pid)
          where usename = 'tenant_{}' and not granted",
        stuck.tenant_id
    );
    let held = join(stuck.browser.get("/members"), stuck.browser.get("/members"));
    let refused = async {
        Db::open("postgres").await.until(&waits).await;
        let page = other.browser.get("/members").await.expect(503);
        assert_eq!(page.header("retry-after"), "5");
        assert_eq!(page.text("h1"), "We can't reach your data right now");
        db.run("commit").await;
    };
    let ((first, second), ()) = join(held, refused).await;
    assert_eq!((first.status.as_u16(), second.status.as_u16()), (200, 200), "who held them goes on");
    other.browser.get("/members").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_share_one_budget() {
    let registry = Registry::create().await;
    let start = || TestServer::on_with(&registry, |config| config.connection_budget = 6);
    let first = start().await;
    let churches = churches(&first, 6).await;
    let limit = |server: &TestServer| server.running.installation.identity.connections()[0].limit;
    assert_eq!(limit(&first), 6, "one process alone has all of it");
    let second = start().await;
    let theirs: Vec<_> = churches.iter().map(|church| church.browser.at(second.addr())).collect();
    let (stop, watching) = watch_connections(&churches);
    for _ in 0..6 {
        let both = churches.iter().map(|church| &church.browser).chain(&theirs);
        let pages = join_all(both.map(|browser| browser.get("/members"))).await;
        assert!(pages.iter().all(|page| page.status == 200), "nobody is turned away");
    }
    stop.send(()).expect("it watches");
    let most = watching.await.expect("it watched");
    assert!(most <= 6, "{most} connections on a shared budget of 6");
    assert_eq!((limit(&first), limit(&second)), (3, 3));
    second.running.stop().await.expect("it stops in order");
    first.db().await.until("select count(*) = 1 and sum(part) = 6 from processes").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_gets_its_share_as_the_first_lets_go_and_is_not_ready_before() {
    let registry = Registry::create().await;
    let start = || TestServer::on_with(&registry, |config| config.connection_budget = 4);
    let first = start().await;
    let church = Church::open(&first, "Grace Chapel").await;
    let mut db = church.db().await;
    db.run("begin; lock table members in access exclusive mode").await;
    let waits = format!(
        "select count(*) = 4 from pg_locks join pg_stat_activity using (pid)
          where usename = 'tenant_{}' and not granted",
        church.tenant_id
    );
    let limit = |server: &TestServer| server.running.installation.identity.connection_limit();
    let held = join_all((0..4).map(|_| church.browser.get("/members")));
    let meanwhile = async {
        Db::open("postgres").await.until(&waits).await;
        let second = start().await;
        assert_eq!(limit(&second), 0, "the first still holds all of it");
        second.browser().get("/readyz").await.expect(503);
        church.browser.at(second.addr()).get("/members").await.expect(503);
        let parts = "select sum(part) from processes";
        assert_eq!(first.db().await.one::<i64>(parts).await, 4, "together no more than the budget");
        db.run("commit").await;
        answers(&second.browser(), "/readyz", 200).await;
        second
    };
    let (pages, second) = join(held, meanwhile).await;
    assert!(pages.iter().all(|page| page.status == 200), "who held them goes on");
    church.browser.at(second.addr()).get("/members").await.expect(200);
    first.db().await.until("select count(*) = 2 and bool_and(part = 2) from processes").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_leaves_its_share_at_once() {
    let registry = Registry::create().await;
    let server = TestServer::on(&registry).await;
    let church = Church::open(&server, "Grace Chapel").await;
    server.running.stop().await.expect("it stops in order");
    let mut db = registry.db().await;
    // So soon after a start of PostgreSQL, those who live may not be back yet.
    db.until("select pg_postmaster_start_time() < now() - interval '6 seconds'").await;
    let first = Process::start(&registry).await;
    church.browser.at(first.addr).get("/members").await.expect(200);
    first.kill().await;
    let killed = Instant::now();
    let second = Process::start(&registry).await;
    answers(&Browser::new(second.addr), "/readyz", 200).await;
    church.browser.at(second.addr).get("/members").await.expect(200);
    let alone = "select count(*) = 1 and sum(part) = 80 from processes";
    assert!(db.one::<bool>(alone).await, "it has all of the budget");
    assert!(killed.elapsed() < Duration::from_secs(8), "{:?}", killed.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_told_to_stop_says_so_before_its_port_closes() {
    let process = Process::start(&Registry::create().await).await;
    let ready = format!("http://{}/readyz", process.addr);
    // Unencrypted, but the client asks for a provider all the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // Each request connects anew: connections that are open are served for longer.
    let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().expect("a client");
    let status = async || client.get(&ready).send().await.map(|answer| answer.status().as_u16());
    assert_eq!(status().await.expect("it answers"), 200);
    let told = async {
        loop {
            match status().await {
                Ok(200) => {}
                other => return other.expect("it says so while it answers"),
            }
        }
    };
    let (ended, said) = join(process.terminate(), told).await;
    assert_eq!(said, 503);
    assert!(ended.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn when_a_server_allows_no_more_what_others_do_not_use_makes_room() {
    let mut postgres = Postgres::start().await;
    for setting in ["max_connections = 40", "superuser_reserved_connections = 0"] {
        postgres.run(&format!("alter system set {setting}")).await;
    }
    postgres.restart(Shutdown::Fast).await;
    let registry =
        Registry { database: "vestry_registry".into(), url: postgres.url(), secret: "0".repeat(32) };
    let server = TestServer::on(&registry).await;
    let identity = &server.running.installation.identity;
    let mut browsers = Vec::new();
    for name in ["grace", "hope", "peace"] {
        let browser = server.browser();
        let opening = sign_up(&browser, name, &format!("{name}@example.org")).await;
        assert_eq!(watch(&browser, &opening).await["status"], "succeeded");
        browser.post(&opening, &[("enter", "1")]).await.location();
        browsers.push(browser);
    }
    let findings = server.running.installation.servers.check(80, 1).await;
    assert!(findings.iter().any(|finding| finding.contains("max_connections leaves 40")), "{findings:?}");
    // All of them are known and none is connected; then two are.
    browsers[2].get("/members").await.expect(200);
    identity.limit_connections(0);
    let none = "select count(*) = 0 from pg_stat_activity where usename like 'tenant\\_%'";
    assert!(postgres.comes_true(none, Duration::from_secs(20)).await);
    identity.limit_connections(80);
    for browser in &browsers[..2] {
        browser.get("/members").await.expect(200);
    }
    let taken = take_all(&postgres).await;
    browsers[2].get("/members").await.expect(200);
    drop(taken);
    server.running.stop().await.expect("it stops in order");
    postgres.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_nobody_uses_are_closed() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let mut db = Db::open("postgres").await;
    let none = connections(&church).replace("count(*)", "count(*) = 0");
    server.running.installation.identity.limit_connections(0);
    db.until(&none).await;

    let secret = Secret::new(server.registry.secret.as_bytes()).expect("long enough");
    let idle = Duration::from_millis(100);
    let limits = tenant::Limits { per_server: 2, per_tenant: 2, wait: Duration::from_secs(5), idle };
    let pools = tenant::Pools::new(secret.tenant_roles(), limits, Arc::new(|_| Box::pin(async { false })));
    let place = tenant::TenantLocation {
        tenant_id: church.tenant_id.clone(),
        host: cluster().get_socket().expect("a socket").display().to_string(),
        port: cluster().get_port(),
        database: format!("tenant_{}", church.tenant_id),
        schema: church.schema.clone(),
        role_version: 1,
        tls: tenant::Tls::default(),
    };
    let tenant = pools.get(&place).await;
    tenant::admins::find_owner(&tenant).await.expect("it is there");
    assert_eq!(db.one::<i64>(&connections(&church)).await, 1);
    db.until(&none).await;
    tenant::admins::find_owner(&tenant).await.expect("and is opened again when it is needed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_others_have_filled_is_waited_for() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let role = format!("tenant_{}", church.tenant_id);
    let mut db = Db::open("postgres").await;
    db.run(&format!("alter role {role} connection limit 0")).await;
    server.running.installation.identity.limit_connections(0);
    db.until(&connections(&church).replace("count(*)", "count(*) = 0")).await;
    server.running.installation.identity.limit_connections(4);
    let freed = async {
        // The first try has failed by the time it is counted.
        db.until(&format!("select count(*) = 0 from pg_stat_activity where usename = '{role}'")).await;
        db.run(&format!("alter role {role} connection limit 50")).await;
    };
    let (page, ()) = join(church.browser.get("/members"), freed).await;
    page.expect(200);
}

/// Turns a church's tables back to those of an older binary; what stands in its first tables stays.
pub async fn age(server: &TestServer, church: &Church) {
    const THEN: i64 = 3;
    let (schema, own) = (&church.schema, format!("tenant_{}", church.tenant_id));
    let group = if church.database == own { "vestry_tenants" } else { own.as_str() };
    let kept = ["admins", "branches", "member_statuses"];
    let keep = |table: &str| format!("create temporary table kept_{table} as table {table};");
    let back = |table: &str| {
        format!(
            "insert into {table} select * from jsonb_populate_recordset(null::{table}, (select jsonb_agg(to_jsonb(k)) from kept_{table} k));"
        )
    };
    let mut connection = PgConnection::connect_with(&cluster().clone().database(&church.database))
        .await
        .expect("it can be looked into");
    let mut run = async |sql: String| {
        connection.execute(AssertSqlSafe(sql)).await.expect("it is done");
    };
    run(format!("set search_path = {schema}; {}", kept.map(keep).concat())).await;
    run(format!("drop schema {schema} cascade; create schema {schema}")).await;
    let migrations = Migrator::new(Path::new("../tenant-migrations")).await.expect("they are there");
    let old = migrations.iter().filter(|migration| migration.version <= THEN).cloned().collect();
    Migrator::with_migrations(old).run_direct(None, &mut connection, false).await.expect("made");
    let grants = format!(
        "{}
         grant usage on schema {schema} to {group};
         grant select, insert, update, delete on all tables in schema {schema} to {group}",
        kept.map(back).concat()
    );
    connection.execute(AssertSqlSafe(grants)).await.expect("it is as it was");
    server.db().await.run(&format!("update tenants set schema_version = {THEN}")).await;
}

async fn older_tables_are_brought_up_to_date(isolation: Isolation) {
    let first = TestServer::start_with(|config| config.isolation = isolation).await;
    let second = TestServer::on_with(&first.registry, |config| config.isolation = isolation).await;
    let church = Church::open(&first, "Grace Chapel").await;
    age(&first, &church).await;
    let mut own = church.db().await;
    assert!(own.one::<bool>("select to_regclass('files') is null").await);
    let browsers = [church.browser.at(first.addr()), church.browser.at(second.addr())];
    let visits = (0..20).map(|n| browsers[n % 2].get("/settings/tokens"));
    let pages = join_all(visits).await;
    assert!(pages.iter().all(|page| page.status == 200), "{:?}", pages[0].status);
    let versions = format!(
        "select max(version) = {} and count(*) = count(distinct version) from _sqlx_migrations",
        tenant::schema::version()
    );
    assert!(own.one::<bool>(&versions).await, "each was run once");
    let noted = format!("select schema_version = {} from tenants", tenant::schema::version());
    assert!(first.db().await.one::<bool>(&noted).await);
    let rights = format!(
        "select has_table_privilege('tenant_{0}', 'files', 'insert') and not has_table_privilege('tenant_{0}', '_sqlx_migrations', 'select')",
        church.tenant_id
    );
    assert!(own.one::<bool>(&rights).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_with_older_tables_is_brought_up_to_date_by_whoever_comes_first() {
    older_tables_are_brought_up_to_date(Isolation::Database).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_with_older_tables_is_brought_up_to_date_by_whoever_comes_first() {
    older_tables_are_brought_up_to_date(Isolation::Schema).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_cannot_be_brought_up_to_date_stay_as_they_are() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    age(&server, &church).await;
    let mut own = church.db().await;
    own.run("create table files ()").await;
    let page = church.browser.get("/members").await.expect(503);
    assert!(!page.header("retry-after").is_empty());
    assert_eq!(own.one::<i64>("select max(version) from _sqlx_migrations").await, 3, "all or nothing");
    own.run("drop table files").await;
    church.browser.get("/members").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_newer_than_the_program_are_left_alone() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    server.db().await.run("update tenants set schema_version = schema_version + 1").await;
    answers(&church.browser, "/members", 503).await;
    server.db().await.run("update tenants set schema_version = schema_version - 1").await;
    answers(&church.browser, "/members", 200).await;
}
