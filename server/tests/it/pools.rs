use crate::harness::{Church, Db, Registry, TestServer, cluster};
use futures::future::{join, join_all};
use identity::Secret;
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
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
    assert_eq!(page.text("h1"), "Your church's database is out of reach");
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
        assert_eq!(page.text("h1"), "Your church's database is out of reach");
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
    let pools = tenant::Pools::new(secret.tenant_roles(), limits);
    let place = tenant::Place {
        tenant_id: church.tenant_id.clone(),
        host: cluster().get_socket().expect("a socket").display().to_string(),
        port: cluster().get_port(),
        database: format!("tenant_{}", church.tenant_id),
        role_version: 1,
    };
    let tenant = pools.get(&place).await;
    tenant::admins::founder(&tenant).await.expect("it is there");
    assert_eq!(db.one::<i64>(&connections(&church)).await, 1);
    db.until(&none).await;
    tenant::admins::founder(&tenant).await.expect("and is opened again when it is needed");
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
