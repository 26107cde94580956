use crate::harness::{Browser, Church, PASSWORD, Page, Program, TestServer, command, sign_up, watch};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_church_gets_a_database_of_its_own_and_its_owner_is_inside() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let home = church.browser.get("/").await.expect(200);
    assert!(home.text("h1").ends_with(", Ruth"), "{}", home.text("h1"));
    assert_eq!(home.text(".mark span"), "Grace Chapel");

    let mut db = church.db().await;
    assert_eq!(db.one::<String>("select string_agg(email, ',') from admins").await, church.email);
    assert_eq!(db.one::<String>("select name from branches where is_main").await, "Main church");
    assert_eq!(db.one::<i64>("select count(*) from member_statuses").await, 5);

    let mut registry = server.db().await;
    let row = "select concat_ws('|', name, status, isolation, country, timezone, database_name, schema_name) from tenants";
    let expected =
        format!("Grace Chapel|active|database|KE|Africa/Nairobi|tenant_{}|church", church.tenant_id);
    assert_eq!(registry.one::<String>(row).await, expected);
    assert!(
        registry.one::<bool>("select sealed is null from provisioning_runs").await,
        "the secret is wiped"
    );
    let days = "select round(extract(epoch from trial_ends_at - created_at) / 86400)::integer from tenants";
    assert_eq!(registry.one::<i32>(days).await, 14);
    let hashes = "select count(*) from tenants t, provisioning_runs r, sessions s
                   where concat(t::text, r::text, s::text) like '%argon2%'";
    assert_eq!(registry.one::<i64>(hashes).await, 0, "no password hash in the registry");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_at_its_field_and_what_was_typed_stays() {
    let server = TestServer::start().await;
    let browser = server.browser();

    let page = browser.get("/signup/you?church=&country=XX&timezone=Mars%2FBase").await.expect(422);
    assert_eq!(page.why("church"), "Enter the name of your church.");
    assert_eq!(page.why("country"), "Choose your country.");
    assert_eq!(page.why("timezone"), "Choose your time zone.");
    assert_eq!(page.text(".summary:not([hidden]) h2"), "3 things need another look");

    let you = "/signup/you?church=Grace%20Chapel&country=KE&timezone=Africa%2FNairobi";
    let typed =
        [("first_name", "Ruth"), ("last_name", ""), ("email", "ruth@example"), ("password", "1234567890")];
    let page = browser.post(you, &typed).await.expect(422);
    assert_eq!(page.why("first_name"), "");
    assert_eq!(page.why("last_name"), "", "one name is enough");
    assert_eq!(page.why("email"), "Enter an email address like name@example.org.");
    assert_eq!(
        page.why("password"),
        "This password is easy to guess. A few unrelated words make a good one."
    );
    assert_eq!(page.value("first_name"), "Ruth");
    assert_eq!(page.value("email"), "ruth@example");
    assert!(!page.html.contains("1234567890"), "a password is never sent back");
    assert_eq!(page.attribute("#email", "aria-invalid").as_deref(), Some("true"));
    assert_eq!(server.db().await.one::<i64>("select count(*) from tenants").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_names_are_stored_as_they_were_typed_or_refused_in_words() {
    let server = TestServer::start().await;
    let long = "é".repeat(121);
    let faithful = [
        "Robert'); drop table tenants;--",
        "<script>alert('x')</script>",
        "St. John’s & \"All Souls\" – Ἐκκλησία 教会 🕊",
        "%00%27 or 1=1",
    ];
    for (n, name) in faithful.iter().enumerate() {
        let browser = server.browser();
        let opening = sign_up(&browser, name, &format!("odd{n}@example.org")).await;
        assert_eq!(watch(&browser, &opening).await["status"], "succeeded", "{name}");
        let stored = format!(
            "select name from tenants t join admin_emails e on t.id = e.tenant_id where email = 'odd{n}@example.org'"
        );
        assert_eq!(server.db().await.one::<String>(&stored).await, *name);
        browser.post(&opening, &[("enter", "1")]).await;
        let home = browser.get("/").await.expect(200);
        assert_eq!(home.text(".mark span"), *name);
        assert!(!home.html.contains("<script>alert"), "nothing that was typed runs");
    }
    let browser = server.browser();
    let name = serde_urlencoded::to_string([("church", long.as_str())]).expect("a query");
    let page =
        browser.get(&format!("/signup/you?{name}&country=KE&timezone=Africa/Nairobi")).await.expect(422);
    assert_eq!(page.why("church"), "Use at most 120 characters; this has 121.");
    assert_eq!(page.value("church"), long);
    // Control characters, the one that no database stores among them, are left out.
    let opening = sign_up(&browser, "Gr\u{0}ace\u{7}\n Chapel", "nul@example.org").await;
    assert_eq!(watch(&browser, &opening).await["church"], "Grace Chapel");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_sent_twice_makes_one_church() {
    let server = TestServer::start().await;
    let browser = server.browser();
    let you = "/signup/you?church=Grace&country=KE&timezone=Africa%2FNairobi";
    let key = browser.get(you).await.value("key");
    let fields = [
        ("key", key.as_str()),
        ("first_name", "Ruth"),
        ("last_name", "Okafor"),
        ("email", "ruth@example.org"),
        ("password", PASSWORD),
    ];
    let (first, second) = tokio::join!(browser.post(you, &fields), browser.post(you, &fields));
    assert_eq!(first.location(), second.location());
    assert_eq!(server.db().await.one::<i64>("select count(*) from tenants").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_up_too_often_from_one_place_is_refused_with_what_was_typed() {
    let server = TestServer::start().await;
    let browser = server.browser();
    let you = "/signup/you?church=Grace&country=KE&timezone=Africa%2FNairobi";
    let mut refused = None;
    for n in 0..12 {
        let email = format!("ruth{n}@example.org");
        let fields = [
            ("first_name", "Ruth"),
            ("last_name", "Okafor"),
            ("email", email.as_str()),
            ("password", PASSWORD),
        ];
        let page = browser.post(you, &fields).await;
        if page.status == 429 {
            refused = Some((email, page));
            break;
        }
    }
    let (email, page) = refused.expect("at some time it is enough");
    assert_eq!(page.value("email"), email);
    assert!(
        page.why("email").starts_with("Too many offices were opened from here."),
        "{}",
        page.why("email")
    );
    // Somebody else is not concerned.
    sign_up(&server.browser(), "Hope", "hope@example.org").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn country_and_time_zone_are_proposed_from_the_languages_of_the_browser() {
    let server = TestServer::start().await;
    let page = server.browser().get("/signup").await.expect(200);
    assert_eq!(page.value("country"), "KE");
    assert_eq!(page.value("timezone"), "Africa/Nairobi");
}

const YOU: &str = "/signup/you?church=Grace%20Chapel&country=KE&timezone=Africa%2FNairobi";

/// Sends the form of the second step.
async fn send(browser: &Browser, key: &str, email: &str, password: &str) -> Page {
    let fields = [
        ("key", key),
        ("first_name", "Ruth"),
        ("last_name", "Okafor"),
        ("email", email),
        ("password", password),
    ];
    browser.post(YOU, &fields).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hidden_key_of_the_form_is_no_credential() {
    let server = TestServer::start().await;
    let (owner, thief) = (server.browser(), server.browser());
    let email = "ruth@example.org";
    let key = owner.get(YOU).await.value("key");
    let opening = send(&owner, &key, email, PASSWORD).await.location().to_owned();
    assert_eq!(send(&owner, &key, email, PASSWORD).await.location(), opening, "the same form again");

    thief.get(YOU).await.expect(200);
    for (browser, email, password) in [
        (&thief, email, PASSWORD),
        (&thief, "thief@example.org", "another good password"),
        (&owner, "thief@example.org", PASSWORD),
        (&owner, email, "another good password"),
    ] {
        let page = send(browser, &key, email, password).await.expect(422);
        assert!(page.why("email").starts_with("This form was sent before"), "{}", page.why("email"));
        assert_eq!((page.value("email"), page.value("first_name")), (email.into(), "Ruth".into()));
        assert!(!page.value("key").is_empty() && page.value("key") != key, "a fresh key");
    }
    let mut registry = server.db().await;
    assert_eq!(registry.one::<i64>("select count(*) from tenants").await, 1);
    let plain = format!(
        "select count(*) from provisioning_runs r where r::text like '%{}%'",
        key.split('.').next().expect("a part")
    );
    assert_eq!(registry.one::<i64>(&plain).await, 0, "only a digest of the key is kept");

    watch(&owner, &opening).await;
    thief.post(&opening, &[("enter", "1")]).await.location();
    assert_eq!(thief.get("/members").await.location(), "/signin?next=%2Fmembers");
    owner.post(&opening, &[("enter", "1")]).await.location();
    owner.get("/members").await.expect(200);
    // The first entering ends it, also for the one who has made it.
    let page = send(&owner, &key, email, PASSWORD).await.expect(422);
    let second = send(&owner, &page.value("key"), email, PASSWORD).await;
    assert_ne!(second.location(), opening, "the fresh key makes another church");
    assert_eq!(registry.one::<i64>("select count(*) from tenants").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_of_a_form_and_the_way_in_without_a_password_end_after_an_hour() {
    let server = TestServer::start().await;
    let owner = server.browser();
    let key = owner.get(YOU).await.value("key");
    let opening = send(&owner, &key, "ruth@example.org", PASSWORD).await.location().to_owned();
    watch(&owner, &opening).await;
    let mut registry = server.db().await;
    registry.run("update provisioning_runs set created_at = created_at - interval '59 minutes'").await;
    assert_eq!(send(&owner, &key, "ruth@example.org", PASSWORD).await.location(), opening);
    registry.run("update provisioning_runs set created_at = created_at - interval '1 minute'").await;
    send(&owner, &key, "ruth@example.org", PASSWORD).await.expect(422);

    let until: i64 = registry.one("select max((data->'opening'->>'until')::bigint) from sessions").await;
    let left = until - chrono::Utc::now().timestamp();
    assert!((3500..=3600).contains(&left), "{left}");
    registry.run("update sessions set data = jsonb_set(data, '{opening,until}', to_jsonb(extract(epoch from now())::bigint - 1))").await;
    // A process that has not read the session yet.
    let later = TestServer::on(&server.registry).await;
    let owner = owner.at(later.addr());
    owner.post(&opening, &[("enter", "1")]).await.location();
    assert_eq!(owner.get("/members").await.location(), "/signin?next=%2Fmembers");
    assert_eq!(
        owner.get(&opening).await.expect(200).attribute(".actions a", "href").as_deref(),
        Some("/signin")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_planted_before_the_signup_is_worth_nothing_and_no_id_is_kept() {
    let server = TestServer::start().await;
    let attacker = server.browser();
    sign_up(&attacker, "Trap", "trap@example.org").await;
    let session = |browser: &Browser| {
        let cookies = browser.cookies();
        let cookie = cookies.split("; ").find_map(|cookie| cookie.split_once("vestry="));
        cookie.map(|(_, id)| id.to_owned()).expect("a session")
    };
    let planted = session(&attacker);
    let victim = server.browser();
    victim.plant(&format!("vestry={planted}"));
    let opening = sign_up(&victim, "Grace Chapel", "ruth@example.org").await;
    watch(&victim, &opening).await;
    let renewed = session(&victim);
    assert_ne!(renewed, planted, "signing up renews the session's id");
    attacker.post(&opening, &[("enter", "1")]).await.location();
    assert_eq!(attacker.get("/members").await.location(), "/signin?next=%2Fmembers");
    victim.post(&opening, &[("enter", "1")]).await.location();
    let inside = session(&victim);
    assert_ne!(inside, renewed, "entering renews it too");
    for id in [planted, renewed, inside] {
        let kept = format!("select count(*) from sessions s where s::text like '%{id}%'");
        assert_eq!(server.db().await.one::<i64>(&kept).await, 0, "only digests of ids are kept");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_are_open_when_ids_become_digests_stay_open() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let cookies = church.browser.cookies();
    let id = cookies.split("; ").find_map(|cookie| cookie.strip_prefix("vestry=")).expect("a session");
    let mut registry = server.db().await;
    // As an earlier version has left it.
    registry.run(&format!("update sessions set id = '{id}'")).await;
    registry.run("update provisioning_runs set idempotency_key = 'form 1'").await;
    registry.run("alter table provisioning_runs drop column request").await;
    registry.run("delete from _sqlx_migrations where version = 17").await;
    let later = TestServer::on(&server.registry).await;
    church.browser.at(later.addr()).get("/members").await.expect(200);
    assert_eq!(registry.one::<i64>("select count(idempotency_key) from provisioning_runs").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_email_has_five_churches_and_no_more_until_it_is_verified() {
    let token = "the operator's own token";
    let server = TestServer::start_with(|config| config.operator_token = Some(token.into())).await;
    let email = "ruth@example.org";
    let body = |church: &str| json!({ "churchName": church, "firstName": "Ruth", "email": email, "password": PASSWORD });
    let browser = server.browser();
    let opening = sign_up(&browser, "Grace 0", email).await;
    watch(&browser, &opening).await;
    let first: String = server.db().await.one("select tenant_id from admin_emails").await;
    let signups = (1..8).map(|n| {
        let (program, church) = (Program::new(server.addr()), format!("Grace {n}"));
        async move { program.post("/api/auth/register", body(&church)).await }
    });
    let answers = futures::future::join_all(signups).await;
    let (accepted, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|said| said.status == 202);
    assert_eq!((accepted.len(), refused.len()), (4, 3), "also of those that come at once");
    for said in refused {
        assert!(said.problem(422, "invalid").why("email").starts_with("Five churches have signed up"));
    }
    let browser = server.browser();
    let key = browser.get(YOU).await.value("key");
    let page = send(&browser, &key, email, PASSWORD).await.expect(422);
    assert!(page.why("email").starts_with("Five churches have signed up"), "{}", page.why("email"));
    assert_eq!(page.value("first_name"), "Ruth");
    // Others are not concerned, nor is the operator.
    sign_up(&server.browser(), "Hope", "naomi@example.org").await;
    let operators =
        json!({ "name": "Kirk", "admin": { "lastName": "Okafor", "email": email, "password": PASSWORD } });
    Program::new(server.addr()).with(token).post("/api/tenants", operators).await.expect(202);
    // Of the operator's and the others, one is verified: there are five again.
    server
        .db()
        .await
        .run("delete from admin_emails where tenant_id in (select id from tenants where name = 'Kirk')")
        .await;
    command(&server.registry, &["admins", "verify", email, "--church", &first])
        .await
        .expect("it is verified");
    assert!(send(&browser, &page.value("key"), email, PASSWORD).await.status == 303);
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_that_others_would_guess_are_refused_in_pages_and_by_the_api() {
    let server = TestServer::start().await;
    let browser = server.browser();
    let program = Program::new(server.addr());
    for password in
        ["password12345", "12345678910", "GraceChapel1", "Grace_Chapel_2026", "ruth okafor 1", "short"]
    {
        let page = send(&browser, "", "ruth.okafor@example.org", password).await.expect(422);
        assert!(!page.why("password").is_empty(), "{password}");
        let body = json!({
            "churchName": "Grace Chapel", "firstName": "Ruth", "lastName": "Okafor",
            "email": "ruth.okafor@example.org", "password": password,
        });
        let said = program.post("/api/auth/register", body).await.problem(422, "invalid");
        assert!(!said.why("password").is_empty(), "{password}");
    }
    assert_eq!(server.db().await.one::<i64>("select count(*) from tenants").await, 0);
    send(&browser, "", "ruth.okafor@example.org", "xK3!vq9ZpLw7").await.location();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_name_is_enough_and_a_password_fits_however_its_letters_are_written() {
    let server = TestServer::start().await;
    for (first, last) in [("Sukarno", ""), ("", "Sukarno")] {
        let browser = server.browser();
        let email = format!("{}@example.org", if last.is_empty() { "first" } else { "last" });
        let key = browser.get(YOU).await.value("key");
        let fields = [
            ("key", key.as_str()),
            ("first_name", first),
            ("last_name", last),
            ("email", email.as_str()),
            ("password", "cafe\u{301} river candle"),
        ];
        let opening = browser.post(YOU, &fields).await.location().to_owned();
        assert_eq!(watch(&browser, &opening).await["status"], "succeeded");
        browser.post(&opening, &[("enter", "1")]).await.location();
        let home = browser.get("/").await.expect(200);
        assert!(home.text("h1").ends_with(", Sukarno"), "{}", home.text("h1"));
        assert_eq!(home.text(".menu-head strong"), "Sukarno");
        for password in ["caf\u{e9} river candle", "cafe\u{301} river candle"] {
            let browser = server.browser();
            browser.post("/signin", &[("email", &email), ("password", password)]).await.location();
        }
    }
    let page = server.browser();
    let page =
        page.post(YOU, &[("first_name", " "), ("last_name", ""), ("password", PASSWORD)]).await.expect(422);
    assert_eq!(page.why("first_name"), "Enter your name.");
}
