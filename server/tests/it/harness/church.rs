use super::{Browser, Db, TestServer};
use futures::StreamExt;
use serde_json::Value;

pub const PASSWORD: &str = "river candle mango";

/// A church whose office is open, and the browser of its owner.
pub struct Church {
    pub browser: Browser,
    pub tenant_id: String,
    pub email: String,
    /// Where its tables are.
    pub database: String,
    pub schema: String,
}

impl Church {
    /// Signs up, waits until the office is open, and goes in.
    pub async fn open(server: &TestServer, name: &str) -> Self {
        Self::open_in(server, name, "").await
    }

    /// The same in a region.
    pub async fn open_in(server: &TestServer, name: &str, region: &str) -> Self {
        let browser = server.browser();
        let email = format!("owner@{}.example.org", name.to_lowercase().replace(' ', "-"));
        let opening = sign_up_in(&browser, name, &email, region).await;
        let last = watch(&browser, &opening).await;
        assert_eq!(last["status"], "succeeded", "{last}");
        assert_eq!(browser.post(&opening, &[("enter", "1")]).await.location(), "/");
        let run_id = opening.trim_start_matches("/signup/");
        let tenant_id = server
            .db()
            .await
            .one(&format!("select tenant_id from provisioning_runs where id = '{run_id}'"))
            .await;
        Self::known(server, browser, tenant_id, email).await
    }

    /// A church that was opened by other means.
    pub async fn known(server: &TestServer, browser: Browser, tenant_id: String, email: String) -> Self {
        let mut db = server.db().await;
        let mut place = async |column: &str| {
            db.one::<String>(&format!("select {column} from tenants where id = '{tenant_id}'")).await
        };
        let (database, schema) = (place("database_name").await, place("schema_name").await);
        Self { browser, tenant_id, email, database, schema }
    }

    /// A look into its database, as the owner of the tables.
    pub async fn db(&self) -> Db {
        let mut db = Db::open(&self.database).await;
        db.run(&format!("set search_path = {}", self.schema)).await;
        db
    }

    /// Everybody's email in it is known to be their own.
    pub async fn verify_emails(&self) {
        self.db().await.run("update admins set email_verified_at = now()").await;
    }

    /// Another person in the office: role, email and password as given, for some branches or all.
    pub async fn hire(&self, server: &TestServer, role: &str, email: &str, branch: Option<&str>) -> Browser {
        let mut db = self.db().await;
        let all = branch.is_none();
        db.run(&format!(
            "insert into admins (id, email, first_name, last_name, role, all_branches, password_hash)
             select gen_random_uuid(), '{email}', 'Hired', 'Person', '{role}', {all}, password_hash
               from admins where role = 'owner' limit 1"
        ))
        .await;
        if let Some(branch) = branch {
            let (admins, branches) =
                ("select id from admins where email", "select id from branches where name");
            let link = format!(
                "insert into admin_branches values (({admins} = '{email}'), ({branches} = '{branch}'))"
            );
            db.run(&link).await;
        }
        let claim = format!("insert into admin_emails values ('{email}', '{}')", self.tenant_id);
        server.db().await.run(&claim).await;
        let browser = server.browser();
        browser.post("/signin", &[("email", email), ("password", PASSWORD)]).await.location();
        browser
    }
}

/// Fills in both steps; where it leads.
pub async fn sign_up(browser: &Browser, church: &str, email: &str) -> String {
    sign_up_in(browser, church, email, "").await
}

pub async fn sign_up_in(browser: &Browser, church: &str, email: &str, region: &str) -> String {
    let query = [("church", church), ("country", "KE"), ("timezone", "Africa/Nairobi"), ("region", region)];
    let query = serde_urlencoded::to_string(query).expect("a query");
    let you = format!("/signup/you?{query}");
    let key = browser.get(&you).await.expect(200).value("key");
    let fields = [
        ("key", key.as_str()),
        ("first_name", "Ruth"),
        ("last_name", "Okafor"),
        ("email", email),
        ("password", PASSWORD),
    ];
    browser.post(&you, &fields).await.location().to_owned()
}

/// Watches a run until it is over; the last thing that was told.
pub async fn watch(browser: &Browser, opening: &str) -> Value {
    let mut events = browser.stream(&format!("{opening}/events")).await.bytes_stream();
    let mut text = String::new();
    while let Some(Ok(bytes)) = events.next().await {
        text += std::str::from_utf8(&bytes).expect("events are text");
    }
    let last = text.lines().rev().find_map(|line| line.strip_prefix("data: ")).expect("something was told");
    serde_json::from_str(last).expect("progress is JSON")
}
