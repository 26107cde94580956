use super::{Church, Page, Program, TestServer};
use serde_json::{Value, json};

/// A church with what a form or request needs to add a member.
pub struct Office {
    pub server: TestServer,
    pub church: Church,
    /// Signed in as the owner.
    pub program: Program,
    pub branch: String,
    pub status: String,
}

impl Office {
    pub async fn open() -> Self {
        let server = TestServer::start().await;
        let church = Church::open(&server, "Grace Chapel").await;
        let program = Program::log_in(&server, &church.email).await;
        let mut db = church.db().await;
        let branch: uuid::Uuid = db.one("select id from branches").await;
        let status: uuid::Uuid = db.one("select id from member_statuses where kind = 'member'").await;
        Self { server, church, program, branch: branch.to_string(), status: status.to_string() }
    }

    /// Posts the form that adds a member.
    pub async fn post(&self, fields: &[(&str, &str)]) -> Page {
        let mut all = vec![("branch_id", self.branch.as_str()), ("status_id", self.status.as_str())];
        all.extend(fields);
        self.church.browser.post("/members/new", &all).await
    }

    pub fn json(&self, mut fields: Value) -> Value {
        fields["branchId"] = json!(self.branch);
        fields["statusId"] = json!(self.status);
        fields
    }

    /// How many are found on the page and by the API.
    pub async fn found(&self, search: &str) -> (usize, usize) {
        let query = serde_urlencoded::to_string([("search", search)]).expect("a query");
        let page = self.church.browser.get(&format!("/members?{query}")).await.expect(200);
        let api = self.program.get(&format!("/api/members?{query}")).await.expect(200);
        (page.all("tbody .name a").len(), api.body["items"].as_array().map_or(0, Vec::len))
    }

    /// The fields that every member has, with others in their place or beside them.
    pub fn with<'a>(&'a self, fields: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        let plain = [
            ("first_name", "Naomi"),
            ("last_name", "Achieng"),
            ("branch_id", self.branch.as_str()),
            ("status_id", self.status.as_str()),
        ];
        let given: Vec<_> = fields.iter().map(|(name, _)| *name).collect();
        plain.into_iter().filter(|(name, _)| !given.contains(name)).chain(fields.iter().copied()).collect()
    }

    pub async fn add(&self, fields: &[(&str, &str)]) -> String {
        self.church.browser.post("/members/new", &self.with(fields)).await.location().to_owned()
    }

    pub async fn names(&self, query: &str) -> Vec<String> {
        self.church.browser.get(&format!("/members?{query}")).await.expect(200).all("tbody .name a")
    }
}
