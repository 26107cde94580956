//! What an operator reads.

use crate::harness::{Browser, Church, Db, PASSWORD, Process, Program, Registry, TestServer, sign_up, watch};
use serde_json::{Value, json};
use tokio::process::Command;

async fn json_process(registry: &Registry) -> Process {
    Process::configured(registry, |command| {
        command.env("VESTRY_LOG", "json").env_remove("RUST_LOG");
    })
    .await
}

/// All lines, each of which is JSON.
fn lines(process: &Process) -> Vec<Value> {
    let parse = |line: &String| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"));
    process.log().iter().map(parse).collect()
}

/// Waits for the line that says this about a request, or about anything.
async fn line(process: &Process, wanted: impl Fn(&Value) -> bool) -> Value {
    let parsed = |line: &str| serde_json::from_str::<Value>(line).unwrap_or_default();
    parsed(&process.logs(|line| wanted(&parsed(line))).await)
}

fn answered(request_id: &str) -> impl Fn(&Value) -> bool {
    move |line| line["message"] == "answered" && line["span"]["request_id"] == request_id
}

/// A church that has opened, and its owner's browser.
async fn open(process: &Process) -> (Browser, String) {
    let browser = Browser::new(process.addr);
    let opening = sign_up(&browser, "Grace Chapel", "ruth@example.org").await;
    assert_eq!(watch(&browser, &opening).await["status"], "succeeded");
    browser.post(&opening, &[("enter", "1")]).await.location();
    (browser, opening)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_has_one_line_without_anything_of_a_person() {
    let registry = Registry::create().await;
    let process = json_process(&registry).await;
    let (browser, _) = open(&process).await;
    let tenant: String = registry.db().await.one("select id from tenants").await;
    let page = browser.get("/members?search=Achieng").await.expect(200);
    let id = page.header("x-request-id").to_owned();
    let said = line(&process, answered(&id)).await;
    assert_eq!(said["level"], "INFO");
    assert_eq!(said["span"]["method"], "GET");
    assert_eq!(said["span"]["route"], "/members");
    assert_eq!(said["span"]["tenant"], tenant);
    assert_eq!(said["status"], 200);
    assert!(said["duration_ms"].as_f64().is_some_and(|ms| ms > 0.0), "{said}");

    // Ids in addresses, and addresses that strangers make up, are not written.
    let page = browser.get("/members/0193b3a0-0000-7000-8000-000000000000").await.expect(404);
    let said = line(&process, answered(page.header("x-request-id"))).await;
    assert_eq!((&said["span"]["route"], &said["status"]), (&json!("/members/{id}"), &json!(404)));
    let page = browser.get("/secret/made/up/by/a/stranger").await.expect(404);
    let said = line(&process, answered(page.header("x-request-id"))).await;
    assert_eq!(said["span"]["route"], "unmatched");

    // What machines ask for all the time is not said.
    for path in ["/healthz", "/readyz"] {
        browser.get(path).await.expect(200);
    }
    // An id that a proxy gives is kept; one that could be anything is not.
    for (given, kept) in [("proxy-1.2_3", true), ("two words", false), (&"a".repeat(65), false)] {
        let ask = |client: &reqwest::Client, base: &str| {
            client.get(format!("{base}/members")).header("x-request-id", given)
        };
        let page = browser.request(ask).await.expect(200);
        assert_eq!(page.header("x-request-id") == given, kept, "{given}");
        line(&process, answered(page.header("x-request-id"))).await;
    }
    let all = lines(&process);
    let of_request = |line: &&Value| line["message"] == "answered" && line["span"]["request_id"] == id;
    assert_eq!(all.iter().filter(of_request).count(), 1);
    let text = process.log().join("\n");
    for absent in
        ["healthz", "readyz", "Achieng", "0193b3a0", "stranger", "ruth", "Okafor", "Grace", "@", "two words"]
    {
        assert!(!text.contains(absent), "{absent} in {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_concerns_security_is_logged() {
    let registry = Registry::create().await;
    let process = json_process(&registry).await;
    let (browser, _) = open(&process).await;
    let tenant: String = registry.db().await.one("select id from tenants").await;
    let said = |message: &'static str| line(&process, move |line| line["message"] == message);
    let signup = said("signup accepted").await;
    assert_eq!(signup["span"]["tenant"], tenant);
    assert!(signup["run"].is_string());

    let stranger = Browser::new(process.addr);
    let wrong = [("email", "ruth@example.org"), ("password", "not the right one")];
    stranger.post("/signin", &wrong).await.expect(422);
    let refused = said("sign-in refused").await;
    assert_eq!(refused["why"], "wrong-credentials");
    let account = refused["account"].as_str().expect("a digest").to_owned();
    for _ in 0..12 {
        stranger.post("/signin", &wrong).await;
    }
    let limited = line(&process, |line| line["why"] == "too-many-attempts").await;
    assert_eq!(limited["account"], account.as_str(), "attempts at one account can be told");

    let program = Program::new(process.addr);
    let login = json!({ "email": "aaron@example.org", "password": "not the right one" });
    program.post("/api/auth/login", login).await.problem(401, "wrong-credentials");
    let other = |line: &Value| line["message"] == "sign-in refused" && line["account"] != account.as_str();
    assert_eq!(line(&process, other).await["span"]["route"], "/api/auth/login");

    let form = [("name", "our website"), ("scope", "read"), ("expires", "30"), ("key", "")];
    let page = browser.post("/settings/tokens/new", &form).await.expect(200);
    let shown = page.attribute("#token", "value").expect("the token is shown");
    let created = said("access token created").await;
    let token = created["token"].as_str().expect("an id").to_owned();
    browser.post(&format!("/settings/tokens/{token}/revoke"), &[]).await.location();
    let revoked = said("access token revoked").await;
    assert_eq!((&revoked["token"], &revoked["span"]["tenant"]), (&created["token"], &json!(tenant)));

    for (verb, message) in
        [("suspend", "operator command: suspended"), ("resume", "operator command: resumed")]
    {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vestry"));
        command.env("VESTRY_REGISTRY_URL", &registry.url).env("VESTRY_SECRET_KEY", &registry.secret);
        command.env_remove("SUDO_USER").env("USER", "operations").args(["tenants", verb, &tenant]);
        let output = command.output().await.expect("it runs");
        let own = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && own.contains(message), "{own}");
        let heard = said(message).await;
        assert_eq!((&heard["tenant"], &heard["by"]), (&json!(tenant), &json!("operations")));
    }
    let text = process.log().join("\n");
    for absent in ["ruth", "aaron", "not the right one", PASSWORD, "our website", &shown] {
        assert!(!text.contains(absent), "{absent} in {text}");
    }
    lines(&process);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_503_names_its_cause_with_the_church_and_the_request() {
    let registry = Registry::create().await;
    let process = json_process(&registry).await;
    let (browser, _) = open(&process).await;
    let tenant: String = registry.db().await.one("select id from tenants").await;
    browser.get("/members").await.expect(200);
    let mut db = Db::open("postgres").await;
    db.run(&format!("alter database tenant_{tenant} with allow_connections false")).await;
    db.run(&format!(
        "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'tenant_{tenant}'"
    ))
    .await;
    let page = browser.get("/members").await.expect(503);
    let id = page.text(".reference");
    assert_eq!(id, page.header("x-request-id"));
    let caused = |line: &Value| line["span"]["request_id"] == id.as_str() && line["error"].is_string();
    let cause = line(&process, caused).await;
    assert_eq!(cause["span"]["tenant"], tenant);
    let error = cause["error"].as_str().unwrap_or_default();
    assert!(error.contains("not reachable now: ") && error.contains("SQLSTATE 55000"), "{error}");
    line(&process, answered(&id)).await;
    let causes = lines(&process).iter().filter(|line| caused(line)).count();
    assert_eq!(causes, 1, "said once");
    db.run(&format!("alter database tenant_{tenant} with allow_connections true")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_upgrade_names_the_church_and_the_cause() {
    let registry = Registry::create().await;
    let process = json_process(&registry).await;
    let (browser, _) = open(&process).await;
    let tenant: String = registry.db().await.one("select id from tenants").await;
    // A migration that makes a table is run again, over what it has made.
    let mut church = Db::open(&format!("tenant_{tenant}")).await;
    church.run("delete from church._sqlx_migrations where description = 'locks'").await;
    registry.db().await.run("update tenants set schema_version = schema_version - 1").await;
    let mut page = browser.get("/members").await;
    while page.status == 200 {
        page = browser.get("/members").await;
    }
    assert_eq!(page.expect(503).text("h1"), "We couldn't update your church's account");
    let failed = line(&process, |line| line["message"] == "tenant schema upgrade failed").await;
    assert_eq!(failed["tenant"], tenant);
    assert!(failed["error"].as_str().is_some_and(|error| error.contains("already exists")), "{failed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_step_names_the_church_the_run_and_the_cause() {
    let registry = Registry::create().await;
    let process = json_process(&registry).await;
    let mut db = registry.db().await;
    db.run(
        "create function refuse() returns trigger language plpgsql as $$ begin raise 'not now'; end $$;
         create trigger refuse before update of server_id on tenants for each row execute function refuse();",
    )
    .await;
    sign_up(&Browser::new(process.addr), "Grace Chapel", "ruth@example.org").await;
    let failed = line(&process, |line| line["step"] == "place").await;
    assert_eq!(failed["tenant"], db.one::<String>("select id from tenants").await);
    assert_eq!(failed["run"], db.one::<String>("select id::text from provisioning_runs").await);
    assert!(failed["error"].as_str().is_some_and(|error| error.contains("not now")), "{failed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_json_is_written_and_no_colour_into_a_file() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = taken.local_addr().expect("an address").to_string();
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_vestry"));
    command.current_dir(folder.path()).args(["--addr", &addr, "--log", "json"]);
    let output = command.output().await.expect("it runs");
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).expect("text");
    for line in said.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"));
        assert_eq!(line["level"], "ERROR");
        assert!(line["error"].as_str().is_some_and(|error| error.contains("cannot listen on")), "{line}");
    }
    assert_eq!(said.lines().count(), 1, "{said}");

    let process = Process::start(&Registry::create().await).await;
    Browser::new(process.addr).get("/signin").await.expect(200);
    process.logs(|line| line.contains("answered")).await;
    assert!(process.log().iter().all(|line| !line.contains('\u{1b}')), "{:?}", process.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_church_whose_tables_are_newer_is_told_so() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let program = Program::log_in(&server, &church.email).await;
    server.db().await.run("update tenants set schema_version = schema_version + 1").await;
    crate::faults::answers(&church.browser, "/members", 503).await;
    let page = church.browser.get("/members").await.expect(503);
    assert_eq!(page.text("h1"), "Vestry is being updated");
    program.get("/api/members").await.problem(503, "newer-schema");
}
