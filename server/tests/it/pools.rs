use crate::harness::{Church, Db, TestServer};
use futures::future::join_all;

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
    // A connection that was just used is not asked whether it lives: one request may see the cut.
    let first = church.browser.get("/members").await;
    assert!(matches!(first.status.as_u16(), 200 | 503), "{}", first.words());
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
