use crate::harness::{Church, Db, TestServer, cluster};
use identity::Secret;
use server::config::Isolation;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

/// Each of these is shown for churches with a database of their own, and for those with a schema of their own.
macro_rules! for_both_kinds {
    ($($test:ident),* $(,)?) => {
        mod own_database {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                super::$test(super::Isolation::Database).await;
            })*
        }
        mod own_schema {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                super::$test(super::Isolation::Schema).await;
            })*
        }
    };
}

for_both_kinds!(
    postgresql_itself_keeps_a_tenants_role_in_its_own_place,
    a_tenants_role_owns_nothing_and_changes_no_table,
    a_session_of_one_church_gets_nothing_of_another,
    nobody_gets_into_an_office_without_signing_in,
    a_role_that_may_look_changes_nothing,
    an_admin_of_some_branches_sees_and_changes_only_those,
);

/// Two churches, one with somebody in it.
async fn two_churches(server: &TestServer) -> (Church, Church, String) {
    let (ours, theirs) =
        tokio::join!(Church::open(server, "Grace Chapel"), Church::open(server, "Hope Church"));
    let page = theirs.browser.get("/members/new").await;
    let fields = [
        ("first_name", "Naomi"),
        ("last_name", "Achieng"),
        ("branch_id", &page.value("branch_id")),
        ("status_id", &page.attribute("#status_id option:nth-child(3)", "value").expect("a status")),
    ];
    let member = theirs.browser.post("/members/new", &fields).await.location().to_owned();
    (ours, theirs, member)
}

/// As a tenant's own role, with the password derived from the installation's secret.
async fn as_tenant(server: &TestServer, tenant_id: &str, database: &str) -> sqlx::Result<PgConnection> {
    let secret = Secret::new(server.registry.secret.as_bytes()).expect("long enough");
    let options = cluster()
        .clone()
        .username(&format!("tenant_{tenant_id}"))
        .password(&secret.tenant_roles().password(tenant_id, 1))
        .database(database);
    PgConnection::connect_with(&options).await
}

async fn postgresql_itself_keeps_a_tenants_role_in_its_own_place(isolation: Isolation) {
    let server = TestServer::start_with(|config| config.isolation = isolation).await;
    let (ours, theirs, _) = two_churches(&server).await;
    let mut role = as_tenant(&server, &ours.tenant_id, &ours.database).await.expect("its own place opens");
    let template = server::provisioning::Template::name("vestry");
    let mut closed = vec![server.registry.database.as_str(), "postgres", "template1", &template];
    match isolation {
        Isolation::Database => closed.push(&theirs.database),
        Isolation::Schema => {
            assert_eq!(ours.database, theirs.database, "they share one database, and nothing in it");
            let schema = &theirs.schema;
            for forbidden in [
                format!("select * from {schema}.members"),
                format!("insert into {schema}.member_statuses values (gen_random_uuid(), 'x', 'member', 1)"),
                format!("select '{schema}.members'::regclass"),
                format!("create table {schema}.x (i integer)"),
                format!("do $$ begin lock table {schema}.members; end $$"),
                format!("set search_path = {schema}; select * from members"),
            ] {
                let refused = role.execute(AssertSqlSafe(forbidden.as_str())).await;
                let code =
                    refused.err().and_then(|error| Some(error.as_database_error()?.code()?.into_owned()));
                // 42501: no privilege. 42P01: there is no such table, for this role.
                assert!(matches!(code.as_deref(), Some("42501" | "42P01")), "{forbidden}: {code:?}");
            }
        }
    }
    for database in closed {
        let refused = as_tenant(&server, &ours.tenant_id, database).await.err();
        let code =
            refused.and_then(|error| error.into_database_error()?.code().map(|code| code.into_owned()));
        // 42501: no privilege to connect. 55000: nobody may connect to a template.
        assert!(matches!(code.as_deref(), Some("42501" | "55000")), "{database}: {code:?}");
    }
    let name = format!("tenant_{}", ours.tenant_id);
    let wrong = cluster().clone().username(&name).password("guess").database(&ours.database);
    assert!(PgConnection::connect_with(&wrong).await.is_err());
}

async fn a_tenants_role_owns_nothing_and_changes_no_table(isolation: Isolation) {
    let server = TestServer::start_with(|config| config.isolation = isolation).await;
    let church = Church::open(&server, "Grace Chapel").await;
    let own = format!("tenant_{}", church.tenant_id);
    let mut role =
        as_tenant(&server, &church.tenant_id, &church.database).await.expect("its own place opens");
    for forbidden in [
        "create table x (i integer)",
        "create table public.x (i integer)",
        "create schema x",
        "create temporary table x (i integer)",
        "create database x",
        "create role x",
        "drop table members",
        "alter table members add column x integer",
        "truncate members",
        "update audit_log set action = 'nothing'",
        "delete from audit_log",
        "select * from _sqlx_migrations",
        "select * from pg_authid",
        "copy members to program 'cat'",
        "copy members to '/tmp/x'",
        "set role vestry",
        "alter role vestry password 'x'",
        "select pg_read_file('/etc/passwd')",
        "select lo_import('/etc/passwd')",
        "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'vestry'",
    ] {
        let done = role.execute(AssertSqlSafe(forbidden)).await;
        let harmless =
            done.as_ref().is_ok_and(|done| done.rows_affected() == 0) && forbidden.contains("terminate");
        assert!(done.is_err() || harmless, "allowed: {forbidden}");
    }
    let mut db = Db::open("postgres").await;
    let rights = format!(
        "select rolsuper or rolcreatedb or rolcreaterole or rolreplication or rolbypassrls from pg_roles where rolname = '{own}'"
    );
    assert!(!db.one::<bool>(&rights).await);
    // The rights that every tenant has in its own database, and no way out of it.
    let member = format!(
        "select coalesce(string_agg(roleid::regrole::text, ','), '') from pg_auth_members where member = '{own}'::regrole"
    );
    let group = match isolation {
        Isolation::Database => "vestry_tenants".to_owned(),
        Isolation::Schema => format!("{}_tenants", church.database),
    };
    assert_eq!(db.one::<String>(&member).await, group);
    let rights = format!(
        "select rolsuper or rolcreatedb or rolcreaterole or rolcanlogin from pg_roles where rolname = '{group}'"
    );
    assert!(!db.one::<bool>(&rights).await);
    let mut inside = church.db().await;
    let owned = format!("select count(*) from pg_class where relowner = '{own}'::regrole");
    assert_eq!(inside.one::<i64>(&owned).await, 0);
}

async fn a_session_of_one_church_gets_nothing_of_another(isolation: Isolation) {
    let server = TestServer::start_with(|config| config.isolation = isolation).await;
    let (ours, theirs, member) = two_churches(&server).await;
    let branch: uuid::Uuid = theirs.db().await.one("select id from branches").await;
    let branch = format!("/branches/{branch}");
    let snapshot = "select concat((select string_agg(m::text, ',') from members m),
                                  (select string_agg(b::text, ',') from branches b),
                                  (select count(*) from audit_log))";
    let before: String = theirs.db().await.one(snapshot).await;
    for record in [&member, &branch] {
        for page in ["", "/edit", "/archive"] {
            ours.browser.get(&format!("{record}{page}")).await.expect(404);
        }
        for action in ["/edit", "/archive", "/restore"] {
            let page = ours.browser.get("/members/new").await;
            let fields = [
                ("first_name", "Mallory"),
                ("last_name", "Mallory"),
                ("name", "Mallory"),
                ("timezone", "UTC"),
                ("branch_id", &page.value("branch_id")),
                ("status_id", &page.attribute("#status_id option:nth-child(3)", "value").expect("a status")),
            ];
            ours.browser.post(&format!("{record}{action}"), &fields).await.expect(404);
        }
    }
    assert_eq!(theirs.db().await.one::<String>(snapshot).await, before, "not a row has changed");
    let page = ours.browser.get("/members?search=naomi").await.expect(200);
    assert!(!page.html.contains("Achieng"));

    // A branch or status of another church cannot be written into a member of ours.
    let own = ours.browser.get("/members/new").await;
    let foreign_branch = branch.trim_start_matches("/branches/").to_owned();
    let status = own.attribute("#status_id option:nth-child(3)", "value").expect("a status");
    let fields = [
        ("first_name", "A"),
        ("last_name", "B"),
        ("branch_id", foreign_branch.as_str()),
        ("status_id", status.as_str()),
    ];
    let page = ours.browser.post("/members/new", &fields).await.expect(422);
    assert_eq!(page.why("branch_id"), "Choose one of your branches.");
    assert_eq!(page.value("first_name"), "A");
}

async fn nobody_gets_into_an_office_without_signing_in(isolation: Isolation) {
    let server = TestServer::start_with(|config| config.isolation = isolation).await;
    let (_, theirs, member) = two_churches(&server).await;
    let stranger = server.browser();
    for path in ["/members", "/members/new", &member, "/branches", "/branches/new"] {
        let page = stranger.get(path).await;
        assert!(page.location().starts_with("/signin?next="), "{path}");
        assert!(page.html.is_empty(), "{path} says nothing");
    }
    for path in
        [format!("{member}/archive"), format!("{member}/edit"), "/members/new".into(), "/branches/new".into()]
    {
        assert!(stranger.post(&path, &[("first_name", "Mallory")]).await.location().starts_with("/signin"));
    }
    assert_eq!(
        theirs.db().await.one::<i64>("select count(*) from members where archived_at is null").await,
        1
    );
}

async fn a_role_that_may_look_changes_nothing(isolation: Isolation) {
    let server = TestServer::start_with(|config| config.isolation = isolation).await;
    let (_, theirs, member) = two_churches(&server).await;
    let helper = theirs.hire(&server, "viewer", "helper@example.org", None).await;
    let page = helper.get(&member).await.expect(200);
    assert_eq!(page.text("h1"), "Naomi Achieng");
    assert!(page.all(".head .btn").is_empty(), "nothing is offered that is then refused");
    assert!(helper.get("/members").await.all(".head .btn").is_empty());
    for path in ["/members/new", "/branches/new", &format!("{member}/edit"), &format!("{member}/archive")] {
        assert_eq!(helper.get(path).await.expect(403).text("h1"), "This needs somebody else");
        helper.post(path, &[("first_name", "Mallory")]).await.expect(403);
    }
    assert_eq!(
        theirs.db().await.one::<i64>("select count(*) from members where archived_at is null").await,
        1
    );
}

async fn an_admin_of_some_branches_sees_and_changes_only_those(isolation: Isolation) {
    let server = TestServer::start_with(|config| config.isolation = isolation).await;
    let (_, church, member) = two_churches(&server).await;
    church
        .browser
        .post("/branches/new", &[("name", "Westlands"), ("timezone", "Africa/Nairobi")])
        .await
        .location();
    let helper = church.hire(&server, "admin", "helper@example.org", Some("Westlands")).await;
    assert_eq!(helper.get("/members").await.expect(200).text("h2"), "Nobody is here yet");
    assert_eq!(helper.get("/branches").await.all("tbody a"), ["Westlands"]);
    helper.get(&member).await.expect(404);
    helper.post(&format!("{member}/archive"), &[]).await.expect(404);
    assert_eq!(helper.get("/").await.text(".figure"), "0");
    let main: uuid::Uuid = church.db().await.one("select id from branches where is_main").await;
    helper.get(&format!("/branches/{main}")).await.expect(404);
    helper.post("/branches/new", &[("name", "Mine"), ("timezone", "UTC")]).await.expect(403);
    // Into a branch of somebody else nobody is put.
    let status = helper.get("/members/new").await.attribute("#status_id option:nth-child(2)", "value");
    let fields = [
        ("first_name", "A"),
        ("last_name", "B"),
        ("branch_id", &main.to_string()),
        ("status_id", &status.expect("a status")),
    ];
    helper.post("/members/new", &fields).await.expect(404);
    assert_eq!(church.db().await.one::<i64>("select count(*) from members").await, 1);
}
