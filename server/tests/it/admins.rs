//! The people who sign in: what an operator finds out about them, and what ends when they are disabled.

use crate::{
    harness::{Browser, Church, PASSWORD, Program, TestServer, command, sign_up, watch},
    pools::age,
};
use serde_json::json;

const VERIFIED: &str = "select count(email_verified_at) from admins";

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_verifies_an_email_by_itself_by_its_church_or_by_the_admins_id() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let other = Church::open(&server, "Hope Church").await;
    let verify = |who: String| {
        let registry = server.registry.clone();
        async move { command(&registry, &["admins", "verify", &who]).await }
    };
    assert_eq!(church.db().await.one::<i64>(VERIFIED).await, 0, "nobody is at first");
    let said = verify(church.email.to_uppercase()).await.expect("it is verified");
    assert_eq!(said, format!("{} is verified in Grace Chapel ({}).\n", church.email, church.tenant_id));
    assert_eq!(
        (church.db().await.one::<i64>(VERIFIED).await, other.db().await.one::<i64>(VERIFIED).await),
        (1, 0)
    );
    let audit =
        "select count(*) from audit_log where entity = 'admin' and action = 'verified' and actor_id is null";
    assert_eq!(church.db().await.one::<i64>(audit).await, 1);
    let listed = "select string_agg(email, ',') from admin_emails where verified_at is not null";
    assert_eq!(server.db().await.one::<String>(listed).await, church.email);
    assert!(verify(church.email.clone()).await.is_err(), "there is nothing left to verify");

    verify(other.tenant_id.clone()).await.expect("by its church");
    assert_eq!(other.db().await.one::<i64>(VERIFIED).await, 1);
    other.hire(&server, "admin", "helper@example.org", None).await;
    let id: uuid::Uuid =
        other.db().await.one("select id from admins where email = 'helper@example.org'").await;
    verify(id.to_string()).await.expect("by the admin's id");
    assert_eq!(other.db().await.one::<i64>(VERIFIED).await, 2);
    for nobody in
        ["nobody@example.org", "zzzzzzzzzzzzzzzzzzzzzzzz", "019ab0c6-4a76-7c1c-9a51-2f1f4f4a6c55", "x"]
    {
        let said = verify(nobody.into()).await.expect_err("there is nobody");
        assert!(said.starts_with("vestry: there is no unverified admin"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_churches_under_one_email_the_operator_says_which() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let stranger = server.browser();
    let opening = sign_up(&stranger, "Grace Chapel", &church.email).await;
    watch(&stranger, &opening).await;
    let said = command(&server.registry, &["admins", "verify", &church.email]).await.expect_err("two fit");
    assert!(said.contains(&church.tenant_id) && said.lines().count() == 3, "{said}");
    assert_eq!(church.db().await.one::<i64>(VERIFIED).await, 0);
    let named = ["admins", "verify", &church.email, "--church", &church.tenant_id];
    command(&server.registry, &named).await.expect("one is named");
    assert_eq!(church.db().await.one::<i64>(VERIFIED).await, 1);
    let count = "select count(verified_at) from admin_emails";
    assert_eq!(server.db().await.one::<i64>(count).await, 1, "the stranger's church is not verified");
}

#[tokio::test(flavor = "multi_thread")]
async fn emails_proved_to_the_issuer_before_an_upgrade_count_as_verified() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let other = Church::open(&server, "Hope Church").await;
    age(&server, &church).await;
    let mut registry = server.db().await;
    // As an earlier version has left it, with one email that was proved.
    registry
        .run(&format!(
            "update tenants set schema_version = {} where id = '{}'",
            tenant::schema::version(),
            other.tenant_id
        ))
        .await;
    registry.run("alter table admin_emails drop column verified_at").await;
    registry.run("delete from _sqlx_migrations where version = 18").await;
    registry
        .run(&format!(
            "insert into oidc_subjects values ('https://issuer.example.org', 'ruth', '{}')",
            church.email
        ))
        .await;
    let later = TestServer::on(&server.registry).await;
    church.browser.at(later.addr()).get("/").await.expect(200);
    assert_eq!(church.db().await.one::<i64>(VERIFIED).await, 1);
    assert_eq!(other.db().await.one::<i64>(VERIFIED).await, 0);
    let listed = "select string_agg(email, ',') from admin_emails where verified_at is not null";
    assert_eq!(registry.one::<String>(listed).await, church.email);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_looks_into_ten_churches_the_verified_first_and_keeps_no_connection() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let mut registry = server.db().await;
    // Eleven that are older, in name only: whoever looks into one finds no database.
    registry
        .run(&format!(
            "insert into tenants (id, name, country, timezone, trial_ends_at, status, isolation, server_id, database_name, schema_name, schema_version, created_at)
             select 'old0000000000000000000' || lpad(n::text, 2, '0'), 'Old', country, timezone, trial_ends_at, 'active', isolation, server_id, 'gone_' || n, schema_name, schema_version, created_at - interval '1 day'
               from tenants, generate_series(1, 11) n;
             insert into admin_emails (email, tenant_id) select '{}', id from tenants where name = 'Old'",
            church.email
        ))
        .await;
    let credentials = [("email", church.email.as_str()), ("password", PASSWORD)];
    assert!(
        server.browser().post("/signin", &credentials).await.status.is_server_error(),
        "ten of the old ones"
    );
    // The one that a program names is looked into in any case.
    let named = json!({ "email": church.email, "password": PASSWORD, "tenantId": church.tenant_id });
    Program::new(server.addr()).post("/api/auth/login", named).await.expect(200);
    command(&server.registry, &["admins", "verify", &church.tenant_id]).await.expect("it is verified");
    server.browser().post("/signin", &credentials).await.location();

    // Guesses leave no connection behind.
    let later = TestServer::on(&server.registry).await;
    let guess = [("email", church.email.as_str()), ("password", "a guess")];
    later.browser().post("/signin", &guess).await;
    let open: usize =
        later.running.installation.identity.connections().iter().map(|server| server.idle).sum();
    assert_eq!(open, 0);
}

/// Everything a person holds who has signed in.
struct Holder {
    browser: Browser,
    program: Program,
    personal: Program,
}

impl Holder {
    async fn of(server: &TestServer, email: &str) -> Self {
        let browser = server.browser();
        browser.post("/signin", &[("email", email), ("password", PASSWORD)]).await.location();
        let program = Program::log_in(server, email).await;
        let key = browser.get("/settings/tokens/new").await.expect(200).value("key");
        let fields = [("key", key.as_str()), ("name", "Website"), ("scope", "read"), ("expires", "90")];
        let page = browser.post("/settings/tokens/new", &fields).await.expect(200);
        let personal = program.with(&page.attribute("#token", "value").expect("the token is shown"));
        Self { browser, program, personal }
    }

    async fn statuses(&self) -> [u16; 4] {
        let page = self.browser.get("/settings/tokens").await.status.as_u16();
        let (own, personal) = (self.program.get("/api/me").await, self.personal.get("/api/me").await);
        let refresh = json!({ "refreshToken": self.program.refresh_token() });
        let refreshed = self.program.post("/api/auth/refresh", refresh).await;
        [page, own.status.as_u16(), personal.status.as_u16(), refreshed.status.as_u16()]
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_enabled_again_starts_without_what_they_held_before() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    church.hire(&server, "admin", "helper@example.org", None).await;
    let before = Holder::of(&server, "helper@example.org").await;
    assert_eq!(before.statuses().await, [200; 4]);

    // Disabled and enabled by somebody who tells nobody. A process that has kept nothing sees what the rows say.
    let state =
        |state: &str| format!("update admins set state = '{state}' where email = 'helper@example.org'");
    church.db().await.run(&state("disabled")).await;
    church.db().await.run(&state("active")).await;
    let later = TestServer::on(&server.registry).await;
    let held = Holder {
        browser: before.browser.at(later.addr()),
        program: before.program.at(later.addr()),
        personal: before.personal.at(later.addr()),
    };
    assert_eq!(held.statuses().await, [303, 401, 401, 401]);
    let after = Holder::of(&later, "helper@example.org").await;
    assert_eq!(after.statuses().await, [200; 4], "what is made anew is good");
    let shown = after.browser.get("/settings/tokens").await.expect(200);
    assert!(shown.html.contains("Website"));
    assert_eq!(
        church.db().await.one::<i64>("select count(*) from personal_tokens").await,
        1,
        "the old one is gone"
    );
    // Nobody else is concerned.
    church.browser.at(later.addr()).get("/members").await.expect(200);
    // The process that has kept who the person was goes by what is so now, as soon as they sign in.
    Holder::of(&server, "helper@example.org").await;
}
