use super::{Browser, Registry, TestServer, sign_up, watch};
use crate::chaos::postgres::{Postgres, Shutdown};
use sqlx::Row;

/// An installation on a PostgreSQL of its own, with a church.
pub struct Installation {
    pub postgres: Postgres,
    pub registry: Registry,
    pub server: TestServer,
    pub browser: Browser,
    /// Where its signup was watched.
    pub opening: String,
    pub tenant_id: String,
    /// The database of the church.
    pub church: String,
}

impl Installation {
    pub async fn start() -> Self {
        Self::with_settings(&[]).await
    }

    /// With settings that take effect when PostgreSQL starts.
    pub async fn with_settings(settings: &[&str]) -> Self {
        let mut postgres = Postgres::start().await;
        for setting in settings {
            postgres.run(&format!("alter system set {setting}")).await;
        }
        if !settings.is_empty() {
            postgres.restart(Shutdown::Fast).await;
        }
        let registry = Registry::on(&postgres);
        let server = TestServer::on(&registry).await;
        let browser = server.browser();
        let opening = enter_new_church(&browser, "Grace Chapel", "ruth@example.org").await;
        let mut db = postgres.registry().await;
        let row = sqlx::query("select id, database_name from tenants").fetch_one(&mut db).await;
        let row = row.expect("one church");
        let (tenant_id, church) = (row.get("id"), row.get("database_name"));
        Self { postgres, registry, server, browser, opening, tenant_id, church }
    }

    pub async fn stop(self) {
        self.server.running.stop().await.expect("it stops in order");
        self.postgres.stop().await;
    }
}

/// Signs up and goes in, without a look into the database.
pub async fn open_church(server: &TestServer, name: &str, email: &str) -> Browser {
    let browser = server.browser();
    enter_new_church(&browser, name, email).await;
    browser
}

async fn enter_new_church(browser: &Browser, name: &str, email: &str) -> String {
    let opening = sign_up(browser, name, email).await;
    assert_eq!(watch(browser, &opening).await["status"], "succeeded");
    assert_eq!(browser.post(&opening, &[("enter", "1")]).await.location(), "/");
    opening
}
