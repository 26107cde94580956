use super::{Church, Proxy, Registry, TestServer};
use registry::changes::{Change, Subscription};

/// A process that gets the registry's answers late, and one that does not, with a church.
pub struct Late {
    pub proxy: Proxy,
    pub slow: TestServer,
    pub church: Church,
    changes: Subscription,
}

impl Late {
    pub async fn start() -> Self {
        let (registry, proxy) = (Registry::create().await, Proxy::start().await);
        let slow = TestServer::on(&proxy.before(&registry)).await;
        let fast = TestServer::on(&registry).await;
        let church = Church::open(&fast, "Grace Chapel").await;
        // Whatever a first visit of the day writes into the session is written.
        church.browser.get("/members").await.expect(200);
        let changes = slow.running.installation.changes.subscribe();
        Self { proxy, slow, church, changes }
    }

    /// Changes the registry, and waits until the slow process has heard of it.
    pub async fn change(&mut self, sql: &str, heard: impl Fn(&Change) -> bool) {
        self.slow.db().await.run(sql).await;
        while !heard(&self.changes.next().await.expect("it listens")) {}
    }

    pub async fn change_tenant(&mut self, sql: &str) {
        let id = self.church.tenant_id.clone();
        self.change(sql, |change| *change == Change::Tenant(id.clone())).await;
    }

    /// Somebody asks for a page; the slow process has asked the registry about the church, and waits for the answer.
    pub async fn visit_in_between(&mut self) -> tokio::task::JoinHandle<()> {
        let browser = self.church.browser.at(self.slow.addr());
        self.proxy.hold(&self.church.tenant_id);
        let visit = tokio::spawn(async move { drop(browser.get("/members").await) });
        self.proxy.holds().await;
        visit
    }
}
