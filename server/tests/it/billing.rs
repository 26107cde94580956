use crate::harness::{Browser, Church, Process, Registry, Stripe, TestServer, Trouble, sign_up, watch};
use registry::{billing::BillingState, tenants};
use server::billing::BreakerState;
use std::time::Duration;

/// The job is done: what was to be made is made and written down.
const DONE: &str = "select not exists (select from billing_jobs) and not exists (
                        select from tenants where status = 'active' and stripe_customer_id is null)";
/// One attempt has failed, and what came of it is written down.
const PUT_OFF: &str =
    "select exists (select from billing_jobs where lease is null and last_error is not null)";

async fn billed_by(stripe: &Stripe) -> TestServer {
    let registry = Registry::create().await;
    TestServer::on_with(&registry, |config| *config = stripe.config(&registry)).await
}

async fn state(server: &TestServer, tenant_id: &str) -> BillingState {
    let id = tenant_id.parse().expect("an id");
    tenants::find(&server.running.installation.registry, &id).await.expect("it is known").billing
}

/// What Stripe knows of a church, and what we know of that.
async fn is_billed_once(server: &TestServer, stripe: &Stripe, church: &Church, name: &str) {
    server.db().await.until(DONE).await;
    let customers = stripe.customers();
    assert_eq!(customers.len(), 1, "{customers:?}");
    assert_eq!(customers[0]["name"], name);
    assert_eq!(customers[0]["email"], church.email);
    assert_eq!(customers[0]["metadata"]["tenantId"], church.tenant_id);
    let known: String = server.db().await.one("select stripe_customer_id from tenants").await;
    assert_eq!(known, customers[0]["id"]);
    assert_eq!(state(server, &church.tenant_id).await, BillingState::Ready);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_church_that_has_opened_becomes_a_customer() {
    let stripe = Stripe::start().await;
    let server = billed_by(&stripe).await;
    let (name, email) = ("St. John’s & \"All Souls\" = 100%", "ruth+office@example.org");
    let browser = server.browser();
    let opening = sign_up(&browser, name, email).await;
    assert_eq!(watch(&browser, &opening).await["status"], "succeeded");
    let tenant_id = server.db().await.one("select id from tenants").await;
    let church = Church::known(&server, browser, tenant_id, email.into()).await;
    is_billed_once(&server, &stripe, &church, name).await;
    assert_eq!(stripe.calls("POST customers").len(), 1);
    assert_eq!(stripe.calls("GET customers").len(), 0, "the first time there is nothing to look for");
    assert_eq!(stripe.subscriptions().len(), 0, "no price is set");
    assert_eq!(server.running.billing.as_ref().expect("billed").breaker.state(), BreakerState::Closed);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_price_it_is_subscribed_from_the_end_of_its_trial() {
    let stripe = Stripe::start().await;
    let registry = Registry::create().await;
    let mut config = stripe.config(&registry);
    config.stripe_price = Some("price_office".into());
    let server = TestServer::on_with(&registry, |given| *given = config).await;
    let church = Church::open(&server, "Grace Chapel").await;
    is_billed_once(&server, &stripe, &church, "Grace Chapel").await;

    let [made] = &stripe.subscriptions()[..] else { panic!("one subscription") };
    let call = stripe.calls("POST subscriptions").remove(0);
    assert_eq!(call.fields["items[0][price]"], "price_office");
    assert_eq!(call.fields["trial_settings[end_behavior][missing_payment_method]"], "pause");
    assert_eq!(made["customer"], stripe.customers()[0]["id"]);
    assert_eq!(made["metadata"]["tenantId"], church.tenant_id);
    let mut db = server.db().await;
    let ends = "select floor(extract(epoch from trial_ends_at))::bigint from tenants";
    assert_eq!(made["trial_end"], db.one::<i64>(ends).await);
    let row = "select stripe_subscription_id || ' ' || subscription_status from tenants";
    assert_eq!(db.one::<String>(row).await, "sub_0 trialing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_at_stripe_makes_no_second_customer() {
    let stripe = Stripe::start().await;
    // Stripe repeats an error to the same idempotency key, and an error may come after the work was done.
    stripe.trouble([Trouble::Fault, Trouble::Fault, Trouble::FaultAfterwards]);
    let server = billed_by(&stripe).await;
    let church = Church::open(&server, "Grace Chapel").await;
    is_billed_once(&server, &stripe, &church, "Grace Chapel").await;
    let keys: Vec<_> = stripe.calls("POST customers").into_iter().map(|call| call.key).collect();
    assert_eq!(keys.len(), 3, "the fourth time it was found: {keys:?}");
    assert!(keys[0] != keys[1] && keys[1] != keys[2], "{keys:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_stripe_does_not_answer_churches_open_and_wait_for_it() {
    let stripe = Stripe::start().await;
    stripe.mute(true);
    let registry = Registry::create().await;
    let mut config = stripe.config(&registry);
    config.stripe_timeouts.deadline = Duration::from_millis(200);
    let server = TestServer::on_with(&registry, |given| *given = config).await;
    let church = Church::open(&server, "Grace Chapel").await;
    let mut db = server.db().await;
    db.until(PUT_OFF).await;
    let why: String = db.one("select last_error from billing_jobs").await;
    assert_eq!(why, "Stripe did not answer within 200ms.");
    assert_eq!(state(&server, &church.tenant_id).await, BillingState::Pending);
    stripe.mute(false);
    is_billed_once(&server, &stripe, &church, "Grace Chapel").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_left_alone_for_as_long_as_it_asks() {
    let stripe = Stripe::start().await;
    stripe.trouble([Trouble::Busy(1)]);
    let server = billed_by(&stripe).await;
    let church = Church::open(&server, "Grace Chapel").await;
    is_billed_once(&server, &stripe, &church, "Grace Chapel").await;
    let [first, second] = &stripe.calls("POST customers")[..] else { panic!("two calls") };
    assert!(second.at - first.at >= Duration::from_secs(1), "{:?}", second.at - first.at);
    assert_eq!(first.key, second.key, "nothing was answered to the key");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_it_cannot_be_reached_churches_open_and_the_breaker_opens() {
    let stripe = Stripe::unreachable().await;
    let server = billed_by(&stripe).await;
    let breaker = server.running.billing.as_ref().expect("billed").breaker.clone();
    let first = Church::open(&server, "Grace Chapel").await;
    let mut db = server.db().await;
    db.until("select exists (select from billing_jobs where attempts >= 5 and lease is null)").await;
    assert_ne!(breaker.state(), BreakerState::Closed);
    let second = Church::open(&server, "Hope").await;
    db.until("select count(*) = 2 from billing_jobs").await;
    let why: String = db.one("select max(last_error) from billing_jobs").await;
    assert!(why.starts_with("Stripe could not be reached: Connection refused"), "{why}");
    assert!(!why.contains("owner@"), "{why}");
    for church in [&first, &second] {
        assert_eq!(state(&server, &church.tenant_id).await, BillingState::Pending);
        church.browser.get("/").await.expect(200);
    }
    stripe.listen().await;
    db.until(DONE).await;
    assert_eq!(stripe.customers().len(), 2);
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_before_it_wrote_the_answer_down_makes_no_second_customer() {
    for blind in [false, true] {
        let stripe = Stripe::start().await;
        stripe.mute(true);
        if blind {
            // Only the idempotency key tells then.
            stripe.blind();
        }
        let registry = Registry::create().await;
        let process = Process::configured(&registry, |command| stripe.configure(command)).await;
        let browser = Browser::new(process.addr);
        let opening = sign_up(&browser, "Grace Chapel", "ruth@example.org").await;
        assert_eq!(watch(&browser, &opening).await["status"], "succeeded");
        stripe.until(|stripe| stripe.customers().len() == 1).await;
        process.kill().await;
        stripe.mute(false);

        let _next = Process::configured(&registry, |command| stripe.configure(command)).await;
        let mut db = registry.db().await;
        db.until(DONE).await;
        assert_eq!(stripe.customers().len(), 1, "blind: {blind}");
        assert!(db.one::<bool>("select stripe_customer_id = 'cus_0' from tenants").await);
        assert_eq!(stripe.calls("POST customers").len(), if blind { 2 } else { 1 });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_nobody_is_called_and_when_it_comes_all_churches_are_billed() {
    let stripe = Stripe::start().await;
    let registry = Registry::create().await;
    let mut config = stripe.config(&registry);
    config.stripe_secret_key = None;
    let server = TestServer::on_with(&registry, |given| *given = config).await;
    let church = Church::open(&server, "Grace Chapel").await;
    church.hire(&server, "admin", "aaron@example.org", None).await;
    assert!(server.running.billing.is_none());
    assert_eq!(state(&server, &church.tenant_id).await, BillingState::None);
    let mut db = server.db().await;
    assert_eq!(db.one::<i64>("select count(*) from billing_jobs").await, 0);
    assert_eq!(stripe.calls("POST customers").len(), 0);
    server.running.stop().await.expect("it stops in order");

    let server = TestServer::on_with(&registry, |given| *given = stripe.config(&registry)).await;
    is_billed_once(&server, &stripe, &church, "Grace Chapel").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_make_one_customer_of_each_church() {
    let stripe = Stripe::start().await;
    let registry = Registry::create().await;
    let first = Process::configured(&registry, |command| stripe.configure(command)).await;
    let second = Process::configured(&registry, |command| stripe.configure(command)).await;
    for n in 0..6 {
        let browser = Browser::new(if n % 2 == 0 { first.addr } else { second.addr });
        let opening = sign_up(&browser, &format!("Church {n}"), &format!("ruth{n}@example.org")).await;
        assert_eq!(watch(&browser, &opening).await["status"], "succeeded");
    }
    let mut db = registry.db().await;
    db.until(DONE).await;
    assert_eq!(stripe.customers().len(), 6);
    assert_eq!(stripe.calls("POST customers").len(), 6);
    assert_eq!(db.one::<i64>("select count(distinct stripe_customer_id) from tenants").await, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_marked_and_tried_again_in_an_hour_or_at_the_next_start() {
    let stripe = Stripe::start().await;
    let registry = Registry::create().await;
    let mut wrong = stripe.config(&registry);
    wrong.stripe_secret_key = Some("sk_test_of_somebody_else".into());
    let server = TestServer::on_with(&registry, |given| *given = wrong).await;
    let church = Church::open(&server, "Grace Chapel").await;
    let mut db = server.db().await;
    db.until(PUT_OFF).await;
    assert_eq!(state(&server, &church.tenant_id).await, BillingState::Failing);
    let why: String = db.one("select last_error from billing_jobs").await;
    assert_eq!(why, "Stripe does not know STRIPE_SECRET_KEY (401).");
    let wait = "select round(extract(epoch from next_attempt_at - now()) / 60)::integer from billing_jobs";
    assert_eq!(db.one::<i32>(wait).await, 60);
    server.running.stop().await.expect("it stops in order");

    // The key is right now, and the price is not: the customer is kept.
    stripe.trouble([Trouble::Nothing, Trouble::Refused("resource_missing")]);
    let mut config = stripe.config(&registry);
    config.stripe_price = Some("price_gone".into());
    let server = TestServer::on_with(&registry, |given| *given = config.clone()).await;
    db.until("select exists (select from tenants where stripe_customer_id = 'cus_0')").await;
    assert_eq!(state(&server, &church.tenant_id).await, BillingState::Failing);
    let why: String = db.one("select last_error from billing_jobs").await;
    assert_eq!(why, "Stripe refused the call (400, resource_missing).");
    let breaker = server.running.billing.as_ref().expect("billed").breaker.clone();
    assert_eq!(breaker.state(), BreakerState::Closed, "Stripe is well");
    server.running.stop().await.expect("it stops in order");

    config.stripe_price = Some("price_office".into());
    let server = TestServer::on_with(&registry, |given| *given = config).await;
    is_billed_once(&server, &stripe, &church, "Grace Chapel").await;
    assert_eq!(stripe.subscriptions().len(), 1);
}
