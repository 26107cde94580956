use crate::harness::{Browser, Church, OIDC, Process, Registry, TestServer, client, sign_up, watch};
use std::{os::unix::fs::PermissionsExt, path::Path};
use tokio::process::Command;

/// The binary in a folder of its own, which as root another user must be able to enter.
fn binary(folder: &Path) -> Command {
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).expect("the folder is ours");
    let mut command = Command::new(env!("CARGO_BIN_EXE_vestry"));
    command.current_dir(folder);
    for set in [
        "VESTRY_REGISTRY_URL",
        "VESTRY_SECRET_KEY",
        "VESTRY_DATA_DIR",
        "STRIPE_SECRET_KEY",
        "PGHOST",
        "PGPORT",
        "PGUSER",
        "PGPASSWORD",
    ] {
        command.env_remove(set);
    }
    for set in OIDC {
        command.env_remove(set);
    }
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn it_brings_its_own_postgresql_and_survives_being_killed() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = Process::run(binary(folder.path())).await.unwrap_or_else(|said| panic!("{said}"));
    let browser = Browser::new(first.addr);
    let opening = sign_up(&browser, "Grace Chapel", "ruth@example.org").await;
    assert_eq!(watch(&browser, &opening).await["status"], "succeeded");
    let key = std::fs::metadata(folder.path().join(".vestry/secret.key")).expect("a secret was made");
    assert_eq!(key.permissions().mode() & 0o777, 0o600);
    first.kill().await;

    let second = Process::run(binary(folder.path())).await.unwrap_or_else(|said| panic!("{said}"));
    let page = Browser::new(second.addr).get(&opening).await.expect(200);
    assert_eq!(page.text("h1"), "Grace Chapel is open");
    let postmaster = folder.path().join(".vestry/postgres/postmaster.pid");
    assert!(postmaster.exists());
    assert!(second.terminate().await.success(), "told to stop, it stops in order");
    assert!(!postmaster.exists(), "and PostgreSQL with it");
}

#[tokio::test(flavor = "multi_thread")]
async fn its_own_postgresql_is_started_again_when_it_is_killed() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Process::run(binary(folder.path())).await.unwrap_or_else(|said| panic!("{said}"));
    let browser = Browser::new(server.addr);
    let opening = sign_up(&browser, "Grace Chapel", "ruth@example.org").await;
    assert_eq!(watch(&browser, &opening).await["status"], "succeeded");
    assert_eq!(browser.post(&opening, &[("enter", "1")]).await.location(), "/");
    let file = folder.path().join(".vestry/postgres/postmaster.pid");
    let number =
        || std::fs::read_to_string(&file).ok().and_then(|text| text.lines().next().map(str::to_owned));
    // Again and again, as when it is short of memory.
    for _ in 0..2 {
        let killed = number().expect("it runs");
        let kill = Command::new("kill").args(["-KILL", &killed]).status().await.expect("kill");
        assert!(kill.success());
        let since = std::time::Instant::now();
        while number().is_none_or(|now| now == killed) || browser.get("/members").await.status != 200 {
            assert!(since.elapsed() < std::time::Duration::from_secs(60), "it stays away");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        browser.post("/branches/new", &[("name", &killed), ("timezone", "UTC")]).await.location();
    }
    assert!(server.terminate().await.success(), "told to stop, it stops in order");
    assert!(number().is_none(), "and PostgreSQL with it, which is not started again");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_prevents_a_start_is_said_in_a_sentence_with_the_remedy() {
    let folder = tempfile::tempdir().expect("a folder");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = taken.local_addr().expect("an address").to_string();
    let output = binary(folder.path()).args(["--addr", &addr]).output().await.expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.starts_with(&format!("vestry: cannot listen on {addr}")), "{said}");
    assert!(said.contains("set VESTRY_ADDR"), "{said}");

    let addr = ["--addr", "127.0.0.1:0"];
    std::fs::write(folder.path().join("file"), "").expect("written");
    let cases: [(&[&str], &str); 10] = [
        (&["--trusted-proxies", "proxy.example.org"], "is not an address or network"),
        (&["--data-dir", "file/data"], "set VESTRY_DATA_DIR"),
        (&["--oidc-audience", "office"], "OIDC_ISSUER is missing"),
        (&["--oidc-tenant-claim", "custom:church"], "OIDC_ISSUER is missing"),
        (&["--oidc-issuer", "https://issuer.example.org"], "OIDC_AUDIENCE is missing"),
        (&["--oidc-issuer", "accounts", "--oidc-audience", "office"], "OIDC_JWKS_URL is not an address"),
        (&["--registry-url", "nonsense"], "VESTRY_REGISTRY_URL is not the address"),
        (&["--registry-url", "postgres://x@127.0.0.1:1/x"], "VESTRY_SECRET_KEY is missing"),
        (&["--registry-url", "postgres://x@127.0.0.1:1/x", "--secret-key", "short"], "too short"),
        (
            &[
                "--registry-url",
                "postgres://x@127.0.0.1:1/x",
                "--secret-key",
                "0123456789abcdef0123456789abcdef",
            ],
            "cannot open the registry",
        ),
    ];
    for (arguments, expected) in cases {
        let output = binary(folder.path()).args(addr).args(arguments).output().await.expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success());
        assert!(said.contains(expected), "{arguments:?}: {said}");
        assert!(!said.contains("panicked"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blank_setting_is_an_unset_one() {
    let registry = Registry::create().await;
    // Every variable that is explained there.
    let explained = include_str!("../../../.env.example").lines();
    let variables: Vec<_> = explained
        .filter_map(|line| line.trim_start_matches('#').split_once('='))
        .map(|(name, _)| name)
        .filter(|name| {
            name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
        })
        .collect();
    assert!(variables.len() > 20, "{variables:?}");
    let process = Process::configured(&registry, |command| {
        for variable in variables {
            // Without these it would be another installation.
            if !["VESTRY_REGISTRY_URL", "VESTRY_SECRET_KEY", "VESTRY_DATA_DIR", "VESTRY_ADDR"]
                .contains(&variable)
            {
                command.env(variable, " ");
            }
        }
        command.env("VESTRY_OPERATOR_TOKEN", "").args([
            "--operator-token",
            "",
            "--s3-bucket=",
            "--stripe-secret-key",
            " ",
        ]);
    })
    .await;
    let program = client();
    for authorization in [None, Some(""), Some("Bearer"), Some("Bearer "), Some("Basic Og==")] {
        let ask = async |request: reqwest::RequestBuilder| {
            let request = request.header("x-forwarded-for", "203.0.113.7");
            let request = match authorization {
                Some(value) => request.header("authorization", value),
                None => request,
            };
            request.send().await.expect("it is answered").status().as_u16()
        };
        let at = |path: &str| format!("http://{}{path}", process.addr);
        assert_eq!(ask(program.get(at("/api/tenants"))).await, 403, "{authorization:?}");
        let new = serde_json::json!({ "name": "Trap", "admin": { "firstName": "A", "lastName": "B",
            "email": "trap@example.org", "password": "river candle mango" } });
        assert_eq!(ask(program.post(at("/api/tenants")).json(&new)).await, 403, "{authorization:?}");
        assert_eq!(ask(program.get(at("/metrics"))).await, 403, "{authorization:?}");
    }
    assert_eq!(registry.db().await.one::<i64>("select count(*) from tenants").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operators_token_that_could_be_guessed_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    for token in ["short", "fifteen-letters", "     padded     ", "sechzehn-Zeichen-für"] {
        let mut command = binary(folder.path());
        command.args(["--addr", "127.0.0.1:0"]).env("VESTRY_OPERATOR_TOKEN", token).kill_on_drop(true);
        let output = tokio::time::timeout(std::time::Duration::from_secs(20), command.output()).await;
        let output = output.expect("it does not start").expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{token}");
        assert!(said.contains("VESTRY_OPERATOR_TOKEN is too weak"), "{said}");
        assert!(!said.contains(token), "{said}");
    }
    let registry = Registry::create().await;
    let token = "sixteen-letters-";
    let process = Process::configured(&registry, |command| {
        command.env("VESTRY_OPERATOR_TOKEN", token);
    })
    .await;
    let program = client();
    let ask = async |token: &str| {
        let request = program.get(format!("http://{}/api/tenants", process.addr)).bearer_auth(token);
        request.send().await.expect("it is answered").status().as_u16()
    };
    assert_eq!(ask(token).await, 200);
    assert_eq!(ask("").await, 401);
    assert_eq!(ask("sixteen-letters").await, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn starting_again_changes_nothing() {
    let registry = Registry::create().await;
    let first = TestServer::on(&registry).await;
    let church = Church::open(&first, "Grace Chapel").await;
    first.running.stop().await.expect("it stops in order");
    let second = TestServer::on(&registry).await;
    church.browser.at(second.addr()).get("/members").await.expect(200);
    let mut db = registry.db().await;
    assert_eq!(db.one::<i64>("select count(*) from database_servers").await, 1);
    assert_eq!(db.one::<i64>("select count(*) from tenants").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_tells_whether_it_lives_and_is_ready() {
    let server = TestServer::start().await;
    let browser = server.browser();
    browser.get("/healthz").await.expect(200);
    browser.get("/readyz").await.expect(200);
    let page = browser.get("/no/such/page").await.expect(404);
    assert_eq!(page.text("h1"), "This page is not here");
    let policy = page.header("content-security-policy");
    assert!(policy.contains("'nonce-") && !policy.contains("unsafe-inline"), "{policy}");
    assert_eq!(page.header("cache-control"), "no-store");
    assert!(!page.header("x-request-id").is_empty());
}

/// What the binary complains of at once, started in a folder with this `.env`.
async fn complaint(folder: &Path, env_file: &str, environment: &[(&str, &str)]) -> String {
    std::fs::write(folder.join(".env"), env_file).expect("written");
    let mut command = binary(folder);
    command.args(["--addr", "127.0.0.1:0"]).envs(environment.iter().copied());
    let output = command.output().await.expect("it runs");
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_come_from_a_file_unless_the_environment_has_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let url = "VESTRY_REGISTRY_URL='postgres://x@127.0.0.1:1/x' # comment\n";
    let said = complaint(folder, url, &[]).await;
    assert!(said.contains("VESTRY_SECRET_KEY is missing"), "the file is read: {said}");
    let said = complaint(folder, &format!("{url}VESTRY_SECRET_KEY=short\n"), &[]).await;
    assert!(said.contains("VESTRY_SECRET_KEY is too short"), "all of it: {said}");
    let said = complaint(folder, url, &[("VESTRY_REGISTRY_URL", "nonsense")]).await;
    assert!(said.contains("VESTRY_REGISTRY_URL is not the address"), "the environment wins: {said}");
    let said = complaint(folder, "\u{feff}VESTRY_REGISTRY_URL=nonsense\r\n", &[]).await;
    assert!(said.contains("VESTRY_REGISTRY_URL is not the address"), "an editor's byte order mark: {said}");

    // The file of a folder above is somebody else's.
    std::fs::create_dir(folder.join("below")).expect("made");
    std::fs::write(folder.join("below/file"), "").expect("written");
    let mut command = binary(&folder.join("below"));
    let output = command.args(["--addr", "127.0.0.1:0", "--data-dir", "file/data"]).output().await;
    let said = String::from_utf8_lossy(&output.expect("it runs").stderr).into_owned();
    assert!(said.contains("set VESTRY_DATA_DIR"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_env_file_that_cannot_be_read_is_refused_without_quoting_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    for malformed in [
        "VESTRY_SECRET_KEY: hunter2",
        "VESTRY_SECRET_KEY",
        "VESTRY_SECRET_KEY hunter2 # comment",
        "VESTRY_SECRET_KEY=hunter2 and more",
        "VESTRY_SECRET_KEY='hunter2",
        "VESTRY_SECRET_KEY=hunter2\\q",
        "VESTRY_SECRET_KEY=hunter2\0",
    ] {
        // A value may span lines.
        let file = format!("# hunter2\nNOTE='hunter2\nhunter2'\n\n{malformed}\nVESTRY_API_RATE=100\n");
        let said = complaint(folder, &file, &[]).await;
        assert!(said.starts_with("vestry: .env, line 5:"), "{malformed}: {said}");
        assert!(!said.contains("hunter2"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    std::fs::remove_file(folder.join(".env")).expect("removed");
    std::fs::create_dir(folder.join(".env")).expect("made");
    let output = binary(folder).args(["--addr", "127.0.0.1:0"]).output().await.expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.starts_with("vestry: .env cannot be read"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_health_check_asks_the_server_over_its_own_address() {
    let server = Process::start(&Registry::create().await).await;
    let folder = tempfile::tempdir().expect("a folder");
    let check = async |addr: String| {
        let output =
            binary(folder.path()).args(["healthcheck", "--addr", &addr]).output().await.expect("it runs");
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(check(server.addr.to_string()).await, (true, String::new()));
    let everywhere = format!("0.0.0.0:{}", server.addr.port());
    assert_eq!(check(everywhere).await, (true, String::new()), "as in a container");

    let addr = server.addr.to_string();
    server.kill().await;
    let (healthy, said) = check(addr.clone()).await;
    assert!(!healthy && said.starts_with(&format!("vestry: {addr} does not answer")), "{said}");

    // Something else listens there.
    let other = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = other.local_addr().expect("an address").to_string();
    let teapot = async {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut stream, _) = other.accept().await.expect("it is asked");
        // What is not read would reset the connection when it closes.
        let asked = stream.read(&mut [0; 1024]).await.expect("a request");
        assert!(asked > 0);
        stream.write_all(b"HTTP/1.1 418 I'm a teapot\r\n\r\n").await.expect("written");
    };
    let ((), (healthy, said)) = tokio::join!(teapot, check(addr.clone()));
    assert!(!healthy && said.contains("is not healthy: HTTP/1.1 418"), "{said}");
}
