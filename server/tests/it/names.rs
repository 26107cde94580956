//! Names as people write and search them: one of them, any script, any keyboard.

use crate::harness::{Office, TestServer};
use chrono::{Days, NaiveDate, Utc};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn members_are_found_as_they_are_shown_and_as_people_can_type() {
    let office = Office::open().await;
    for (first, last, mobile, home) in [
        ("Pat", "O'Tester", "", ""),
        ("Sam", "O’Tester", "", ""),
        ("Łukasz", "Wałęsa", "", ""),
        ("Søren", "Groß", "", ""),
        ("Þóra", "Æsa", "", ""),
        ("Đorđe", "Œuvre", "", ""),
        ("Işık", "İpek", "", ""),
        ("Agnes", "Achieng", "0712 345 678", ""),
        ("Anne-Marie", "Smith-Jones", "", "020-555-0199"),
        ("Ｎａｏｍｉ", "Numéro ７", "", ""),
        ("Rene\u{301}", "Nun\u{303}ez", "", ""),
        ("Γιώργος", "Παπάς", "", ""),
    ] {
        let fields = [("first_name", first), ("last_name", last), ("mobile", mobile), ("home_phone", home)];
        office.post(&fields).await.location();
    }
    for (search, count) in [
        ("O'T", 2),
        ("O’T", 2),
        ("OʼTester", 2),
        ("otester", 2),
        ("O'Tester, Pat", 1),
        ("lukasz walesa", 1),
        ("Łukasz", 1),
        ("soren", 1),
        ("gross", 1),
        ("GROẞ", 1),
        ("thora aesa", 1),
        ("dorde oeuvre", 1),
        ("isik ipek", 1),
        ("IŞIK", 1),
        ("Achieng, Agnes", 1),
        ("(Achieng); Agnes.", 1),
        ("0712-345-678", 1),
        ("(0712) 345678", 1),
        ("0712.345.678", 1),
        ("+254 712/345/678", 1),
        ("０７１２", 1),
        ("020-555-0199", 1),
        ("annemarie", 1),
        ("Anne Marie", 1),
        ("smith–jones", 1),
        ("naomi 7", 1),
        ("René Nuñez", 1),
        ("Rene\u{301} Nun\u{303}ez", 1),
        ("rene nunez", 1),
        ("ΓΙΩΡΓΟΣ", 1),
        ("ag\u{200B}nes", 1),
        ("Achieng, Naomi", 0),
        ("0713-345-678", 0),
    ] {
        assert_eq!(office.found(search).await, (count, count), "{search}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn branches_are_found_without_marks_and_punctuation() {
    let office = Office::open().await;
    for (name, city) in [("Saint-Étienne", "Zürich"), ("St. Mary’s", "Łódź")] {
        let fields = [("name", name), ("city", city), ("timezone", "UTC")];
        office.church.browser.post("/branches/new", &fields).await.location();
    }
    for (search, name) in [
        ("saint etienne", "Saint-Étienne"),
        ("Saint-Étienne", "Saint-Étienne"),
        ("zurich", "Saint-Étienne"),
        ("st marys", "St. Mary’s"),
        ("St. Mary's", "St. Mary’s"),
        ("lodz", "St. Mary’s"),
    ] {
        let query = serde_urlencoded::to_string([("search", search)]).expect("a query");
        let page = office.church.browser.get(&format!("/branches?{query}")).await.expect(200);
        assert_eq!(page.all("tbody a"), [name], "{search}");
        let api = office.program.get(&format!("/api/branches?{query}")).await.expect(200);
        assert_eq!(api.body["items"][0]["name"], name, "{search}");
        assert_eq!(api.body["items"].as_array().map(Vec::len), Some(1), "{search}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_spellings_of_one_text_are_one() {
    let office = Office::open().await;
    let (composed, decomposed) = ("Café", "Cafe\u{301}");
    // A form and the API, each with its own spelling.
    office.post(&[("last_name", "One"), ("new_tags", composed), ("notes", decomposed)]).await.location();
    let new = office.json(json!({ "lastName": "Two", "tags": [decomposed], "notes": decomposed }));
    let said = office.program.post("/api/members", new).await.expect(201);
    assert_eq!(said.body["tags"], json!([composed]));
    let mut db = office.church.db().await;
    assert_eq!(db.one::<String>("select string_agg(name, '|') from tags").await, composed);
    assert!(db.one::<bool>("select bool_and(notes is nfc normalized) from members").await);
    let query = serde_urlencoded::to_string([("tag", decomposed)]).expect("a query");
    let page = office.church.browser.get(&format!("/members?{query}")).await.expect(200);
    assert_eq!(page.all("tbody .name a").len(), 2);
    let api = office.program.get(&format!("/api/members?{query}")).await.expect(200);
    assert_eq!(api.body["items"].as_array().map(Vec::len), Some(2));

    let branch = |name| [("name", name), ("timezone", "UTC")];
    office.church.browser.post("/branches/new", &branch(decomposed)).await.location();
    let page = office.church.browser.post("/branches/new", &branch(composed)).await.expect(422);
    assert_eq!(page.why("name"), "Another branch has this name.");
    let said = office.program.post("/api/branches", json!({ "name": decomposed })).await;
    assert_eq!(said.problem(422, "invalid").why("name"), "Another branch has this name.");
    // What looks the same is the same.
    let new = office.json(json!({ "lastName": "Three", "tags": ["Ca\u{200B}fé\u{2060}"] }));
    office.program.post("/api/members", new).await.expect(201);
    assert_eq!(db.one::<i64>("select count(*) from tags").await, 1);
    // A text that grows when it is composed is measured as it is stored.
    let growing = "\u{958}".repeat(80);
    let said = office.program.post("/api/members", office.json(json!({ "lastName": growing }))).await;
    assert_eq!(said.problem(422, "invalid").why("lastName"), "Use at most 80 characters; this has 160.");
}

#[tokio::test(flavor = "multi_thread")]
async fn invisible_names_are_refused() {
    let office = Office::open().await;
    for invisible in
        ["\u{200B}", "\u{FEFF}\u{2060}", "\u{3164}", "\u{2800}", "\u{AD} \u{202E}", "\u{200D}\u{FE0F}"]
    {
        let page = office.post(&[("first_name", invisible), ("last_name", invisible)]).await.expect(422);
        assert_eq!(page.why("first_name"), "Enter a first or last name.", "{invisible:?}");
        let new = office.json(json!({ "firstName": invisible, "lastName": "" }));
        let said = office.program.post("/api/members", new).await.problem(422, "invalid");
        assert_eq!(said.why("firstName"), "Enter a first or last name.");
        let fields = [("name", invisible), ("timezone", "UTC")];
        office.church.browser.post("/branches/new", &fields).await.expect(422);
        let tagged = office.json(json!({ "lastName": "Achieng", "tags": [invisible] }));
        office.program.post("/api/members", tagged).await.problem(422, "invalid");
        let token = [("name", invisible), ("scope", "read"), ("expires", "30")];
        office.church.browser.post("/settings/tokens/new", &token).await.expect(422);
    }
    let mut db = office.church.db().await;
    let made = "select (select count(*) from members) + (select count(*) from tags)
                     + (select count(*) from branches) + (select count(*) from personal_tokens)";
    assert_eq!(db.one::<i64>(made).await, 1, "only the main branch is there");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_name_is_enough_and_stands_alone() {
    let office = Office::open().await;
    let browser = &office.church.browser;
    let ages = office.post(&[("first_name", "Agnes")]).await.location().to_owned();
    let mumo = office.post(&[("first_name", " \u{200B}"), ("last_name", "Mumo")]).await.location().to_owned();
    office.post(&[("first_name", "Ruth"), ("last_name", "Barasa")]).await.location();
    let said =
        office.program.post("/api/members", office.json(json!({ "firstName": "Cleo" }))).await.expect(201);
    assert_eq!((said.text("firstName"), &said.body["lastName"]), ("Cleo", &Value::Null));

    let list = browser.get("/members").await.expect(200);
    assert_eq!(list.all("tbody .name a"), ["Agnes", "Barasa, Ruth", "Cleo", "Mumo"]);
    assert_eq!(list.all("tbody .avatar"), ["A", "RB", "C", "M"]);
    assert_eq!(list.attribute("tbody .name a", "title").as_deref(), Some("Agnes"));
    assert_eq!(browser.get("/").await.all(".rows a"), ["Cleo", "Barasa, Ruth", "Mumo", "Agnes"]);
    for (at, name) in [(&ages, "Agnes"), (&mumo, "Mumo")] {
        let page = browser.get(at).await.expect(200);
        assert_eq!(page.text("h1"), name);
        assert_eq!(page.text("dialog h2"), format!("Archive {name}?"));
        assert_eq!(browser.get(&format!("{at}/archive")).await.text("h1"), format!("Archive {name}?"));
        assert_eq!(browser.get(&format!("{at}/photo")).await.text("h1"), format!("Photo of {name}"));
        assert!(page.html.contains(&format!("<title>{name} · Grace Chapel")), "{name}");
    }
    // Both may not go; which of them there is may change.
    let at = format!("/api{ages}");
    let said = office.program.patch(&at, json!({ "firstName": null })).await.problem(422, "invalid");
    assert_eq!(said.why("firstName"), "Enter a first or last name.");
    let said = office.program.patch(&at, json!({ "firstName": null, "lastName": "Agnes" })).await.expect(200);
    assert_eq!((&said.body["firstName"], said.text("lastName")), (&Value::Null, "Agnes"));
    let mut db = office.church.db().await;
    let sorted = "select string_agg(sort_name, '|' order by sort_name) from members";
    assert_eq!(db.one::<String>(sorted).await, "agnes|barasa ruth|cleo|mumo");
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_are_read_from_any_keyboard_and_country() {
    let office = Office::open().await;
    let page = office.post(&[
        ("last_name", "Achieng"),
        ("mobile", "０７１２　３４５　６７８"),
        ("home_phone", "０２０‐１２３　４５６７"),
        ("birth_day", "２９"),
        ("birth_month", "2"),
        ("joined_on", "２０２０-０２-２９"),
    ]);
    page.await.location();
    let row = "select concat_ws('|', mobile_e164, home_phone, birth_day, joined_on) from members";
    let mut db = office.church.db().await;
    assert_eq!(db.one::<String>(row).await, "+254712345678|020-123 4567|29|2020-02-29");
    for (typed, stored) in [
        ("＋２５４ 712 345 678", "+254712345678"),
        ("\u{202A}+254\u{A0}712\u{A0}345\u{A0}678\u{202C}", "+254712345678"),
        ("٠٧١٢٣٤٥٦٧٨", "+254712345678"),
        ("+383 44 123 456", "+38344123456"),
    ] {
        let new = office.json(json!({ "lastName": "Otieno", "mobile": typed }));
        let said = office.program.post("/api/members", new).await.expect(201);
        assert_eq!(said.text("mobile"), stored, "{typed}");
    }

    // What is longer than its column is said to be, whatever is counted otherwise.
    let long = format!("{}123456", "(".repeat(60));
    let said =
        office.program.post("/api/members", office.json(json!({ "lastName": "X", "homePhone": long }))).await;
    assert_eq!(said.problem(422, "invalid").why("homePhone"), "Use at most 40 characters; this has 66.");
    let site = format!("{}.org", "x".repeat(291));
    let said = office.program.post("/api/branches", json!({ "name": "Long", "website": site })).await;
    assert_eq!(said.problem(422, "invalid").why("website"), "Use at most 292 characters; this has 295.");

    let kosovo = json!({ "name": "Prishtina", "country": "XK", "phone": "044 123 456" });
    let said = office.program.post("/api/branches", kosovo).await.expect(201);
    assert_eq!((said.text("country"), said.text("phone")), ("XK", "+38344123456"));
    let page =
        office.church.browser.get(said.header("location").trim_start_matches("/api")).await.expect(200);
    assert!(page.all("dd").iter().any(|fact| fact.contains("Kosovo")), "{:?}", page.all("dd"));
    let signup = office.church.browser.get("/signup?church=x&country=XK&timezone=Europe/Belgrade").await;
    assert_eq!((signup.value("country"), signup.value("timezone")), ("XK".into(), "Europe/Belgrade".into()));
    let registration = json!({
        "churchName": "Bashkësia", "firstName": "Arta", "lastName": "Krasniqi", "email": "arta@example.org",
        "password": "river candle mango", "country": "XK",
    });
    office.program.post("/api/auth/register", registration).await.expect(202);
    let settled = "select country || ' ' || timezone from tenants where name = 'Bashkësia'";
    assert_eq!(office.server.db().await.one::<String>(settled).await, "XK Europe/Belgrade");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_past_is_not_in_the_future_where_the_church_is() {
    let office = Office::open().await;
    // One of these two is a day ahead of UTC or has the same day, the other is a day behind or has the same.
    for zone in ["Pacific/Kiritimati", "Pacific/Pago_Pago"] {
        let mut registry = office.server.db().await;
        registry.run(&format!("update tenants set timezone = '{zone}'")).await;
        // A server that has not read the church yet.
        let server = TestServer::on(&office.server.registry).await;
        let program = office.program.at(server.addr());
        let today = format!("select (now() at time zone '{zone}')::date");
        let today: NaiveDate = registry.one(&today).await;
        let tomorrow = today + Days::new(1);
        for field in ["joinedOn", "baptisedOn", "firstContactOn", "anniversary"] {
            let new = |day: NaiveDate| office.json(json!({ "lastName": "Achieng", field: day.to_string() }));
            program.post("/api/members", new(today)).await.expect(201);
            let said = program.post("/api/members", new(tomorrow)).await.problem(422, "invalid");
            assert_eq!(said.why(field), "This date is in the future.", "{zone} {field}");
        }
        let born = |day: NaiveDate| {
            use chrono::Datelike;
            office.json(json!({ "lastName": "Born", "birthYear": day.year(), "birthMonth": day.month(), "birthDay": day.day() }))
        };
        program.post("/api/members", born(today)).await.expect(201);
        let said = program.post("/api/members", born(tomorrow)).await.problem(422, "invalid");
        assert_eq!(said.why("birthYear"), "A birthday cannot be in the future.", "{zone}");
    }
    let next = (Utc::now() + Days::new(370)).format("%Y").to_string();
    let page = office.post(&[("last_name", "Born"), ("birth_year", &next)]).await.expect(422);
    assert_eq!(page.why("birth_year"), "A birthday cannot be in the future.");
    // A birthday without its year comes again every year.
    office.post(&[("last_name", "Born"), ("birth_month", "12"), ("birth_day", "31")]).await.location();

    // What an older release has let in does not stand in the way of another change.
    let mut db = office.church.db().await;
    let id: uuid::Uuid = db.one("select id from members order by id limit 1").await;
    db.run(&format!("update members set birth_year = 2199, joined_on = '2199-01-01' where id = '{id}'"))
        .await;
    let at = format!("/api/members/{id}");
    office.program.patch(&at, json!({ "notes": "changed" })).await.expect(200);
    office.program.patch(&at, json!({ "birthYear": 2198 })).await.problem(422, "invalid");
    let edit = office.church.browser.get(&format!("/members/{id}/edit")).await.expect(200);
    let fields = ["version", "last_name", "branch_id", "status_id", "birth_year", "joined_on"];
    let values = fields.map(|field| (field, edit.value(field)));
    let values = values.each_ref().map(|(field, value)| (*field, value.as_str()));
    office.church.browser.post(&format!("/members/{id}/edit"), &values).await.location();
}
