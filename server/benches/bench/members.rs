//! Members read by the JSON API and on pages, in churches whose tables have no statistics unless it says so.

use crate::{
    bed::{Bed, PASSWORD},
    report::{Report, median, ms},
    requests::{CLIENTS, ROUNDS, fixed_pool, rate},
};
use futures::{StreamExt, stream};
use reqwest::{RequestBuilder, header};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Executor, postgres::PgPool};
use std::{
    path::PathBuf,
    process::Stdio,
    thread::available_parallelism,
    time::{Duration, Instant},
};
use tenant::schema::SCHEMA;
use uuid::Uuid;

const MEMBERS: usize = 1_000;

/// The leanest SQL that gives the rows of the answer: the members of the page first, then what belongs to them.
const LEANEST: &str = "with m as materialized (
         select * from members where archived_at is null and id > $1 order by id limit $2
     )
     select m.id, m.prefix, m.first_name, m.middle_name, m.last_name, m.suffix, m.preferred_name, m.branch_id, m.status_id,
            m.household_role, m.gender, m.marital_status, m.birth_year, m.birth_month, m.birth_day, m.anniversary,
            m.first_contact_on, m.joined_on, m.baptised_on, m.email, m.mobile_e164, m.home_phone, m.notes, m.photo_id,
            m.archived_at, m.created_at, m.updated_at, b.name, s.name, s.kind,
            array(select (select name from tags where id = t.tag_id) from member_tags t where t.member_id = m.id)
       from m join branches b on b.id = m.branch_id join member_statuses s on s.id = m.status_id
      order by m.id";

/// A church, and two ways into it.
struct Office<'a> {
    bed: &'a Bed,
    database: String,
    password: String,
    pool: PgPool,
    cookie: String,
    token: String,
}

/// A page of 25 of 1,000 members who were added by the API.
pub async fn reads(bed: &Bed, report: &mut Report) {
    let (fresh, analyzed) = (Office::open(bed).await, Office::open(bed).await);
    fresh.add_members().await;
    analyzed.add_members().await;
    analyzed.run("analyze").await;
    let pgbench = Pgbench::beside(&fresh.pool, fresh.password.clone(), LEANEST).await;
    let (mut beside_query, mut beside_analyzed, mut pages) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let query = match &pgbench {
            Some(pgbench) => Some(pgbench.rate(&fresh.pool).await),
            None => None,
        };
        let api = rate(|| fresh.ask("/api/members"), "nextCursor").await;
        let floor = rate(|| analyzed.ask("/api/members"), "nextCursor").await;
        pages.push((rate(|| fresh.visit("/members"), "1–25 of 1000").await, api));
        beside_query.extend(query.map(|query| (api, query)));
        beside_analyzed.push((api, floor));
    }
    // The first round warms them up.
    match beside_query.split_first() {
        Some((_, rounds)) => report.at_least("read_vs_query", rounds.to_vec(), 0.45),
        None => println!("read_vs_query is not measured: pgbench is not installed beside this PostgreSQL"),
    }
    report.at_least("read_fresh", beside_analyzed.split_off(1), 0.9);
    report.at_least("page_members", pages.split_off(1), 0.4);
}

/// A church of 50,000, by itself and beside one of 500.
pub async fn large(bed: &Bed, report: &mut Report) {
    let (small, large) = (Office::open(bed).await, Office::open(bed).await);
    small.fill(500).await;
    large.fill(50_000).await;
    let search = || large.ask("/api/members?search=zipporah%20makokha");
    report.alone("search_50k fresh", ms(p50(search, "Makokha").await), "ms", 5.0);
    for (name, path, expected) in
        [("page_50k members", "/members", "1–25 of "), ("page_50k home", "/", "Newest members")]
    {
        let floor = p50(|| small.visit(path), expected).await;
        report.at_most(name, p50(|| large.visit(path), expected).await, floor, 3.0);
    }
    large.run("analyze").await;
    report.alone("search_50k analyzed", ms(p50(search, "Makokha").await), "ms", 5.0);
}

/// Of requests one after another, half of them before the measured ones.
async fn p50(ask: impl Fn() -> RequestBuilder, expected: &str) -> Duration {
    const REQUESTS: usize = 200;
    let mut times = Vec::new();
    for nth in 0..2 * REQUESTS {
        let started = Instant::now();
        let answer = ask().send().await.expect("it answers");
        assert_eq!(answer.status(), 200);
        let text = answer.text().await.expect("text");
        if nth >= REQUESTS {
            times.push(started.elapsed());
        }
        assert!(text.contains(expected), "{text}");
    }
    median(times)
}

impl<'a> Office<'a> {
    /// Autovacuum leaves its tables alone: it would analyze them some time.
    async fn open(bed: &'a Bed) -> Self {
        let opened = bed.sign_up().await;
        let (database, password, pool) = fixed_pool(bed, &opened.email).await;
        let cookie = bed.enter(&opened).await;
        let login = json!({ "email": opened.email, "password": PASSWORD });
        let login =
            bed.client.post(bed.url("/api/auth/login")).json(&login).send().await.expect("it answers");
        let session: Value = login.json().await.expect("JSON");
        let token = session["accessToken"].as_str().expect("it has signed in").to_owned();
        let office = Self { bed, database, password, pool, cookie, token };
        let tables = ["members", "member_tags", "member_counts", "tags", "branches", "member_statuses"];
        for table in tables {
            office.run(&format!("alter table {SCHEMA}.{table} set (autovacuum_enabled = off)")).await;
        }
        office
    }

    fn ask(&self, path: &str) -> RequestBuilder {
        self.bed.client.get(self.bed.url(path)).bearer_auth(&self.token)
    }

    fn visit(&self, path: &str) -> RequestBuilder {
        self.bed.client.get(self.bed.url(path)).header(header::COOKIE, &self.cookie)
    }

    /// Runs SQL as the owner of the tables.
    async fn run(&self, sql: &str) {
        let mut connection = self.bed.connect(&self.database).await;
        connection.execute(AssertSqlSafe(sql)).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    async fn add_members(&self) {
        let id = async |path: &str, nth: usize| {
            let list: Value = self.ask(path).send().await.expect("it answers").json().await.expect("JSON");
            list["items"][nth]["id"].as_str().expect("an id").parse::<Uuid>().expect("a UUID")
        };
        let (branch, status) = (id("/api/branches", 0).await, id("/api/statuses", 2).await);
        let added = stream::iter(0..MEMBERS).map(|n| async move {
            let tags: Vec<_> = (0..n % 5).map(|tag| format!("Group {}", (n + tag * 7) % 20)).collect();
            let member = json!({
                "branchId": branch, "statusId": status, "tags": tags, "prefix": "Dr", "firstName": "Naomi",
                "lastName": format!("Achieng {n}"), "preferredName": "Nao", "gender": "female",
                "maritalStatus": "married", "birthYear": 1950 + n % 60, "birthMonth": 1 + n % 12,
                "birthDay": 1 + n % 28, "joinedOn": "2010-01-01", "email": format!("naomi{n}@example.org"),
                "mobile": format!("+254712{}", 100_000 + n), "notes": "Sings alto."
            });
            let request = self.bed.client.post(self.bed.url("/api/members")).bearer_auth(&self.token);
            let answer = request.json(&member).send().await.expect("it answers");
            assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap_or_default());
        });
        added.buffer_unordered(CLIENTS).collect::<Vec<()>>().await;
    }

    /// Members of all branches and statuses who came over years, among them one Zipporah Makokha.
    async fn fill(&self, members: usize) {
        self.run(&format!(
            "insert into {SCHEMA}.branches (id, name, timezone)
             select gen_random_uuid(), 'Branch ' || n, 'Africa/Nairobi' from generate_series(1, 7) n;
             with names as (
                 select string_to_array('Naomi Kevin Ruth Grace John Mary Peter Paul Joseph Esther David Daniel Samuel Sarah Hannah Lea Johan Zoe Brian Faith Mercy Joy Hope Charity Alice Moses Aaron Miriam Deborah Gideon Isaac Jacob Rachel Rebecca Simon Andrew Philip Thomas James Judith', ' ') as first,
                        string_to_array('Achieng Otieno Mwangi Kamau Wanjiru Njoroge Kiprop Chebet Mutua Musyoka Okafor Adeyemi Diallo Barasa Zulu Khan Smith Jones Garcia Fernandez Schmidt Rossi Silva Santos Kim Park Nguyen Tran Odhiambo Wafula', ' ') as last,
                        array(select id from {SCHEMA}.branches order by id) as branch,
                        array(select id from {SCHEMA}.member_statuses order by sort_order) as status
             ), people as (
                 select n, case n when 7 then 'Zipporah' else first[1 + abs(hashtext('first ' || n)) % 40] end as first,
                        case n when 7 then 'Makokha' else last[1 + abs(hashtext('last ' || n)) % 30] end as last,
                        branch[1 + n % 8] as branch, status[1 + n % 5] as status
                   from names, generate_series(1, {members}) n
             )
             insert into {SCHEMA}.members (id, branch_id, status_id, first_name, last_name, birth_month, birth_day, email,
                                           mobile_e164, sort_name, search_text, created_at)
             select gen_random_uuid(), branch, status, first, last, 1 + n % 12, 1 + n % 28,
                    lower(first || n || '@example.org'), '+2547' || lpad((n * 7919 % 100000000)::text, 8, '0'),
                    lower(last || ' ' || first),
                    lower(concat_ws(' ', first, last, first || n || '@example org', first || n || '@exampleorg'))
                        || ' 2547' || lpad((n * 7919 % 100000000)::text, 8, '0'),
                    now() - n * interval '1 hour'
               from people"
        ))
        .await;
    }
}

/// A query in pgbench: prepared once by each client with a generic plan, and run with the same arguments.
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
            "\\if :prepared\n\\else\nset plan_cache_mode = force_generic_plan;\nprepare page (uuid, bigint) as {};\n\
             \\set prepared 1\n\\endif\nexecute page('{}', 26);\n",
            sql.replace('\n', " "),
            Uuid::nil(),
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
