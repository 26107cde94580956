//! What goes wrong around the processes, while people work. `make chaos` does more of it, for longer.

use crate::{
    chaos::{
        Rig,
        faults::{self, Done, LISTENERS},
        fleet::Kind,
        postgres::{Postgres, Shutdown},
    },
    harness::{
        Browser, Church, Db, Installation, PASSWORD, Process, Program, Registry, TestServer, sign_up, watch,
    },
};
use futures::future::join_all;
use sqlx::{ConnectOptions, PgConnection};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_restarted_in_the_middle_is_survived_by_the_same_process() {
    let mut rig = Rig::start(&[Kind::Serve], 2).await;
    for shutdown in [Shutdown::Fast, Shutdown::Immediate] {
        goes_on(&rig).await;
        rig.postgres.restart(shutdown).await;
    }
    goes_on(&rig).await;
    let summary = rig.finish(Done::default()).await;
    assert!(summary.verdict.lost.is_empty(), "{summary}");
    assert_eq!((summary.starts, summary.verdict.failed), (1, 0), "{summary}");
}

/// Waits until more churches and members were answered.
async fn goes_on(rig: &Rig) {
    let before = rig.load.count();
    let patience = Instant::now() + PATIENCE;
    let enough = |(signups, members)| signups >= before.0 + 2 && members >= before.1 + 10;
    while !enough(rig.load.count()) {
        assert!(Instant::now() < patience, "stuck at {:?}", rig.load.count());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_process_did_not_hear_takes_effect_all_the_same() {
    let first = TestServer::start().await;
    let second = TestServer::on(&first.registry).await;
    let church = Church::open(&first, "Grace Chapel").await;
    let browsers = [church.browser.clone(), church.browser.at(second.addr())];
    let mut db = first.db().await;
    let database = &first.registry.database;
    let listeners = format!("from pg_stat_activity where {LISTENERS} and datname = '{database}'");
    let listening = format!("select count(*) = 2 {listeners}");
    let cut = format!("select pg_terminate_backend(pid) {listeners}");
    for (change, status) in [
        ("update tenants set status = 'suspended'", 403),
        ("update tenants set status = 'active'", 200),
        ("update tenants set status = 'suspended'", 403),
        ("update tenants set status = 'active'", 200),
        ("delete from sessions", 303),
    ] {
        // Both listen again, and nobody does at the moment of the change.
        db.until(&listening).await;
        db.run(&format!("{cut}; {change}")).await;
        for browser in &browsers {
            answers(browser, "/members", status).await;
        }
    }
}

/// Waits until the address is answered so.
pub async fn answers(browser: &Browser, path: &str, status: u16) {
    let patience = Instant::now() + PATIENCE;
    while browser.get(path).await.status != status {
        assert!(Instant::now() < patience, "{path} is not answered {status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn when_others_have_taken_every_connection_the_answer_is_to_come_back_later() {
    let Installation { postgres, registry, server, browser, opening, .. } =
        Installation::with_settings(&["max_connections = 40"]).await;
    browser.get("/members").await.expect(200);

    // Another server knows nobody yet.
    let other = TestServer::on(&registry).await;
    let elsewhere = browser.at(other.addr());

    let mut taken = take_all(&postgres).await;
    end_ours(&mut taken[0]).await;
    taken.extend(take_all(&postgres).await);
    let ways = ["/members", "/", "/members/new", "/signup", "/signin", &opening];
    let pages = ways.iter().flat_map(|way| [browser.get(way), elsewhere.get(way)]);
    for (n, page) in join_all(pages).await.into_iter().enumerate() {
        match page.status.as_u16() {
            200 => {}
            503 => assert_eq!(page.header("retry-after"), "5"),
            _ => panic!("{} {} {}", ways[n / 2], page.header("location"), page.words()),
        }
    }
    drop(taken);
    answers(&browser, "/members", 200).await;
    answers(&elsewhere, "/members", 200).await;
    let opening = sign_up(&browser, "Hope Church", "hope@example.org").await;
    assert_eq!(watch(&browser, &opening).await["status"], "succeeded");
    for server in [server, other] {
        server.running.stop().await.expect("it stops in order");
    }
    postgres.stop().await;
}

/// Opens connections until there is room for no other.
pub async fn take_all(postgres: &Postgres) -> Vec<PgConnection> {
    let mut taken = Vec::new();
    while let Ok(connection) = postgres.superuser("postgres").connect().await {
        taken.push(connection);
    }
    taken
}

async fn end_ours(superuser: &mut PgConnection) {
    let end = "select pg_terminate_backend(pid, 5000) from pg_stat_activity where usename <> 'postgres'";
    sqlx::raw_sql(end).execute(superuser).await.expect("it may");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_in_the_middle_again_and_again_leaves_no_church_unopened() {
    let rig = Rig::start(&[Kind::Serve, Kind::Serve, Kind::Work], 0).await;
    let migrated = "select to_regclass('provisioning_runs') is not null";
    assert!(rig.postgres.comes_true(migrated, PATIENCE).await, "nobody starts");
    let mut done = Done::default();
    while done.kills < 5 {
        let running = "select exists (select from provisioning_runs where status = 'running')";
        assert!(rig.postgres.comes_true(running, PATIENCE).await, "nothing is worked on");
        done.kills += usize::from(rig.fleet.posts[2].signal("-KILL"));
    }
    goes_on(&rig).await;
    let summary = rig.finish(done).await;
    assert!(summary.verdict.lost.is_empty(), "{summary}");
    assert_eq!(summary.verdict.failed, 0, "{summary}");
}

#[tokio::test(flavor = "multi_thread")]
async fn churches_that_are_moved_while_people_work_lose_nothing() {
    let rig = Rig::start(&[Kind::Serve, Kind::Serve], 0).await;
    let mut done = Done::default();
    while done.moves < 4 {
        goes_on(&rig).await;
        done.moves += usize::from(rig.move_a_church().await);
    }
    goes_on(&rig).await;
    let summary = rig.finish(done).await;
    assert!(summary.verdict.lost.is_empty(), "{summary}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make chaos does it at length"]
async fn random_kills_under_load_lose_nothing() {
    let seed = rand::random();
    let mut rig = Rig::start(&[Kind::Serve, Kind::Serve, Kind::Work], 0).await;
    let done = faults::kill(&mut rig, 6, seed).await;
    let summary = rig.finish(done).await;
    assert!(summary.verdict.lost.is_empty(), "seed {seed}\n{summary}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_verdict_sees_what_is_lost_and_what_is_left_over() {
    let rig = Rig::start(&[Kind::Serve], 0).await;
    goes_on(&rig).await;
    rig.postgres.run("create role tenant_nobody").await;
    rig.postgres.run("create database tenant_nobody").await;
    let mut registry = rig.postgres.registry().await;
    let church = "select t.database_name from tenants t join provisioning_runs r on r.tenant_id = t.id
                   where t.status = 'active' order by r.finished_at limit 1";
    let church: String = sqlx::query_scalar(church).fetch_one(&mut registry).await.expect("one is open");
    let mut church = rig.postgres.superuser(&church).connect().await.expect("it is there");
    let forget = "update church.admins set role = 'admin';
                  delete from church.members where id = (select id from church.members order by id limit 1)";
    sqlx::raw_sql(forget).execute(&mut church).await.expect("it may");
    let summary = rig.finish(Done::default()).await;
    for finding in [
        "database tenant_nobody belongs to nobody",
        "role tenant_nobody belongs to nobody",
        "has 0 owners",
        "is there 0 times",
        "entries of them in the audit log",
    ] {
        let found = summary.verdict.lost.iter().filter(|lost| lost.contains(finding)).count();
        assert_eq!(found, 1, "{finding}: {summary}");
    }
    assert_eq!(summary.verdict.lost.len(), 5, "{summary}");
}

/// As during a switch-over, or on a standby: what can be read is shown, and what cannot be written is refused in words.
#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_takes_no_writes_is_answered_in_words_and_logged_seldom() {
    let registry = Registry::create().await;
    let process = Process::configured(&registry, |command| {
        command.env_remove("RUST_LOG");
    })
    .await;
    let browser = Browser::new(process.addr);
    let opening = sign_up(&browser, "Grace Chapel", "ruth@example.org").await;
    assert_eq!(watch(&browser, &opening).await["status"], "succeeded");
    assert_eq!(browser.post(&opening, &[("enter", "1")]).await.location(), "/");
    browser.get("/members").await.expect(200);

    let mut db = Db::open("postgres").await;
    let database = &registry.database;
    db.run(&format!("alter database {database} set default_transaction_read_only = on")).await;
    let cut =
        format!("select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = '{database}'");
    assert!(db.one::<i64>(&cut).await > 0);
    let warnings = || {
        let log = process.log();
        log.iter().filter(|line| line.contains("WARN") || line.contains("ERROR")).cloned().collect::<Vec<_>>()
    };
    let since = Instant::now();
    while !warnings().iter().any(|line| line.contains("read-only")) {
        assert!(since.elapsed() < PATIENCE, "nothing is said: {:?}", warnings());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    browser.get("/members").await.expect(200);
    let stranger = Browser::new(process.addr);
    let fields = [("email", "ruth@example.org"), ("password", PASSWORD)];
    let page = stranger.post("/signin", &fields).await.expect(503);
    assert!(page.text("h1").len() > 10 && !page.header("retry-after").is_empty(), "{}", page.html);
    let you = "/signup/you?church=Hope+Church&country=KE&timezone=Africa/Nairobi";
    let key = stranger.get(you).await.expect(200).value("key");
    let fields = [
        ("key", key.as_str()),
        ("first_name", "Ann"),
        ("last_name", "Bell"),
        ("email", "ann@example.org"),
        ("password", PASSWORD),
    ];
    let page = stranger.post(you, &fields).await.expect(503);
    assert!(page.text("h1").len() > 10, "{}", page.html);
    assert_eq!(browser.post("/signout", &[]).await.expect(503).text("h1"), page.text("h1"));
    let api = Program::new(process.addr);
    let body = serde_json::json!({ "email": "ruth@example.org", "password": PASSWORD });
    api.post("/api/auth/login", body).await.problem(503, "unavailable");

    // All loops of the process have met it by now, most of them more than once.
    tokio::time::sleep(Duration::from_secs(6).saturating_sub(since.elapsed())).await;
    let repeated = |line: &String| line.contains("read-only") && !line.contains("request{");
    let read_only: Vec<_> = warnings().into_iter().filter(repeated).collect();
    assert!(read_only.len() <= 2, "a flood: {read_only:#?}");
    db.run(&format!("alter database {database} reset default_transaction_read_only")).await;
    db.one::<i64>(&cut).await;
    let fields = [("email", "ruth@example.org"), ("password", PASSWORD)];
    while stranger.post("/signin", &fields).await.status == 503 {
        assert!(since.elapsed() < 2 * PATIENCE, "it stays so");
    }
}
