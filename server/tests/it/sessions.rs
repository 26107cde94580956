use crate::harness::{Browser, Church, PASSWORD, Program, TestServer, sign_up, watch};
use serde_json::json;
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

async fn try_password(browser: &Browser, email: &str, password: &str) -> u16 {
    browser.post("/signin", &[("email", email), ("password", password)]).await.status.as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_cannot_lock_the_owners_browser_out() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let other = Church::open(&server, "Hope Church").await;
    let (owner, email) = (&church.browser, church.email.as_str());
    owner.post("/signout", &[]).await.location();

    // One stranger alone does not use up what all strangers share.
    let stranger = server.browser();
    let mut answers = Vec::new();
    for n in 0..8 {
        answers.push(try_password(&stranger, email, &format!("guess {n}")).await);
    }
    assert_eq!(answers, [422, 422, 422, 422, 422, 429, 429, 429]);
    assert_eq!(try_password(&stranger, email, PASSWORD).await, 429, "a right guess is not exempt");
    assert_eq!(try_password(&server.browser(), email, PASSWORD).await, 303, "from elsewhere it is let in");

    // Many do: nobody who is not known gets further, with the right password neither, here and by the API.
    let strangers = (0..20).map(|_| server.browser());
    let guesses = strangers.map(|browser| async move { try_password(&browser, email, "a guess").await });
    let answers = futures::future::join_all(guesses).await;
    // One may have come back meanwhile.
    assert!((5..=6).contains(&answers.iter().filter(|status| **status == 422).count()), "{answers:?}");
    assert_eq!(try_password(&server.browser(), email, PASSWORD).await, 429);
    let credentials = json!({ "email": email, "password": PASSWORD });
    let program = Program::new(server.addr());
    program.post("/api/auth/login", credentials).await.problem(429, "too-many-requests");
    // One that is known to another account, or shows what it has made up, is a stranger here.
    assert_eq!(try_password(&other.browser, email, PASSWORD).await, 429);
    let device = |browser: &Browser| {
        let cookies = browser.cookies();
        let found = cookies.split("; ").find_map(|cookie| cookie.strip_prefix("device=").map(str::to_owned));
        found.expect("a browser that has signed in is known")
    };
    let (known, unknown) = (device(owner), device(&other.browser));
    let swapped = format!("{}.{}", &unknown[..22], known.split_once('.').expect("a tag").1);
    for forged in
        [swapped, known[..22].to_owned(), format!("{}.{}", &known[..22], "A".repeat(22)), "nonsense".into()]
    {
        let browser = server.browser();
        browser.plant(&format!("device={forged}"));
        assert_eq!(try_password(&browser, email, PASSWORD).await, 429, "{forged}");
    }

    assert_eq!(try_password(owner, email, PASSWORD).await, 303, "the owner's browser gets in");
    // Its own limit is one as well.
    owner.post("/signout", &[]).await.location();
    let mut answers = Vec::new();
    for n in 0..11 {
        answers.push(try_password(owner, email, &format!("guess {n}")).await);
    }
    assert_eq!((answers.iter().filter(|status| **status == 422).count(), answers[10]), (10, 429));
    assert_eq!(try_password(owner, email, PASSWORD).await, 429);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_church_of_ones_own_under_anothers_email_makes_no_browser_known() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let email = church.email.as_str();
    let stranger = server.browser();
    let opening = sign_up(&stranger, "Other Chapel", email).await;
    watch(&stranger, &opening).await;
    assert_eq!(stranger.post(&opening, &[("enter", "1")]).await.location(), "/");
    stranger.post("/signout", &[]).await.location();

    let others = (0..20).map(|_| server.browser());
    let guesses = others.map(|browser| async move { try_password(&browser, email, "a guess").await });
    futures::future::join_all(guesses).await;
    // The password is right in both; the stranger's browser is known in its own church only.
    let page = stranger.post("/signin", &[("email", email), ("password", PASSWORD)]).await;
    assert_eq!(page.location(), "/");
    assert_eq!(stranger.get("/members").await.expect(200).text(".mark span"), "Other Chapel");
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_in_often_is_no_failure() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let browser = server.browser();
    for _ in 0..12 {
        assert_eq!(try_password(&browser, &church.email, PASSWORD).await, 303);
        Program::log_in(&server, &church.email).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_may_not_try_all_accounts() {
    let server = TestServer::start().await;
    let (browser, program) = (server.browser(), Program::new(server.addr()));
    let email = |n: usize| format!("nobody{n}@example.org");
    let tries = (0..40).map(|n| {
        let (browser, email) = (&browser, email(n));
        async move { try_password(browser, &email, "a guess").await }
    });
    let answers = futures::future::join_all(tries).await;
    let answered = answers.iter().filter(|status| **status == 422).count();
    assert!((30..=32).contains(&answered), "{answered}");
    assert_eq!(answers.iter().filter(|status| **status == 429).count(), 40 - answered);
    let tries =
        (0..40).map(|n| program.post("/api/auth/login", json!({ "email": email(n), "password": "a guess" })));
    let answers = futures::future::join_all(tries).await;
    let answered = answers.iter().filter(|said| said.status == 401).count();
    assert!((30..=32).contains(&answered), "{answered}");
    assert_eq!(answers.iter().filter(|said| said.status == 429).count(), 40 - answered);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_choice_tells_churches_of_one_name_apart_and_which_is_suspended() {
    let server = TestServer::start().await;
    let grace = Church::open(&server, "Grace Chapel").await;
    let (hope, kirk) = (Church::open(&server, "Hope").await, Church::open(&server, "Kirk").await);
    hope.hire(&server, "admin", &grace.email, None).await;
    kirk.hire(&server, "viewer", &grace.email, None).await;
    grace.db().await.run("update branches set city = 'Nakuru'").await;
    server.db().await.run("update tenants set name = 'Grace Chapel'").await;
    server.db().await.run("update tenants set created_at = '2024-02-29 12:00Z', country = 'US' where id = (select min(id) from tenants)").await;
    let suspend = |id: &str| format!("update tenants set status = 'suspended' where id = '{id}'");
    server.db().await.run(&suspend(&kirk.tenant_id)).await;

    // A process that has kept nothing of before.
    let later = TestServer::on(&server.registry).await;
    let browser = later.browser();
    let page = browser.post("/signin", &[("email", &grace.email), ("password", PASSWORD)]).await;
    assert_eq!(page.location(), "/choose");
    let page = browser.get("/choose").await.expect(200);
    assert_eq!(page.all(".choices button > span:not(.avatar)"), ["Grace Chapel"; 3]);
    let about = |id: &str| page.text(&format!(".choices button[value={id}] small"));
    assert!(about(&grace.tenant_id).starts_with("Nakuru, "), "{}", about(&grace.tenant_id));
    assert!(about(&grace.tenant_id).ends_with("Owner"), "{}", about(&grace.tenant_id));
    assert!(about(&hope.tenant_id).ends_with("Administrator"), "{}", about(&hope.tenant_id));
    assert!(about(&kirk.tenant_id).ends_with("View only · Suspended"), "{}", about(&kirk.tenant_id));
    let old = page
        .all(".choices button small")
        .into_iter()
        .find(|about| about.contains("signed up 29 February 2024"));
    assert!(old.is_some_and(|old| old.contains("United States")));
    let kept = "select count(*) from sessions s where s::text like '%Nakuru%' or s::text like '%owner%'";
    assert_eq!(server.db().await.one::<i64>(kept).await, 0, "the registry holds no church data");

    let page = browser.post("/choose", &[("tenant_id", &kirk.tenant_id)]).await.expect(403);
    assert_eq!(page.text("h1"), "This office is closed for now");
    browser.post("/choose", &[("tenant_id", &hope.tenant_id)]).await.location();
    browser.get("/members").await.expect(200);

    let program = Program::new(later.addr());
    let credentials = json!({ "email": grace.email, "password": PASSWORD });
    let said = program.post("/api/auth/login", credentials.clone()).await.problem(409, "choose-tenant");
    let choices = said.body["choices"].as_array().expect("choices").clone();
    let of = |id: &str| choices.iter().find(|choice| choice["tenantId"] == id).expect("it is there");
    assert_eq!(of(&grace.tenant_id)["town"], "Nakuru");
    assert_eq!(
        (&of(&grace.tenant_id)["role"], &of(&hope.tenant_id)["role"]),
        (&json!("owner"), &json!("admin"))
    );
    let suspended: Vec<_> = choices.iter().filter(|choice| choice["suspended"] == true).collect();
    assert_eq!((suspended.len(), &suspended[0]["tenantId"]), (1, &json!(kirk.tenant_id)));
    assert!(
        choices
            .iter()
            .any(|choice| choice["country"] == "US" && choice["createdAt"] == "2024-02-29T12:00:00Z")
    );
    let named = |id: &str| json!({ "email": grace.email, "password": PASSWORD, "tenantId": id });
    program.post("/api/auth/login", named(&kirk.tenant_id)).await.problem(403, "suspended");
    program.post("/api/auth/login", named(&hope.tenant_id)).await.expect(200);

    // A program whose only open church it is goes in as before.
    server.db().await.run(&suspend(&hope.tenant_id)).await;
    let last = TestServer::on(&server.registry).await;
    let said = Program::new(last.addr()).post("/api/auth/login", credentials).await.expect(200);
    assert_eq!(said.text("tenantId"), grace.tenant_id);
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
