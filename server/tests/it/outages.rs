//! What people and programs are told while something is away, and what the operator sees of it.

use crate::{
    chaos::postgres::{Postgres, Shutdown},
    harness::{Browser, Church, Program, Proxy, Registry, TestServer},
};
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_called_by_its_name() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let program = Program::log_in(&server, &church.email).await;
    let mut db = church.db().await;
    // As PostgreSQL says it.
    db.run(
        "create function full_disk() returns trigger language plpgsql as $$
         begin raise 'could not extend file: No space left on device' using errcode = '53100'; end $$;
         create trigger full_disk before insert on members for each row execute function full_disk();",
    )
    .await;
    let branches = program.get("/api/branches").await.expect(200).body;
    let statuses = program.get("/api/statuses").await.expect(200).body;
    let first = |list: &serde_json::Value| list["items"][0]["id"].as_str().expect("an id").to_owned();
    let (branch, status) = (first(&branches), first(&statuses));
    let fields =
        [("first_name", "Naomi"), ("last_name", "Achieng"), ("branch_id", &branch), ("status_id", &status)];
    let page = church.browser.post("/members/new", &fields).await.expect(503);
    assert_eq!(page.text("h1"), "We can't save anything right now");
    assert!(!page.html.contains("extend file"), "no words of the database");
    let body = serde_json::json!({
        "firstName": "Naomi", "lastName": "Achieng", "branchId": branch, "statusId": status,
    });
    program.post("/api/members", body).await.problem(503, "disk-full");
    assert_eq!(db.one::<i64>("select count(*) from members").await, 0);
    church.browser.get("/members").await.expect(200);
}

/// The number in the line that begins like this.
async fn number(browser: &Browser, series: &str) -> Option<f64> {
    let ask = |client: &reqwest::Client, base: &str| client.get(format!("{base}/metrics")).bearer_auth(TOKEN);
    let page = browser.request(ask).await.expect(200);
    page.html.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
}

const TOKEN: &str = "open sesame, said Ali";

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_is_down_is_seen_in_the_metrics() {
    let mut postgres = Postgres::start().await;
    let registry = Registry::on(&postgres);
    let server = TestServer::on_with(&registry, |config| config.operator_token = Some(TOKEN.into())).await;
    let browser = server.browser();
    let becomes = async |series: &str, value: f64| {
        let patience = Instant::now() + Duration::from_secs(30);
        while number(&browser, series).await != Some(value) {
            assert!(Instant::now() < patience, "{series} never became {value}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    becomes("vestry_server_up{server=\"primary\"}", 1.0).await;
    becomes("vestry_registry_up", 1.0).await;
    postgres.shut_down(Shutdown::Immediate).await;
    becomes("vestry_server_up{server=\"primary\"}", 0.0).await;
    becomes("vestry_registry_up", 0.0).await;
    postgres.start_again().await;
    becomes("vestry_server_up{server=\"primary\"}", 1.0).await;
    becomes("vestry_registry_up", 1.0).await;
    server.running.stop().await.expect("it stops in order");
    postgres.stop().await;
}

/// A load balancer has to know at once; the registry's pool would wait for seconds.
#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_does_not_answer_is_told_of_within_two_seconds() {
    let (registry, proxy) = (Registry::create().await, Proxy::start().await);
    let server = TestServer::on(&proxy.before(&registry)).await;
    let browser = server.browser();
    crate::faults::answers(&browser, "/readyz", 200).await;
    // The one that it asks for, as PostgreSQL sends it.
    proxy.hold("\0\0\0\u{4}\0\0\0\u{1}");
    let asked = Instant::now();
    let page = browser.get("/readyz").await.expect(503);
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    assert_eq!(page.html, "the registry does not answer");
    proxy.release();
    crate::faults::answers(&browser, "/readyz", 200).await;
}
