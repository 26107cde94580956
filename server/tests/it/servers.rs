//! Several database servers: real PostgreSQL clusters beside that of the registry.

use crate::harness::{Church, Other, Registry, TestServer, command, sign_up, watch};

async fn add(registry: &Registry, name: &str, url: &str, region: &str, more: &[&str]) -> String {
    let arguments = [&["servers", "add", name, "--url", url, "--region", region], more].concat();
    command(registry, &arguments).await.unwrap_or_else(|said| panic!("{said}"))
}

const OF: &str = "select s.name from tenants t join database_servers s on s.id = t.server_id where t.name";

#[tokio::test(flavor = "multi_thread")]
async fn a_church_chooses_among_regions_and_its_server_going_down_is_its_own_affair() {
    let registry = Registry::create().await;
    let server = TestServer::on_with(&registry, |config| config.ready_databases = 0).await;
    let mut other = Other::start().await;
    let said = add(&registry, "oslo", &other.url(), "north", &[]).await;
    assert_eq!(said, "oslo is open for churches, in the region north.\n");
    let page = server.browser().get("/signup").await.expect(200);
    assert_eq!(page.all("#region option"), ["Wherever there is room", "local", "north"]);
    let wrong = "/signup/you?church=A&country=NO&timezone=Europe/Oslo&region=south";
    assert_eq!(server.browser().get(wrong).await.expect(422).why("region"), "Choose one of these places.");

    let mut db = server.db().await;
    let here = Church::open(&server, "Grace Chapel").await;
    let north = Church::open_in(&server, "Hope Church", "north").await;
    assert_eq!(db.one::<String>(&format!("{OF} = 'Hope Church'")).await, "oslo");
    north.browser.get("/members").await.expect(200);

    other.stop().await;
    let page = north.browser.get("/members").await.expect(503);
    assert_eq!(page.text("h1"), "We can't reach your data right now");
    assert_eq!(page.header("retry-after"), "5");
    here.browser.get("/members").await.expect(200);
    // Whoever does not ask for that region is placed elsewhere, also before anybody has noticed.
    let next = Church::open(&server, "Peace Church").await;
    next.browser.get("/members").await.expect(200);
    assert_eq!(db.one::<String>(&format!("{OF} = 'Peace Church'")).await, "primary");
    // Whoever does, waits for it.
    let browser = server.browser();
    let opening = crate::harness::sign_up_in(&browser, "Joy Church", "joy@example.org", "north").await;
    db.until(
        "select exists (select from database_servers where name = 'oslo' and unreachable_since is not null)",
    )
    .await;
    let list = command(&registry, &["servers", "list"]).await.expect("it lists");
    assert!(list.contains("unreachable since"), "{list}");

    other.run().await;
    assert_eq!(watch(&browser, &opening).await["status"], "succeeded");
    assert_eq!(db.one::<String>(&format!("{OF} = 'Joy Church'")).await, "oslo");
    north.browser.get("/members").await.expect(200);
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_or_draining_server_takes_no_more_churches() {
    let registry = Registry::create().await;
    let server = TestServer::on(&registry).await;
    let mut other = Other::start().await;
    add(&registry, "oslo", &other.url(), "north", &["--max-tenants", "1"]).await;
    let mut db = server.db().await;
    Church::open_in(&server, "First", "north").await;
    // The region is full: its church waits, and is placed when there is room.
    let browser = server.browser();
    let opening = crate::harness::sign_up_in(&browser, "Second", "second@example.org", "north").await;
    db.until(
        "select exists (select from provisioning_runs where finished_at is null and next_attempt_at > now())",
    )
    .await;
    add(&registry, "oslo", &other.url(), "north", &["--max-tenants", "2"]).await;
    assert_eq!(watch(&browser, &opening).await["status"], "succeeded");

    add(&registry, "oslo", &other.url(), "local", &["--max-tenants", "9"]).await;
    let said = command(&registry, &["servers", "drain", "oslo"]).await.expect("it is there");
    assert_eq!(said, "oslo is drained: no new churches are placed on it.\n");
    Church::open(&server, "Third").await;
    assert_eq!(db.one::<String>(&format!("{OF} = 'Third'")).await, "primary");

    let said = command(&registry, &["servers", "drain", "nowhere"]).await.expect_err("it is not there");
    assert_eq!(said, "vestry: no server is named nowhere; see vestry servers list\n");
    let json = command(&registry, &["servers", "list", "--json"]).await.expect("it lists");
    let listed: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((&listed[1]["name"], &listed[1]["state"]), (&"oslo".into(), &"draining".into()));
    assert_eq!(listed[1]["tenants"], 2);
    assert!(!json.contains("throwaway"), "no secret is shown");
    // It can be opened again, and a new password alone does not do that, nor anything else.
    let said =
        command(&registry, &["servers", "add", "oslo", "--url", &other.url()]).await.expect("it is there");
    assert_eq!(said, "oslo is updated, but still drained; open it with: vestry servers open oslo\n");
    let kept =
        "select state || ' ' || region || ' ' || max_tenants from database_servers where name = 'oslo'";
    assert_eq!(db.one::<String>(kept).await, "draining local 9");
    let said = command(&registry, &["servers", "open", "oslo"]).await.expect("it is there");
    assert_eq!(said, "oslo is open for churches again.\n");
    assert_eq!(db.one::<String>(kept).await, "open local 9");
    for (verb, state) in [("drain", "draining"), ("undrain", "open")] {
        command(&registry, &["servers", verb, "primary"]).await.expect("it is there");
        let primary = "select state from database_servers where name = 'primary'";
        assert_eq!(db.one::<String>(primary).await, state);
    }
    let said = command(&registry, &["servers", "open", "nowhere"]).await.expect_err("it is not there");
    assert_eq!(said, "vestry: no server is named nowhere; see vestry servers list\n");
    // One PostgreSQL under two names would have twice its room.
    let said =
        command(&registry, &["servers", "add", "bergen", "--url", &other.url()]).await.expect_err("taken");
    assert_eq!(said, "vestry: oslo has this address already: one PostgreSQL server is one server here\n");
    let stored: Vec<u8> = db.one("select administrator from database_servers where name = 'oslo'").await;
    assert!(!String::from_utf8_lossy(&stored).contains("throwaway"), "nor stored as it is");
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_server_is_refused_with_the_reason() {
    let registry = Registry::create().await;
    let server = TestServer::on(&registry).await;
    let cases = [
        ("nonsense", "this is no address"),
        ("postgres://x:y@127.0.0.1:1/postgres", "cannot connect to the server"),
    ];
    for (url, expected) in cases {
        let said =
            command(&registry, &["servers", "add", "oslo", "--url", url]).await.expect_err("no server");
        assert!(said.contains(expected), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    let count = "select count(*) from database_servers";
    assert_eq!(server.db().await.one::<i64>(count).await, 1);
    let opening = sign_up(&server.browser(), "Grace Chapel", "ruth@example.org").await;
    assert_eq!(watch(&server.browser(), &opening).await["status"], "succeeded");
}
