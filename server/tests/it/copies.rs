//! An installation started on a copy of its PostgreSQL server: it would write to the churches of the original.

use crate::harness::{Other, Registry, TestServer, command};
use server::serve::Running;
use sqlx::{ConnectOptions, postgres::PgConnectOptions};

const REGISTRY: &str = "vestry_registry";

/// The row of the primary server, as the registry at this address has it.
async fn primary(registry: &Registry) -> String {
    let options: PgConnectOptions = registry.url.parse().expect("an address");
    let mut registry = options.connect().await.expect("it answers");
    let row = "select host || ' ' || port || ' ' || updated_at from database_servers where name = 'primary'";
    sqlx::query_scalar(row).fetch_one(&mut registry).await.expect("it is registered")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_the_primary_server_is_not_served_until_it_is_told_to_be_the_primary() {
    let mut postgres = Other::start().await;
    let registry =
        Registry { database: REGISTRY.into(), url: postgres.url_of(REGISTRY), secret: "0".repeat(32) };
    TestServer::on(&registry).await.running.stop().await.expect("it stops in order");
    let copy = postgres.copy().await;
    let copied = Registry { url: copy.url_of(REGISTRY), ..registry.clone() };
    let (original, before) = (primary(&registry).await, primary(&copied).await);
    assert_eq!(original, before, "it is a copy");

    let started = Running::start(copied.config()).await;
    let said = started.err().expect("it does not start").to_string();
    assert!(said.contains("vestry servers set primary"), "{said}");
    assert_eq!(primary(&copied).await, before, "nothing is written to it");
    TestServer::on(&registry).await.running.stop().await.expect("the original is served as before");

    command(&copied, &["servers", "set", "primary", "--url", &copied.url]).await.expect("it is told");
    TestServer::on(&copied).await.running.stop().await.expect("now the copy is served");
    assert_eq!(primary(&registry).await, original);
    copy.end().await;
    postgres.end().await;
}
