use crate::harness::{Church, TestServer};

struct Office {
    _server: TestServer,
    church: Church,
    branch: String,
    status: String,
}

impl Office {
    async fn open() -> Self {
        let server = TestServer::start().await;
        let church = Church::open(&server, "Grace Chapel").await;
        let mut db = church.db().await;
        let branch: uuid::Uuid = db.one("select id from branches").await;
        let status: uuid::Uuid = db.one("select id from member_statuses where kind = 'member'").await;
        Self { _server: server, church, branch: branch.to_string(), status: status.to_string() }
    }

    /// The fields that every member has, with others in their place or beside them.
    fn with<'a>(&'a self, fields: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        let plain = [
            ("first_name", "Naomi"),
            ("last_name", "Achieng"),
            ("branch_id", self.branch.as_str()),
            ("status_id", self.status.as_str()),
        ];
        let given: Vec<_> = fields.iter().map(|(name, _)| *name).collect();
        plain.into_iter().filter(|(name, _)| !given.contains(name)).chain(fields.iter().copied()).collect()
    }

    async fn add(&self, fields: &[(&str, &str)]) -> String {
        self.church.browser.post("/members/new", &self.with(fields)).await.location().to_owned()
    }

    async fn names(&self, query: &str) -> Vec<String> {
        self.church.browser.get(&format!("/members?{query}")).await.expect(200).all("tbody .name a")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_is_added_shown_and_changed() {
    let office = Office::open().await;
    let browser = &office.church.browser;
    let typed = office.with(&[
        ("prefix", "Dr"),
        ("middle_name", "Atieno"),
        ("suffix", "OBE"),
        ("preferred_name", "Nao"),
        ("household_role", "spouse"),
        ("gender", "female"),
        ("marital_status", "married"),
        ("birth_day", "29"),
        ("birth_month", "2"),
        ("birth_year", ""),
        ("anniversary", "2010-08-14"),
        ("first_contact_on", "2019-01-06"),
        ("joined_on", "2019-05-03"),
        ("baptised_on", "2020-04-12"),
        ("email", "Naomi.A@example.org"),
        ("mobile", "+254 712 345 678"),
        ("home_phone", "020 123 4567"),
        ("notes", "  Sings alto.\r\n\r\nCall after six. "),
    ]);
    let at = browser.post("/members/new", &typed).await.location().to_owned();
    let page = browser.get(&at).await.expect(200);
    assert_eq!(page.text(".notice strong"), "Member added");
    assert_eq!(page.text("h1"), "Dr Naomi Atieno Achieng OBE");
    let facts = [
        "Nao",
        "6 January 2019",
        "3 May 2019",
        "12 April 2020",
        "0712 345678",
        "020 123 4567",
        "Naomi.A@example.org",
        "Spouse",
        "Married",
        "Female",
        "14 August 2010",
        "29 February",
        "Sings alto.\n\nCall after six.",
    ];
    assert_eq!(page.all("dd"), facts);

    let edit = browser.get(&format!("{at}/edit")).await.expect(200);
    for (field, typed) in &typed {
        let shown = match *field {
            "mobile" => "0712 345678",
            "notes" => "Sings alto.\n\nCall after six.",
            _ => typed,
        };
        assert_eq!(edit.value(field), shown, "{field}");
    }
    browser.post(&format!("{at}/edit"), &office.with(&[("first_name", "Ruth")])).await.location();
    let mut db = office.church.db().await;
    let row = "select concat_ws('|', first_name, last_name, gender, marital_status, notes, mobile_e164) from members";
    assert_eq!(db.one::<String>(row).await, "Ruth|Achieng|unspecified|unknown");
    let log = "select string_agg(action || ' ' || coalesce(before ->> 'mobile_e164', '-'), ', ' order by at)
                 from audit_log where entity = 'member'";
    assert_eq!(db.one::<String>(log).await, "added -, changed +254712345678");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_member_is_said_at_its_field() {
    let office = Office::open().await;
    let long = "x".repeat(10_001);
    let nobody = "0193b3a0-0000-7000-8000-000000000000";
    let wrong = [
        ("last_name", &long[..81], "Use at most 80 characters; this has 81."),
        ("email", "naomi", "Enter an email address like name@example.org."),
        ("mobile", "07", "This number is too short."),
        ("mobile", "1234567890123456", "This number is too long."),
        ("home_phone", "<b>", "Use digits and spaces only, with + in front of a country's code."),
        ("branch_id", "", "Choose the branch."),
        ("branch_id", "' or 1=1", "Choose one of your branches."),
        ("branch_id", nobody, "Choose one of your branches."),
        ("status_id", "", "Choose the status."),
        ("status_id", nobody, "Choose one of your statuses."),
        ("household_role", "king", "Choose the role."),
        ("gender", "x", "Choose the gender."),
        ("marital_status", "x", "Choose the marital status."),
        ("birth_month", "13", "Enter a number from 1 to 12."),
        ("birth_year", "1066", "Enter a number from 1850 to 2200."),
        ("birth_day", "3", "Choose the month as well."),
        ("joined_on", "2026-02-30", "Enter a real date."),
        ("joined_on", "yesterday", "Write the date as year-month-day, like 2026-11-21."),
        ("anniversary", "0000-00-00", "Use a year between 1850 and 2200."),
        ("notes", &long, "Use at most 10000 characters; this has 10001."),
    ];
    for (field, typed, why) in wrong {
        let page =
            office.church.browser.post("/members/new", &office.with(&[(field, typed)])).await.expect(422);
        assert_eq!(page.why(field), why, "{field}: {typed}");
        assert_eq!(page.text(".summary:not([hidden]) li a"), why);
        if !field.ends_with("_id")
            && !matches!(field, "household_role" | "gender" | "marital_status" | "birth_month")
        {
            assert_eq!(page.value(field), typed, "what was typed stays");
        }
    }
    let nameless = office.with(&[("first_name", " "), ("last_name", "")]);
    let page = office.church.browser.post("/members/new", &nameless).await.expect(422);
    assert_eq!(page.why("first_name"), "Enter a first or last name.");
    let fields = office.with(&[("birth_day", "31"), ("birth_month", "4")]);
    let page = office.church.browser.post("/members/new", &fields).await.expect(422);
    assert_eq!(page.why("birth_day"), "Enter a real date.");
    assert_eq!(office.church.db().await.one::<i64>("select count(*) from members").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_input_is_stored_as_it_was_typed() {
    let office = Office::open().await;
    for name in
        ["'); drop table members;--", "<script>alert(1)</script>", "Ἀγάπη 🕊 יְהוֹשֻׁעַ", "a\\b\"c'd%_&amp;"]
    {
        let at = office.add(&[("last_name", name), ("notes", name)]).await;
        let page = office.church.browser.get(&at).await.expect(200);
        assert_eq!(page.text("h1"), format!("Naomi {name}"));
        assert!(!page.html.contains("<script>alert"), "nothing that was typed runs");
        let edit = office.church.browser.get(&format!("{at}/edit")).await;
        assert_eq!((edit.value("last_name"), edit.value("notes")), (name.into(), name.into()));
    }
    let bytes = "first_name=%FF%FE&last_name=x";
    let sent = office.church.browser.request(|client, base| {
        let request = client.post(format!("{base}/members/new")).body(bytes);
        request.header("content-type", "application/x-www-form-urlencoded")
    });
    assert_eq!(sent.await.expect(422).value("last_name"), "x");
    let huge = "x".repeat(300_000);
    office.church.browser.post("/members/new", &office.with(&[("notes", &huge)])).await.expect(413);
    let json = office.church.browser.request(|client, base| {
        client.post(format!("{base}/members/new")).body("{}").header("content-type", "application/json")
    });
    json.await.expect(415);
}

#[tokio::test(flavor = "multi_thread")]
async fn archiving_and_restoring() {
    let office = Office::open().await;
    let browser = &office.church.browser;
    let at = office.add(&[]).await;
    assert_eq!(browser.get(&format!("{at}/archive")).await.expect(200).text("h1"), "Archive Naomi Achieng?");
    assert_eq!(office.names("").await, ["Achieng, Naomi"], "asking archives nothing");
    assert_eq!(browser.post(&format!("{at}/archive"), &[]).await.location(), at);
    assert_eq!(browser.get(&at).await.text(".notice.warn strong"), "This person is archived.");
    assert!(office.names("").await.is_empty());
    assert_eq!(office.names("show=archived").await, ["Achieng, Naomi"]);
    assert_eq!(browser.get("/").await.text(".figure"), "0");
    assert_eq!(browser.post(&format!("{at}/restore"), &[]).await.location(), at);
    assert_eq!(office.names("").await, ["Achieng, Naomi"]);
    let log = "select string_agg(action, ' ' order by at) from audit_log where entity = 'member'";
    assert_eq!(office.church.db().await.one::<String>(log).await, "added archived restored");
}

#[tokio::test(flavor = "multi_thread")]
async fn searching_filtering_and_sorting() {
    let office = Office::open().await;
    let browser = &office.church.browser;
    let fields = [("name", "Westlands"), ("timezone", "Africa/Nairobi")];
    let at = browser.post("/branches/new", &fields).await.location().to_owned();
    let westlands = at.trim_start_matches("/branches/");
    let visitor: uuid::Uuid =
        office.church.db().await.one("select id from member_statuses where kind = 'visitor'").await;
    let visitor = visitor.to_string();
    office.add(&[("first_name", "Léa"), ("last_name", "Diallo"), ("email", "lea@example.org")]).await;
    office.add(&[("first_name", "Johan"), ("last_name", "Ångström"), ("mobile", "0712 345 678")]).await;
    office.add(&[("first_name", "Kevin"), ("last_name", "barasa"), ("branch_id", westlands)]).await;
    office
        .add(&[
            ("first_name", "Zoe"),
            ("last_name", "Zulu"),
            ("preferred_name", "100%"),
            ("status_id", &visitor),
        ])
        .await;

    let all = ["Ångström, Johan", "barasa, Kevin", "Diallo, Léa", "Zulu, Zoe"];
    assert_eq!(office.names("").await, all, "as a dictionary would");
    assert_eq!(office.names("sort=-name").await, all.iter().rev().copied().collect::<Vec<_>>());
    assert_eq!(office.names("sort=added").await[0], "Diallo, Léa");
    assert_eq!(office.names("sort=-added").await[0], "Zulu, Zoe");
    assert_eq!(office.names("sort=-branch").await[0], "barasa, Kevin");
    assert_eq!(office.names("sort=status").await[0], "Zulu, Zoe");

    assert_eq!(office.names("search=lea").await, ["Diallo, Léa"], "without its mark");
    assert_eq!(office.names("search=ANGSTR").await, ["Ångström, Johan"]);
    assert_eq!(office.names("search=lea@example").await, ["Diallo, Léa"]);
    assert_eq!(office.names("search=johan+angstrom").await, ["Ångström, Johan"], "the words in any order");
    for phone in ["0712345678", "0712+345+678", "254712345678", "%2B254712", "345678"] {
        assert_eq!(office.names(&format!("search={phone}")).await, ["Ångström, Johan"], "{phone}");
    }
    assert_eq!(office.names("search=100%25").await, ["Zulu, Zoe"], "a wildcard is a letter like any other");
    assert_eq!(office.names(&format!("branch={westlands}")).await, ["barasa, Kevin"]);
    assert_eq!(office.names(&format!("status={visitor}")).await, ["Zulu, Zoe"]);

    let page = browser.get(&format!("/members?search=z&status={visitor}&sort=-name")).await;
    assert_eq!(
        (page.value("search"), page.value("status")),
        ("z".into(), visitor.clone()),
        "the address keeps it all"
    );
    assert_eq!(page.attribute("th[aria-sort]", "aria-sort").as_deref(), Some("descending"));
    let sorted = page.attribute("th[aria-sort] a", "href").expect("a link");
    assert_eq!(sorted, format!("/members?search=z&status={visitor}&sort=name"));
    let none = browser.get("/members?search=nobody").await;
    assert_eq!(none.text(".empty h2"), "No people found");
    assert_eq!(none.attribute(".empty a", "href").as_deref(), Some("/members"));
    for odd in
        ["page=0", "page=-1", "page=99999999999", "sort=%27%3B--", "branch=x&status=%00", "search=%00%27%25"]
    {
        browser.get(&format!("/members?{odd}")).await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_a_full_church() {
    let office = Office::open().await;
    assert_eq!(office.church.browser.get("/members").await.text(".empty h2"), "No people yet");
    let fill = "insert into members (id, branch_id, status_id, first_name, last_name, sort_name, search_text)
                select gen_random_uuid(), (select id from branches), (select id from member_statuses where kind = 'member'),
                       'Person', 'No ' || to_char(n, 'FM000'), to_char(n, 'FM000'), 'person' from generate_series(1, 284) n";
    office.church.db().await.run(fill).await;
    let page = office.church.browser.get("/members").await;
    assert_eq!(page.text(".head p"), "284 people in 1 branch");
    assert_eq!(page.all("tbody tr").len(), 25);
    assert_eq!(page.text(".foot p"), "1–25 of 284");
    assert!(page.attribute("a[rel=prev]", "href").is_none());
    let last = office.church.browser.get("/members?sort=name&page=12").await;
    assert_eq!(last.text(".foot p"), "276–284 of 284");
    assert!(last.attribute("a[rel=next]", "href").is_none());
    assert_eq!(last.attribute("a[rel=prev]", "href").as_deref(), Some("/members?sort=name&page=11"));
    assert_eq!(office.church.browser.get("/").await.all(".figure"), ["284", "1", "0", "0"]);
}
