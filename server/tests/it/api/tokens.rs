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

    let long_ago = "update refresh_tokens set used_at = used_at - interval '10 seconds'";
    one.db().await.run(long_ago).await;
    program.post("/api/auth/refresh", first).await.problem(401, "unauthenticated");
    let last = json!({ "refreshToken": second["refreshToken"] });
    program.post("/api/auth/refresh", last).await.problem(401, "unauthenticated");
    for program in [&next, &elsewhere, &program] {
        is_refused(program, Duration::from_secs(2)).await;
    }
    assert_eq!(one.db().await.one::<i64>("select count(*) from token_families").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn those_that_refresh_at_once_get_the_same_token() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let program = Program::log_in(&server, &church.email).await;
    let body = json!({ "refreshToken": program.refresh_token() });
    let tries = (0..8).map(|_| program.post("/api/auth/refresh", body.clone()));
    let answers = futures::future::join_all(tries).await;
    let first = answers[0].text("refreshToken").to_owned();
    assert_ne!(first, program.refresh_token());
    for said in &answers {
        assert_eq!((said.status.as_u16(), said.text("refreshToken")), (200, first.as_str()));
        program.with(said.text("accessToken")).get("/api/me").await.expect(200);
    }
    let mut registry = server.db().await;
    assert_eq!(registry.one::<i64>("select count(*) from refresh_tokens").await, 2);
    let plain = format!("select count(*) from refresh_tokens r where r::text like '%{first}%'");
    assert_eq!(registry.one::<i64>(&plain).await, 0);
    // Nine seconds later a slow one may still come; the chain goes on meanwhile.
    let next = program.post("/api/auth/refresh", json!({ "refreshToken": first })).await.expect(200);
    registry.run("update refresh_tokens set used_at = used_at - interval '9 seconds'").await;
    let slow = program.post("/api/auth/refresh", body.clone()).await.expect(200);
    assert_eq!(slow.text("refreshToken"), first);
    // Later it has been stolen, by whoever shows it or from them.
    registry.run("update refresh_tokens set used_at = used_at - interval '2 seconds'").await;
    program.post("/api/auth/refresh", body).await.problem(401, "unauthenticated");
    let last = json!({ "refreshToken": next.text("refreshToken") });
    program.post("/api/auth/refresh", last).await.problem(401, "unauthenticated");
    assert_eq!(registry.one::<i64>("select count(*) from token_families").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_of_an_earlier_version_goes_on() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let program = Program::log_in(&server, &church.email).await;
    // Its refresh tokens were random: the digest of one stands in the place of ours.
    let random = format!("vrt_{}", "R".repeat(43));
    let digest = format!("update refresh_tokens set digest = sha256('{random}')");
    server.db().await.run(&digest).await;
    let next = program.post("/api/auth/refresh", json!({ "refreshToken": random })).await.expect(200);
    let again = program.post("/api/auth/refresh", json!({ "refreshToken": random })).await.expect(200);
    assert_eq!(next.text("refreshToken"), again.text("refreshToken"));
    program.post("/api/auth/refresh", json!({ "refreshToken": next.text("refreshToken") })).await.expect(200);
}

/// What a token of ours says.
fn claims(token: &str) -> serde_json::Value {
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    let part = token.split('.').nth(1).expect("claims");
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).expect("base64")).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn access_tokens_live_a_quarter_of_an_hour_and_refresh_tokens_a_week() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let program = Program::log_in(&server, &church.email).await;
    let now = chrono::Utc::now().timestamp();
    let said = claims(program.token.as_deref().expect("a token"));
    let seconds = |name: &str| said[name].as_i64().expect("a time");
    assert_eq!((seconds("exp") - seconds("iat"), seconds("nbf")), (15 * 60, seconds("iat")));
    assert!((now - 60..=now).contains(&seconds("iat")));

    let mut registry = server.db().await;
    let left = "select extract(epoch from expires_at - now())::bigint from token_families";
    let week = 7 * 24 * 3600;
    let days: i64 = registry.one(left).await;
    assert!((week - 60..=week).contains(&days), "{days}");
    // Each refresh begins the week anew; without one the sign-in ends.
    registry.run("update token_families set expires_at = now() + interval '1 minute'").await;
    let next = program.post("/api/auth/refresh", json!({ "refreshToken": program.refresh_token() })).await;
    let next = next.expect(200);
    assert!(registry.one::<i64>(left).await > week - 60);
    registry.run("update token_families set expires_at = now() - interval '1 second'").await;
    let late = json!({ "refreshToken": next.text("refreshToken") });
    program.post("/api/auth/refresh", late).await.problem(401, "unauthenticated");
    // A process that has not looked yet: the access token ends with its sign-in.
    let later = TestServer::on(&server.registry).await;
    program
        .with(next.text("accessToken"))
        .at(later.addr())
        .get("/api/me")
        .await
        .problem(401, "unauthenticated");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_kept_answer_of_a_sign_in_that_has_ended_is_not_given() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let program = Program::new(server.addr());
    let credentials = json!({ "email": church.email, "password": PASSWORD });
    let log_in = async || {
        let finish =
            |request: reqwest::RequestBuilder| request.header("idempotency-key", "a").json(&credentials);
        program.send(reqwest::Method::POST, "/api/auth/login", finish).await
    };
    let first = log_in().await.expect(200);
    assert_eq!(log_in().await.expect(200).body, first.body);
    server.db().await.run("update token_families set expires_at = now() - interval '1 second'").await;
    log_in().await.problem(401, "unauthenticated");
    // Signing out forgets it: the same request is a sign-in of its own.
    server.db().await.run("update token_families set expires_at = now() + interval '1 day'").await;
    program.post("/api/auth/logout", json!({ "refreshToken": first.text("refreshToken") })).await.expect(204);
    let second = log_in().await.expect(200);
    assert_ne!(second.text("refreshToken"), first.text("refreshToken"));
    assert_ne!(second.text("accessToken"), first.text("accessToken"));
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
    server.db().await.run("update refresh_tokens set used_at = used_at - interval '11 seconds'").await;
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
    let kid = one.running.installation.identity.rotate_signing_key().await.expect("a new key");
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
