//! What a church's role can do to itself, to others, and with a copy of another church.

use crate::{
    chaos::postgres::Postgres,
    harness::{Browser, Church, Db, Registry, TestServer, cluster, command, programs, sign_up, watch},
};
use identity::Secret;
use server::{config::Isolation, provisioning::hardening_sql, serve::Running};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, postgres::PgConnectOptions};
use std::{os::unix::fs::PermissionsExt, sync::Arc, time::Duration};
use tokio::process::Command;

fn as_role(server: &TestServer, to: &PgConnectOptions, id: &str, database: &str) -> PgConnectOptions {
    let secret = Secret::new(server.registry.secret.as_bytes()).expect("long enough");
    let password = secret.tenant_roles().password(id, 1);
    to.clone().username(&format!("tenant_{id}")).password(&password).database(database)
}

async fn enter(server: &TestServer, church: &Church, database: &str) -> sqlx::Result<PgConnection> {
    PgConnection::connect_with(&as_role(server, cluster(), &church.tenant_id, database)).await
}

async fn code(connection: &mut PgConnection, sql: &str) -> Option<String> {
    let error = connection.execute(AssertSqlSafe(sql)).await.err()?;
    Some(error.as_database_error()?.code()?.into_owned())
}

/// What a role may set for itself that would break or slow down whoever signs in with it.
const POISON: [&str; 12] = [
    "search_path = 'pg_catalog'",
    "statement_timeout = 1",
    "lock_timeout = 1",
    "idle_in_transaction_session_timeout = 1",
    "idle_session_timeout = 1",
    "default_transaction_read_only = on",
    "default_transaction_isolation = 'serializable'",
    "plan_cache_mode = 'force_custom_plan'",
    "role = 'vestry_tenants'",
    "local_preload_libraries = 'nothing'",
    "standard_conforming_strings = off",
    "row_security = off",
];

#[tokio::test(flavor = "multi_thread")]
async fn what_a_role_sets_for_itself_does_not_reach_vestrys_connections() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    poison(&server, &church).await;
    let secret = Secret::new(server.registry.secret.as_bytes()).expect("long enough");
    let limits = tenant::Limits {
        per_server: 2,
        per_tenant: 2,
        wait: Duration::from_secs(5),
        idle: Duration::from_secs(5),
    };
    // Nobody repairs the role here: the settings that each connection sends are enough.
    let pools = tenant::Pools::new(secret.tenant_roles(), limits, Arc::new(|_| Box::pin(async { false })));
    let place = tenant::TenantLocation {
        tenant_id: church.tenant_id.clone(),
        host: cluster().get_socket().expect("a socket").display().to_string(),
        port: cluster().get_port(),
        database: church.database.clone(),
        schema: church.schema.clone(),
        role_version: 1,
        tls: tenant::Tls::default(),
    };
    let tenant = pools.get(&place).await;
    let owner = tenant::admins::find_owner(&tenant).await.expect("it reads");
    tenant::admins::record_sign_in(&tenant, owner).await.expect("and writes");
    let in_use = format!(
        "select count(*) from pg_stat_activity where usename = 'tenant_{}' and datname = '{}'",
        church.tenant_id, church.database
    );
    assert!(Db::open("postgres").await.one::<i64>(&in_use).await > 0, "and stays connected");
}

async fn poison(server: &TestServer, church: &Church) {
    let mut role = enter(server, church, &church.database).await.expect("its own place opens");
    let name = format!("tenant_{}", church.tenant_id);
    for setting in POISON {
        for place in [String::new(), format!("in database {}", church.database)] {
            let alter = format!("alter role {name} {place} set {setting}");
            role.execute(AssertSqlSafe(alter.as_str()))
                .await
                .unwrap_or_else(|error| panic!("{alter}: {error}"));
        }
    }
}

/// The role's settings, as text.
async fn settings(church: &Church) -> String {
    let settings = format!(
        "select coalesce(string_agg(setconfig::text, ' ' order by setdatabase), '') from pg_db_role_setting
          where setrole = 'tenant_{}'::regrole",
        church.tenant_id
    );
    Db::open("postgres").await.one(&settings).await
}

async fn a_role_that_poisons_itself_changes_nothing(isolation: Isolation) {
    let server = TestServer::start_with(|config| config.isolation = isolation).await;
    let church = Church::open(&server, "Grace Chapel").await;
    let other = TestServer::on_with(&server.registry, |config| config.isolation = isolation).await;
    let (before, name) = (settings(&church).await, format!("tenant_{}", church.tenant_id));
    let mut role = enter(&server, &church, &church.database).await.expect("its own place opens");
    for poison in [
        "set enable_indexscan = off",
        "set search_path = 'pg_catalog'",
        "set default_transaction_read_only = on",
        "password 'of my own'",
    ] {
        role.execute(AssertSqlSafe(format!("alter role {name} {poison}"))).await.expect("a role may");
    }
    // A process that has nothing open yet.
    church.browser.at(other.addr()).get("/members").await.expect(200);
    assert_eq!(settings(&church).await, before, "its settings are ours again");
    enter(&server, &church, &church.database).await.expect("and so is its password");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_of_a_database_that_poisons_itself_changes_nothing() {
    a_role_that_poisons_itself_changes_nothing(Isolation::Database).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_of_a_schema_that_poisons_itself_changes_nothing() {
    a_role_that_poisons_itself_changes_nothing(Isolation::Schema).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_repairs_a_role() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let before = settings(&church).await;
    poison(&server, &church).await;
    let name = format!("tenant_{}", church.tenant_id);
    let mut inside = church.db().await;
    for damage in [
        format!("alter role {name} password 'x' connection limit 1"),
        format!("revoke usage on schema church from {name}"),
        format!("revoke vestry_tenants from {name}"),
        format!("revoke connect on database {} from {name}", church.database),
        format!("grant connect on database {} to public", church.database),
    ] {
        inside.run(&damage).await;
    }
    let said =
        command(&server.registry, &["tenants", "repair", &church.tenant_id]).await.expect("it is done");
    assert!(said.contains(&church.tenant_id), "{said}");
    assert_eq!(settings(&church).await, before);
    let limit = format!("select rolconnlimit from pg_roles where rolname = '{name}'");
    assert_eq!(inside.one::<i32>(&limit).await, 20);
    let open = format!("select has_database_privilege('public', '{}', 'connect')", church.database);
    assert!(!inside.one::<bool>(&open).await);
    let mut role = enter(&server, &church, &church.database).await.expect("it connects");
    role.execute("select * from members").await.expect("and reads");
    let said = command(&server.registry, &["tenants", "repair", "a23456789012345678901234"]).await;
    assert!(said.expect_err("no such church").contains("no church has the id"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_church_restored_into_a_database_open_to_all_opens_to_its_own_role_only() {
    let server = TestServer::start().await;
    let (ours, theirs) =
        (Church::open(&server, "Grace Chapel").await, Church::open(&server, "Hope Church").await);
    let copy = format!("{}_copy", theirs.database);
    let folder = tempfile::tempdir().expect("a folder");
    let dump = folder.path().join("dump").display().to_string();
    run("pg_dump", &["-Fc", "-f", &dump, &theirs.database]).await;
    run("createdb", &[&copy]).await;
    run("pg_restore", &["-d", &copy, &dump]).await;

    let mut stranger = enter(&server, &ours, &copy).await.expect("the database is open to all");
    for forbidden in [
        "select * from church.members",
        "insert into church.tags values (gen_random_uuid(), 'x')",
        "select * from church.admins",
    ] {
        assert_eq!(code(&mut stranger, forbidden).await.as_deref(), Some("42501"), "{forbidden}");
    }
    let mut own = enter(&server, &theirs, &copy).await.expect("it is open");
    own.execute("select * from church.members").await.expect("to its own role");
    let findings = server.running.installation.servers.check(4, 1).await;
    assert!(findings.iter().any(|finding| finding.contains(&copy)), "{findings:?}");
}

async fn run(program: &str, arguments: &[&str]) {
    let options = cluster();
    let mut command = Command::new(programs().join(program));
    command.args(arguments).env("PGHOST", options.get_socket().expect("a socket"));
    command.env("PGPORT", options.get_port().to_string()).env("PGUSER", "vestry");
    command.env("PGPASSWORD", std::env::var("PGPASSWORD").unwrap_or_else(|_| "throwaway".into()));
    let output = command.output().await.unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_neighbours_locks_do_not_hold_up_a_churchs_tags() {
    let server = TestServer::start_with(|config| config.isolation = Isolation::Schema).await;
    let (ours, theirs) =
        (Church::open(&server, "Grace Chapel").await, Church::open(&server, "Hope Church").await);
    let tags: i64 = ours.db().await.one("select 'tags'::regclass::oid::bigint").await;
    let mut neighbour = enter(&server, &theirs, &theirs.database).await.expect("its own place opens");
    neighbour.execute(AssertSqlSafe(format!("select pg_advisory_lock({tags})"))).await.expect("it may");
    add_with_tag(&ours).await;
}

/// Adds a member with a new tag.
async fn add_with_tag(church: &Church) {
    let page = church.browser.get("/members/new").await.expect(200);
    let status = page.attribute("#status_id option:nth-child(3)", "value").expect("a status");
    let fields = [
        ("first_name", "Naomi"),
        ("last_name", "Achieng"),
        ("branch_id", &page.value("branch_id")),
        ("status_id", &status),
        ("tags", "choir"),
    ];
    church.browser.post("/members/new", &fields).await.location();
    assert_eq!(church.db().await.one::<i64>("select count(*) from member_tags").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_superuser_revokes_is_nothing_that_vestry_needs() {
    let postgres = Postgres::start().await;
    let registry =
        Registry { database: "vestry_registry".into(), url: postgres.url(), secret: "0".repeat(32) };
    let server = TestServer::on(&registry).await;
    let browser = server.browser();
    let opening = sign_up(&browser, "Grace Chapel", "ruth@example.org").await;
    assert_eq!(watch(&browser, &opening).await["status"], "succeeded");
    browser.post(&opening, &[("enter", "1")]).await.location();
    let mut superuser = postgres.registry().await;
    let id: String =
        sqlx::query_scalar("select id from tenants").fetch_one(&mut superuser).await.expect("one");
    let database = format!("tenant_{id}");
    let servers = &server.running.installation.servers;
    let unrestricted = servers.check(4, 1).await;
    assert!(unrestricted.iter().any(|finding| finding.contains("vestry doctor --sql")), "{unrestricted:?}");

    let script = command(&registry, &["doctor", "--sql"]).await.expect("it prints");
    let template = server::provisioning::Template::name("vestry");
    for expected in
        [format!("\\connect {database}\n"), format!("\\connect {template}\n"), hardening_sql("vestry")]
    {
        assert!(script.contains(&expected), "{expected} is missing: {script}");
    }
    let advice = command(&registry, &["doctor"]).await.expect("nothing is wrong");
    assert!(advice.contains("vestry doctor --sql"), "{advice}");

    let mut superuser = PgConnection::connect_with(&postgres.superuser(&database)).await.expect("it may");
    superuser.execute(AssertSqlSafe(hardening_sql("vestry"))).await.expect("it may");
    superuser.execute(AssertSqlSafe(hardening_sql("vestry"))).await.expect("again");
    assert_eq!(servers.check(4, 1).await, Vec::<String>::new());

    let role = as_role(&server, &postgres.superuser(&database), &id, &database);
    let mut role = PgConnection::connect_with(&role).await.expect("its own place opens");
    is_restricted(&mut role).await;
    let done = server.running.installation.role_repair.run(&id.parse().expect("an id")).await;
    assert!(done, "the installation's own role may do what it needs");
    let limited = "select setconfig::text like '%temp_file_limit=1GB%' from pg_db_role_setting where setdatabase = 0 and setrole = to_regrole($1)::oid";
    let limited: bool =
        sqlx::query_scalar(limited).bind(&database).fetch_one(&mut superuser).await.expect("it has settings");
    assert!(limited, "and bounds the temporary files of a church");
    browser.get("/members").await.expect(200);
    drop((role, superuser));
    server.running.stop().await.expect("it stops in order");
    postgres.stop().await;
}

/// What reaches beyond a church's own database is refused to its role.
async fn is_restricted(role: &mut PgConnection) {
    for forbidden in [
        "select pg_advisory_lock(1)",
        "select pg_try_advisory_xact_lock_shared(1, 2)",
        "select pg_notify('tenant_changed', 'x')",
        "select lo_create(0)",
        "select lo_from_bytea(0, 'x')",
        "select * from pg_stat_user_tables",
        "select * from pg_stat_activity",
        "select pg_stat_get_live_tuples('church.members'::regclass)",
    ] {
        assert_eq!(code(role, forbidden).await.as_deref(), Some("42501"), "{forbidden}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_embedded_postgresql_the_roles_of_churches_are_restricted_from_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    // As root, PostgreSQL runs as another user, who has to be able to enter.
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).expect("ours");
    let registry =
        Registry { database: "vestry_registry".into(), url: String::new(), secret: "0".repeat(32) };
    let mut config = registry.config();
    (config.registry_url, config.data_dir) = (None, folder.path().to_owned());
    let running = Running::start(config).await.unwrap_or_else(|error| panic!("{error}"));
    let browser = Browser::new(running.addr);
    let opening = sign_up(&browser, "Grace Chapel", "ruth@example.org").await;
    assert_eq!(watch(&browser, &opening).await["status"], "succeeded");
    assert_eq!(running.installation.servers.check(4, 1).await, Vec::<String>::new());
    let primary = running.installation.servers.primary();
    let id = "select substr(datname, 8) from pg_database where datname like 'tenant\\_%'";
    let id: String = sqlx::query_scalar(id).fetch_one(&primary.maintenance).await.expect("one");
    let server = TestServer { registry, running };
    let options = server.running.installation.server_options();
    let role = as_role(&server, &options, &id, &format!("tenant_{id}"));
    let mut role = PgConnection::connect_with(&role).await.expect("its own place opens");
    is_restricted(&mut role).await;
    drop(role);
    server.running.stop().await.expect("it stops in order");
}
