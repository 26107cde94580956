//! Roles of churches that are not as Vestry made them, and are restored when a church is opened.

use crate::harness::{Church, Db, TestServer};

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_not_enter_its_own_database_any_more_is_let_in_again() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let role = format!("tenant_{}", church.tenant_id);
    let identity = &server.running.installation.identity;
    let mut db = Db::open("postgres").await;
    // As in a database that was restored without its rights and then closed to everybody.
    db.run(&format!("revoke all on database {} from {role}", church.database)).await;
    identity.limit_connections(0);
    db.until(&format!("select count(*) = 0 from pg_stat_activity where usename = '{role}'")).await;
    let may = format!("select has_database_privilege('{role}', '{}', 'connect')", church.database);
    assert!(!db.one::<bool>(&may).await, "it is shut out");

    identity.limit_connections(80);
    church.browser.get("/members").await.expect(200);
    assert!(db.one::<bool>(&may).await);
}
