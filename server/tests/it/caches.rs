//! What a process keeps in memory, when the answer of the registry comes late: after the notification that it is stale.

use crate::harness::{Church, Db, Proxy, Registry, TestServer};
use registry::notifications::{Notification, Subscriber};

/// A process that gets the registry's answers late, and one that does not, with a church.
struct Late {
    proxy: Proxy,
    slow: TestServer,
    church: Church,
    notifications: Subscriber,
}

impl Late {
    async fn start() -> Self {
        let (registry, proxy) = (Registry::create().await, Proxy::start().await);
        let slow = TestServer::on(&proxy.before(&registry)).await;
        let fast = TestServer::on(&registry).await;
        let church = Church::open(&fast, "Grace Chapel").await;
        // Whatever a first visit of the day writes into the session is written.
        church.browser.get("/members").await.expect(200);
        let notifications = slow.running.installation.notifications.subscribe();
        Self { proxy, slow, church, notifications }
    }

    /// Changes the registry, and waits until the slow process has heard of it.
    async fn change(&mut self, sql: &str, heard: impl Fn(&Notification) -> bool) {
        self.slow.db().await.run(sql).await;
        while !heard(&self.notifications.next().await.expect("it listens")) {}
    }

    async fn change_tenant(&mut self, sql: &str) {
        let id = self.church.tenant_id.clone();
        self.change(sql, |change| *change == Notification::Tenant(id.clone())).await;
    }

    /// Somebody asks for a page; the slow process has asked the registry about the church, and waits for the answer.
    async fn visit_in_between(&mut self) -> tokio::task::JoinHandle<()> {
        let browser = self.church.browser.at(self.slow.addr());
        self.proxy.hold(&self.church.tenant_id);
        let visit = tokio::spawn(async move { drop(browser.get("/members").await) });
        self.proxy.holds().await;
        visit
    }
}

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
    late.change("delete from sessions", |change| matches!(change, Notification::Session(_))).await;
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
