//! Connections to PostgreSQL are as safe as the operator's URL says, those of churches too.

use crate::{
    faults::answers,
    harness::{Church, Registry, TestServer, TlsPostgres, command, sign_up, watch},
};

const ENCRYPTED: &str =
    "select count(*) > 0 and bool_and(ssl) from pg_stat_ssl join pg_stat_activity using (pid)
                          where usename like 'tenant\\_%'";

#[tokio::test(flavor = "multi_thread")]
async fn the_registry_and_its_churches_are_reached_only_with_the_right_certificate() {
    let postgres = TlsPostgres::start().await;
    let of = |url| Registry { database: "vestry_registry".into(), url, secret: "0".repeat(32) };
    let registry = of(postgres.url("vestry_registry", "right"));
    let server = TestServer::on(&registry).await;
    let browser = server.browser();
    let opening = sign_up(&browser, "Grace Chapel", "ruth@example.org").await;
    let last = watch(&browser, &opening).await;
    assert_eq!(last["status"], "succeeded", "{last}");
    browser.post(&opening, &[("enter", "1")]).await.location();
    browser.get("/members").await.expect(200);
    assert!(postgres.one::<bool>(ENCRYPTED).await);
    let wrong = of(postgres.url("vestry_registry", "wrong"));
    command(&wrong, &["tenants", "list"]).await.expect_err("a certificate of another authority");

    // Only the church has to connect again: the registry is still connected.
    let cut = "select pg_terminate_backend(pid, 5000) from pg_stat_activity where usename like 'tenant\\_%'";
    for in_the_middle in ["another certificate", "no encryption"] {
        match in_the_middle {
            "no encryption" => postgres.encrypt(false).await,
            _ => postgres.show("wrong").await,
        }
        postgres.run(cut).await;
        browser.get("/members").await.expect(503);
        let connected = "select count(*) from pg_stat_activity where usename like 'tenant\\_%'";
        assert_eq!(postgres.one::<i64>(connected).await, 0, "{in_the_middle}: nobody was let in");
        command(&registry, &["tenants", "list"]).await.expect_err(in_the_middle);
        postgres.show("right").await;
        postgres.encrypt(true).await;
        answers(&browser, "/members", 200).await;
    }
    assert!(postgres.one::<bool>(ENCRYPTED).await);
    server.running.stop().await.expect("it stops in order");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_server_and_its_churches_are_reached_as_its_url_says() {
    let registry = Registry::create().await;
    let server = TestServer::on(&registry).await;
    let postgres = TlsPostgres::start().await;
    let add = async |url: &str| {
        command(&registry, &["servers", "add", "oslo", "--url", url, "--region", "north"]).await
    };
    let said = add(&postgres.url("postgres", "wrong")).await.expect_err("a certificate of another authority");
    assert!(said.contains("cannot connect to"), "{said}");
    add(&postgres.url("postgres", "right")).await.expect("the right one");

    let browser = server.browser();
    let opening = crate::harness::sign_up_in(&browser, "Hope Church", "hope@example.org", "north").await;
    let last = watch(&browser, &opening).await;
    assert_eq!(last["status"], "succeeded", "{last}");
    browser.post(&opening, &[("enter", "1")]).await.location();
    browser.get("/members").await.expect(200);
    assert!(postgres.one::<bool>(ENCRYPTED).await);

    postgres.encrypt(false).await;
    postgres.cut().await;
    browser.get("/members").await.expect(503);
    // Administration is refused as well: the server is found to be out of reach.
    let gone =
        "select exists (select from database_servers where name = 'oslo' and unreachable_since is not null)";
    server.db().await.until(gone).await;
    assert_eq!(
        postgres
            .one::<i64>(
                "select count(*) from pg_stat_activity where usename like 'tenant\\_%' or usename = 'vestry'"
            )
            .await,
        0
    );

    // An operator who wants no encryption says so, and the churches follow at once.
    add(&postgres.plain_url("postgres")).await.expect("named by the operator");
    answers(&browser, "/members", 200).await;
    assert!(!postgres.one::<bool>(ENCRYPTED).await);
    add(&postgres.url("postgres", "right")).await.expect_err("the server does not encrypt");
    postgres.encrypt(true).await;
    add(&postgres.url("postgres", "right")).await.expect("it encrypts again");
    let ssl = async || postgres.one::<bool>(ENCRYPTED).await;
    let patience = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !ssl().await {
        assert!(std::time::Instant::now() < patience, "the church's connections were not replaced");
        browser.get("/members").await.expect(200);
    }
    // One that lives elsewhere was not concerned.
    Church::open(&server, "Grace Chapel").await;
    server.running.stop().await.expect("it stops in order");
}
