use super::add_member;
use crate::harness::{Church, PASSWORD, Program, TestServer, sign_up, watch};
use serde_json::json;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread")]
async fn signing_in_says_who_and_where() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let program = Program::log_in(&server, &church.email).await;
    let session = &program.session;
    assert_eq!(session["tenantId"], church.tenant_id);
    assert_eq!(session["admin"]["role"], "owner");
    assert_eq!(session["admin"]["email"], church.email);
    assert_eq!(session["church"]["name"], "Grace Chapel");
    assert_eq!(session["church"]["subscriptionStatus"], "trialing");
    assert_eq!((&session["tokenType"], &session["expiresIn"]), (&json!("Bearer"), &json!(900)));
    let me = program.get("/api/me").await.expect(200).body;
    assert_eq!((&me["tenantId"], &me["admin"]), (&session["tenantId"], &session["admin"]));
    let stored: bool = server
        .db()
        .await
        .one(&format!(
            "select exists (select from refresh_tokens where digest::text like '%{}%')",
            program.refresh_token()
        ))
        .await;
    assert!(!stored, "only a digest is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_email_of_several_churches_chooses() {
    let server = TestServer::start().await;
    let email = "ruth@example.org";
    for church in ["Grace Chapel", "Hope Church"] {
        let browser = server.browser();
        let opening = sign_up(&browser, church, email).await;
        watch(&browser, &opening).await;
    }
    let other = Church::open(&server, "Faith Hall").await;
    let program = Program::new(server.addr());
    let credentials = json!({ "email": email, "password": PASSWORD });
    let said = program.post("/api/auth/login", credentials.clone()).await.problem(409, "choose-tenant");
    let choices = said.body["choices"].as_array().expect("choices").clone();
    let names: Vec<_> = choices.iter().map(|choice| choice["church"].as_str().unwrap_or_default()).collect();
    assert_eq!(names, ["Grace Chapel", "Hope Church"]);
    let with = |tenant_id: &serde_json::Value| {
        let mut credentials = credentials.clone();
        credentials["tenantId"] = tenant_id.clone();
        credentials
    };
    let said = program.post("/api/auth/login", with(&choices[1]["tenantId"])).await.expect(200);
    assert_eq!(said.body["church"]["name"], "Hope Church");
    let said = program.post("/api/auth/login", with(&json!(other.tenant_id))).await;
    said.problem(403, "wrong-tenant");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_is_used_once_and_reuse_ends_the_sign_in_everywhere() {
    let one = TestServer::start().await;
    let two = TestServer::on(&one.registry).await;
    let church = Church::open(&one, "Grace Chapel").await;
    let program = Program::log_in(&one, &church.email).await;
    let first = json!({ "refreshToken": program.refresh_token() });
    let second = program.post("/api/auth/refresh", first.clone()).await.expect(200).body;
    assert_ne!(second["refreshToken"], program.session["refreshToken"]);
    let next = program.with(second["accessToken"].as_str().expect("a token"));
    let elsewhere = next.at(two.addr());
    next.get("/api/me").await.expect(200);
    elsewhere.get("/api/me").await.expect(200);
    program.get("/api/me").await.expect(200);

    program.post("/api/auth/refresh", first).await.problem(401, "unauthenticated");
    let last = json!({ "refreshToken": second["refreshToken"] });
    program.post("/api/auth/refresh", last).await.problem(401, "unauthenticated");
    for program in [&next, &elsewhere, &program] {
        is_refused(program, Duration::from_secs(2)).await;
    }
    assert_eq!(one.db().await.one::<i64>("select count(*) from token_families").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_that_refresh_at_once_do_not_both_get_on() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let program = Program::log_in(&server, &church.email).await;
    let body = json!({ "refreshToken": program.refresh_token() });
    let tries = (0..8).map(|_| program.post("/api/auth/refresh", body.clone()));
    let answers = futures::future::join_all(tries).await;
    assert!(answers.iter().filter(|said| said.status == 200).count() <= 1);
    assert_eq!(server.db().await.one::<i64>("select count(*) from token_families").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_under_its_key_gets_the_same_tokens() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let program = Program::new(server.addr());
    let under = async |path: &str, key: &str, body: &serde_json::Value| {
        let finish = |request: reqwest::RequestBuilder| request.header("idempotency-key", key).json(body);
        program.send(reqwest::Method::POST, path, finish).await
    };
    let credentials = json!({ "email": church.email, "password": PASSWORD });
    let first = under("/api/auth/login", "a", &credentials).await.expect(200).body;
    assert_eq!(under("/api/auth/login", "a", &credentials).await.expect(200).body, first);
    assert_ne!(under("/api/auth/login", "b", &credentials).await.expect(200).body, first);
    let wrong = json!({ "email": church.email, "password": "another one" });
    under("/api/auth/login", "a", &wrong).await.problem(401, "wrong-credentials");

    let refresh = json!({ "refreshToken": first["refreshToken"] });
    let second = under("/api/auth/refresh", "c", &refresh).await.expect(200).body;
    assert_eq!(under("/api/auth/refresh", "c", &refresh).await.expect(200).body, second);
    let plain: bool = server
        .db()
        .await
        .one(&format!(
            "select exists (select from token_families f where f::text like '%{token}%')
                 or exists (select from refresh_tokens r where r::text like '%{token}%')",
            token = second["accessToken"].as_str().expect("a token")
        ))
        .await;
    assert!(!plain, "what is kept is encrypted");
    under("/api/auth/refresh", "d", &refresh).await.problem(401, "unauthenticated");
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_and_disabling_take_effect_in_every_process() {
    let one = TestServer::start().await;
    let two = TestServer::on(&one.registry).await;
    let church = Church::open(&one, "Grace Chapel").await;
    let program = Program::log_in(&one, &church.email).await;
    let elsewhere = program.at(two.addr());
    elsewhere.get("/api/me").await.expect(200);
    program.post("/api/auth/logout", json!({ "refreshToken": program.refresh_token() })).await.expect(204);
    is_refused(&program, Duration::from_secs(2)).await;
    is_refused(&elsewhere, Duration::from_secs(2)).await;

    church.hire(&one, "admin", "helper@example.org", None).await;
    let helper = Program::log_in(&one, "helper@example.org").await;
    let elsewhere = helper.at(two.addr());
    elsewhere.get("/api/me").await.expect(200);
    helper.get("/api/me").await.expect(200);
    let id: uuid::Uuid =
        church.db().await.one("select id from admins where email = 'helper@example.org'").await;
    church.db().await.run("update admins set state = 'disabled' where email = 'helper@example.org'").await;
    one.running.installation.identity.end_sessions(&church.tenant_id, id).await.expect("they end");
    is_refused(&helper, Duration::from_secs(2)).await;
    is_refused(&elsewhere, Duration::from_secs(2)).await;
    let refresh = json!({ "refreshToken": helper.refresh_token() });
    helper.post("/api/auth/refresh", refresh).await.problem(401, "unauthenticated");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_renewed_while_tokens_of_the_old_one_live_on() {
    let one = TestServer::start().await;
    let two = TestServer::on(&one.registry).await;
    let church = Church::open(&one, "Grace Chapel").await;
    let old = Program::log_in(&one, &church.email).await;
    old.at(two.addr()).get("/api/me").await.expect(200);
    let kid = one.running.installation.identity.renew_token_keys().await.expect("a new key");
    let new = Program::log_in(&one, &church.email).await;
    let header = jsonwebtoken::decode_header(new.token.as_deref().expect("a token")).expect("a header");
    assert_eq!(header.kid, Some(kid));
    new.at(two.addr()).get("/api/me").await.expect(200);
    old.at(two.addr()).get("/api/me").await.expect(200);
    // Long after, nobody believes the old one any more.
    one.db().await.run("update token_keys set created_at = created_at - interval '1 hour'").await;
    let later = TestServer::on(&one.registry).await;
    old.at(later.addr()).get("/api/me").await.problem(401, "unauthenticated");
    new.at(later.addr()).get("/api/me").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_is_slowed_down_by_account() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let guesses = (0..14).map(|n| {
        let guess = json!({ "email": church.email, "password": format!("guess {n}") });
        let program = Program::new(server.addr());
        async move { program.post("/api/auth/login", guess).await }
    });
    let answers = futures::future::join_all(guesses).await;
    let slowed: Vec<_> = answers.into_iter().filter(|said| said.status == 429).collect();
    assert_eq!(slowed.len(), 4);
    for said in slowed {
        let said = said.problem(429, "too-many-requests");
        assert!(said.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds >= 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_know_cookies_only_and_the_api_tokens_only() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let program = Program::log_in(&server, &church.email).await;
    let (member, _) = add_member(&program, "Naomi").await;
    // The pages know cookies only; the API knows tokens only.
    let page = member.trim_start_matches("/api");
    let said = program.send(reqwest::Method::GET, page, |request| request).await;
    assert!(!said.body.to_string().contains("Naomi"));
    let cookie = church.browser.cookies();
    let with_cookie = Program::new(server.addr());
    let said =
        with_cookie.send(reqwest::Method::GET, &member, |request| request.header("cookie", cookie)).await;
    said.problem(401, "unauthenticated");
}

/// Asks until it is refused: what one process does the others hear a moment later.
async fn is_refused(program: &Program, patience: Duration) {
    let patience = Instant::now() + patience;
    let mut said = program.get("/api/me").await;
    while said.status == 200 && Instant::now() < patience {
        said = program.get("/api/me").await;
    }
    said.problem(401, "unauthenticated");
}
