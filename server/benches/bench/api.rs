//! A page of members by the JSON API: beside its query alone, and beside the same work on one fixed pool.

use crate::{
    bed::{Bed, PASSWORD},
    report::Report,
    requests::{CLIENTS, ROUNDS, fixed_pool, rate, serve},
};
use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Executor, FromRow, postgres::PgPool};
use std::{
    path::{Path, PathBuf},
    process::Stdio,
    thread::available_parallelism,
};
use tenant::schema::SCHEMA;
use uuid::Uuid;

const MEMBERS: i32 = 1000;

pub async fn members_read(bed: &Bed, report: &mut Report) {
    let opened = bed.sign_up().await;
    let (database, password, fixed) = fixed_pool(bed, &opened.email).await;
    fill(bed, &database).await;
    let login = json!({ "email": opened.email, "password": PASSWORD });
    let login = bed.client.post(bed.url("/api/auth/login")).json(&login).send().await.expect("it answers");
    let session: Value = login.json().await.expect("JSON");
    let token = session["accessToken"].as_str().expect("it has signed in");
    let ask = |url: &str| bed.client.get(url).bearer_auth(token);

    let figure = bed.url("/api/members");
    let answer: Value = ask(&figure).send().await.expect("it answers").json().await.expect("JSON");
    let sql = sent(&fixed).await;
    let floor = Router::new().route("/", get(known)).with_state((fixed.clone(), sql.clone()));
    let floor = serve(floor).await;
    let same: Value = ask(&floor).send().await.expect("it answers").json().await.expect("JSON");
    assert_eq!(same, answer, "the floor does the same work");
    let pgbench = Pgbench::beside(&fixed, password, &sql).await;

    let (mut beside_query, mut beside_pool) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let query = match &pgbench {
            Some(pgbench) => Some(pgbench.rate(&fixed).await),
            None => None,
        };
        let pool = rate(|| ask(&floor), "nextCursor").await;
        let rate = rate(|| ask(&figure), "nextCursor").await;
        beside_query.extend(query.map(|query| (rate, query)));
        beside_pool.push((rate, pool));
    }
    // The first round warms them up.
    beside_pool.remove(0);
    match beside_query.split_first() {
        Some((_, rounds)) => report.at_least("read_vs_query", rounds.to_vec(), 0.30),
        None => println!("read_vs_query is not measured: pgbench is not installed beside this PostgreSQL"),
    }
    report.at_least("read_vs_pool", beside_pool, 0.95);
}

async fn fill(bed: &Bed, database: &str) {
    let sql = format!(
        "insert into {SCHEMA}.members (id, branch_id, status_id, prefix, first_name, last_name, preferred_name, gender,
                              marital_status, birth_year, birth_month, birth_day, joined_on, email, mobile_e164,
                              notes, sort_name, search_text)
         select gen_random_uuid(), (select id from {SCHEMA}.branches), (select id from {SCHEMA}.member_statuses where kind = 'member'),
                'Dr', 'Naomi', 'Achieng ' || n, 'Nao', 'female', 'married', 1950 + n % 60, 1 + n % 12, 1 + n % 28,
                date '2010-01-01' + n, 'naomi' || n || '@example.org', '+254712' || 100000 + n, 'Sings alto.',
                'achieng ' || n || ' naomi', 'naomi achieng ' || n || ' naomi' || n || '@example.org'
           from generate_series(1, {MEMBERS}) n;
         insert into {SCHEMA}.tags (id, name) select gen_random_uuid(), 'Group ' || n from generate_series(1, 20) n;
         insert into {SCHEMA}.member_tags (member_id, tag_id, added_by)
         select m.id, t.id, a.id
           from {SCHEMA}.members m, {SCHEMA}.tags t, {SCHEMA}.admins a
          where abs(hashtext(m.id::text || t.name)) % 10 = 0"
    );
    let mut connection = bed.connect(database).await;
    connection.execute(AssertSqlSafe(sql)).await.expect("they are added");
    connection.execute("analyze").await.expect("they are counted");
}

/// What the server sent to read the page, as PostgreSQL saw it. That shows the beginning only; the whole is in the
/// description of the queries that the program was compiled with.
async fn sent(pool: &PgPool) -> String {
    let seen =
        "select query from pg_stat_activity where application_name = 'vestry' and query like '%from members%'
                 order by query_start desc limit 1";
    let seen: String = sqlx::query_scalar(seen).fetch_one(pool).await.expect("it was sent");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tenant/.sqlx");
    let described = std::fs::read_dir(folder).expect("the queries are described").map(|file| {
        let text = std::fs::read(file.expect("a file").path()).expect("a description");
        let described: Value = serde_json::from_slice(&text).expect("JSON");
        described["query"].as_str().expect("a query").to_owned()
    });
    let mut same = described.filter(|query| query.starts_with(&seen));
    match (same.next(), same.next()) {
        (Some(query), None) => query,
        _ => panic!("not one query begins like this: {seen}"),
    }
}

/// A member as the API shows one.
#[derive(FromRow, Serialize)]
#[serde(rename_all = "camelCase")]
struct Member {
    id: Uuid,
    first_name: String,
    last_name: String,
    preferred_name: Option<String>,
    middle_name: Option<String>,
    prefix: Option<String>,
    suffix: Option<String>,
    branch_id: Uuid,
    branch_name: String,
    status_id: Uuid,
    status_name: String,
    #[sqlx(rename = "status_kind")]
    status: String,
    first_contact_on: Option<NaiveDate>,
    joined_on: Option<NaiveDate>,
    baptised_on: Option<NaiveDate>,
    #[sqlx(rename = "mobile_e164")]
    mobile: Option<String>,
    home_phone: Option<String>,
    email: Option<String>,
    household_role: Option<String>,
    marital_status: String,
    gender: String,
    anniversary: Option<NaiveDate>,
    birth_day: Option<i16>,
    birth_month: Option<i16>,
    birth_year: Option<i16>,
    notes: Option<String>,
    #[sqlx(rename = "photo_id")]
    photo_file_id: Option<Uuid>,
    #[sqlx(rename = "tags!")]
    tags: Vec<String>,
    archived_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    items: Vec<Member>,
    next_cursor: Option<String>,
}

async fn known(State((pool, sql)): State<(PgPool, String)>) -> Result<Json<Page>, StatusCode> {
    let rows = sqlx::query_as::<_, Member>(AssertSqlSafe(sql))
        .bind(None::<Uuid>)
        .bind(Vec::<String>::new())
        .bind(None::<Uuid>)
        .bind(None::<String>)
        .bind(None::<Vec<Uuid>>)
        .bind(26_i64)
        .bind(None::<String>)
        .fetch_all(&pool)
        .await;
    let mut items = rows.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    items.truncate(25);
    let next_cursor = items.last().map(|last| BASE64_URL_SAFE_NO_PAD.encode(last.id));
    Ok(Json(Page { items, next_cursor }))
}

/// The query in pgbench: prepared once by each client, and asked for with the same arguments.
struct Pgbench {
    program: PathBuf,
    script: tempfile::NamedTempFile,
    password: String,
}

impl Pgbench {
    /// `None` where it is not installed beside the PostgreSQL that runs.
    async fn beside(pool: &PgPool, password: String, sql: &str) -> Option<Self> {
        let backend: i32 = sqlx::query_scalar("select pg_backend_pid()").fetch_one(pool).await.ok()?;
        let postgres = std::fs::read_link(format!("/proc/{backend}/exe")).ok()?;
        let program = postgres.with_file_name("pgbench");
        let script = tempfile::NamedTempFile::new().expect("a file");
        let text = format!(
            "\\if :prepared\n\\else\nprepare page as {sql};\n\\set prepared 1\n\\endif\n\
             execute page(null, '{{}}', null, null, null, 26, null);\n"
        );
        std::fs::write(script.path(), text).expect("it can be written");
        program.is_file().then_some(Self { program, script, password })
    }

    /// Queries a second, for a second.
    async fn rate(&self, pool: &PgPool) -> f64 {
        let options = pool.connect_options();
        let threads = available_parallelism().map_or(1, |threads| threads.get().min(CLIENTS));
        let done = tokio::process::Command::new(&self.program)
            .args(["--no-vacuum", "--protocol=prepared", "--define=prepared=0", "--time=1"])
            .args([format!("--client={CLIENTS}"), format!("--jobs={threads}")])
            .arg("--file")
            .arg(self.script.path())
            .arg("--host")
            .arg(options.get_socket().expect("a socket"))
            .args(["--port", &options.get_port().to_string(), "--username", options.get_username()])
            .arg(options.get_database().expect("a database"))
            .env("PGPASSWORD", &self.password)
            .stdin(Stdio::null())
            .output()
            .await
            .expect("pgbench runs");
        let said = String::from_utf8_lossy(&done.stdout);
        let complained = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{said}{complained}");
        let rate = said.lines().find_map(|line| line.strip_prefix("tps = "));
        let rate = rate.and_then(|rate| rate.split_whitespace().next()?.parse().ok());
        rate.unwrap_or_else(|| panic!("no rate in {said}"))
    }
}
