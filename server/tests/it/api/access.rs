//! Whoever may not is refused, by every call there is: the list of them is the OpenAPI document's own.

use super::{add_member, new_member};
use crate::harness::{Church, PASSWORD, Program, TestServer};
use identity::Secret;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use reqwest::Method;
use serde_json::{Value, json};
use server::config::Isolation;
use uuid::Uuid;

/// A call of the API, with an id in the place of `{id}`.
struct Call {
    method: Method,
    path: String,
    is_open: bool,
    is_operators: bool,
}

/// Every call of the document.
async fn calls(program: &Program, id: &str) -> Vec<Call> {
    let document = program.get("/api/openapi.json").await.expect(200).body;
    let mut calls = Vec::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            let security = &operation["security"];
            calls.push(Call {
                method: method.to_uppercase().parse().expect("a method"),
                path: path.replace("{id}", id).replace("{runId}", id),
                is_open: security.is_null(),
                is_operators: security[0]["operator"].is_array(),
            });
        }
    }
    assert!(calls.len() >= 20, "the document is whole");
    calls
}

async fn call(program: &Program, call: &Call) -> crate::harness::Said {
    let with_body = matches!(call.method, Method::POST | Method::PATCH);
    let finish =
        |request: reqwest::RequestBuilder| if with_body { request.json(&json!({})) } else { request };
    program.send(call.method.clone(), &call.path, finish).await
}

/// A token as we would make it, with other claims.
async fn forged(
    server: &TestServer,
    change: impl FnOnce(&mut Value, &mut Header),
) -> (Value, Header, String) {
    let kid: String =
        server.db().await.one("select id from token_keys order by created_at desc limit 1").await;
    let now = chrono::Utc::now().timestamp();
    let mut claims = json!({ "iss": "vestry", "iat": now, "nbf": now, "exp": now + 900 });
    let mut header = Header { kid: Some(kid.clone()), ..Header::new(Algorithm::HS256) };
    change(&mut claims, &mut header);
    (claims, header, kid)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_refuses_whoever_may_not() {
    for isolation in [Isolation::Database, Isolation::Schema] {
        every_call_refuses(isolation).await;
    }
}

async fn every_call_refuses(isolation: Isolation) {
    let server = TestServer::start_with(|config| {
        config.isolation = isolation;
        config.operator_token = Some("the-operators-own-token".into());
    })
    .await;
    let (ours, theirs) =
        tokio::join!(Church::open(&server, "Grace Chapel"), Church::open(&server, "Hope Church"));
    let owner = Program::log_in(&server, &theirs.email).await;
    let (member, _) = add_member(&owner, "Naomi").await;
    let id = member.trim_start_matches("/api/members/").to_owned();
    let snapshot = "select concat((select string_agg(m::text, ',') from members m),
                                  (select string_agg(b::text, ',') from branches b),
                                  (select string_agg(f::text, ',') from files f),
                                  (select count(*) from audit_log))";
    owner
        .post("/api/files", json!({ "name": "a.txt", "contentType": "text/plain", "size": 5 }))
        .await
        .expect(201);
    let before: String = theirs.db().await.one(snapshot).await;

    let secret = Secret::new(server.registry.secret.as_bytes()).expect("long enough");
    let mine = Program::log_in(&server, &ours.email).await;
    let gone = Program::log_in(&server, &theirs.email).await;
    gone.get("/api/me").await.expect(200);
    gone.post("/api/auth/logout", json!({ "refreshToken": gone.refresh_token() })).await.expect(204);
    let admin: Uuid = theirs.db().await.one("select id from admins").await;
    let family: Uuid = server
        .db()
        .await
        .one(&format!("select id from token_families where tenant_id = '{}'", theirs.tenant_id))
        .await;
    let (claims, header, kid) = forged(&server, |claims, _| {
        claims["sub"] = json!(admin);
        claims["tenantId"] = json!(theirs.tenant_id);
        claims["sid"] = json!(family);
    })
    .await;
    let key = EncodingKey::from_secret(&secret.token_key(&kid));
    let signed =
        |header: &Header, claims: &Value, key: &EncodingKey| encode(header, claims, key).expect("signed");
    let changed = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        claims
    };
    let now = chrono::Utc::now().timestamp();
    // That the others are refused for what is wrong with them, and not for all that is right.
    let good = mine.with(&signed(&header, &claims, &key));
    good.get("/api/me").await.expect(200);
    // Another process made it, whose clock is half a minute off.
    for (name, at) in [("exp", now - 25), ("nbf", now + 25), ("iat", now + 25)] {
        mine.with(&signed(&header, &changed(name, json!(at)), &key)).get("/api/me").await.expect(200);
    }
    let unsigned = {
        let whole = signed(&header, &claims, &key);
        let mut parts = whole.split('.');
        parts.next();
        let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";
        format!("{none}.{}.", parts.next().expect("claims"))
    };
    let staff = "staff@example.org";
    theirs.hire(&server, "viewer", staff, None).await;
    let staff = Program::log_in(&server, staff).await;

    let nobody = Program::new(server.addr());
    let strangers = [
        ("no token", nobody.clone()),
        ("nonsense", nobody.with("nonsense")),
        (
            "a personal token that never was",
            nobody.with(&format!("vst_{}_{}", theirs.tenant_id, "A".repeat(43))),
        ),
        ("expired", nobody.with(&signed(&header, &changed("exp", json!(now - 31)), &key))),
        ("of the future", nobody.with(&signed(&header, &changed("iat", json!(now + 60)), &key))),
        ("not yet good", nobody.with(&signed(&header, &changed("nbf", json!(now + 60)), &key))),
        ("another issuer", nobody.with(&signed(&header, &changed("iss", json!("evil")), &key))),
        ("another key", nobody.with(&signed(&header, &claims, &EncodingKey::from_secret(b"guessed")))),
        (
            "an unknown key",
            nobody.with(&signed(&Header { kid: Some("x".into()), ..header.clone() }, &claims, &key)),
        ),
        ("no key named", nobody.with(&signed(&Header { kid: None, ..header.clone() }, &claims, &key))),
        ("unsigned", nobody.with(&unsigned)),
        ("signed out", gone),
        (
            "a sign-in that never was",
            nobody.with(&signed(&header, &changed("sid", json!(Uuid::new_v4())), &key)),
        ),
    ];
    for one in calls(&nobody, &id).await {
        let at = format!("{} {}", one.method, one.path);
        if one.is_operators {
            for (who, program) in
                strangers.iter().map(|(who, program)| (*who, program)).chain([("an owner", &owner)])
            {
                let said = call(program, &one).await;
                assert_eq!(said.status, 401, "{at} for {who}: {}", said.body);
                said.problem(401, "unauthenticated");
            }
            continue;
        }
        if one.is_open {
            continue;
        }
        for (who, program) in &strangers {
            let said = call(program, &one).await;
            assert_eq!(said.status, 401, "{at} for {who}: {}", said.body);
            assert_eq!(said.header("www-authenticate"), "Bearer");
            said.problem(401, "unauthenticated");
        }
        for wanted in [theirs.tenant_id.as_str(), "nonsense", ""] {
            let with_body = matches!(one.method, Method::POST | Method::PATCH);
            let said = mine
                .send(one.method.clone(), &one.path, |request| {
                    let request = request.header("x-tenant-id", wanted);
                    if with_body { request.json(&json!({})) } else { request }
                })
                .await;
            assert_eq!(said.status, 403, "{at} for X-Tenant-ID {wanted}: {}", said.body);
            said.problem(403, "wrong-tenant");
        }
        if one.method != Method::GET {
            let said = call(&staff, &one).await;
            assert_eq!(said.status, 403, "{at} for somebody who may look only: {}", said.body);
        }
        // Somebody of another church finds nothing here.
        if one.path.contains(&id) {
            let said = call(&mine, &one).await;
            assert_eq!(said.status, 404, "{at} for somebody of another church: {}", said.body);
        }
    }
    assert_eq!(theirs.db().await.one::<String>(snapshot).await, before, "not a row has changed");
    let listed = mine.get("/api/members?search=naomi").await.expect(200);
    assert_eq!(listed.body["items"], json!([]));
    mine.send(Method::GET, "/api/me", |request| request.header("x-tenant-id", &ours.tenant_id))
        .await
        .expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_or_status_of_another_church_cannot_be_written() {
    let server = TestServer::start().await;
    let (ours, theirs) =
        tokio::join!(Church::open(&server, "Grace Chapel"), Church::open(&server, "Hope Church"));
    let (mine, other) =
        tokio::join!(Program::log_in(&server, &ours.email), Program::log_in(&server, &theirs.email));
    let (own, foreign) = (new_member(&mine, "A").await, new_member(&other, "B").await);
    let with = |name: &str| {
        let mut body = own.clone();
        body[name] = foreign[name].clone();
        body
    };
    let said = mine.post("/api/members", with("branchId")).await.problem(422, "invalid");
    assert_eq!(said.why("branchId"), "Choose one of your branches.");
    let said = mine.post("/api/members", with("statusId")).await.problem(422, "invalid");
    assert_eq!(said.why("statusId"), "Choose one of your statuses.");
    assert_eq!(ours.db().await.one::<i64>("select count(*) from members").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_of_some_branches_sees_and_changes_only_those() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let owner = Program::log_in(&server, &church.email).await;
    owner.post("/api/branches", json!({ "name": "Westlands" })).await.expect(201);
    let (member, _) = add_member(&owner, "Naomi").await;
    church.hire(&server, "admin", "helper@example.org", Some("Westlands")).await;
    let helper = Program::log_in(&server, "helper@example.org").await;
    assert_eq!(helper.get("/api/members").await.expect(200).body["items"], json!([]));
    let branches = helper.get("/api/branches").await.expect(200).body;
    assert_eq!(branches["items"].as_array().map(Vec::len), Some(1));
    for said in [
        helper.get(&member).await,
        helper.patch(&member, json!({ "lastName": "Mallory" })).await,
        helper.delete(&member).await,
    ] {
        said.problem(404, "not-found");
    }
    helper.post("/api/branches", json!({ "name": "Mine" })).await.problem(403, "forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_church_says_so_to_its_own_programs() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let program = Program::log_in(&server, &church.email).await;
    let id = church.tenant_id.parse().expect("an id");
    registry::tenants::suspend(&server.running.installation.registry, &id).await.expect("suspended");
    let mut said = program.get("/api/members").await;
    for _ in 0..200 {
        if said.status == 403 {
            break;
        }
        said = program.get("/api/members").await;
    }
    said.problem(403, "suspended");
    let credentials = json!({ "email": church.email, "password": PASSWORD });
    program.post("/api/auth/login", credentials).await.problem(403, "suspended");
    let wrong = json!({ "email": church.email, "password": "a wrong one" });
    program.post("/api/auth/login", wrong).await.problem(401, "wrong-credentials");
}
