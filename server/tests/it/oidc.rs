use crate::harness::{
    Browser, Church, Cognito, ISSUER, Issuer, Key, PASSWORD, PAUSE, PUBLIC_KEY, Page, Program, TestServer,
    forged_token, now, sign_up, watch,
};
use ring::hmac;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

async fn ask(browser: &Browser, token: &str, church: Option<&str>) -> Page {
    browser
        .request(|client, base| {
            let request = client.get(format!("{base}/api/me")).bearer_auth(token);
            match church {
                Some(church) => request.header("x-tenant-id", church),
                None => request,
            }
        })
        .await
}

async fn add_branch(browser: &Browser, token: &str, church: &str) -> Page {
    let branch = json!({ "name": "Westlands" });
    browser
        .request(|client, base| {
            let request = client.post(format!("{base}/api/branches")).bearer_auth(token);
            request.header("x-tenant-id", church).json(&branch)
        })
        .await
}

fn said(page: &Page) -> Value {
    serde_json::from_str(&page.html).unwrap_or_else(|_| panic!("no JSON: {}", page.html))
}

/// The church that opens.
fn tenant(page: Page) -> String {
    let page = page.expect(200);
    said(&page)["tenantId"].as_str().expect("an id").to_owned()
}

fn with(claims: &Value, changes: Value) -> Value {
    let mut claims = claims.clone();
    let fields = claims.as_object_mut().expect("claims");
    for (name, value) in changes.as_object().expect("changes") {
        match value {
            Value::Null => drop(fields.remove(name)),
            value => drop(fields.insert(name.clone(), value.clone())),
        }
    }
    claims
}

/// How many were added to the one that every church has.
async fn branches(church: &Church) -> i64 {
    church.db().await.one("select count(*) - 1 from branches").await
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_cognito_open_the_church_of_their_email() {
    let cognito = Cognito::start().await;
    let app = cognito.client().await;
    let server = TestServer::start_with(|config| cognito.configure(&app, config)).await;
    let church = Church::open(&server, "Grace Chapel").await;
    church.verify_emails().await;
    let other = Church::open(&server, "Hope Church").await;
    other.verify_emails().await;
    cognito.add(&church.email, true).await;
    let owner = cognito.sign_in(&app, &church.email).await;
    let program = server.browser();

    // An access token carries no email: it opens what an ID token has proved before.
    ask(&program, &owner.access, None).await.expect(401);
    assert_eq!(tenant(ask(&program, &owner.id, None).await), church.tenant_id);
    let linked = "select email from oidc_subjects where issuer like 'https://cognito-idp.%'";
    assert_eq!(server.db().await.one::<String>(linked).await, church.email);
    assert_eq!(tenant(ask(&program, &owner.access, None).await), church.tenant_id);
    let elsewhere = TestServer::on_with(&server.registry, |config| cognito.configure(&app, config)).await;
    assert_eq!(tenant(ask(&elsewhere.browser(), &owner.access, None).await), church.tenant_id);
    add_branch(&program, &owner.access, &church.tenant_id).await.expect(201);

    for token in [&owner.id, &owner.access] {
        let page = add_branch(&program, token, &other.tenant_id).await.expect(403);
        assert_eq!(said(&page)["type"], "urn:vestry:wrong-tenant");
        // The signature of one half does not carry another.
        let half = token.rsplit_once('.').expect("a signature").0;
        ask(&program, &format!("{half}.{}", "A".repeat(342)), None).await.expect(401);
    }
    assert_eq!((branches(&church).await, branches(&other).await), (1, 0));

    // Signed by somebody else in the name of Cognito's key.
    let now = now();
    let forged = json!({
        "iss": format!("https://cognito-idp.eu-west-1.amazonaws.com/{}", cognito.pool), "sub": "somebody",
        "aud": app, "token_use": "id", "email": church.email, "email_verified": true, "iat": now, "exp": now + 600
    });
    ask(&program, &Key::two().token("dummy", &forged), None).await.expect(401);

    // For another app of the same pool.
    let another_app = cognito.client().await;
    let elsewhere = cognito.sign_in(&another_app, &church.email).await;
    ask(&program, &elsewhere.id, None).await.expect(401);
    ask(&program, &elsewhere.access, None).await.expect(401);

    // Anybody may write any email into a profile; to verify it is another matter.
    cognito.add(&other.email, false).await;
    let thief = cognito.sign_in(&app, &other.email).await;
    ask(&program, &thief.id, None).await.expect(401);
    ask(&program, &thief.access, None).await.expect(401);
    assert_eq!(server.db().await.one::<i64>("select count(*) from oidc_subjects").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_tokens_open_nothing() {
    let issuer = Issuer::start().await;
    let server = TestServer::start_with(|config| issuer.configure(config)).await;
    let church = Church::open(&server, "Kirk").await;
    church.verify_emails().await;
    let good = issuer.claims(&church.email);
    let program = server.browser();
    let rs256 = json!({ "alg": "RS256", "kid": "first" });
    let hmac = |secret: &[u8]| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let header = json!({ "alg": "HS256", "kid": "first" });
        forged_token(&header, &good, |message| hmac::sign(&key, message).as_ref().to_vec())
    };
    let signed = |changes: Value| issuer.token(&with(&good, changes));
    let header = |header: Value| Key::one().sign(&header, &good);
    let now = now();
    let forged = [
        ("another's key", Key::two().token("first", &good)),
        ("an unknown key", Key::one().token("second", &good)),
        ("no name of a key", header(json!({ "alg": "RS256" }))),
        ("no signature", forged_token(&rs256, &good, |_| Vec::new())),
        ("alg none", forged_token(&json!({ "alg": "none", "kid": "first" }), &good, |_| Vec::new())),
        ("HS256 with the public key", hmac(PUBLIC_KEY.as_bytes())),
        ("HS256 with the public key, trimmed", hmac(PUBLIC_KEY.trim().as_bytes())),
        ("HS256 with nothing", hmac(b"")),
        ("RS512 in the header", header(json!({ "alg": "RS512", "kid": "first" }))),
        ("something critical", header(json!({ "alg": "RS256", "kid": "first", "crit": ["exp"] }))),
        (
            "a key of its own",
            Key::two().sign(&json!({ "alg": "RS256", "kid": "mine", "jwk": Key::two().jwk("mine") }), &good),
        ),
        ("another issuer", signed(json!({ "iss": "https://evil.example.org" }))),
        ("no issuer", signed(json!({ "iss": null }))),
        ("several issuers", signed(json!({ "iss": [ISSUER, "https://evil.example.org"] }))),
        ("another audience", signed(json!({ "aud": "another-app" }))),
        ("other audiences", signed(json!({ "aud": ["another-app", "a-third"] }))),
        ("no audience", signed(json!({ "aud": null }))),
        ("another use", signed(json!({ "token_use": "refresh" }))),
        ("a use that is no text", signed(json!({ "token_use": 1 }))),
        ("access for another app", signed(json!({ "token_use": "access", "client_id": "another-app" }))),
        ("access with the audience of an ID token", signed(json!({ "token_use": "access" }))),
        ("expired", signed(json!({ "exp": now - 120 }))),
        ("no end", signed(json!({ "exp": null }))),
        ("an end that is no number", signed(json!({ "exp": "tomorrow" }))),
        ("not yet valid", signed(json!({ "nbf": now + 120 }))),
        ("of the future", signed(json!({ "iat": now + 120 }))),
        ("no subject", signed(json!({ "sub": null }))),
        ("an email that is not verified", signed(json!({ "email_verified": false }))),
        ("an email nobody speaks of", signed(json!({ "email_verified": null }))),
        ("no email", signed(json!({ "email": null }))),
        ("nothing", String::from("..")),
    ];
    for (what, token) in forged {
        let page = ask(&program, &token, None).await;
        assert_eq!(page.status, 401, "{what}: {}", page.html);
        assert_eq!(said(&page)["type"], "urn:vestry:unauthenticated", "{what}");
        ask(&program, &token, Some(&church.tenant_id)).await.expect(401);
    }
    // The sign of kelvins becomes a k in lower case: a token that is in order, and of somebody else.
    let alike = signed(json!({ "email": church.email.replace('k', "\u{212a}") }));
    ask(&program, &alike, None).await.expect(401);
    ask(&program, &alike, Some(&church.tenant_id)).await.expect(403);
    assert_eq!(server.db().await.one::<i64>("select count(*) from oidc_subjects").await, 0);

    let fine = [
        signed(json!({})),
        signed(json!({ "aud": ["another-app", "office-app"], "email_verified": "true" })),
        signed(json!({ "exp": now - 5, "nbf": now + 5, "iat": now + 5 })),
        signed(json!({ "email": church.email.to_uppercase() })),
        signed(json!({ "token_use": "access", "client_id": "office-app", "aud": null, "email": null })),
    ];
    for token in fine {
        assert_eq!(tenant(ask(&program, &token, None).await), church.tenant_id);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn x_tenant_id_chooses_among_the_churches_of_the_email_and_no_others() {
    let issuer = Issuer::start().await;
    let server = TestServer::start_with(|config| issuer.configure(config)).await;
    let grace = Church::open(&server, "Grace Chapel").await;
    grace.verify_emails().await;
    let hope = Church::open(&server, "Hope Church").await;
    hope.verify_emails().await;
    let faith = Church::open(&server, "Faith Hall").await;
    faith.verify_emails().await;
    hope.hire(&server, "admin", &grace.email, None).await;
    hope.verify_emails().await;
    let token = issuer.token(&issuer.claims(&grace.email));
    let program = server.browser();

    let page = ask(&program, &token, None).await.expect(409);
    let choices = said(&page)["choices"].clone();
    let names: Vec<_> = choices.as_array().expect("choices").iter().map(|choice| &choice["church"]).collect();
    assert_eq!(names, ["Grace Chapel", "Hope Church"]);
    for church in [&grace, &hope] {
        assert_eq!(tenant(ask(&program, &token, Some(&church.tenant_id)).await), church.tenant_id);
    }
    add_branch(&program, &token, &hope.tenant_id).await.expect(201);
    for wrong in [faith.tenant_id.as_str(), "tenant", "", "zzzzzzzzzzzzzzzzzzzzzzzz"] {
        let page = add_branch(&program, &token, wrong).await.expect(403);
        assert_eq!(said(&page)["type"], "urn:vestry:wrong-tenant", "{wrong}");
    }
    let added = (branches(&grace).await, branches(&hope).await, branches(&faith).await);
    assert_eq!(added, (0, 1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_church_that_a_stranger_signed_up_with_somebodys_email_is_not_theirs() {
    let issuer = Issuer::start().await;
    let server = TestServer::start_with(|config| {
        issuer.configure(config);
        config.oidc_tenant_claim = Some("custom:tenant".into());
    })
    .await;
    let grace = Church::open(&server, "Grace Chapel").await;
    let claims = issuer.claims(&grace.email);
    let token = issuer.token(&claims);
    let program = server.browser();
    ask(&program, &token, None).await.expect(401);
    grace.verify_emails().await;
    let stranger = server.browser();
    let opening = sign_up(&stranger, "Grace Chapel", &grace.email).await;
    watch(&stranger, &opening).await;
    let trap = format!("select id from tenants where id <> '{}'", grace.tenant_id);
    let trap: String = server.db().await.one(&trap).await;

    assert_eq!(tenant(ask(&program, &token, None).await), grace.tenant_id, "there is nothing to choose");
    ask(&program, &token, Some(&trap)).await.expect(403);
    let named = issuer.token(&with(&claims, json!({ "custom:tenant": trap })));
    ask(&program, &named, None).await.expect(401);
    let access = issuer.token(&with(&claims, json!({ "email": null })));
    assert_eq!(tenant(ask(&program, &access, None).await), grace.tenant_id);
    ask(&program, &access, Some(&trap)).await.expect(403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_shown_with_the_password_proves_the_email_of_that_church() {
    let issuer = Issuer::start().await;
    let server = TestServer::start_with(|config| issuer.configure(config)).await;
    let church = Church::open(&server, "Grace Chapel").await;
    let other = Church::open(&server, "Hope Church").await;
    other.hire(&server, "admin", &church.email, None).await;
    let claims = issuer.claims(&church.email);
    let token = |changes: Value| issuer.token(&with(&claims, changes));
    let program = Program::new(server.addr());
    let log_in = |password: &str, id_token: String| {
        let credentials = json!({
            "email": church.email, "password": password, "tenantId": church.tenant_id, "idToken": id_token,
        });
        let program = program.clone();
        async move { program.post("/api/auth/login", credentials).await }
    };
    let verified = "select count(email_verified_at) from admins";
    for wrong in [
        "nonsense".to_owned(),
        token(json!({ "email": other.email })),
        token(json!({ "email": null })),
        token(json!({ "email_verified": false })),
        token(json!({ "aud": "another-app" })),
        token(json!({ "exp": now() - 60 })),
        Key::two().token("first", &claims),
    ] {
        let said = log_in(PASSWORD, wrong).await.problem(422, "invalid");
        assert!(!said.why("idToken").is_empty(), "{}", said.body);
    }
    log_in("a guess", token(json!({}))).await.problem(401, "wrong-credentials");
    assert_eq!(church.db().await.one::<i64>(verified).await, 0);
    assert_eq!(
        server.db().await.one::<i64>("select count(*) from token_families").await,
        0,
        "nobody is signed in"
    );
    ask(&server.browser(), &token(json!({})), None).await.expect(401);

    log_in(PASSWORD, token(json!({}))).await.expect(200);
    assert_eq!(
        (church.db().await.one::<i64>(verified).await, other.db().await.one::<i64>(verified).await),
        (1, 0)
    );
    let listed = "select string_agg(tenant_id, ',') from admin_emails where verified_at is not null";
    assert_eq!(server.db().await.one::<String>(listed).await, church.tenant_id);
    assert_eq!(tenant(ask(&server.browser(), &token(json!({})), None).await), church.tenant_id);

    let without = TestServer::on(&server.registry).await;
    let credentials = json!({ "email": other.email, "password": PASSWORD, "idToken": issuer.token(&issuer.claims(&other.email)) });
    Program::new(without.addr()).post("/api/auth/login", credentials).await.problem(422, "invalid");
    assert_eq!(other.db().await.one::<i64>(verified).await, 0, "without an issuer nothing is proved");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_claim_of_a_church_opens_that_church_and_no_other() {
    let issuer = Issuer::start().await;
    let server = TestServer::start_with(|config| {
        issuer.configure(config);
        config.oidc_tenant_claim = Some("custom:tenant".into());
    })
    .await;
    let grace = Church::open(&server, "Grace Chapel").await;
    grace.verify_emails().await;
    let hope = Church::open(&server, "Hope Church").await;
    hope.verify_emails().await;
    hope.hire(&server, "admin", &grace.email, None).await;
    hope.verify_emails().await;
    let program = server.browser();
    let claims = issuer.claims(&grace.email);
    let token = |changes: Value| issuer.token(&with(&claims, changes));

    let named = token(json!({ "custom:tenant": hope.tenant_id, "email_verified": false }));
    assert_eq!(tenant(ask(&program, &named, None).await), hope.tenant_id);
    assert_eq!(tenant(ask(&program, &named, Some(&hope.tenant_id)).await), hope.tenant_id);
    ask(&program, &named, Some(&grace.tenant_id)).await.expect(403);
    let links = "select count(*) from oidc_subjects";
    assert_eq!(server.db().await.one::<i64>(links).await, 0, "the claim proves no email for other churches");

    for nowhere in [json!("tenant"), json!(""), json!([hope.tenant_id]), json!(true)] {
        ask(&program, &token(json!({ "custom:tenant": nowhere })), None).await.expect(401);
    }
    // Without the claim it is as if none were configured.
    ask(&program, &token(json!({ "email_verified": false })), None).await.expect(401);
    ask(&program, &token(json!({})), None).await.expect(409);
    assert_eq!(tenant(ask(&program, &token(json!({})), Some(&grace.tenant_id)).await), grace.tenant_id);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_disabled_or_gets_another_email_is_out_at_once() {
    let issuer = Issuer::start().await;
    let server = TestServer::start_with(|config| issuer.configure(config)).await;
    let church = Church::open(&server, "Grace Chapel").await;
    church.verify_emails().await;
    let program = server.browser();
    church.hire(&server, "admin", "helper@example.org", None).await;
    church.verify_emails().await;
    let claims = issuer.claims("helper@example.org");
    let token = issuer.token(&claims);
    let access = issuer.token(&with(&claims, json!({ "email": null })));
    ask(&program, &token, None).await.expect(200);
    ask(&program, &access, None).await.expect(200);

    // The issuer says that the subject has another email now: what was proved is over.
    let moved = issuer.token(&with(&claims, json!({ "email": "helper@elsewhere.example.org" })));
    ask(&program, &moved, None).await.expect(401);
    ask(&program, &access, None).await.expect(401);
    assert_eq!(server.db().await.one::<i64>("select count(*) from oidc_subjects").await, 0);
    ask(&program, &token, None).await.expect(200);

    let id = church.db().await.one("select id from admins where email = 'helper@example.org'").await;
    church.db().await.run("update admins set state = 'disabled' where email = 'helper@example.org'").await;
    let identity = &server.running.installation.identity;
    identity.end_sessions(&church.tenant_id, id).await.expect("it is told");
    until(401, || ask(&program, &token, None)).await;

    let owner = issuer.token(&issuer.claims(&church.email));
    ask(&program, &owner, None).await.expect(200);
    let suspend = format!("update tenants set status = 'suspended' where id = '{}'", church.tenant_id);
    server.db().await.run(&suspend).await;
    let page = until(403, || ask(&program, &owner, None)).await;
    assert_ne!(said(&page)["type"], "urn:vestry:wrong-tenant");
    ask(&program, &token, None).await.expect(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_who_name_unknown_keys_make_one_request_to_the_issuer() {
    let issuer = Issuer::start().await;
    let server = TestServer::start_with(|config| issuer.configure(config)).await;
    let church = Church::open(&server, "Grace Chapel").await;
    church.verify_emails().await;
    let strangers: Vec<_> = (0..20).map(|_| server.browser()).collect();
    let claims = issuer.claims(&church.email);
    let key = Key::two();
    let asking = (0..200).map(|n| {
        let token = key.token(&format!("unknown {n}"), &claims);
        let stranger = &strangers[n % strangers.len()];
        async move { ask(stranger, &token, None).await.status.as_u16() }
    });
    let answers = futures::future::join_all(asking).await;
    assert!(answers.iter().all(|status| *status == 401), "{answers:?}");
    assert_eq!(issuer.asked(), 1);
    ask(&server.browser(), &issuer.token(&claims), None).await.expect(200);
    assert_eq!(issuer.asked(), 1, "what the strangers have fetched is of use");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_who_hangs_up_does_not_keep_the_keys_from_others() {
    let issuer = Issuer::start().await;
    let server = TestServer::start_with(|config| issuer.configure(config)).await;
    let church = Church::open(&server, "Grace Chapel").await;
    church.verify_emails().await;
    let claims = issuer.claims(&church.email);
    issuer.takes(Duration::from_secs(1));
    let stranger = server.browser();
    let unknown = Key::two().token("unknown", &claims);
    let hung_up = tokio::time::timeout(Duration::from_millis(500), ask(&stranger, &unknown, None)).await;
    assert!(hung_up.is_err() && issuer.asked() == 1);
    ask(&server.browser(), &issuer.token(&claims), None).await.expect(200);
    assert_eq!(issuer.asked(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_is_found_and_known_ones_outlive_an_issuer_that_is_down() {
    let issuer = Issuer::start().await;
    let configure = |config: &mut server::config::Config| {
        issuer.configure(config);
        config.oidc_refetch_interval = PAUSE;
    };
    let server = TestServer::start_with(configure).await;
    let church = Church::open(&server, "Grace Chapel").await;
    church.verify_emails().await;
    let program = server.browser();
    let claims = issuer.claims(&church.email);
    let old = issuer.token(&claims);
    let new = Key::two().token("second", &claims);
    ask(&program, &old, None).await.expect(200);

    let mut encrypts = Key::two().jwk("second");
    encrypts["use"] = "enc".into();
    let elliptic = json!({ "kty": "EC", "kid": "second", "crv": "P-256", "x": "AA", "y": "AA" });
    issuer.publish(vec![Key::one().jwk("first"), encrypts, elliptic]);
    tokio::time::sleep(PAUSE).await;
    ask(&program, &new, None).await.expect(401);
    issuer.publish(vec![Key::two().jwk("second")]);
    tokio::time::sleep(PAUSE).await;
    ask(&program, &new, None).await.expect(200);
    ask(&program, &old, None).await.expect(401);

    issuer.down(true);
    tokio::time::sleep(PAUSE).await;
    ask(&program, &old, None).await.expect(401);
    ask(&program, &new, None).await.expect(200);
    let fresh = TestServer::on_with(&server.registry, configure).await;
    let page = ask(&fresh.browser(), &new, None).await.expect(503);
    assert_eq!(said(&page)["type"], "urn:vestry:issuer-unavailable");
    assert_eq!(page.header("retry-after"), "30");
    issuer.down(false);
    let program = fresh.browser();
    until(200, || ask(&program, &new, None)).await;
}

/// Asks until this is the answer: what changes is heard a moment later.
async fn until<R: Future<Output = Page>>(status: u16, again: impl Fn() -> R) -> Page {
    let patience = Instant::now() + Duration::from_secs(5);
    loop {
        let page = again().await;
        if page.status.as_u16() == status || Instant::now() > patience {
            return page.expect(status);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
