use crate::harness::{Church, PASSWORD, TestServer, sign_up, watch};
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread")]
async fn signing_in_and_out() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let browser = server.browser();
    let credentials = [("email", " Owner@Grace-Chapel.example.org "), ("password", PASSWORD)];
    assert_eq!(browser.post("/signin", &credentials).await.location(), "/");
    browser.get("/members").await.expect(200);
    assert_eq!(browser.get("/signin").await.location(), "/", "whoever is inside need not sign in");
    church
        .db()
        .await
        .until("select exists (select from admins where last_login_at > now() - interval '1 minute')")
        .await;

    let stolen = browser.cookies();
    assert_eq!(browser.post("/signout", &[]).await.location(), "/signin");
    assert_eq!(browser.get("/signin").await.text(".notice"), "You are signed out.");
    let thief = server.browser();
    thief.plant(&stolen);
    assert_eq!(thief.get("/members").await.location(), "/signin?next=%2Fmembers");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_and_an_unknown_email_are_answered_alike() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let browser = server.browser();
    let mut took = Vec::new();
    for email in [church.email.as_str(), "nobody@example.org"] {
        let started = Instant::now();
        let page =
            browser.post("/signin", &[("email", email), ("password", "not this one")]).await.expect(422);
        took.push(started.elapsed());
        assert_eq!(page.why("email"), "The email or the password is not right.");
        assert_eq!(page.value("email"), email);
        assert!(!page.html.contains("not this one"));
    }
    // Both wait for the same moment, which is far beyond the work of either.
    assert!(took.iter().all(|took| *took >= Duration::from_millis(400)), "{took:?}");
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

    let browser = server.browser();
    let page = browser.post("/signin?next=%2Fbranches", &[("email", email), ("password", PASSWORD)]).await;
    assert_eq!(page.location(), "/choose?next=%2Fbranches");
    assert_eq!(browser.get("/branches").await.location(), "/signin?next=%2Fbranches", "not inside yet");
    let page = browser.get("/choose?next=%2Fbranches").await.expect(200);
    assert_eq!(page.all(".choices button > span:not(.avatar)"), ["Grace Chapel", "Hope Church"]);

    let foreign = browser.post("/choose", &[("tenant_id", &other.tenant_id)]).await;
    assert_eq!(foreign.location(), "/signin", "only what the password opened can be chosen");
    let hope: String = server.db().await.one("select id from tenants where name = 'Hope Church'").await;
    let entered = browser.post("/choose?next=%2Fbranches", &[("tenant_id", &hope)]).await;
    assert_eq!(entered.location(), "/branches");
    assert_eq!(browser.get("/branches").await.expect(200).text(".mark span"), "Hope Church");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_session_gets_a_new_id_when_somebody_signs_in() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    // A session of the attacker's own, planted in the victim's browser.
    let attacker = server.browser();
    sign_up(&attacker, "Trap", "trap@example.org").await;
    let planted = attacker.cookies();
    let victim = server.browser();
    victim.plant(&planted);
    victim.post("/signin", &[("email", &church.email), ("password", PASSWORD)]).await.location();
    assert_ne!(victim.cookies(), planted);
    assert_eq!(attacker.get("/members").await.location(), "/signin?next=%2Fmembers");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ended_session_comes_back_to_where_the_person_was() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    server.db().await.run("delete from sessions").await;
    let asked = church.browser.get("/members?search=naomi&sort=-name");
    let page = wait_until(|| church.browser.get("/members?search=naomi&sort=-name"), asked.await).await;
    let sign_in = page.location().to_owned();
    assert_eq!(sign_in, "/signin?next=%2Fmembers%3Fsearch%3Dnaomi%26sort%3D-name");
    let page = church.browser.post(&sign_in, &[("email", &church.email), ("password", PASSWORD)]).await;
    assert_eq!(page.location(), "/members?search=naomi&sort=-name");

    for out in [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "/\t/evil.example",
        "/..//evil.example",
        "javascript:alert(1)",
    ] {
        let browser = server.browser();
        let address = format!("/signin?{}", serde_urlencoded::to_string([("next", out)]).expect("a query"));
        let page = browser.post(&address, &[("email", &church.email), ("password", PASSWORD)]).await;
        assert_eq!(page.location(), "/", "{out} leads out of here");
        assert_eq!(browser.get(&address).await.location(), "/", "{out} leads out of here");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_and_disabling_take_effect_in_every_process() {
    let one = TestServer::start().await;
    let two = TestServer::on(&one.registry).await;
    let church = Church::open(&one, "Grace Chapel").await;
    let elsewhere = church.browser.at(two.addr());
    elsewhere.get("/members").await.expect(200);
    church.browser.post("/signout", &[]).await.location();
    let page = elsewhere.get("/members").await;
    assert_eq!(wait_until(|| elsewhere.get("/members"), page).await.location(), "/signin?next=%2Fmembers");

    let helper = church.hire(&one, "admin", "helper@example.org", None).await;
    let elsewhere = helper.at(two.addr());
    elsewhere.get("/members").await.expect(200);
    let id: uuid::Uuid =
        church.db().await.one("select id from admins where email = 'helper@example.org'").await;
    church.db().await.run("update admins set state = 'disabled' where email = 'helper@example.org'").await;
    one.running.installation.identity.end_sessions(&church.tenant_id, id).await.expect("sessions end");
    for browser in [&helper, &elsewhere] {
        let page = browser.get("/members").await;
        assert_eq!(wait_until(|| browser.get("/members"), page).await.location(), "/signin?next=%2Fmembers");
    }
    let page =
        one.browser().post("/signin", &[("email", "helper@example.org"), ("password", PASSWORD)]).await;
    assert_eq!(page.expect(422).why("email"), "The email or the password is not right.");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_church_says_so_to_its_people_and_to_nobody_else() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let other = Church::open(&server, "Hope Church").await;
    church.browser.get("/members").await.expect(200);
    let suspend = format!("update tenants set status = 'suspended' where id = '{}'", church.tenant_id);
    server.db().await.run(&suspend).await;
    let page = church.browser.get("/members").await;
    let page = wait_until(|| church.browser.get("/members"), page).await.expect(403);
    assert_eq!(page.text("h1"), "This office is closed for now");
    other.browser.get("/members").await.expect(200);
    let stranger = server.browser();
    let page = stranger.post("/signin", &[("email", &church.email), ("password", "a wrong one")]).await;
    assert!(!page.html.contains("suspended"), "a stranger learns nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_is_slowed_down_by_account_from_wherever_it_comes() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let guesses = (0..14).map(|n| {
        let browser = server.browser();
        let email = church.email.clone();
        async move {
            browser.post("/signin", &[("email", &email), ("password", &format!("guess {n}"))]).await.status
        }
    });
    let answers = futures::future::join_all(guesses).await;
    assert_eq!(answers.iter().filter(|status| **status == 422).count(), 10);
    assert_eq!(answers.iter().filter(|status| **status == 429).count(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_of_another_site_is_refused() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
    ] {
        let page =
            church.browser.request(|client, base| client.post(format!("{base}/signout")).header(name, value));
        page.await.expect(403);
    }
    church.browser.get("/members").await.expect(200);
    let cookie = server.browser().post("/theme", &[("theme", "dark")]).await;
    assert!(cookie.header("set-cookie").contains("SameSite=Lax"));
}

#[tokio::test(flavor = "multi_thread")]
async fn choosing_colours_goes_back_to_a_page_of_ours() {
    let server = TestServer::start().await;
    let browser = server.browser();
    let host = server.addr();
    for (referer, expected) in [
        (format!("http://{host}/members?search=naomi"), "/members?search=naomi"),
        (format!("https://{host}/branches"), "/branches"),
        (format!("http://{host}//evil.example/"), "/"),
        (format!("http://{host}/\t/evil.example/"), "/"),
        (format!("http://{host}/..//evil.example/"), "/"),
        ("https://evil.example/members".into(), "/"),
        (format!("https://{host}@evil.example/members"), "/"),
        ("nonsense".into(), "/"),
    ] {
        let page = browser.request(|client, base| {
            client.post(format!("{base}/theme")).header("referer", &referer).form(&[("theme", "dark")])
        });
        let page = page.await;
        assert_eq!(page.location(), expected, "{referer:?}");
        assert!(page.header("set-cookie").starts_with("theme=dark"));
    }
}

/// Asks again while the first answer still stands: what another process does is heard a moment later.
async fn wait_until<F, R>(ask: F, first: crate::harness::Page) -> crate::harness::Page
where
    F: Fn() -> R,
    R: Future<Output = crate::harness::Page>,
{
    let patience = Instant::now() + Duration::from_secs(2);
    let mut page = first;
    while page.status == 200 && Instant::now() < patience {
        page = ask().await;
    }
    page
}
