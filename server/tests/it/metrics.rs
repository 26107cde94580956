use crate::harness::{Browser, Church, Page, TestServer};

async fn metrics(browser: &Browser, token: &str) -> Page {
    browser.request(|client, base| client.get(format!("{base}/metrics")).bearer_auth(token)).await
}

/// The number in the line that begins like this.
fn number(page: &Page, series: &str) -> f64 {
    let line = page.html.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {series} in {}", page.html)).parse().expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_is_counted() {
    let server = TestServer::start_with(|config| {
        config.operator_token = Some("open-sesame-please".into());
        config.ready_databases = 1;
    })
    .await;
    let mut db = server.db().await;
    db.until("select exists (select from ready_databases where ready_at is not null)").await;
    let church = Church::open(&server, "Grace Chapel").await;
    church.browser.get("/members").await.expect(200);
    db.until("select exists (select from ready_databases where ready_at is not null)").await;
    let page = metrics(&server.browser(), "open-sesame-please").await.expect(200);
    assert!(page.header("content-type").starts_with("text/plain"));
    for (series, expected) in [
        ("vestry_signups_total{result=\"accepted\"}", 1.0),
        ("vestry_runs_total{result=\"succeeded\"}", 1.0),
        ("vestry_tenants{status=\"active\"}", 1.0),
        ("vestry_tenants{status=\"failed\"}", 0.0),
        ("vestry_ready_databases{server=\"primary\"}", 1.0),
        ("vestry_provisioning_queue", 0.0),
        ("vestry_processes", 1.0),
        ("vestry_provisioning_step_seconds_count{step=\"office\"}", 1.0),
    ] {
        assert_eq!(number(&page, series), expected, "{series}");
    }
    for series in ["vestry_pool_budget", "vestry_pool_open", "vestry_pool_opens_total"] {
        assert!(page.html.contains(&format!("{series}{{server=")), "{series} in {}", page.html);
    }
    assert!(!page.html.contains("Grace"), "numbers only");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_reads_them_without_the_token() {
    let server =
        TestServer::start_with(|config| config.operator_token = Some("open-sesame-please".into())).await;
    let church = Church::open(&server, "Grace Chapel").await;
    for token in ["", "open", "open-sesame-please!"] {
        assert!(!metrics(&church.browser, token).await.expect(403).html.contains("vestry_"));
    }
    let without = TestServer::on_with(&server.registry, |config| config.operator_token = None).await;
    let from_elsewhere = without.browser().get("/metrics").await.expect(403);
    assert!(from_elsewhere.html.contains("VESTRY_OPERATOR_TOKEN"));
    let here = reqwest::get(format!("http://{}/metrics", without.addr())).await.expect("it answers");
    assert_eq!(here.status(), 200, "whoever is on the machine may look");
}
