use crate::harness::{Browser, Church, Db, Process, Registry, TestServer, sign_up, watch};
use futures::{StreamExt, stream};
use server::config::Isolation;

/// Every moment at which a worker writes: what the step before has done is done, and not yet written down.
const MOMENTS: [(&str, &str); 6] = [
    ("place", "started"),
    ("database", "started"),
    ("schema", "started"),
    ("office", "started"),
    ("open", "started"),
    ("open", "succeeded"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_at_any_moment_leaves_one_open_church_and_no_orphan() {
    let cases = MOMENTS.into_iter().flat_map(|moment| [(moment, true), (moment, false)]);
    stream::iter(cases).for_each_concurrent(4, |(moment, written)| killed_at(moment, written)).await;
}

/// Whoever is held by [`hold`].
const HELD: &str = "from pg_locks where locktype = 'advisory' and not granted
                     and database = (select oid from pg_database where datname = current_database())";

/// Holds a worker while it writes `(step, state)` down, until the lock is given back.
async fn hold(registry: &Registry, step: &str, state: &str) -> Db {
    let mut holder = registry.db().await;
    holder.run("select pg_advisory_lock(42)").await;
    let trigger = format!(
        "create function hold() returns trigger language plpgsql as $$
         begin perform pg_advisory_xact_lock(42); return new; end $$;
         create trigger hold before insert on provisioning_events
            for each row when (new.step = '{step}' and new.state = '{state}') execute function hold();"
    );
    holder.run(&trigger).await;
    holder
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_told_to_stop_hands_back_what_it_cannot_finish() {
    let registry = Registry::create().await;
    let server = Process::start(&registry).await;
    let mut db = registry.db().await;
    let mut holder = hold(&registry, "office", "started").await;
    let opening = sign_up(&Browser::new(server.addr), "Grace Chapel", "ruth@example.org").await;
    db.until(&format!("select exists (select {HELD})")).await;
    assert!(server.terminate().await.success(), "it stops in order");
    let free = "select lease is null and finished_at is null from provisioning_runs";
    assert!(db.one::<bool>(free).await, "nobody has to wait for the lease to run out");
    assert_eq!(db.one::<i64>("select count(*) from processes").await, 0, "nor for its connections");
    holder.run("select pg_advisory_unlock(42)").await;
    db.until(&format!("select not exists (select {HELD})")).await;
    db.run("drop trigger hold on provisioning_events").await;
    let next = Process::start(&registry).await;
    assert_eq!(watch(&Browser::new(next.addr), &opening).await["status"], "succeeded");
}

/// Kills a real server while it writes `(step, state)` down; `written` says whether that write is still carried out.
async fn killed_at((step, state): (&str, &str), written: bool) {
    let registry = Registry::create().await;
    let server = Process::start(&registry).await;
    let mut db = registry.db().await;
    let mut holder = hold(&registry, step, state).await;

    let browser = Browser::new(server.addr);
    let opening = sign_up(&browser, "Grace Chapel", "ruth@example.org").await;
    db.until(&format!("select exists (select {HELD})")).await;
    server.kill().await;
    if !written {
        db.run(&format!("select pg_terminate_backend(pid) {HELD}")).await;
    }
    holder.run("select pg_advisory_unlock(42)").await;
    db.until(&format!("select not exists (select {HELD})")).await;
    db.run("drop trigger hold on provisioning_events").await;

    let next = Process::start(&registry).await;
    let last = watch(&Browser::new(next.addr), &opening).await;
    assert_eq!(last["status"], "succeeded", "killed at {step} {state}, written: {written}: {last}");
    let id: String = db.one("select id from tenants where status = 'active'").await;
    assert_eq!(db.one::<i64>("select count(*) from tenants").await, 1);
    let mut server = Db::open("postgres").await;
    let count = |what: &str| format!("select count(*) from {what} = 'tenant_{id}'");
    assert_eq!(server.one::<i64>(&count("pg_database where datname")).await, 1);
    assert_eq!(server.one::<i64>(&count("pg_roles where rolname")).await, 1);
    let mut church = Db::open(&format!("tenant_{id}")).await;
    assert_eq!(church.one::<i64>("select count(*) from church.admins").await, 1);
    assert_eq!(church.one::<i64>("select count(*) from church.branches").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_fails_for_good_says_why_and_can_be_tried_again() {
    let server = TestServer::start().await;
    let mut db = server.db().await;
    // The founder is sealed as with another key; what was sealed is kept for the second try.
    db.run(
        "create table sealed_before (sealed bytea);
         create function spoil() returns trigger language plpgsql as $$
         begin
             insert into sealed_before values (new.sealed);
             new.sealed := '\\x00'::bytea || new.sealed;
             return new;
         end $$;
         create trigger spoil before insert on provisioning_runs for each row execute function spoil();",
    )
    .await;
    let browser = server.browser();
    let opening = sign_up(&browser, "Grace Chapel", "ruth@example.org").await;
    let last = watch(&browser, &opening).await;
    assert_eq!(last["status"], "failed");
    let reason = "The signup was sealed with another secret key. Please sign up again.";
    assert_eq!(last["steps"][3]["error"], reason);

    let page = browser.get(&opening).await.expect(200);
    assert_eq!(page.text("h1"), "Grace Chapel is not open yet");
    assert_eq!(page.text(".run .why"), reason);
    assert_eq!(page.text(".reference").len(), 7, "a reference to read out");
    assert_eq!(page.text(".actions button"), "Try again");
    assert_eq!(db.one::<String>("select status from tenants").await, "failed");

    db.run("update provisioning_runs set sealed = (select sealed from sealed_before)").await;
    assert_eq!(browser.post(&opening, &[("again", "1")]).await.location(), opening);
    assert_eq!(watch(&browser, &opening).await["status"], "succeeded");
    assert_eq!(db.one::<String>("select status from tenants").await, "active");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_for_a_while_is_tried_again_without_anybody() {
    let server = TestServer::start().await;
    let mut db = server.db().await;
    db.run(
        "create sequence tries;
         create function refuse() returns trigger language plpgsql as $$
         begin
             if nextval('tries') < 3 then raise 'not now'; end if;
             return new;
         end $$;
         create trigger refuse before update of server_id on tenants for each row execute function refuse();",
    )
    .await;
    let browser = server.browser();
    let opening = sign_up(&browser, "Grace Chapel", "ruth@example.org").await;
    assert_eq!(watch(&browser, &opening).await["status"], "succeeded");
    assert_eq!(db.one::<i32>("select attempts from provisioning_runs").await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_share_the_work_and_each_run_is_done_once() {
    let one = TestServer::start().await;
    let two = TestServer::on(&one.registry).await;
    let runs = (0..12).map(|n| {
        let server = if n % 2 == 0 { &one } else { &two };
        async move {
            let browser = server.browser();
            let opening = sign_up(&browser, &format!("Church {n}"), &format!("c{n}@example.org")).await;
            watch(&browser, &opening).await
        }
    });
    for last in futures::future::join_all(runs).await {
        assert_eq!(last["status"], "succeeded", "{last}");
    }
    let mut db = one.db().await;
    let twice = "select count(*) from (select from provisioning_events where state = 'succeeded'
                  group by run_id, step having count(*) > 1) as twice";
    assert_eq!(db.one::<i64>(twice).await, 0);
    assert_eq!(db.one::<i64>("select count(*) from tenants where status = 'active'").await, 12);
}

#[tokio::test(flavor = "multi_thread")]
async fn watching_starts_nothing_and_everybody_sees_the_same() {
    let server = TestServer::start().await;
    let mut db = server.db().await;
    let browser = server.browser();
    // Nothing is due before tomorrow.
    db.run(
        "create function later() returns trigger language plpgsql as $$
         begin new.next_attempt_at := now() + interval '1 day'; return new; end $$;
         create trigger later before insert on provisioning_runs for each row execute function later();",
    )
    .await;
    let opening = sign_up(&browser, "Grace Chapel", "ruth@example.org").await;
    let stranger = server.browser();
    for watcher in [&browser, &stranger] {
        let page = watcher.get(&opening).await.expect(200);
        assert_eq!(page.text("h1"), "Opening Grace Chapel");
        assert_eq!(page.all(".run li.todo").len(), 5);
        assert!(
            page.html.contains("<noscript><meta http-equiv=\"refresh\" content=\"1\">"),
            "asks again by itself"
        );
        assert!(!page.text("[role=status]").is_empty());
    }
    assert_eq!(db.one::<String>("select status from provisioning_runs").await, "queued");
    assert_eq!(db.one::<i64>("select count(*) from provisioning_events").await, 0);

    let both = async { tokio::join!(watch(&browser, &opening), watch(&stranger, &opening)) };
    let release =
        async { db.run("update provisioning_runs set next_attempt_at = now(), status = 'queued'").await };
    let ((mine, theirs), ()) = tokio::join!(both, release);
    assert_eq!(mine["status"], "succeeded");
    assert_eq!(mine, theirs);

    // Only the browser that signed up may go in without a password.
    assert_eq!(stranger.get(&opening).await.text(".actions"), "Sign in");
    assert_eq!(stranger.post(&opening, &[("enter", "1")]).await.location(), "/");
    assert_eq!(stranger.get("/").await.text("h1"), "The office your church runs on");
    assert_eq!(browser.post(&opening, &[("enter", "1")]).await.location(), "/");
    assert!(browser.get("/").await.text("h1").ends_with(", Ruth"));
    assert_eq!(browser.get(&opening).await.text("h1"), "Grace Chapel is open", "the address stays valid");
    server.browser().get("/opening/0193b3a0-0000-7000-8000-000000000000").await.expect(404);
    server.browser().get("/opening/nonsense").await.expect(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_abandoned_is_undone_without_a_trace() {
    undone(Isolation::Database, "pg_database where datname").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_schema_is_undone_without_a_trace() {
    undone(Isolation::Schema, "pg_namespace where nspname").await;
}

async fn undone(isolation: Isolation, place: &str) {
    let server = TestServer::start_with(|config| config.isolation = isolation).await;
    let church = Church::open(&server, "Grace Chapel").await;
    let id = church.tenant_id.as_str();
    let mut around = match isolation {
        Isolation::Database => Db::open("postgres").await,
        Isolation::Schema => church.db().await,
    };
    let left = format!(
        "select (select count(*) from {place} = 'tenant_{id}')
              + (select count(*) from pg_roles where rolname = 'tenant_{id}')"
    );
    assert_eq!(around.one::<i64>(&left).await, 2);
    // As if the last step had failed: nobody has entered it. That the owner did is noted while the answer is on its way.
    let mut own = church.db().await;
    own.until("select bool_and(last_login_at is not null) from admins").await;
    own.run("update admins set last_login_at = null").await;
    drop((own, church.browser));
    let mut db = server.db().await;
    let old = "update tenants set status = 'failed';
               update provisioning_runs set status = 'failed', finished_at = now() - interval '8 days'";
    db.run(old).await;
    let worker = server.running.installation.provisioner(0);
    assert!(worker.undo_abandoned().await.expect("it can be undone"));
    assert!(!worker.undo_abandoned().await.expect("there is no other"));
    for table in ["tenants", "admin_emails", "provisioning_runs", "provisioning_events"] {
        assert_eq!(db.one::<i64>(&format!("select count(*) from {table}")).await, 0, "{table}");
    }
    assert_eq!(around.one::<i64>(&left).await, 0);
}

/// As a worker leaves it that dies between making the database and closing it to everybody.
#[tokio::test(flavor = "multi_thread")]
async fn a_shared_database_that_was_left_open_is_closed() {
    let registry = Registry::create().await;
    let shared = format!("{}_shared", registry.database);
    let mut postgres = Db::open("postgres").await;
    postgres.run(&format!("create database {shared}")).await;
    let open = format!("select has_database_privilege('public', '{shared}', 'connect')");
    assert!(postgres.one::<bool>(&open).await);
    let server = TestServer::on_with(&registry, |config| config.isolation = Isolation::Schema).await;
    let church = Church::open(&server, "Grace Chapel").await;
    assert_eq!(church.database, shared);
    assert!(!postgres.one::<bool>(&open).await);
    let usable = "select has_schema_privilege('public', 'public', 'usage')";
    assert!(!church.db().await.one::<bool>(usable).await);
}
