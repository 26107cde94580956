use crate::harness::{Church, PASSWORD, TestServer, sign_up, watch};

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
    assert_eq!(page.why("last_name"), "Enter your last name.");
    assert_eq!(page.why("email"), "This is not an email address. It looks like name@example.org.");
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
