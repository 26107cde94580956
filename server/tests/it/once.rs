//! A form that creates a record creates it once, however often it is posted.

use crate::harness::{Church, Page, TestServer};
use futures::future::join_all;

type Field<'a> = (&'a str, &'a str);

struct Case<'a> {
    at: &'a str,
    fields: &'a [Field<'a>],
    /// A field with which the form is refused.
    wrong: Field<'a>,
    /// A field that somebody changes who went back.
    changed: Field<'a>,
    table: &'a str,
}

/// The fields with others in their place, and the form's key.
fn filled<'a>(fields: &[Field<'a>], other: Option<Field<'a>>, key: &'a str) -> Vec<Field<'a>> {
    assert!(!key.is_empty(), "the form has a key");
    let kept = fields.iter().copied().filter(|(name, _)| other.is_none_or(|(other, _)| *name != other));
    [("key", key)].into_iter().chain(kept).chain(other).collect()
}

async fn is_created_once(church: &Church, case: Case<'_>) {
    let Case { at, fields, wrong, changed, table } = case;
    let browser = &church.browser;
    let mut db = church.db().await;
    let count = format!("select count(*) from {table}");
    let before: i64 = db.one(&count).await;
    let key = browser.get(at).await.expect(200).value("key");
    assert_ne!(key, browser.get(at).await.expect(200).value("key"), "each form has a key of its own");

    // A form that was refused is corrected under its key.
    let refused = browser.post(at, &filled(fields, Some(wrong), &key)).await.expect(422);
    assert_eq!(refused.value("key"), key);

    let form = filled(fields, None, &key);
    let answers: Vec<Page> = join_all((0..8).map(|_| browser.post(at, &form))).await;
    let again = browser.post(at, &form).await.location().to_owned();
    // A token is shown once; everything else leads to the record each time.
    let shown = answers.iter().filter(|page| page.status == 200).count();
    assert_eq!(shown, usize::from(table == "personal_tokens"));
    for page in answers.iter().filter(|page| page.status != 200) {
        assert_eq!(page.location(), again);
    }
    assert_eq!(db.one::<i64>(&count).await, before + 1, "{at}");

    // Somebody went back, and changed the form.
    let other = browser.post(at, &filled(fields, Some(changed), &key)).await.expect(422);
    assert_eq!(other.value(changed.0), changed.1, "what was typed stays");
    assert!(other.form_error().starts_with("This form was sent before"), "{}", other.words());
    assert_eq!(db.one::<i64>(&count).await, before + 1);
    let fresh = other.value("key");
    assert_ne!(fresh, key);
    let done = browser.post(at, &filled(fields, Some(changed), &fresh)).await;
    assert!(done.status == 303 || done.status == 200, "{}", done.words());
    assert_eq!(db.one::<i64>(&count).await, before + 2, "{at}");
    // The first form still leads where it led.
    assert_eq!(browser.post(at, &form).await.location(), again);
    assert_eq!(db.one::<i64>(&count).await, before + 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_form_that_creates_something_does_it_once() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let mut db = church.db().await;
    let branch = db.one::<uuid::Uuid>("select id from branches").await.to_string();
    let status = "select id from member_statuses where kind = 'member'";
    let status = db.one::<uuid::Uuid>(status).await.to_string();
    let member = [
        ("first_name", "Naomi"),
        ("last_name", "Achieng"),
        ("branch_id", branch.as_str()),
        ("status_id", status.as_str()),
        ("new_tags", "Choir, Ushers"),
    ];
    let case = Case {
        at: "/members/new",
        fields: &member,
        wrong: ("email", "naomi"),
        changed: ("first_name", "Lydia"),
        table: "members",
    };
    is_created_once(&church, case).await;
    assert_eq!(db.one::<i64>("select count(*) from tags").await, 2);
    let log = "select count(*) from audit_log where entity = 'member'";
    assert_eq!(db.one::<i64>(log).await, 2);
    let case = Case {
        at: "/branches/new",
        fields: &[("name", "Westlands"), ("timezone", "Africa/Nairobi")],
        // Only the database knows that there is one already.
        wrong: ("name", "MAIN CHURCH"),
        changed: ("name", "Karen"),
        table: "branches",
    };
    is_created_once(&church, case).await;
    let case = Case {
        at: "/settings/tokens/new",
        fields: &[("name", "our website"), ("scope", "read"), ("expires", "90")],
        wrong: ("scope", "everything"),
        changed: ("name", "our telephone app"),
        table: "personal_tokens",
    };
    is_created_once(&church, case).await;

    // A key is its owner's, and its church's.
    let key = church.browser.get("/branches/new").await.value("key");
    let form = |name| [("key", key.as_str()), ("name", name), ("timezone", "UTC")];
    church.browser.post("/branches/new", &form("Kibera")).await.location();
    let helper = church.hire(&server, "admin", "helper@example.org", None).await;
    helper.post("/branches/new", &form("Thika")).await.location();
    let other = Church::open(&server, "Hope Church").await;
    other.browser.post("/branches/new", &form("Kibera")).await.location();
    assert_eq!(other.db().await.one::<i64>("select count(*) from branches").await, 2);
}
