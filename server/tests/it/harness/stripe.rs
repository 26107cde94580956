//! A Stripe of the test's own: it answers whole objects, keeps idempotency keys as Stripe does, and makes
//! trouble when told to.

use super::Registry;
use axum::{
    Router,
    extract::{OriginalUri, RawQuery, State},
    http::{HeaderMap, Method, StatusCode},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use server::config::Config;
use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};
use tokio::{net::TcpListener, process::Command, sync::watch};

pub const KEY: &str = "sk_test_vestry";

/// What happens to the next call that makes something.
#[derive(Clone, Copy, Debug)]
pub enum Trouble {
    Nothing,
    /// 500, and nothing is made.
    Fault,
    /// 500, though it was made.
    FaultAfterwards,
    /// 429: so many seconds are to be waited.
    Busy(u64),
    /// 400, with this code.
    Refused(&'static str),
}

/// A call that arrived, with its fields.
#[derive(Clone, Debug)]
pub struct Call {
    pub name: String,
    pub key: Option<String>,
    pub fields: HashMap<String, String>,
    pub at: Instant,
}

#[derive(Default)]
struct World {
    calls: Vec<Call>,
    customers: Vec<Value>,
    subscriptions: Vec<Value>,
    troubles: VecDeque<Trouble>,
    /// What was answered to each idempotency key, and to which fields.
    answered: HashMap<String, (HashMap<String, String>, StatusCode, Value)>,
    /// Lists are empty: what was made is not to be seen yet.
    blind: bool,
    /// What is asked is done, and the answer does not leave.
    mute: bool,
}

#[derive(Clone)]
pub struct Stripe {
    addr: SocketAddr,
    world: Arc<watch::Sender<Mutex<World>>>,
}

impl Stripe {
    pub async fn start() -> Self {
        let stripe = Self::unreachable().await;
        stripe.listen().await;
        stripe
    }

    /// At an address where nobody listens yet.
    pub async fn unreachable() -> Self {
        // What calls Stripe speaks TLS to others.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // Away from 127.0.0.1, so that nobody else takes the port meanwhile.
        let listener = TcpListener::bind("127.0.0.77:0").await.expect("a port");
        let addr = listener.local_addr().expect("an address");
        Self { addr, world: Arc::new(watch::Sender::new(Mutex::default())) }
    }

    pub async fn listen(&self) {
        let listener = TcpListener::bind(self.addr).await.expect("the port is still free");
        let app = Router::new().fallback(answer).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
    }

    /// The configuration of a server that bills here, and does not wait long.
    pub fn config(&self, registry: &Registry) -> Config {
        let mut config = registry.config();
        config.stripe_secret_key = Some(KEY.into());
        config.stripe_api_url = self.url();
        config.stripe_timeouts.deadline = Duration::from_secs(2);
        config.stripe_timeouts.backoff = Duration::from_millis(20);
        config.stripe_timeouts.pause = Duration::from_millis(500);
        config
    }

    /// The same for a process.
    pub fn configure(&self, command: &mut Command) {
        command.env("STRIPE_SECRET_KEY", KEY).env("STRIPE_API_URL", self.url());
        command.args(["--stripe-deadline", "500", "--stripe-backoff", "20", "--stripe-pause", "500"]);
    }

    fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    pub fn trouble(&self, troubles: impl IntoIterator<Item = Trouble>) {
        self.change(|world| world.troubles.extend(troubles));
    }

    /// Lists show nothing of what is made.
    pub fn blind(&self) {
        self.change(|world| world.blind = true);
    }

    /// From now on calls are carried out and not answered; or answered again.
    pub fn mute(&self, mute: bool) {
        self.change(|world| world.mute = mute);
    }

    pub fn calls(&self, name: &str) -> Vec<Call> {
        self.with(|world| world.calls.iter().filter(|call| call.name == name).cloned().collect())
    }

    pub fn customers(&self) -> Vec<Value> {
        self.with(|world| world.customers.clone())
    }

    pub fn subscriptions(&self) -> Vec<Value> {
        self.with(|world| world.subscriptions.clone())
    }

    /// Waits until it has seen what is asked for.
    pub async fn until(&self, seen: impl Fn(&Self) -> bool) {
        let mut changes = self.world.subscribe();
        let waited = async {
            while !seen(self) {
                changes.changed().await.expect("this Stripe lives on");
            }
        };
        tokio::time::timeout(Duration::from_secs(30), waited).await.expect("it is seen in the end");
    }

    fn change(&self, change: impl FnOnce(&mut World)) {
        self.world.send_modify(|world| change(&mut lock(world)));
    }

    fn with<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        look(&lock(&self.world.borrow()))
    }
}

fn lock(world: &Mutex<World>) -> MutexGuard<'_, World> {
    world.lock().expect("nobody panicked")
}

async fn answer(
    State(stripe): State<Stripe>,
    method: Method,
    OriginalUri(uri): OriginalUri,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: String,
) -> Response {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    if header("authorization") != Some(format!("Bearer {KEY}")) {
        let error =
            json!({ "type": "invalid_request_error", "message": "Invalid API Key provided: sk_te***try" });
        return (StatusCode::UNAUTHORIZED, error_of(error)).into_response();
    }
    assert!(header("stripe-version").is_some(), "what is answered depends on the version");
    let sent = if method == Method::GET { query.unwrap_or_default() } else { body };
    let fields: HashMap<String, String> = serde_urlencoded::from_str(&sent).expect("fields");
    let name = format!("{method} {}", uri.path().trim_start_matches("/v1/"));
    let key = header("idempotency-key");
    let call = Call { name: name.clone(), key: key.clone(), fields: fields.clone(), at: Instant::now() };
    let mut answered = None;
    stripe.change(|world| {
        world.calls.push(call);
        answered = Some(match name.as_str() {
            "GET customers" => world.list("customers", "email", &fields),
            "GET subscriptions" => world.list("subscriptions", "customer", &fields),
            "POST customers" | "POST subscriptions" => world.make(&name, key.expect("a key"), fields),
            _ => panic!("Vestry does not call {name}"),
        });
    });
    let (status, body) = answered.expect("there is an answer");
    stripe.until(|stripe| stripe.with(|world| !world.mute)).await;
    match body["error"]["retry_after"].as_u64() {
        Some(seconds) => (status, [("retry-after", seconds.to_string())], body.to_string()).into_response(),
        None => (status, body.to_string()).into_response(),
    }
}

fn error_of(error: Value) -> String {
    json!({ "error": error }).to_string()
}

impl World {
    fn list(&self, name: &str, by: &str, fields: &HashMap<String, String>) -> (StatusCode, Value) {
        let all = if name == "customers" { &self.customers } else { &self.subscriptions };
        let fits = |made: &&Value| !self.blind && made[by].as_str() == fields.get(by).map(String::as_str);
        let data: Vec<_> = all.iter().filter(fits).collect();
        let list = json!({ "object": "list", "data": data, "has_more": false, "url": format!("/v1/{name}") });
        (StatusCode::OK, list)
    }

    /// As Stripe does: the first answer to a key is kept, errors of its own included, and repeated; what was
    /// rate limited has not reached the keys.
    fn make(&mut self, name: &str, key: String, fields: HashMap<String, String>) -> (StatusCode, Value) {
        let trouble = self.troubles.pop_front();
        if let Some(Trouble::Busy(seconds)) = trouble {
            let error =
                json!({ "type": "invalid_request_error", "code": "rate_limit", "retry_after": seconds });
            return (StatusCode::TOO_MANY_REQUESTS, json!({ "error": error }));
        }
        if let Some((before, status, body)) = self.answered.get(&key) {
            if *before != fields {
                let error = json!({ "type": "idempotency_error", "message": "Keys for idempotent requests can only be used with the same parameters" });
                return (StatusCode::BAD_REQUEST, json!({ "error": error }));
            }
            return (*status, body.clone());
        }
        let fault = (
            StatusCode::INTERNAL_SERVER_ERROR,
            json!({ "error": { "type": "api_error", "message": "An unknown error occurred" } }),
        );
        let (status, body) = match trouble {
            Some(Trouble::Fault) => fault,
            Some(Trouble::Refused(code)) => {
                let error = json!({ "type": "invalid_request_error", "code": code, "message": "of ruth@example.org" });
                (StatusCode::BAD_REQUEST, json!({ "error": error }))
            }
            _ => {
                let made = if name == "POST customers" {
                    self.customers.push(customer(self.customers.len(), &fields));
                    self.customers.last()
                } else {
                    self.subscriptions.push(subscription(self.subscriptions.len(), &fields));
                    self.subscriptions.last()
                };
                let made = (StatusCode::OK, made.cloned().expect("just made"));
                if matches!(trouble, Some(Trouble::FaultAfterwards)) { fault } else { made }
            }
        };
        self.answered.insert(key, (fields, status, body.clone()));
        (status, body)
    }
}

fn metadata(fields: &HashMap<String, String>) -> Value {
    let inside = |name: &str| name.strip_prefix("metadata[")?.strip_suffix(']').map(str::to_owned);
    fields.iter().filter_map(|(name, value)| Some((inside(name)?, json!(value)))).collect()
}

fn customer(nth: usize, fields: &HashMap<String, String>) -> Value {
    json!({
        "id": format!("cus_{nth}"),
        "object": "customer",
        "address": null,
        "balance": 0,
        "created": 1_790_000_000,
        "currency": null,
        "default_source": null,
        "delinquent": false,
        "description": null,
        "email": fields.get("email"),
        "invoice_prefix": format!("VESTRY{nth}"),
        "invoice_settings": {
            "custom_fields": null, "default_payment_method": null, "footer": null, "rendering_options": null
        },
        "livemode": false,
        "metadata": metadata(fields),
        "name": fields.get("name"),
        "next_invoice_sequence": 1,
        "phone": null,
        "preferred_locales": [],
        "shipping": null,
        "tax_exempt": "none",
        "test_clock": null
    })
}

fn subscription(nth: usize, fields: &HashMap<String, String>) -> Value {
    let (id, now) = (format!("sub_{nth}"), 1_790_000_000_i64);
    let trial_end = fields.get("trial_end").map(|end| end.parse::<i64>().expect("seconds"));
    let price = fields.get("items[0][price]");
    json!({
        "id": id,
        "object": "subscription",
        "application": null,
        "application_fee_percent": null,
        "automatic_tax": { "disabled_reason": null, "enabled": false, "liability": null },
        "billing_cycle_anchor": trial_end.unwrap_or(now),
        "billing_cycle_anchor_config": null,
        "billing_mode": { "flexible": { "proration_discounts": "included" }, "type": "flexible", "updated_at": null },
        "billing_schedules": [],
        "billing_thresholds": null,
        "cancel_at": null,
        "cancel_at_period_end": false,
        "canceled_at": null,
        "cancellation_details": { "comment": null, "feedback": null, "reason": null },
        "collection_method": "charge_automatically",
        "created": now,
        "currency": "usd",
        "customer": fields.get("customer"),
        "customer_account": null,
        "days_until_due": null,
        "default_payment_method": null,
        "default_source": null,
        "default_tax_rates": [],
        "description": null,
        "discounts": [],
        "ended_at": null,
        "invoice_settings": { "account_tax_ids": null, "issuer": { "type": "self" } },
        "items": {
            "object": "list",
            "data": [item(nth, price, now, trial_end.unwrap_or(now))],
            "has_more": false,
            "total_count": 1,
            "url": format!("/v1/subscription_items?subscription={id}")
        },
        "latest_invoice": null,
        "livemode": false,
        "metadata": metadata(fields),
        "next_pending_invoice_item_invoice": null,
        "on_behalf_of": null,
        "pause_collection": null,
        "payment_settings": {
            "payment_method_options": null, "payment_method_types": null, "save_default_payment_method": "off"
        },
        "pending_invoice_item_interval": null,
        "pending_setup_intent": null,
        "pending_update": null,
        "schedule": null,
        "start_date": now,
        "status": if trial_end.is_some() { "trialing" } else { "incomplete" },
        "test_clock": null,
        "transfer_data": null,
        "trial_end": trial_end,
        "trial_settings": { "end_behavior": { "missing_payment_method": "pause" } },
        "trial_start": trial_end.map(|_| now)
    })
}

fn item(nth: usize, price: Option<&String>, now: i64, ends: i64) -> Value {
    json!({
                "id": format!("si_{nth}"),
                "object": "subscription_item",
                "billing_thresholds": null,
                "created": now,
                "current_period_end": ends,
                "current_period_start": now,
                "discounts": [],
                "metadata": {},
                "plan": {
                    "id": price, "object": "plan", "active": true, "amount": 2900, "amount_decimal": "2900",
                    "billing_scheme": "per_unit", "created": now, "currency": "usd", "interval": "month",
                    "interval_count": 1, "livemode": false, "metadata": {}, "meter": null, "nickname": null,
                    "product": "prod_office", "tiers_mode": null, "transform_usage": null,
                    "trial_period_days": null, "usage_type": "licensed"
                },
                "price": {
                    "id": price, "object": "price", "active": true, "billing_scheme": "per_unit", "created": now,
                    "currency": "usd", "custom_unit_amount": null, "livemode": false, "lookup_key": null,
                    "metadata": {}, "nickname": null, "product": "prod_office",
                    "recurring": {
                        "interval": "month", "interval_count": 1, "meter": null, "trial_period_days": null,
                        "usage_type": "licensed"
                    },
                    "tax_behavior": "unspecified", "tiers_mode": null, "transform_quantity": null,
                    "type": "recurring", "unit_amount": 2900, "unit_amount_decimal": "2900"
                },
                "quantity": 1,
                "subscription": format!("sub_{nth}"),
                "tax_rates": []
    })
}
