//! Lists of members: who is found, in what order, and that no query reads all members of a new church.

use crate::harness::{Browser, Church, Db, Program, TestServer, cluster};
use identity::Secret;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use uuid::Uuid;

/// Adds members in all branches and statuses, without statistics; every tenth of them is archived.
async fn fill(db: &mut Db, members: usize) {
    db.run(&format!(
        "insert into branches (id, name, timezone) select gen_random_uuid(), 'Branch ' || n, 'UTC' from generate_series(1, 4) n;
         insert into tags (id, name) select gen_random_uuid(), 'Group ' || n from generate_series(1, 20) n;
         insert into members (id, branch_id, status_id, first_name, last_name, sort_name, search_text, archived_at)
         select gen_random_uuid(), (array(select id from branches order by id))[1 + n % 5],
                (array(select id from member_statuses order by id))[1 + n % 3], 'First' || n, 'Last' || n,
                'last' || n || ' first' || n, 'first' || n || ' last' || n || ' first' || n || '@example org',
                case when n % 10 = 0 then now() end
           from generate_series(1, {members}) n;
         insert into member_tags (member_id, tag_id, added_by)
         select m.id, t.id, a.id from members m, tags t, admins a where abs(hashtext(m.last_name || t.name)) % 10 = 0"
    ))
    .await;
}

/// As the church's own role, with the plans that it is served by.
async fn served(server: &TestServer, church: &Church) -> PgConnection {
    let secret = Secret::new(server.registry.secret.as_bytes()).expect("long enough");
    let options = cluster()
        .clone()
        .username(&format!("tenant_{}", church.tenant_id))
        .password(&secret.tenant_roles().password(&church.tenant_id, 1))
        .database(&church.database)
        .options([("plan_cache_mode", "force_generic_plan"), ("enable_sort", "off"), ("jit", "off")])
        .options([("search_path", &church.schema)]);
    PgConnection::connect_with(&options).await.expect("its own place opens")
}

#[tokio::test(flavor = "multi_thread")]
async fn no_list_reads_all_members_of_a_church_with_or_without_statistics() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let mut db = church.db().await;
    db.run("alter table members set (autovacuum_enabled = off); alter table member_tags set (autovacuum_enabled = off)")
        .await;
    fill(&mut db, 5_000).await;
    let shapes = tenant::members::shapes();
    assert!(shapes.len() > 1_000, "{}", shapes.len());
    for statistics in [false, true] {
        if statistics {
            db.run("analyze").await;
        }
        assert_eq!(
            db.one::<f32>("select reltuples from pg_class where oid = 'members'::regclass").await > 0.0,
            statistics
        );
        let mut role = served(&server, &church).await;
        for shape in &shapes {
            let prepare = format!("prepare shape as {shape}");
            role.execute(AssertSqlSafe(prepare)).await.unwrap_or_else(|error| panic!("{shape}: {error}"));
            let parameters: i32 = sqlx::query_scalar(
                "select cardinality(parameter_types) from pg_prepared_statements where name = 'shape'",
            )
            .fetch_one(&mut role)
            .await
            .expect("it is prepared");
            let nulls = vec!["null"; parameters as usize].join(", ");
            let arguments = if nulls.is_empty() { nulls } else { format!("({nulls})") };
            let explain = AssertSqlSafe(format!("explain execute shape{arguments}"));
            let plan: Vec<String> =
                sqlx::query_scalar(explain).persistent(false).fetch_all(&mut role).await.expect("a plan");
            let scan = |line: &&String| {
                line.contains("Seq Scan on members") || line.contains("Seq Scan on member_tags")
            };
            assert_eq!(plan.iter().find(scan), None, "{shape}\n{}", plan.join("\n"));
            role.execute("deallocate shape").await.expect("it is gone");
        }
    }
}

/// A church with people whose names, branches and statuses differ.
struct Office {
    server: TestServer,
    church: Church,
    program: Program,
}

impl Office {
    async fn open() -> Self {
        let server = TestServer::start().await;
        let church = Church::open(&server, "Grace Chapel").await;
        let program = Program::log_in(&server, &church.email).await;
        let office = Self { server, church, program };
        let browser = &office.church.browser;
        browser
            .post("/branches/new", &[("name", "Westlands"), ("timezone", "Africa/Nairobi")])
            .await
            .location();
        for (first, last, branch, kind, tags, mobile) in [
            ("Léa", "Ångström", "Main church", "member", "Choir", "0712 345 678"),
            ("Anna", "de la Cruz", "Main church", "visitor", "Choir, Ushers", ""),
            ("Kevin", "Lee", "Westlands", "member", "Ushers", ""),
            ("Lena", "O’Neill", "Westlands", "staff", "", ""),
            ("100%", "a_b", "Westlands", "visitor", "", ""),
        ] {
            let tags: Vec<_> = tags.split(", ").filter(|tag| !tag.is_empty()).collect();
            let member = json!({
                "firstName": first, "lastName": last, "tags": tags, "email": "somebody@example.org",
                "branchId": office.id("branches", "name", branch).await,
                "statusId": office.id("member_statuses", "kind", kind).await,
                "mobile": Some(mobile).filter(|mobile| !mobile.is_empty()),
            });
            office.program.post("/api/members", member).await.expect(201);
        }
        office
    }

    async fn id(&self, table: &str, column: &str, value: &str) -> String {
        let sql = format!("select id from {table} where {column} = '{value}'");
        self.church.db().await.one::<Uuid>(&sql).await.to_string()
    }

    /// First names on the page, in their order.
    async fn listed(&self, query: &[(&str, &str)]) -> Vec<String> {
        firsts(&self.church.browser, query).await
    }

    /// First names by the API, in the order in which they were added.
    async fn sliced(&self, query: &[(&str, &str)]) -> Vec<String> {
        let query = serde_urlencoded::to_string(query).expect("a query");
        let page = self.program.get(&format!("/api/members?{query}")).await.expect(200);
        let items = page.body["items"].as_array().expect("items").clone();
        items.iter().map(|item| item["firstName"].as_str().expect("a name").to_owned()).collect()
    }
}

async fn firsts(browser: &Browser, query: &[(&str, &str)]) -> Vec<String> {
    let query = serde_urlencoded::to_string(query).expect("a query");
    let names = browser.get(&format!("/members?{query}")).await.expect(200).all("tbody .name a");
    names.iter().map(|name| name.rsplit(", ").next().unwrap_or_default().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_finds_folded_words_beginnings_and_literal_wildcards() {
    let office = Office::open().await;
    let found: [(&str, &[&str]); 19] = [
        ("angstrom", &["Léa"]),
        ("LEA ÅNG", &["Léa"]),
        ("ang lea", &["Léa"]),
        ("oneill", &["Lena"]),
        ("0712 345 6", &["Léa"]),
        // One or two letters begin a first or last name.
        ("l", &["Léa", "Kevin", "Lena"]),
        ("le", &["Léa", "Kevin", "Lena"]),
        ("na", &[]),
        ("ex", &[]),
        ("o'", &["Lena"]),
        ("å", &["Léa", "Anna", "100%"]),
        ("de la", &["Anna"]),
        ("k l", &["Kevin"]),
        ("l k", &["Kevin"]),
        // Beside a longer word they may stand anywhere.
        ("de la cruz", &["Anna"]),
        ("cruz na", &["Anna"]),
        ("100%", &["100%"]),
        ("a_b", &["100%"]),
        ("a%b", &[]),
    ];
    for (search, names) in found {
        let mut names = names.to_vec();
        assert_eq!(office.sliced(&[("search", search)]).await, names, "{search}");
        names.sort_unstable();
        let mut listed = office.listed(&[("search", search)]).await;
        listed.sort_unstable();
        assert_eq!(listed, names, "{search}");
    }
    assert_eq!(office.listed(&[("search", " , ")]).await.len(), 5, "nothing was searched for");
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_and_orders_are_combined() {
    let office = Office::open().await;
    let westlands = office.id("branches", "name", "Westlands").await;
    let westlands = westlands.as_str();
    let visitor = office.id("member_statuses", "kind", "visitor").await;
    let visitor = visitor.as_str();
    let lists: [(&[(&str, &str)], &[&str]); 16] = [
        (&[], &["100%", "Léa", "Anna", "Kevin", "Lena"]),
        (&[("sort", "-name")], &["Lena", "Kevin", "Anna", "Léa", "100%"]),
        (&[("sort", "added")], &["Léa", "Anna", "Kevin", "Lena", "100%"]),
        (&[("sort", "-added")], &["100%", "Lena", "Kevin", "Anna", "Léa"]),
        (&[("sort", "branch")], &["Léa", "Anna", "100%", "Kevin", "Lena"]),
        (&[("sort", "-branch")], &["100%", "Kevin", "Lena", "Léa", "Anna"]),
        (&[("sort", "status")], &["100%", "Anna", "Léa", "Kevin", "Lena"]),
        (&[("sort", "-status")], &["Lena", "Léa", "Kevin", "100%", "Anna"]),
        (&[("branch", westlands), ("sort", "-status")], &["Lena", "Kevin", "100%"]),
        (&[("status", visitor), ("sort", "branch")], &["Anna", "100%"]),
        (&[("tag", "choir"), ("sort", "-name")], &["Anna", "Léa"]),
        (&[("tag", "USHERS"), ("branch", westlands)], &["Kevin"]),
        (&[("tag", "nothing")], &[]),
        (&[("search", "l"), ("branch", westlands), ("sort", "-added")], &["Lena", "Kevin"]),
        (&[("search", "example"), ("tag", "choir"), ("status", visitor)], &["Anna"]),
        (&[("search", "lena"), ("sort", "branch")], &["Lena"]),
    ];
    for (query, names) in lists {
        assert_eq!(office.listed(query).await, names, "{query:?}");
    }
    assert_eq!(office.sliced(&[("status", "visitor"), ("branchId", westlands)]).await, ["100%"]);
    assert_eq!(office.sliced(&[("tag", "Choir"), ("search", "example")]).await, ["Léa", "Anna"]);

    // An admin of one branch finds nobody of another, whatever is asked for.
    let local = office.church.hire(&office.server, "admin", "local@example.org", Some("Westlands")).await;
    let main = office.id("branches", "name", "Main church").await;
    for query in [
        &[("search", "angstrom")],
        &[("search", "l\u{e9}")],
        &[("tag", "choir")],
        &[("branch", main.as_str())],
    ] {
        let found = firsts(&local, query).await;
        assert!(found.iter().all(|name| name == "Lena" || name == "Kevin"), "{query:?}: {found:?}");
    }
    assert_eq!(firsts(&local, &[("sort", "status")]).await, ["100%", "Kevin", "Lena"]);
    assert_eq!(local.get("/").await.all(".figure"), ["3", "1", "1", "0"]);

    // Archived members are in lists of their own.
    let at = office.id("members", "first_name", "Kevin").await;
    office.church.browser.post(&format!("/members/{at}/archive"), &[]).await.location();
    assert_eq!(office.listed(&[("search", "l"), ("sort", "-added")]).await, ["Lena", "Léa"]);
    for query in [
        [("search", "lee")],
        [("search", "l")],
        [("tag", "ushers")],
        [("branch", westlands)],
        [("sort", "branch")],
    ] {
        assert_eq!(office.listed(&[("show", "archived"), query[0]]).await, ["Kevin"], "{query:?}");
    }
    assert_eq!(office.church.browser.get("/").await.all(".figure"), ["4", "2", "2", "0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_a_broad_filter_neither_repeat_nor_leave_out_anybody() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let mut db = church.db().await;
    fill(&mut db, 1_500).await;
    let ids: String =
        db.one("select string_agg(id::text, ' ' order by id) from members where archived_at is null").await;
    let browser = &church.browser;
    // More than a thousand are found: the total is not counted, and the pages follow the order all the same.
    for sort in ["name", "-name", "branch", "-branch", "status", "-status", "added", "-added"] {
        let mut seen = Vec::new();
        for page in 1..=54 {
            let list =
                browser.get(&format!("/members?search=example&sort={sort}&page={page}")).await.expect(200);
            assert_eq!(list.text(".head p"), "More than 1000 people found");
            seen.extend(
                list.attributes("tbody .name a", "href")
                    .into_iter()
                    .map(|at| at.trim_start_matches("/members/").to_owned()),
            );
        }
        seen.sort_unstable();
        assert_eq!(seen.join(" "), ids, "{sort}");
    }
    // Fewer are counted; and so are those of a branch, which are not searched for.
    assert_eq!(browser.get("/members?search=last12").await.text(".head p"), "100 people found");
    assert_eq!(browser.get("/members").await.text(".head p"), "1350 people in 5 branches");
    assert_eq!(browser.get("/members?show=archived").await.text(".head p"), "150 archived people");
    let program = Program::log_in(&server, &church.email).await;
    let (mut cursor, mut sliced) = (String::new(), 0);
    loop {
        let page = program.get(&format!("/api/members?limit=100&search=example{cursor}")).await.expect(200);
        sliced += page.body["items"].as_array().expect("items").len();
        let Some(next) = page.body["nextCursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(sliced, 1_350);
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_are_kept_whatever_is_written_at_the_same_time() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    fill(&mut church.db().await, 500).await;
    let writes = (0..8).map(|worker| {
        let church = &church;
        async move {
            let mut db = church.db().await;
            for n in 0..60 {
                let pick = format!("(hashtext(id::text) & 7) = {worker}");
                db.run(match n % 3 {
                    0 => format!("update members set branch_id = (select id from branches order by random() limit 1) where {pick}"),
                    1 => format!("update members set archived_at = case when archived_at is null then now() end where {pick}"),
                    _ => format!("delete from members where id = (select id from members where {pick} limit 1)"),
                }.as_str())
                .await;
            }
        }
    });
    futures::future::join_all(writes).await;
    let kept = "select coalesce(string_agg(concat_ws(' ', b, s, a, n), '|' order by b, s, a), '')
                  from (select branch_id b, status_id s, is_archived a, sum(change) n from member_counts group by 1, 2, 3) c
                 where n <> 0";
    let counted = "select string_agg(concat_ws(' ', b, s, a, n), '|' order by b, s, a)
                     from (select branch_id b, status_id s, archived_at is not null a, count(*) n from members group by 1, 2, 3) c";
    let mut db = church.db().await;
    assert_eq!(db.one::<String>(kept).await, db.one::<String>(counted).await);
    let rows: i64 = db.one("select count(*) from member_counts").await;
    assert!(rows < 1_000, "{rows} rows were never added up");
}
