//! What a process keeps in memory, when the answer of the registry comes late: after the notification that it is stale.

use crate::harness::{Db, Late};
use registry::changes::Change;

#[tokio::test(flavor = "multi_thread")]
async fn a_suspension_between_a_query_and_its_answer_takes_effect_at_once() {
    let mut late = Late::start().await;
    let browser = late.church.browser.at(late.slow.addr());
    browser.get("/members").await.expect(200);
    late.change_tenant("update tenants set name = name").await;
    let visit = late.visit_in_between().await;
    late.change_tenant("update tenants set status = 'suspended'").await;
    late.proxy.release();
    visit.await.expect("it was answered");
    browser.get("/members").await.expect(403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_out_between_a_query_and_its_answer_takes_effect_at_once() {
    let mut late = Late::start().await;
    // This process has not seen the session yet.
    let visit = late.visit_in_between().await;
    late.change("delete from sessions", |change| matches!(change, Change::Session(_))).await;
    late.proxy.release();
    visit.await.expect("it was answered");
    let page = late.church.browser.at(late.slow.addr()).get("/members").await;
    assert!(page.location().starts_with("/signin"), "{}", page.status);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_between_a_query_and_its_answer_is_not_missed() {
    let mut late = Late::start().await;
    let browser = late.church.browser.at(late.slow.addr());
    let page = browser.get("/members/new").await.expect(200);
    late.change_tenant("update tenants set name = name").await;
    let visit = late.visit_in_between().await;

    // As OPERATIONS.md says: the old database is closed before it is copied.
    let (old, moved) = (late.church.database.clone(), format!("{}_moved", late.church.database));
    let role = format!("tenant_{}", late.church.tenant_id);
    let mut db = Db::open("postgres").await;
    db.run(&format!("alter database {old} with allow_connections false")).await;
    let cut = format!(
        "select count(pg_terminate_backend(pid, 5000)) from pg_stat_activity where datname = '{old}'"
    );
    db.one::<i64>(&cut).await;
    db.run(&format!("create database {moved} template {old}")).await;
    db.run(&format!("revoke all on database {moved} from public")).await;
    db.run(&format!("grant connect on database {moved} to {role}")).await;
    late.change_tenant(&format!("update tenants set database_name = '{moved}'")).await;
    late.proxy.release();
    visit.await.expect("it was answered");

    let status = page.attribute("#status_id option:nth-child(3)", "value").expect("a status");
    let fields = [
        ("first_name", "Naomi"),
        ("last_name", "Achieng"),
        ("branch_id", &page.value("branch_id")),
        ("status_id", &status),
    ];
    browser.post("/members/new", &fields).await.location();
    let members = format!("select count(*) from {}.members", late.church.schema);
    assert_eq!(Db::open(&moved).await.one::<i64>(&members).await, 1);
    db.run(&format!("alter database {old} with allow_connections true")).await;
    assert_eq!(Db::open(&old).await.one::<i64>(&members).await, 0, "nothing was written into the old place");
}
