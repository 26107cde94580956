//! Tags: written down at a member, filtered by in the list, renamed and removed in the settings.

use crate::harness::{Browser, Church, Page, TestServer};
use server::config::Isolation;
use uuid::Uuid;

for_both_kinds!(
    tags_are_made_ticked_and_taken_off,
    a_tag_is_renamed_and_removed_with_its_uses,
    the_tags_of_one_church_are_nothing_to_another,
    an_admin_of_some_branches_tags_its_own_members_only,
);

/// The form of somebody new, with tags that are ticked and new ones that are written down.
async fn send(browser: &Browser, at: &str, last_name: &str, ticked: &[&str], new: &str) -> Page {
    let form = browser.get(at).await.expect(200);
    let branch = form.attribute("#branch_id option:not([value=''])", "value").expect("a branch");
    let status = form.attribute("#status_id option:not([value=''])", "value").expect("a status");
    let version = form.value("version");
    let mut fields = vec![
        ("version", version.as_str()),
        ("first_name", "Naomi"),
        ("last_name", last_name),
        ("branch_id", branch.as_str()),
        ("status_id", status.as_str()),
        ("new_tags", new),
    ];
    fields.extend(ticked.iter().map(|tag| ("tags", *tag)));
    browser.post(at, &fields).await
}

async fn add(church: &Church, last_name: &str, new: &str) -> String {
    send(&church.browser, "/members/new", last_name, &[], new).await.location().to_owned()
}

/// Who bears what.
const BORNE: &str = "select coalesce(string_agg(m.last_name || ' ' || t.name, ', ' order by m.last_name, lower(t.name)), '')
                       from member_tags mt join members m on m.id = mt.member_id join tags t on t.id = mt.tag_id";

async fn tag(church: &Church, name: &str) -> String {
    let id: Uuid = church.db().await.one(&format!("select id from tags where name = '{name}'")).await;
    format!("/settings/tags/{id}")
}

async fn names(browser: &Browser, query: &str) -> Vec<String> {
    browser.get(&format!("/members?{query}")).await.expect(200).all("tbody .name a")
}

async fn tags_are_made_ticked_and_taken_off(isolation: Isolation) {
    let server = TestServer::start_with(|config| config.isolation = isolation).await;
    let church = Church::open(&server, "Grace Chapel").await;
    let browser = &church.browser;
    let mut db = church.db().await;
    assert!(browser.get("/members/new").await.expect(200).all("input[name=tags]").is_empty());
    let empty = browser.get("/settings/tags").await.expect(200);
    assert_eq!(empty.text(".empty h2"), "There are no tags yet");

    let naomi = add(&church, "Achieng", " Choir , needs \t a   lift,, CHOIR,").await;
    assert_eq!(db.one::<String>(BORNE).await, "Achieng Choir, Achieng needs a lift");
    let page = browser.get(&naomi).await.expect(200);
    assert_eq!(page.all("dd .chip"), ["Choir", "needs a lift"]);
    assert_eq!(page.attribute("dd .chip[title=Choir]", "href").as_deref(), Some("/members?tag=Choir"));
    let by: bool = db.one("select bool_and(added_by = (select id from admins)) from member_tags").await;
    assert!(by);

    // The same tag, however it is written; what is ticked stays, what is not goes.
    add(&church, "Barasa", "choir, Ushers").await;
    let edit = format!("{naomi}/edit");
    let form = browser.get(&edit).await.expect(200);
    assert_eq!(form.all(".ticks span"), ["Choir", "needs a lift", "Ushers"]);
    assert_eq!(form.all(".ticks input[checked] + span"), ["Choir", "needs a lift"]);
    send(browser, &edit, "Achieng", &["Choir", "Ushers"], "").await.location();
    assert_eq!(db.one::<String>(BORNE).await, "Achieng Choir, Achieng Ushers, Barasa Choir, Barasa Ushers");
    send(browser, &edit, "Achieng", &[], "").await.location();
    assert_eq!(db.one::<String>(BORNE).await, "Barasa Choir, Barasa Ushers");
    assert_eq!(db.one::<i64>("select count(*) from tags").await, 3, "a tag nobody bears is still one");

    let log = "select string_agg(concat(action, ' ', (before ->> 'tags'), '>', coalesce(after ->> 'tags', after ->> 'name')), '; '
                                 order by at, after ->> 'name')
                 from audit_log where actor_id = (select id from admins)";
    let log: String = db.one(log).await;
    for said in [
        "added >Choir",
        "added >needs a lift",
        r#"added >["Choir", "needs a lift"]"#,
        r#"changed ["Choir", "needs a lift"]>["Choir", "Ushers"]"#,
        r#"changed ["Choir", "Ushers"]>[]"#,
    ] {
        assert!(log.contains(said), "{said}: {log}");
    }
    assert_eq!(log.matches(">Choir").count(), 1, "it is made once: {log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_tags_is_said_and_stays() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let browser = &church.browser;
    add(&church, "Achieng", "Choir").await;
    let long = "x".repeat(51);
    let many = (1..=20).map(|n| format!("No {n}")).collect::<Vec<_>>().join(",");
    for (new, why) in [
        (&long, "Use at most 50 characters for a tag; “xxxxxxxxxxxxxxxxxxxx…” has 51."),
        (&many, "Use at most 20 tags for a member; these are 21."),
    ] {
        let page = send(browser, "/members/new", "Barasa", &["Choir"], new).await.expect(422);
        assert_eq!(page.why("tags"), why);
        assert_eq!(page.attribute(".summary a", "href").as_deref(), Some("#tags"));
        assert_eq!(page.value("new_tags"), *new);
        assert_eq!(page.all(".ticks input[checked] + span"), ["Choir"]);
    }
    // A tag that was renamed while the form stood open is still ticked.
    let long = "x".repeat(81);
    let page = send(browser, "/members/new", &long, &["Singers"], "").await.expect(422);
    assert_eq!(page.all(".ticks input[checked] + span"), ["Singers"]);

    let mut db = church.db().await;
    db.run("insert into tags (id, name) select gen_random_uuid(), 'Filling ' || n from generate_series(1, 499) n")
        .await;
    let page = send(browser, "/members/new", "Barasa", &["Choir"], "Ushers").await.expect(422);
    assert_eq!(
        page.why("tags"),
        "A church can have 500 tags, and yours has them all. Use one there is, or remove one first."
    );
    assert_eq!(page.value("new_tags"), "Ushers");
    assert_eq!(db.one::<i64>("select count(*) from tags").await, 500, "nothing is done by halves");
    assert_eq!(db.one::<String>(BORNE).await, "Achieng Choir");
    assert_eq!(db.one::<i64>("select count(*) from members").await, 1);
    send(browser, "/members/new", "Barasa", &["Choir", "Filling 7"], "").await.location();
    assert_eq!(browser.get("/settings/tags").await.expect(200).all("tbody tr").len(), 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_is_filtered_by_a_tag_and_shows_the_first() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let browser = &church.browser;
    add(&church, "Achieng", "Choir, Ushers, Youth, R&B, Needs a lift").await;
    let barasa = add(&church, "Barasa", "Choir").await;
    add(&church, "Chebet", "").await;
    let page = browser.get("/members").await.expect(200);
    assert_eq!(page.all("tbody tr:first-child .tags .badge"), ["Choir", "Needs a lift", "R&B", "+2"]);
    assert_eq!(
        page.attribute(".tags .badge:last-child", "title").as_deref(),
        Some("Ushers, Youth"),
        "the others can be read as well"
    );
    assert!(page.all("tbody tr:last-child .tags").is_empty());
    assert_eq!(
        page.all("select[name=tag] option"),
        ["Any tag", "Choir", "Needs a lift", "R&B", "Ushers", "Youth"]
    );

    assert_eq!(names(browser, "tag=Choir").await, ["Achieng, Naomi", "Barasa, Naomi"]);
    assert_eq!(names(browser, "tag=+nEEDS++a+Lift").await, ["Achieng, Naomi"]);
    assert_eq!(names(browser, "tag=Choir&search=barasa").await, ["Barasa, Naomi"]);
    assert!(names(browser, "tag=Nothing").await.is_empty());
    let page = browser.get("/members?tag=choir&sort=-name").await.expect(200);
    assert_eq!((page.value("tag"), page.text(".head p")), ("Choir".into(), "2 people found".into()));
    let sorted = page.attribute("th[aria-sort] a", "href");
    assert_eq!(sorted.as_deref(), Some("/members?tag=choir&sort=name"), "the address keeps it");
    let page = browser.get("/settings/tags").await.expect(200);
    let to: Vec<_> = ["R%26B", "Needs+a+lift"].map(|tag| format!("a[href='/members?tag={tag}']")).into();
    assert!(to.iter().all(|link| page.text(link).starts_with("1 member")), "{}", page.html);

    browser.post(&format!("{barasa}/archive"), &[]).await.location();
    assert_eq!(names(browser, "tag=Choir").await, ["Achieng, Naomi"]);
    assert_eq!(names(browser, "tag=Choir&show=archived").await, ["Barasa, Naomi"]);
    let page = browser.get("/settings/tags").await.expect(200);
    assert_eq!(page.text("tbody td.num"), "1 member with Choir", "who is archived does not count");
}

async fn a_tag_is_renamed_and_removed_with_its_uses(isolation: Isolation) {
    let server = TestServer::start_with(|config| config.isolation = isolation).await;
    let church = Church::open(&server, "Grace Chapel").await;
    let browser = &church.browser;
    let naomi = add(&church, "Achieng", "Choir, Ushers").await;
    add(&church, "Barasa", "Choir").await;
    let choir = tag(&church, "Choir").await;
    let (edit, remove) = (format!("{choir}/edit"), format!("{choir}/remove"));
    let mut db = church.db().await;
    let open = browser.get(&format!("{naomi}/edit")).await.expect(200);

    let form = browser.get(&edit).await.expect(200);
    assert_eq!(form.value("name"), "Choir");
    let version = form.value("version");
    let rename =
        async |name: &str, version: &str| browser.post(&edit, &[("name", name), ("version", version)]).await;
    for (name, why) in [
        (" ", "Enter a name for the tag."),
        ("USHERS", "Another tag has this name."),
        (&*"x".repeat(51), "Use at most 50 characters; this has 51."),
    ] {
        let page = rename(name, &version).await.expect(422);
        assert_eq!((page.why("name"), page.value("name")), (why.into(), name.into()));
    }
    assert_eq!(rename(" The   singers ", &version).await.location(), "/settings/tags");
    let page = browser.get("/settings/tags").await.expect(200);
    assert_eq!(page.text(".notice strong"), "Your changes are saved.");
    assert_eq!(page.all("tbody .name span"), ["The singers", "Ushers"]);
    let borne = "Achieng The singers, Achieng Ushers, Barasa The singers";
    assert_eq!(db.one::<String>(BORNE).await, borne);
    let stale = rename("Somebody else's", &version).await.expect(422);
    assert!(stale.why("name").starts_with("Somebody else has changed this tag"), "{}", stale.words());
    // The form of a member that was opened before does not bring the old name back unseen.
    let (branch, status) = (open.value("branch_id"), open.value("status_id"));
    let fields = [
        ("version", open.value("version")),
        ("first_name", "Naomi".into()),
        ("last_name", "Achieng".into()),
        ("branch_id", branch),
        ("status_id", status),
        ("tags", "Choir".into()),
    ];
    let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
    let page = browser.post(&format!("{naomi}/edit"), &fields).await.expect(422);
    assert!(page.why("first_name").starts_with("Somebody else has changed this member"));
    assert_eq!(page.all(".ticks input[checked] + span"), ["Choir"], "what was ticked stays");
    assert_eq!(db.one::<String>(BORNE).await, borne);

    let asked = browser.get(&remove).await.expect(200);
    assert_eq!(asked.text("h1"), "Remove The singers?");
    assert!(asked.text("main p").starts_with("2 members lose it."));
    assert_eq!(db.one::<String>(BORNE).await, borne, "asking removes nothing");
    assert_eq!(browser.post(&remove, &[]).await.location(), "/settings/tags");
    assert_eq!(db.one::<String>(BORNE).await, "Achieng Ushers");
    let said = browser.get("/settings/tags").await.expect(200);
    assert_eq!(said.text(".notice strong"), "The tag is removed, and nobody bears it any more.");
    assert_eq!(browser.post(&remove, &[]).await.location(), "/settings/tags", "pressed twice");
    browser.get(&remove).await.expect(404);
    browser.get(&edit).await.expect(404);
    let log = "select string_agg(concat(action, ' ', before ->> 'name', '>', after ->> 'name'), ', ' order by at)
                 from audit_log where entity = 'tag' and action <> 'added' and actor_id = (select id from admins)";
    assert_eq!(db.one::<String>(log).await, "changed Choir>The singers, removed The singers>");
}

/// All that a church keeps of tags.
const SNAPSHOT: &str = "select concat((select string_agg(t::text, ',' order by t.id) from tags t),
                                      (select string_agg(mt::text, ',' order by mt.tag_id) from member_tags mt),
                                      (select string_agg(m::text, ',' order by m.id) from members m),
                                      (select count(*) from audit_log))";

async fn the_tags_of_one_church_are_nothing_to_another(isolation: Isolation) {
    let server = TestServer::start_with(|config| config.isolation = isolation).await;
    let (ours, theirs) =
        tokio::join!(Church::open(&server, "Grace Chapel"), Church::open(&server, "Hope Church"));
    let member = add(&theirs, "Achieng", "Secret").await;
    add(&ours, "Barasa", "Choir").await;
    let secret = tag(&theirs, "Secret").await;
    let before: String = theirs.db().await.one(SNAPSHOT).await;
    for page in ["edit", "remove"] {
        ours.browser.get(&format!("{secret}/{page}")).await.expect(404);
        ours.browser.post(&format!("{secret}/{page}"), &[("name", "Mallory")]).await.expect(match page {
            "edit" => 404,
            // It is as if it were removed already.
            _ => 303,
        });
    }
    for path in ["/settings/tags", "/members", "/members/new", "/members?tag=Secret"] {
        let page = ours.browser.get(path).await.expect(200);
        assert!(!page.html.replace("tag=Secret", "").contains("Secret"), "{path}");
    }
    let own = ours.browser.get("/members/new").await;
    let (branch, status) = (own.value("branch_id"), own.attribute("#status_id option:nth-child(3)", "value"));
    let fields = [
        ("first_name", "Mallory"),
        ("last_name", "Mallory"),
        ("branch_id", &branch),
        ("status_id", &status.expect("a status")),
        ("tags", "Secret"),
    ];
    ours.browser.post(&format!("{member}/edit"), &fields).await.expect(404);
    assert_eq!(theirs.db().await.one::<String>(SNAPSHOT).await, before, "not a row has changed");
    // The same name is a tag of one's own.
    add(&ours, "Chebet", "Secret").await;
    assert_eq!(ours.db().await.one::<String>(BORNE).await, "Barasa Choir, Chebet Secret");
    assert_eq!(theirs.db().await.one::<String>(SNAPSHOT).await, before);
}

async fn an_admin_of_some_branches_tags_its_own_members_only(isolation: Isolation) {
    let server = TestServer::start_with(|config| config.isolation = isolation).await;
    let church = Church::open(&server, "Grace Chapel").await;
    let fields = [("name", "Westlands"), ("timezone", "Africa/Nairobi")];
    church.browser.post("/branches/new", &fields).await.location();
    let naomi = add(&church, "Achieng", "Choir").await;
    let choir = tag(&church, "Choir").await;
    let helper = church.hire(&server, "admin", "helper@example.org", Some("Westlands")).await;
    let staff = church.hire(&server, "viewer", "staff@example.org", None).await;

    send(&helper, "/members/new", "Barasa", &["Choir"], "Youth").await.location();
    let borne = "Achieng Choir, Barasa Choir, Barasa Youth";
    assert_eq!(church.db().await.one::<String>(BORNE).await, borne);
    assert_eq!(names(&helper, "tag=Choir").await, ["Barasa, Naomi"], "whom it may not see is not there");
    let own = helper.get("/settings/tags").await.expect(200);
    assert_eq!(own.text("tbody td.num"), "1 member with Choir", "nor counted");
    assert_eq!(church.browser.get("/settings/tags").await.text("tbody td.num"), "2 members with Choir");
    helper.get(&format!("{naomi}/edit")).await.expect(404);

    let before: String = church.db().await.one(SNAPSHOT).await;
    for browser in [&helper, &staff] {
        let page = browser.get("/settings/tags").await.expect(200);
        assert!(page.all("tbody .btn, dialog").is_empty(), "nothing is offered that is then refused");
        for page in ["edit", "remove"] {
            browser.get(&format!("{choir}/{page}")).await.expect(403);
            browser.post(&format!("{choir}/{page}"), &[("name", "Mallory")]).await.expect(403);
        }
    }
    let stranger = server.browser();
    for path in ["/settings/tags".to_owned(), format!("{choir}/edit"), format!("{choir}/remove")] {
        assert!(stranger.get(&path).await.location().starts_with("/signin?next="), "{path}");
    }
    assert!(stranger.post(&format!("{choir}/remove"), &[]).await.location().starts_with("/signin"));
    assert_eq!(church.db().await.one::<String>(SNAPSHOT).await, before, "not a row has changed");
}
