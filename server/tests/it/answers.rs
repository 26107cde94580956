//! Headers of every response, and internals that no response reveals.

use crate::harness::{Church, PASSWORD, Program, TestServer};
use reqwest::Method;
use serde_json::json;
use server::config::Config;

#[tokio::test(flavor = "multi_thread")]
async fn https_is_insisted_on_where_it_is_configured() {
    let plain = TestServer::start().await;
    let church = Church::open(&plain, "Grace Chapel").await;
    let set = |config: &mut Config| config.public_url = Some("https://office.example.org".into());
    let secure = TestServer::on_with(&plain.registry, set).await;
    let credentials = [("email", church.email.as_str()), ("password", PASSWORD)];
    for (server, is_https) in [(&secure, true), (&plain, false)] {
        let browser = server.browser();
        let session = browser.post("/signin", &credentials).await;
        let theme = browser.post("/theme", &[("theme", "dark")]).await;
        let flash = browser.post("/signout", &[]).await;
        let shown = browser.get("/signin").await;
        let pages = [&session, &theme, &flash, &shown];
        let cookies: Vec<_> = pages.iter().flat_map(|page| page.headers.get_all("set-cookie")).collect();
        let cookies: Vec<_> = cookies.into_iter().map(|cookie| cookie.to_str().expect("ASCII")).collect();
        for cookie in &cookies {
            assert_eq!(cookie.contains("; Secure"), is_https, "{cookie}");
            assert!(cookie.contains("; HttpOnly") && cookie.contains("; Path=/"), "{cookie}");
            assert!(!cookie.contains("Domain"), "{cookie}");
        }
        let prefix = if is_https { "__Host-" } else { "" };
        for name in
            [&format!("{prefix}vestry="), &format!("{prefix}device="), "theme=dark", "flash=sig", "flash=;"]
        {
            assert!(cookies.iter().any(|cookie| cookie.starts_with(name)), "no {name} in {cookies:?}");
        }
        let hsts = browser.get("/signin").await.headers.contains_key("strict-transport-security");
        assert_eq!(hsts, is_https);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_has_its_headers_and_only_what_is_public_is_kept() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let program = Program::log_in(&server, &church.email).await;
    let token = program.token.clone().expect("signed in");
    for path in [
        "/",
        "/members",
        "/settings/tokens",
        "/nothing",
        "/api/me",
        "/api/members",
        "/api/nothing",
        "/healthz",
        "/metrics",
        "/files/nothing",
        "/members/nothing/photo.jpg",
        "/api/openapi.json",
    ] {
        let page =
            church.browser.request(|client, base| client.get(format!("{base}{path}")).bearer_auth(&token));
        let page = page.await;
        assert_eq!(page.header("cache-control"), "no-store", "{path}");
        assert_eq!(page.header("cross-origin-opener-policy"), "same-origin", "{path}");
        assert_eq!(page.header("cross-origin-resource-policy"), "same-origin", "{path}");
        assert_eq!(page.header("x-content-type-options"), "nosniff", "{path}");
        assert!(page.header("permissions-policy").contains("geolocation=()"), "{path}");
        assert!(page.header("content-security-policy").starts_with("default-src 'none'"), "{path}");
    }
    let login = json!({ "email": church.email, "password": PASSWORD });
    let said = program.post("/api/auth/login", login).await.expect(200);
    assert_eq!(said.header("cache-control"), "no-store");
    let icon = church.browser.get("/favicon.svg").await;
    // It is there once the browser's part was built.
    assert!(icon.status == 404 || icon.header("cache-control").starts_with("public"));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_tells_of_the_inside() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let program = Program::log_in(&server, &church.email).await;
    let mut answers = Vec::new();
    for (path, expected) in [
        ("/members/nonsense/photo.jpg", 404),
        ("/members/nonsense/photo-small.jpg", 404),
        ("/branches/nonsense/picture.jpg", 404),
        ("/members/nonsense", 404),
        ("/opening/nonsense", 404),
        ("/opening/nonsense/events", 404),
        ("/files/nonsense", 403),
        ("/files/nonsense?expires=soon&type=a", 403),
        ("/fonts/%2e%2e%2fsecret", 404),
    ] {
        answers.push(church.browser.get(path).await.expect(expected).html);
    }
    let put = church.browser.request(|client, base| client.put(format!("{base}/files/x?expires=soon")));
    answers.push(put.await.expect(403).html);
    for (path, field) in [
        ("/api/members?limit=many", "limit"),
        ("/api/members?limit=999", "limit"),
        ("/api/members?branchId=nonsense", "branchId"),
        ("/api/members?nonsense=1", "nonsense"),
    ] {
        let said = program.get(path).await.problem(422, "invalid");
        assert!(!said.why(field).is_empty(), "{}", said.body);
        answers.push(said.body.to_string());
    }
    for body in [
        json!({ "firstName": 1 }),
        json!({ "firstName": ["a"] }),
        json!({ "branchId": "nonsense" }),
        json!({ "branchId": {} }),
        json!({ "birthYear": "long ago" }),
        json!({ "nonsense": 1 }),
    ] {
        let said = program.post("/api/members", body).await.problem(422, "invalid");
        answers.push(said.body.to_string());
    }
    let said =
        program.post("/api/auth/login", json!({ "email": "a@example.org" })).await.problem(422, "invalid");
    assert_eq!(said.why("password"), "This field is required.");
    let operator = program.post("/api/auth/refresh", json!({})).await.problem(422, "invalid");
    assert_eq!(operator.why("refreshToken"), "This field is required.");
    let finish =
        |request: reqwest::RequestBuilder| request.header("content-type", "application/json").body("{\"a\"");
    answers.push(
        program.send(Method::POST, "/api/members", finish).await.problem(400, "malformed").body.to_string(),
    );
    for answer in answers {
        for inside in [
            "UUID",
            "deserialize",
            "Failed to",
            "parsing",
            "invalid type",
            "expected",
            "invalid digit",
            "Invalid",
            "EOF",
            "struct ",
            "axum",
            "serde",
        ] {
            assert!(!answer.contains(inside), "{inside} in {answer}");
        }
    }
}
