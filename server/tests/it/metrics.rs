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
        ("vestry_http_request_seconds_count{method=\"GET\",route=\"/members\",status=\"200\"}", 1.0),
        ("vestry_http_requests_in_flight", 1.0),
        ("vestry_registry_up", 1.0),
    ] {
        assert_eq!(number(&page, series), expected, "{series}");
    }
    let version = tenant::schema::version();
    assert_eq!(number(&page, "vestry_schema_version"), version as f64);
    assert_eq!(number(&page, &format!("vestry_tenants_by_schema_version{{version=\"{version}\"}}")), 1.0);
    assert!(page.html.contains(
        "vestry_http_request_seconds_bucket{method=\"GET\",route=\"/members\",status=\"200\",le=\"0.1\"}"
    ));
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

/// Whatever strangers ask for, the number of series stays.
#[tokio::test(flavor = "multi_thread")]
async fn strangers_make_no_series_of_their_own() {
    let server =
        TestServer::start_with(|config| config.operator_token = Some("open sesame, please".into())).await;
    let browser = server.browser();
    let ask = async |n: usize| {
        let method = reqwest::Method::from_bytes(format!("MADEUP{n}").as_bytes()).expect("a method");
        browser.request(|client, base| client.request(method, format!("{base}/made/up/{n}"))).await;
        browser.get(&format!("/made/up/by/{n}?q={n}")).await.expect(404);
        browser.get(&format!("/members/{}", uuid::Uuid::new_v4())).await;
        metrics(&browser, "open sesame, please").await.expect(200)
    };
    let series = |page: &Page| {
        let of_requests = |line: &&str| line.starts_with("vestry_http_request_seconds_count");
        page.html.lines().filter(of_requests).count()
    };
    ask(0).await;
    let first = ask(1).await;
    for n in 2..10 {
        ask(n).await;
    }
    let last = ask(10).await;
    assert_eq!(series(&first), series(&last), "{}", last.html);
    assert!(!last.html.contains("MADEUP") && !last.html.contains("/made"), "{}", last.html);
    assert!(
        number(&last, "vestry_http_request_seconds_count{method=\"GET\",route=\"unmatched\",status=\"404\"}")
            >= 10.0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_nobody_has_any_more_is_zero() {
    let server =
        TestServer::start_with(|config| config.operator_token = Some("open sesame, please".into())).await;
    Church::open(&server, "Grace Chapel").await;
    let version = tenant::schema::version();
    let count = async |version: i64| {
        let page = metrics(&server.browser(), "open sesame, please").await.expect(200);
        number(&page, &format!("vestry_tenants_by_schema_version{{version=\"{version}\"}}"))
    };
    let mut db = server.db().await;
    // Suspended, so that nobody upgrades it meanwhile.
    db.run("update tenants set schema_version = schema_version - 1, status = 'suspended'").await;
    assert_eq!((count(version).await, count(version - 1).await), (0.0, 1.0));
    db.run("update tenants set schema_version = schema_version + 1").await;
    assert_eq!((count(version).await, count(version - 1).await), (1.0, 0.0));
}
