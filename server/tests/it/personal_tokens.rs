//! Personal access tokens: made and revoked on their page, shown to the API.

use crate::harness::{Browser, Church, PASSWORD, Page, TestServer};
use server::config::Isolation;

for_both_kinds!(a_token_of_one_church_opens_no_other, a_token_sees_the_branches_of_its_admin);

const NEW: &str = "/settings/tokens/new";

/// Fills in the form as it comes, with other fields in the place of what stands there.
async fn send(browser: &Browser, name: &str, scope: &str, expires: &str) -> Page {
    let key = browser.get(NEW).await.expect(200).value("key");
    browser.post(NEW, &[("key", &key), ("name", name), ("scope", scope), ("expires", expires)]).await
}

/// Makes a token; what is shown once.
async fn make(browser: &Browser, name: &str, scope: &str) -> String {
    let page = send(browser, name, scope, "90").await.expect(200);
    page.attribute("#token", "value").expect("the token is shown")
}

/// Asks the API as a program does.
async fn api(server: &TestServer, token: &str, path: &str) -> Page {
    asking_for(server, token, path, None).await
}

async fn asking_for(server: &TestServer, token: &str, path: &str, church: Option<&str>) -> Page {
    let asked = server.browser();
    asked
        .request(|client, base| {
            let request = client.get(format!("{base}{path}")).bearer_auth(token);
            match church {
                Some(church) => request.header("x-tenant-id", church),
                None => request,
            }
        })
        .await
}

async fn add_member(server: &TestServer, token: &str, church: &Church) -> Page {
    let mut db = church.db().await;
    let branch: uuid::Uuid = db.one("select id from branches where is_main").await;
    let status: uuid::Uuid = db.one("select id from member_statuses where kind = 'member'").await;
    let member = serde_json::json!({
        "firstName": "Kevin", "lastName": "Barasa", "branchId": branch, "statusId": status,
    });
    let asked = server.browser();
    asked
        .request(|client, base| client.post(format!("{base}/api/members")).bearer_auth(token).json(&member))
        .await
}

/// Somebody in a branch of a church.
async fn seat(church: &Church, last_name: &str, branch: &str) {
    let sort = last_name.to_lowercase();
    let member = format!(
        "insert into members (id, branch_id, status_id, first_name, last_name, sort_name, search_text)
         select gen_random_uuid(), b.id, s.id, 'Naomi', '{last_name}', '{sort} naomi', 'naomi {sort}'
           from branches b, member_statuses s where b.name = '{branch}' and s.kind = 'member'"
    );
    church.db().await.run(&member).await;
}

fn last_names(page: &Page) -> Vec<String> {
    let listed: serde_json::Value = serde_json::from_str(&page.html).expect("JSON");
    let items = listed["items"].as_array().expect("items").iter();
    items.map(|member| member["lastName"].as_str().expect("a name").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_made_shown_once_used_and_revoked() {
    let server = TestServer::start().await;
    let second = TestServer::on(&server.registry).await;
    let church = Church::open(&server, "Grace Chapel").await;
    seat(&church, "Achieng", "Main church").await;
    let browser = &church.browser;
    let empty = browser.get("/settings/tokens").await.expect(200);
    assert_eq!(empty.text(".empty h2"), "No program has a token");
    assert_eq!(empty.attribute(".empty p a", "href").as_deref(), Some("/api/docs"));
    assert_eq!(browser.get(NEW).await.value("expires"), "90");

    let page = send(browser, "  Our  <b>website</b> ", "read", "90").await.expect(200);
    assert_eq!(page.header("cache-control"), "no-store");
    assert!(page.words().contains("will not be shown again"));
    let token = page.attribute("#token", "value").expect("it is shown");
    assert!(token.starts_with(&format!("vst_{}_", church.tenant_id)) && token.len() == 72, "{token}");
    let secret = &token[29..];
    let listed = browser.get("/settings/tokens").await.expect(200);
    assert!(!listed.html.contains(secret), "never again");
    assert_eq!(listed.text("tbody .name span"), "Our <b>website</b>");
    let cells = listed.all("tbody td");
    assert_eq!(cells[1], "May read");
    assert!(cells[3].contains("never"), "{cells:?}");
    let mut db = church.db().await;
    let kept = "select count(*) from personal_tokens where octet_length(digest) = 32
                   and expires_at between now() + interval '89 days' and now() + interval '91 days'";
    assert_eq!(db.one::<i64>(kept).await, 1);
    let everything = "select concat((select string_agg(t::text, ',') from personal_tokens t),
                                    (select string_agg(a::text, ',') from audit_log a))";
    assert!(!db.one::<String>(everything).await.contains(secret), "only its digest is kept");

    for server in [&server, &second] {
        let page = api(server, &token, "/api/members").await.expect(200);
        assert_eq!(last_names(&page), ["Achieng"]);
    }
    assert!(db.one::<bool>("select last_used_at > now() - interval '1 minute' from personal_tokens").await);
    assert!(browser.get("/settings/tokens").await.all("tbody td")[3].contains("Today"));

    let id: uuid::Uuid = db.one("select id from personal_tokens").await;
    let revoke = format!("/settings/tokens/{id}/revoke");
    let asked = browser.get(&revoke).await.expect(200);
    assert_eq!(asked.text("h1"), "Revoke Our <b>website</b>?");
    api(&server, &token, "/api/members").await.expect(200);
    assert_eq!(browser.post(&revoke, &[]).await.location(), "/settings/tokens");
    for server in [&second, &server] {
        api(server, &token, "/api/members").await.expect(401);
    }
    let said = browser.get("/settings/tokens").await.expect(200);
    assert_eq!(said.text(".notice strong"), "The token is revoked. Whatever uses it is refused.");
    assert_eq!(browser.post(&revoke, &[]).await.location(), "/settings/tokens", "pressed twice");
    browser.get(&revoke).await.expect(404);
    let audit = "select string_agg(action, ',' order by at) from audit_log
                  where entity = 'personal_token' and actor_id = (select id from admins)";
    assert_eq!(db.one::<String>(audit).await, "added,revoked");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_and_a_form_sent_twice_makes_one_token() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let browser = &church.browser;
    let page = send(browser, " ", "everything", "365").await.expect(422);
    assert_eq!(page.why("name"), "Enter a name for the token.");
    assert_eq!(page.why("scope"), "Choose what the token may do.");
    assert_eq!(page.value("expires"), "365");
    send(browser, &"x".repeat(81), "read", "90").await.expect(422);
    send(browser, "Website", "read", "-5").await.expect(422);

    let key = browser.get(NEW).await.value("key");
    let fields = [("key", key.as_str()), ("name", "Website"), ("scope", "write"), ("expires", "never")];
    let token = browser.post(NEW, &fields).await.expect(200).attribute("#token", "value").expect("shown");
    assert_eq!(browser.post(NEW, &fields).await.location(), "/settings/tokens");
    let said = browser.get("/settings/tokens").await.expect(200).text(".notice strong");
    assert!(said.contains("was shown once"), "{said}");
    let mut db = church.db().await;
    assert_eq!(db.one::<i64>("select count(*) from personal_tokens where expires_at is null").await, 1);
    add_member(&server, &token, &church).await.expect(201);
    browser.post(&format!("/settings/tokens/{key}/revoke"), &[]).await.location();
    assert_eq!(browser.post(NEW, &fields).await.location(), "/settings/tokens", "nor when it is revoked");
    assert_eq!(db.one::<i64>("select count(*) from personal_tokens").await, 0);

    let fill = "insert into personal_tokens (id, admin_id, name, scope, digest)
                select gen_random_uuid(), a.id, 'Old', 'read', decode(md5(n::text), 'hex')
                  from admins a, generate_series(1, 50) n";
    db.run(fill).await;
    let page = send(browser, "One more", "read", "90").await.expect(422);
    assert!(page.why("name").contains("Revoke one"), "{}", page.words());
    assert_eq!(browser.get("/settings/tokens").await.all("tbody tr").len(), 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_does_no_more_than_it_was_made_for_and_no_more_than_its_admin() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let read = make(&church.browser, "Reads", "read").await;
    let write = make(&church.browser, "Writes", "write").await;
    add_member(&server, &read, &church).await.expect(403);
    let members = "select count(*) from members";
    assert_eq!(church.db().await.one::<i64>(members).await, 0);
    add_member(&server, &write, &church).await.expect(201);
    assert_eq!(church.db().await.one::<i64>(members).await, 1);
    // What is made by a token is made by its admin.
    let actor =
        "select count(*) from audit_log l join admins a on a.id = l.actor_id where l.entity = 'member'";
    assert_eq!(church.db().await.one::<i64>(actor).await, 1);
    church.db().await.run("update admins set role = 'viewer'").await;
    add_member(&server, &write, &church).await.expect(403);
    church.db().await.run("update admins set role = 'owner'").await;

    let helper = church.hire(&server, "viewer", "helper@example.org", None).await;
    let form = helper.get(NEW).await.expect(200);
    assert_eq!(form.all("#scope option"), ["May read"], "nothing is offered that is then refused");
    send(&helper, "Writes", "write", "90").await.expect(403);
    let theirs = "select count(*) from personal_tokens t join admins a on a.id = t.admin_id
                   where a.email = 'helper@example.org'";
    assert_eq!(church.db().await.one::<i64>(theirs).await, 0);
    let helpers = make(&helper, "Reads", "read").await;
    api(&server, &helpers, "/api/members").await.expect(200);
    add_member(&server, &helpers, &church).await.expect(403);

    // Everybody sees and revokes their own.
    assert_eq!(helper.get("/settings/tokens").await.all("tbody tr").len(), 1);
    let foreign: uuid::Uuid =
        church.db().await.one("select id from personal_tokens where name = 'Writes'").await;
    helper.get(&format!("/settings/tokens/{foreign}/revoke")).await.expect(404);
    helper.post(&format!("/settings/tokens/{foreign}/revoke"), &[]).await.location();
    assert_eq!(church.db().await.one::<i64>("select count(*) from personal_tokens").await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_ended_is_refused_everywhere_at_once() {
    let server = TestServer::start().await;
    let second = TestServer::on(&server.registry).await;
    let church = Church::open(&server, "Grace Chapel").await;
    let token = make(&church.browser, "Website", "write").await;
    let mut db = church.db().await;
    let everywhere = async |status: u16| {
        for server in [&second, &server] {
            api(server, &token, "/api/members").await.expect(status);
        }
    };
    everywhere(200).await;
    db.run("update personal_tokens set expires_at = now() - interval '1 second'").await;
    everywhere(401).await;
    let row = church.browser.get("/settings/tokens").await.expect(200);
    assert_eq!(row.text("tbody .badge"), "Expired");
    db.run("update personal_tokens set expires_at = null").await;
    everywhere(200).await;
    db.run("update admins set state = 'disabled'").await;
    everywhere(401).await;
    // Who is enabled again makes a new one.
    db.run("update admins set state = 'active'").await;
    everywhere(401).await;
    church.browser.post("/signin", &[("email", &church.email), ("password", PASSWORD)]).await.location();
    let token = make(&church.browser, "Website", "write").await;

    let suspend = format!("update tenants set status = 'suspended' where id = '{}'", church.tenant_id);
    server.db().await.run(&suspend).await;
    for server in [&second, &server] {
        // Both processes are told; here is waited until they have heard.
        let patience = std::time::Instant::now() + std::time::Duration::from_secs(5);
        while api(server, &token, "/api/members").await.status == 200 {
            assert!(std::time::Instant::now() < patience, "a suspended church is open");
        }
        api(server, &token, "/api/members").await.expect(403);
        let guess = format!("vst_{}_{}", church.tenant_id, "A".repeat(43));
        api(server, &guess, "/api/members").await.expect(401);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn its_last_use_is_noted_once_a_minute() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let token = make(&church.browser, "Website", "read").await;
    let mut db = church.db().await;
    let version = "select xmin::text from personal_tokens";
    let unused: String = db.one(version).await;
    api(&server, &token, "/api/members").await.expect(200);
    let used: String = db.one(version).await;
    assert_ne!(used, unused);
    api(&server, &token, "/api/members").await.expect(200);
    assert_eq!(db.one::<String>(version).await, used, "a program that asks often does not write often");
    db.run("update personal_tokens set last_used_at = now() - interval '61 seconds'").await;
    api(&server, &token, "/api/members").await.expect(200);
    assert!(db.one::<bool>("select last_used_at > now() - interval '30 seconds' from personal_tokens").await);
}

async fn a_token_of_one_church_opens_no_other(isolation: Isolation) {
    let server = TestServer::start_with(|config| config.isolation = isolation).await;
    let (ours, theirs) =
        tokio::join!(Church::open(&server, "Grace Chapel"), Church::open(&server, "Hope Church"));
    seat(&ours, "Achieng", "Main church").await;
    seat(&theirs, "Barasa", "Main church").await;
    let token = make(&ours.browser, "Website", "write").await;
    let other = make(&theirs.browser, "Website", "write").await;
    assert_eq!(last_names(&api(&server, &token, "/api/members").await.expect(200)), ["Achieng"]);
    assert_eq!(last_names(&api(&server, &other, "/api/members").await.expect(200)), ["Barasa"]);
    let named = asking_for(&server, &token, "/api/members", Some(&ours.tenant_id)).await;
    named.expect(200);

    let snapshot = "select concat((select string_agg(m::text, ',') from members m),
                                  (select string_agg(t::text, ',') from personal_tokens t),
                                  (select count(*) from audit_log))";
    let before: String = theirs.db().await.one(snapshot).await;
    let foreign = asking_for(&server, &token, "/api/members", Some(&theirs.tenant_id)).await.expect(403);
    assert!(!foreign.html.contains("Barasa") && !foreign.html.contains("Achieng"));
    // The church a token names is only where it is looked for.
    let forged = token.replace(&ours.tenant_id, &theirs.tenant_id);
    api(&server, &forged, "/api/members").await.expect(401);
    add_member(&server, &forged, &theirs).await.expect(401);
    for bad in [
        "vst_".to_owned(),
        format!("vst_{}_", ours.tenant_id),
        format!("vst_{}", "a".repeat(24)),
        format!("{token}x"),
        token.replace("vst_", "VST_"),
        format!("vst_a23456789012345678901234_{}", &token[29..]),
        format!("vst_{}_{}", ours.tenant_id, "A".repeat(43)),
    ] {
        api(&server, &bad, "/api/members").await.expect(401);
        // Nothing is told of a church that is named beside it.
        asking_for(&server, &bad, "/api/members", Some(&theirs.tenant_id)).await.expect(401);
    }
    assert_eq!(theirs.db().await.one::<String>(snapshot).await, before, "not a row has changed");
    let id: uuid::Uuid = theirs.db().await.one("select id from personal_tokens").await;
    ours.browser.get(&format!("/settings/tokens/{id}/revoke")).await.expect(404);
    ours.browser.post(&format!("/settings/tokens/{id}/revoke"), &[]).await.location();
    assert_eq!(theirs.db().await.one::<i64>("select count(*) from personal_tokens").await, 1);
}

async fn a_token_sees_the_branches_of_its_admin(isolation: Isolation) {
    let server = TestServer::start_with(|config| config.isolation = isolation).await;
    let church = Church::open(&server, "Grace Chapel").await;
    let fields = [("name", "Westlands"), ("timezone", "Africa/Nairobi")];
    church.browser.post("/branches/new", &fields).await.location();
    seat(&church, "Achieng", "Main church").await;
    seat(&church, "Barasa", "Westlands").await;
    let helper = church.hire(&server, "admin", "helper@example.org", Some("Westlands")).await;
    let token = make(&helper, "Website", "write").await;
    assert_eq!(last_names(&api(&server, &token, "/api/members").await.expect(200)), ["Barasa"]);
    let member: uuid::Uuid =
        church.db().await.one("select id from members where last_name = 'Achieng'").await;
    api(&server, &token, &format!("/api/members/{member}")).await.expect(404);
    // Into the main branch, which is not theirs, nobody is put.
    let refused = add_member(&server, &token, &church).await;
    assert!(refused.status.is_client_error(), "{}", refused.words());
    assert_eq!(church.db().await.one::<i64>("select count(*) from members").await, 2);
}
