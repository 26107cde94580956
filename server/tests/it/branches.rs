use crate::harness::{Church, Page, TestServer};

const PLAIN: [(&str, &str); 2] = [("name", "Westlands"), ("timezone", "Africa/Nairobi")];

async fn church() -> (TestServer, Church) {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    (server, church)
}

async fn add(church: &Church, name: &str) -> String {
    let fields = [("name", name), ("timezone", "Africa/Nairobi")];
    church.browser.post("/branches/new", &fields).await.location().to_owned()
}

fn with<'a>(fields: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let given: Vec<_> = fields.iter().map(|(name, _)| *name).collect();
    PLAIN.into_iter().filter(|(name, _)| !given.contains(name)).chain(fields.iter().copied()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_is_added_shown_and_changed() {
    let (_server, church) = church().await;
    let fields = [
        ("name", "Westlands"),
        ("short_code", "WL"),
        ("phone", "0712 345 678"),
        ("email", "westlands@example.org"),
        ("website", "www.example.org/westlands"),
        ("address1", "14 Church Road"),
        ("address2", "Third floor"),
        ("city", "Nairobi"),
        ("region", "Nairobi County"),
        ("postal_code", "00800"),
        ("country", "KE"),
        ("timezone", "Africa/Nairobi"),
        ("service_times", "Sunday 9:00\r\nSunday 11:00"),
    ];
    let at = church.browser.post("/branches/new", &fields).await.location().to_owned();
    let page = church.browser.get(&at).await.expect(200);
    assert_eq!(page.text(".notice strong"), "Branch added");
    assert!(church.browser.get(&at).await.all(".notice").is_empty(), "it is said once");
    let facts = page.all("dd");
    let expected = [
        "WL",
        "Sunday 9:00\nSunday 11:00",
        "0712 345678",
        "westlands@example.org",
        "www.example.org/westlands",
        "14 Church Road",
        "Third floor",
        "Nairobi",
        "00800",
        "Nairobi County",
        "Kenya",
        "Africa/Nairobi",
    ];
    assert_eq!(facts, expected);

    let edit = church.browser.get(&format!("{at}/edit")).await.expect(200);
    for (field, typed) in fields {
        let shown = match field {
            "phone" => "0712 345678",
            "website" => "https://www.example.org/westlands",
            "service_times" => "Sunday 9:00\nSunday 11:00",
            _ => typed,
        };
        assert_eq!(edit.value(field), shown, "{field}");
    }
    let changed = church.browser.post(&format!("{at}/edit"), &with(&[("name", "Westlands Chapel")])).await;
    assert_eq!(changed.location(), at);
    let mut db = church.db().await;
    let row = "select concat_ws('|', name, short_code, phone_e164, city) from branches where not is_main";
    assert_eq!(db.one::<String>(row).await, "Westlands Chapel", "what was emptied is empty");
    let log = "select string_agg(concat_ws(' ', l.action, l.before ->> 'city', a.email), ', ' order by l.at)
                 from audit_log l join admins a on a.id = l.actor_id where entity = 'branch'";
    let logged = format!("added {0}, changed Nairobi {0}", church.email);
    assert_eq!(db.one::<String>(log).await, logged);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_branch_is_said_at_its_field() {
    let (_server, church) = church().await;
    add(&church, "Westlands").await;
    let long = "x".repeat(1001);
    let wrong = [
        ("name", "", "Enter the name of the branch."),
        ("name", "\u{0}\u{1}", "Enter the name of the branch."),
        ("name", "WESTLANDS", "Another branch has this name."),
        ("name", &long[..121], "Use at most 120 characters; this has 121."),
        ("short_code", "more than twelve", "Use at most 12 characters; this has 16."),
        ("phone", "call me", "Use digits and spaces only, with + in front of the country code."),
        (
            "phone",
            "0712 34",
            "This is not a telephone number in Kenya. For one elsewhere, begin with + and the country's code.",
        ),
        ("email", "' or 1=1 --", "An email address has an @, like name@example.org."),
        ("website", "javascript:alert(1)", "This is not a web address. It looks like www.example.org."),
        ("country", "ZZ", "Choose a country."),
        ("timezone", "", "Choose the time zone."),
        ("timezone", "Mars/Base", "Choose the time zone."),
        ("parent_id", "not-an-id", "Choose one of your branches."),
        ("parent_id", "0193b3a0-0000-7000-8000-000000000000", "Choose one of your branches."),
        ("service_times", &long, "Use at most 1000 characters; this has 1001."),
    ];
    for (field, typed, why) in wrong {
        let mut fields = vec![(field, typed)];
        if field != "name" {
            fields.push(("name", "Karen"));
        }
        let page = church.browser.post("/branches/new", &with(&fields)).await;
        let page = page.expect(422);
        assert_eq!(page.why(field), why, "{field}: {typed}");
        assert_eq!(page.text(".summary li a"), why);
        if !matches!(field, "country" | "timezone" | "parent_id") && !typed.contains('\u{0}') {
            assert_eq!(page.value(field), typed, "what was typed stays");
        }
    }
    assert_eq!(church.db().await.one::<i64>("select count(*) from branches").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_input_is_stored_as_it_was_typed() {
    let (_server, church) = church().await;
    for name in ["'); drop table branches;--", "<img src=x onerror=alert(1)>", "教会 🕊 ﷽", "a\\b\"c'd%_"]
    {
        let at = add(&church, name).await;
        let page = church.browser.get(&at).await.expect(200);
        assert_eq!(page.text("h1"), name);
        assert!(!page.html.contains("<img"), "nothing that was typed runs");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn archiving_and_restoring() {
    let (_server, church) = church().await;
    let at = add(&church, "Westlands").await;
    let question = church.browser.get(&format!("{at}/archive")).await.expect(200);
    assert_eq!(question.text("h1"), "Archive Westlands?");
    assert_eq!(church.browser.get("/branches").await.all("tbody tr").len(), 2, "asking archives nothing");

    assert_eq!(church.browser.post(&format!("{at}/archive"), &[]).await.location(), at);
    assert_eq!(church.browser.get(&at).await.text(".notice.warn strong"), "This branch is archived.");
    assert_eq!(church.browser.get("/branches").await.all("tbody a"), ["Main church"]);
    assert_eq!(church.browser.get("/branches?show=archived").await.all("tbody a"), ["Westlands"]);
    assert!(!church.browser.get("/members/new").await.html.contains("Westlands"), "it is no choice any more");

    assert_eq!(church.browser.post(&format!("{at}/restore"), &[]).await.location(), at);
    assert_eq!(church.browser.get("/branches").await.all("tbody a"), ["Main church", "Westlands"]);
    // Twice is once.
    church.browser.post(&format!("{at}/restore"), &[]).await.location();
    let log = "select string_agg(action, ' ' order by at) from audit_log where entity = 'branch' and actor_id is not null";
    assert_eq!(church.db().await.one::<String>(log).await, "added archived restored");
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_one_main_branch_and_it_stays_open() {
    let (_server, church) = church().await;
    let westlands = add(&church, "Westlands").await;
    let main: uuid::Uuid = church.db().await.one("select id from branches where is_main").await;
    let main = format!("/branches/{main}");
    let page: Page = church.browser.post(&format!("{main}/archive"), &[]).await.expect(422);
    let why = "The main branch cannot be archived. Make another branch the main one first.";
    assert_eq!(page.text(".summary li"), why);
    let page =
        church.browser.post(&format!("{main}/edit"), &with(&[("name", "Main church")])).await.expect(422);
    assert!(page.why("is_main").starts_with("A church has one main branch."));

    church.browser.post(&format!("{westlands}/edit"), &with(&[("is_main", "on")])).await.location();
    let now: String = church.db().await.one("select string_agg(name, ',') from branches where is_main").await;
    assert_eq!(now, "Westlands");
    church.browser.post(&format!("{main}/archive"), &[]).await.location();
    let page =
        church.browser.post(&format!("{main}/edit"), &with(&[("name", "Old"), ("is_main", "on")])).await;
    assert_eq!(page.expect(422).why("is_main"), "Restore this branch before making it the main one.");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_cannot_belong_to_itself_or_below() {
    let (_server, church) = church().await;
    let parent = add(&church, "Parent").await;
    let id = |at: &str| at.trim_start_matches("/branches/").to_owned();
    let fields = [("name", "Child"), ("parent_id", &*id(&parent))];
    let child = church.browser.post("/branches/new", &with(&fields)).await.location().to_owned();
    assert!(church.browser.get(&child).await.text(".head p").starts_with("Part of Parent"));
    let page = church
        .browser
        .post(&format!("{parent}/edit"), &with(&[("name", "Parent"), ("parent_id", &id(&child))]))
        .await;
    assert_eq!(page.expect(422).why("parent_id"), "That branch already belongs to this one.");
    let page = church
        .browser
        .post(&format!("{parent}/edit"), &with(&[("name", "Parent"), ("parent_id", &id(&parent))]))
        .await;
    assert_eq!(page.expect(422).why("parent_id"), "A branch cannot belong to itself.");
}

#[tokio::test(flavor = "multi_thread")]
async fn searching_and_turning_pages() {
    let (_server, church) = church().await;
    church
        .db()
        .await
        .run(
            "insert into branches (id, name, city, timezone)
             select gen_random_uuid(), 'Branch ' || to_char(n, 'FM00'), 'City ' || n, 'UTC' from generate_series(1, 60) n",
        )
        .await;
    let page = church.browser.get("/branches?page=2").await.expect(200);
    assert_eq!(page.text(".foot p"), "26–50 of 61");
    assert_eq!(page.all("tbody a")[0], "Branch 25");
    assert_eq!(page.attribute("a[rel=next]", "href").as_deref(), Some("/branches?page=3"));
    assert_eq!(page.attribute("a[rel=prev]", "href").as_deref(), Some("/branches"));
    let found = church.browser.get("/branches?search=city%2017").await;
    assert_eq!(found.all("tbody a"), ["Branch 17"]);
    assert_eq!(found.value("search"), "city 17");
    let none = church.browser.get("/branches?search=%25").await;
    assert_eq!(none.text(".empty h2"), "No branches found", "a wildcard is a letter like any other");
    for odd in ["page=0", "page=-1", "page=99999999999", "page=x&show=%27", "search=%00"] {
        church.browser.get(&format!("/branches?{odd}")).await.expect(200);
    }
}
