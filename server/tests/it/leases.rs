//! Workers that live on after they have lost their lease: slow or frozen, not killed.

use crate::harness::{Browser, Church, Db, Process, Registry, Stripe, TestServer, Trouble, sign_up, watch};
use futures::{StreamExt, stream};
use registry::{
    Error, billing, placement,
    progress::Step,
    ready::{self, SchemaRevision},
    runs, servers,
};
use std::time::Duration;

/// All that is known of the churches and their runs.
const RUNS: &str = "select jsonb_build_array(
    (select jsonb_agg(to_jsonb(t)) from tenants t),
    (select jsonb_agg(to_jsonb(r)) from provisioning_runs r),
    (select jsonb_agg(to_jsonb(e) order by e.seq) from provisioning_events e))::text";

/// Whoever is held by the trigger below.
const HELD: &str = "select exists (select from pg_locks where locktype = 'advisory' and classid = 0 and objid = 42 and not granted
                     and database = (select oid from pg_database where datname = current_database()))";

/// A worker frozen at the beginning of a step, thawed when another has opened the church.
#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_worker_writes_nothing_after_another_has_taken_its_run() {
    stream::iter(["database", "office", "open"]).for_each_concurrent(3, frozen_at).await;
}

async fn frozen_at(step: &str) {
    let registry = Registry::create().await;
    let frozen = Process::start(&registry).await;
    let mut db = registry.db().await;
    let mut holder = registry.db().await;
    holder.run("select pg_advisory_lock(42)").await;
    db.run(&format!(
        "create function hold() returns trigger language plpgsql as $$
         begin perform pg_advisory_xact_lock(42); return new; end $$;
         create trigger hold before insert on provisioning_events
            for each row when (new.step = '{step}' and new.state = 'started') execute function hold();"
    ))
    .await;
    let opening = sign_up(&Browser::new(frozen.addr), "Grace Chapel", "ruth@example.org").await;
    db.until(HELD).await;
    frozen.freeze().await;
    holder.run("select pg_advisory_unlock(42)").await;
    let begun = format!("select exists (select from provisioning_events where step = '{step}')");
    db.until(&begun).await;
    db.run("drop trigger hold on provisioning_events").await;
    db.until("select lease_until < now() from provisioning_runs").await;

    let next = Process::start(&registry).await;
    let browser = Browser::new(next.addr);
    assert_eq!(watch(&browser, &opening).await["status"], "succeeded", "{step}");
    // What has changed since then stays so.
    let id: String = db.one("select id from tenants").await;
    let mut church = Db::open(&format!("tenant_{id}")).await;
    church.run("update church.admins set role = 'admin', email = 'elsewhere@example.org'").await;
    church.run(&format!("alter role tenant_{id} set statement_timeout = '7s'")).await;
    let before: String = db.one(RUNS).await;

    frozen.thaw().await;
    frozen.logs(|line| line.contains("another worker took the run over") && line.contains(&id)).await;
    assert_eq!(db.one::<String>(RUNS).await, before, "{step}");
    assert_eq!(church.one::<i64>("select count(*) from church.admins").await, 1, "{step}");
    assert_eq!(church.one::<i64>("select count(*) from church.branches").await, 1, "{step}");
    let setting = format!(
        "select 'statement_timeout=7s' = any (rolconfig) from pg_roles where rolname = 'tenant_{id}'"
    );
    assert!(church.one::<bool>(&setting).await, "{step}: the role was made again");

    // The next run it takes is its own.
    assert!(next.terminate().await.success());
    let browser = Browser::new(frozen.addr);
    let opening = sign_up(&browser, "Hope Church", "hope@example.org").await;
    assert_eq!(watch(&browser, &opening).await["status"], "succeeded", "{step}");
}

/// A transaction holds locks that the other processes wait for, here that of the connection budget.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_frozen_in_a_transaction_does_not_stop_the_others() {
    let registry = Registry::create().await;
    let frozen = Process::start(&registry).await;
    let mut db = registry.db().await;
    let mut holder = registry.db().await;
    holder.run("select pg_advisory_lock(42)").await;
    db.run(
        "create function hold() returns trigger language plpgsql as $$
         begin perform pg_advisory_xact_lock(42); return new; end $$;
         create trigger hold before update on processes for each row execute function hold();",
    )
    .await;
    db.until(HELD).await;
    frozen.freeze().await;
    holder.run("select pg_advisory_unlock(42)").await;
    let starts = tokio::time::timeout(Duration::from_secs(25), Process::start(&registry)).await;
    let next = starts.expect("it waits for the frozen process");
    Browser::new(next.addr).get("/signin").await.expect(200);
    frozen.thaw().await;
    Browser::new(frozen.addr).get("/signin").await.expect(200);
}

/// A registry of its own without any process, so that nobody else claims what waits in it.
async fn open(registry: &Registry) -> registry::Registry {
    let options = registry.url.parse().expect("an address");
    let registry = registry::Registry::connect(options, 4).await.expect("it can be opened");
    registry.migrate().await.expect("it takes tables");
    registry
}

/// A run that was claimed, lost its lease, and was claimed again.
#[tokio::test(flavor = "multi_thread")]
async fn a_claim_that_was_lost_is_good_for_no_write() {
    let server = TestServer::start().await;
    let mut db = server.db().await;
    // No worker takes it before tomorrow.
    db.run(
        "create function later() returns trigger language plpgsql as $$
         begin new.next_attempt_at := now() + interval '1 day'; return new; end $$;
         create trigger later before insert on provisioning_runs for each row execute function later();",
    )
    .await;
    sign_up(&server.browser(), "Grace Chapel", "ruth@example.org").await;
    server.running.stop().await.expect("it stops in order");
    let registry = &open(&server.registry).await;
    let claim = async |db: &mut Db| {
        db.run(
            "update provisioning_runs set next_attempt_at = now(), lease_until = now() - interval '1 second'",
        )
        .await;
        runs::claim(registry).await.expect("it answers").expect("it is due")
    };
    let lost = claim(&mut db).await;
    let held = claim(&mut db).await;
    assert_eq!(held.run_id, lost.run_id);
    let before: String = db.one(RUNS).await;
    let took = Duration::from_millis(1);
    let is_lost =
        |result: registry::Result<()>| assert!(matches!(result, Err(Error::LeaseLost)), "{result:?}");
    is_lost(runs::renew(registry, &lost).await);
    is_lost(runs::advance(registry, &lost, &[(Step::Place, took)], Step::Database).await);
    is_lost(placement::place(registry, &lost, "shared").await.map(drop));
    is_lost(runs::succeed(registry, &lost, 1, took).await);
    is_lost(runs::postpone(registry, &lost, took).await);
    is_lost(runs::fail(registry, &lost, Step::Place, "why").await);
    is_lost(runs::delete_tenant(registry, &lost).await);
    assert_eq!(db.one::<String>(RUNS).await, before);
    runs::renew(registry, &held).await.expect("the other one is good");
}

/// Made by one worker while another, which has found it left half made, removes it.
#[tokio::test(flavor = "multi_thread")]
async fn a_ready_database_is_not_marked_made_while_another_worker_removes_it() {
    let created = Registry::create().await;
    let registry = &open(&created).await;
    servers::register_primary(registry, "/nowhere", 5432, None).await.expect("it is known");
    let mut db = created.db().await;
    let edition = SchemaRevision { name: "test", schema_version: 1 };
    let slow = ready::claim_new(registry, edition, 1).await.expect("it answers").expect("one is planned");
    db.run("update ready_databases set lease_until = now() - interval '1 second'").await;
    let removing =
        ready::claim_unwanted(registry, edition, 1).await.expect("it answers").expect("it was left");
    assert_eq!(removing.id, slow.id);
    let made = ready::mark_ready(registry, &slow).await;
    assert!(matches!(made, Err(Error::LeaseLost)), "{made:?}");
    assert!(db.one::<bool>("select ready_at is null from ready_databases").await, "no signup takes it");
    ready::delete_claimed(registry, &removing).await.expect("it is removed");

    let kept = ready::claim_new(registry, edition, 1).await.expect("it answers").expect("one is planned");
    ready::mark_ready(registry, &kept).await.expect("nobody else has claimed it");
    assert!(db.one::<bool>("select ready_at is not null from ready_databases").await);
}

/// A worker frozen while Stripe answers it, thawed when another has attempted the job.
#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_billing_worker_writes_nothing_after_another_has_taken_its_job() {
    let stripe = Stripe::start().await;
    let registry = Registry::create().await;
    let with_price = |command: &mut tokio::process::Command| {
        stripe.configure(command);
        command.env("STRIPE_PRICE", "price_office");
    };
    stripe.mute(true);
    let frozen = Process::configured(&registry, with_price).await;
    let opening = sign_up(&Browser::new(frozen.addr), "Grace Chapel", "ruth@example.org").await;
    assert_eq!(watch(&Browser::new(frozen.addr), &opening).await["status"], "succeeded");
    stripe.until(|stripe| stripe.calls("POST customers").len() == 1).await;
    frozen.freeze().await;
    stripe.mute(false);
    stripe.trouble([Trouble::Refused("resource_missing")]);
    let mut db = registry.db().await;
    db.until("select lease_until < now() from billing_jobs").await;

    let _next = Process::configured(&registry, with_price).await;
    db.until("select failing and lease is null from billing_jobs").await;
    let rows = "select jsonb_build_array((select jsonb_agg(to_jsonb(j)) from billing_jobs j),
                                         (select jsonb_agg(to_jsonb(t)) from tenants t))::text";
    let before: String = db.one(rows).await;
    frozen.thaw().await;
    let id: String = db.one("select id from tenants").await;
    frozen.logs(|line| line.contains("another worker took the billing job over") && line.contains(&id)).await;
    assert_eq!(db.one::<String>(rows).await, before);
    assert_eq!((stripe.customers().len(), stripe.calls("POST customers").len()), (1, 1));
    assert_eq!(stripe.calls("POST subscriptions").len(), 1, "the other worker's, which was refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_billing_claim_that_was_lost_is_good_for_no_write() {
    let server = TestServer::start().await;
    let church = Church::open(&server, "Grace Chapel").await;
    let registry = &server.running.installation.registry;
    let mut db = server.db().await;
    billing::enqueue(registry).await.expect("written");
    let lease = Duration::from_secs(60);
    let lost = billing::claim(registry, lease).await.expect("it answers").expect("due");
    db.run("update billing_jobs set lease_until = now() - interval '1 second'").await;
    let held = billing::claim(registry, lease).await.expect("it answers").expect("due again");
    assert_eq!(held.tenant_id.as_str(), church.tenant_id);
    let is_lost =
        |result: registry::Result<()>| assert!(matches!(result, Err(Error::LeaseLost)), "{result:?}");
    let setback =
        billing::JobFailure { reason: "why", rejected: true, has_response: true, customer: Some("cus_1") };
    is_lost(billing::renew(registry, &lost, lease).await);
    is_lost(billing::finish(registry, &lost, "cus_1", None).await);
    is_lost(billing::postpone(registry, &lost, lease, setback).await);
    is_lost(billing::release(registry, &lost).await);
    let untouched = "select last_error is null and lease is not null and stripe_customer_id is null
                       from billing_jobs join tenants on id = tenant_id";
    assert!(db.one::<bool>(untouched).await);
    billing::renew(registry, &held, lease).await.expect("the other one is good");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_run_is_undone_after_seven_days_and_no_sooner() {
    let server = TestServer::start().await;
    // Nobody goes in: a church whose owner has signed in is kept.
    let browser = server.browser();
    let opening = sign_up(&browser, "Grace Chapel", "ruth@example.org").await;
    assert_eq!(watch(&browser, &opening).await["status"], "succeeded");
    let mut db = server.db().await;
    let database: String = db.one("select database_name from tenants").await;
    let tools = server.running.installation.provisioner(0);
    let failed_before = |age: &str| {
        format!(
            "update tenants set status = 'failed';
             update provisioning_runs set status = 'failed', finished_at = now() - interval '{age}'"
        )
    };
    db.run(&failed_before("6 days 23 hours")).await;
    assert!(!tools.undo_abandoned().await.expect("it answers"));
    let there = format!("select count(*) from pg_database where datname = '{database}'");
    assert_eq!(db.one::<i64>(&there).await, 1);
    assert_eq!(db.one::<i64>("select count(*) from tenants").await, 1);
    db.run(&failed_before("7 days")).await;
    assert!(tools.undo_abandoned().await.expect("it can be undone"));
    assert_eq!(db.one::<i64>(&there).await, 0);
    assert_eq!(db.one::<i64>("select count(*) from tenants").await, 0);
}

/// Whoever has claimed it for the undo may have been frozen, and drop the database when it is thawed.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_undo_has_begun_is_not_tried_again() {
    let server = TestServer::start().await;
    let browser = server.browser();
    let opening = sign_up(&browser, "Grace Chapel", "ruth@example.org").await;
    assert_eq!(watch(&browser, &opening).await["status"], "succeeded");
    let mut db = server.db().await;
    db.run(
        "update tenants set status = 'failed';
         update provisioning_runs set status = 'failed', sealed = '\\x00', finished_at = now() - interval '8 days'",
    )
    .await;
    let registry = &server.running.installation.registry;
    let undone = runs::claim_abandoned(registry, Duration::from_secs(3600)).await.expect("it answers");
    assert!(undone.is_some());
    for lease_until in ["now() + interval '1 minute'", "now() - interval '1 minute'"] {
        db.run(&format!("update provisioning_runs set lease_until = {lease_until}")).await;
        browser.post(&opening, &[("again", "1")]).await.location();
        assert_eq!(db.one::<String>("select status from provisioning_runs").await, "failed");
        assert_eq!(db.one::<String>("select status from tenants").await, "failed");
    }
}
