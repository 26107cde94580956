//! Every field of a description is in the table, the form, the detail page and the API: none can be forgotten.

use crate::harness::{Church, Program, TestServer};
use domain::{Field, Kind, Record, branches::BRANCH, members::MEMBER, tags::TAG};
use serde_json::{Map, Value, json};

/// Columns that no description has: keys, state, and what is derived.
const INTERNAL: [&str; 9] = [
    "id",
    "sort_name",
    "search_text",
    "sort_order",
    "photo_id",
    "picture_id",
    "archived_at",
    "created_at",
    "updated_at",
];

/// Names of the columns of a field.
fn columns<T>(field: &Field<T>) -> Vec<String> {
    match field.kind {
        Kind::PartialDate => field.inputs(),
        Kind::Phone { is_e164: true } => vec![format!("{}_e164", field.name)],
        // Rows of a table of their own.
        Kind::Tags { .. } => Vec::new(),
        _ => vec![field.name.to_string()],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_have_the_columns_of_their_records() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    for (table, mut described) in [
        ("members", MEMBER.fields.iter().flat_map(columns).collect::<Vec<_>>()),
        ("branches", BRANCH.fields.iter().flat_map(columns).collect()),
        ("tags", TAG.fields.iter().flat_map(columns).collect()),
    ] {
        let query = format!(
            "select array_agg(column_name::text order by column_name) from information_schema.columns
              where table_schema = current_schema and table_name = '{table}'"
        );
        let mut columns: Vec<String> = church.db().await.one(&query).await;
        columns.retain(|column| !INTERNAL.contains(&column.as_str()));
        described.sort();
        assert_eq!(columns, described, "{table}");
    }
}

/// A valid value for each JSON member of a field, and how a detail page shows it.
fn samples<T>(field: &Field<T>, id: &str) -> Vec<(String, Value, Option<String>)> {
    let shown = |text: &str| Some(text.to_owned());
    let (value, shown) = match &field.kind {
        Kind::Text { .. } | Kind::LongText { .. } => {
            let text = format!("Sample {}", field.name).chars().take(12).collect::<String>();
            (json!(text), shown(&text))
        }
        Kind::Email => (json!("sample@example.org"), shown("sample@example.org")),
        Kind::Phone { .. } => (json!("0712 345678"), shown("0712 345678")),
        Kind::Url => (json!("www.example.org"), shown("www.example.org")),
        Kind::PastDate => (json!("2019-05-03"), shown("3 May 2019")),
        Kind::Choice { choices, .. } => {
            let (value, label) = choices.last().expect("a choice");
            (json!(value), shown(label))
        }
        Kind::Reference(_) => (json!(id), None),
        Kind::YesNo => (json!(true), shown("Yes")),
        Kind::Tags { .. } => (json!(["Sample tag"]), shown("Sample tag")),
        Kind::Country => (json!("KE"), shown("Kenya")),
        Kind::TimeZone => (json!("Africa/Nairobi"), shown("Africa/Nairobi")),
        Kind::PartialDate => {
            let [day, month, year] = &field.json_names()[..] else { panic!("three parts") };
            return vec![
                (day.clone(), json!(3), shown("3 May 1980")),
                (month.clone(), json!(5), None),
                (year.clone(), json!(1980), None),
            ];
        }
    };
    vec![(field.json_names().remove(0), value, shown)]
}

struct Walk<'a> {
    church: &'a Church,
    program: &'a Program,
    path: &'static str,
    schemas: [&'static str; 3],
}

#[tokio::test(flavor = "multi_thread")]
async fn every_field_is_in_form_api_and_detail_page() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let program = Program::log_in(&server, &church.email).await;
    let (branch, status): (uuid::Uuid, uuid::Uuid) = {
        let mut db = church.db().await;
        (db.one("select id from branches").await, db.one("select id from member_statuses limit 1").await)
    };
    let walk = |path, schemas| Walk { church: &church, program: &program, path, schemas };
    let ids = |name: &str| if name == "status_id" { status.to_string() } else { branch.to_string() };
    walk("/members", ["Member", "MemberPatch", "NewMember"]).all(&MEMBER, ids).await;
    walk("/branches", ["Branch", "BranchPatch", "NewBranch"]).all(&BRANCH, ids).await;
}

impl Walk<'_> {
    async fn all<T>(&self, record: &Record<T>, id: impl Fn(&str) -> String) {
        let form = self.church.browser.get(&format!("{}/new", self.path)).await.expect(200);
        let document = self.program.get("/api/openapi.json").await.expect(200).body;
        let mut body = Map::new();
        for field in &record.fields {
            // The first input of tags is a box for each that is set.
            for input in field.inputs().into_iter().skip(usize::from(matches!(field.kind, Kind::Tags { .. }))) {
                let found = form.attributes(&format!("[name={input}]"), "name");
                assert!(!found.is_empty(), "{} has no input {input}", self.path);
            }
            assert!(form.html.contains(&*field.label), "{} has no label {}", self.path, field.label);
            for name in field.json_names() {
                for schema in self.schemas {
                    let property = &document["components"]["schemas"][schema]["properties"][&name];
                    assert!(property.is_object(), "{schema} has no {name}");
                }
            }
            body.extend(samples(field, &id(&field.name)).into_iter().map(|(name, value, _)| (name, value)));
        }
        let created = self.program.post(&format!("/api{}", self.path), body.into()).await.expect(201).body;
        let id_of = created["id"].as_str().expect("an id").to_owned();
        let page = self.church.browser.get(&format!("{}/{id_of}", self.path)).await.expect(200);
        for field in &record.fields {
            for (name, value, shown) in samples(field, &id(&field.name)) {
                let is_normalised = matches!(field.kind, Kind::Phone { .. } | Kind::Url);
                assert!(is_normalised || created[&name] == value, "{name}: {}", created[&name]);
                assert!(!created[&name].is_null(), "{name} is in no response");
                if let Some(shown) = shown {
                    assert!(page.words().contains(&shown), "{name} is not on the page: {shown}");
                }
            }
            let is_emptied = field.required.is_none() && !field.is_title && !matches!(field.kind, Kind::YesNo);
            if is_emptied {
                let empty: Map<_, _> =
                    field.json_names().into_iter().map(|name| (name, Value::Null)).collect();
                let path = format!("/api{}/{id_of}", self.path);
                let patched = self.program.patch(&path, empty.into()).await.expect(200).body;
                let is_empty = |value: &Value| match (&field.kind, value) {
                    (Kind::Choice { default: Some(default), .. }, value) => value == &**default,
                    (Kind::Tags { .. }, value) => *value == json!([]),
                    (_, value) => value.is_null(),
                };
                assert!(field.json_names().iter().all(|name| is_empty(&patched[name])), "{}", field.name);
            }
        }
    }
}
