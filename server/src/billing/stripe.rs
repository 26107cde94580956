use super::{Billing, Failure, Kind};
use crate::{Error, config::Config};
use axum::body::Bytes;
use chrono::{TimeDelta, Utc};
use registry::billing::{Claimed, Subscription};
use reqwest::{
    Method, Response, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER},
};
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};
use stripe_billing::subscription::{
    CreateSubscription, CreateSubscriptionItems, CreateSubscriptionPaymentBehavior,
    CreateSubscriptionTrialEnd, CreateSubscriptionTrialSettings, CreateSubscriptionTrialSettingsEndBehavior,
    CreateSubscriptionTrialSettingsEndBehaviorMissingPaymentMethod as MissingPaymentMethod, ListSubscription,
};
use stripe_client_core::{
    CustomizedStripeRequest, IdempotencyKey, RequestStrategy, StripeClient, StripeClientErr, StripeMethod,
    StripeRequest, VERSION,
};
use stripe_core::customer::{CreateCustomer, ListCustomer};

/// By this a customer or a subscription is known as a tenant's.
const TENANT: &str = "tenantId";
/// More churches than one email ever has.
const LIST: i64 = 100;

pub struct Stripe {
    http: reqwest::Client,
    /// Ends with a slash.
    url: String,
    price: Option<String>,
    deadline: Duration,
}

impl Stripe {
    /// `None` without a key.
    pub fn new(config: &Config) -> Result<Option<Self>, Error> {
        let Some(key) = &config.stripe_secret_key else { return Ok(None) };
        let mut bearer =
            HeaderValue::try_from(format!("Bearer {}", key.trim())).map_err(|_| Error::StripeKey)?;
        bearer.set_sensitive(true);
        let url: reqwest::Url = config.stripe_api_url.parse().map_err(|_| Error::StripeUrl)?;
        let always = HeaderMap::from_iter([
            (AUTHORIZATION, bearer),
            ("stripe-version".parse().expect("a header's name"), HeaderValue::from_static(VERSION.as_str())),
        ]);
        let deadline = config.stripe_patience.deadline;
        let http = reqwest::Client::builder()
            .default_headers(always)
            .timeout(deadline)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| Error::StripeClient(root(&error)))?;
        let url = format!("{}/", url.as_str().trim_end_matches('/'));
        Ok(Some(Self { http, url, price: config.stripe_price.clone(), deadline }))
    }

    /// Whether an earlier attempt has made it, though its answer was lost, is looked up: Stripe keeps
    /// idempotency keys for a day only.
    async fn customer_made_before(&self, church: &Claimed) -> Result<Option<String>, Failure> {
        let same_email = ListCustomer::new().email(&church.email).limit(LIST).send(self).await?;
        let mut made = same_email.data.into_iter();
        let made = made.find(|made| made.metadata.as_ref().is_some_and(|data| is_of(church, data)));
        Ok(made.map(|made| made.id.to_string()))
    }

    async fn subscription_made_before(
        &self,
        church: &Claimed,
        customer: &str,
    ) -> Result<Option<Subscription>, Failure> {
        let of_customer = ListSubscription::new().customer(customer).limit(LIST).send(self).await?;
        let made = of_customer.data.into_iter().find(|made| is_of(church, &made.metadata));
        Ok(made.map(subscription))
    }
}

impl Billing for Stripe {
    async fn customer(&self, church: &Claimed) -> Result<String, Failure> {
        if church.attempts > 1
            && let Some(made) = self.customer_made_before(church).await?
        {
            return Ok(made);
        }
        let create =
            CreateCustomer::new().name(&church.church).email(&church.email).metadata(metadata(church));
        let made = create.customize().request_strategy(once(church, "customer")?).send(self).await?;
        Ok(made.id.to_string())
    }

    async fn subscription(&self, church: &Claimed, customer: &str) -> Result<Option<Subscription>, Failure> {
        let Some(price) = &self.price else { return Ok(None) };
        if church.attempts > 1
            && let Some(made) = self.subscription_made_before(church, customer).await?
        {
            return Ok(Some(made));
        }
        let mut item = CreateSubscriptionItems::new();
        item.price = Some(price.clone());
        let mut create = CreateSubscription::new()
            .customer(customer)
            .items(vec![item])
            .metadata(metadata(church))
            // Nobody has left a card yet.
            .payment_behavior(CreateSubscriptionPaymentBehavior::DefaultIncomplete);
        // A trial that is over, because the key came late, is not given a second time.
        if church.trial_ends_at > Utc::now() + TimeDelta::minutes(1) {
            let mut end = CreateSubscriptionTrialSettingsEndBehavior::new();
            end.missing_payment_method = Some(MissingPaymentMethod::Pause);
            create = create
                .trial_end(CreateSubscriptionTrialEnd::Timestamp(church.trial_ends_at.timestamp()))
                .trial_settings(CreateSubscriptionTrialSettings::new(end));
        }
        let made = create.customize().request_strategy(once(church, "subscription")?).send(self).await?;
        Ok(Some(subscription(made)))
    }
}

fn subscription(made: stripe_billing::Subscription) -> Subscription {
    Subscription { id: made.id.to_string(), status: made.status.to_string() }
}

fn metadata(church: &Claimed) -> HashMap<String, String> {
    HashMap::from([(TENANT.to_owned(), church.tenant_id.to_string())])
}

fn is_of(church: &Claimed, metadata: &HashMap<String, String>) -> bool {
    metadata.get(TENANT).is_some_and(|id| id == church.tenant_id.as_str())
}

/// The same key until Stripe has answered: a call whose answer was lost is not carried out a second time.
/// After an error another one, because Stripe would only repeat that error.
fn once(church: &Claimed, call: &str) -> Result<RequestStrategy, Failure> {
    IdempotencyKey::new(format!("vestry-{}-{call}-{}", church.tenant_id, church.errors))
        .map(RequestStrategy::Idempotent)
        .map_err(Failure::deserialize_err)
}

/// Instead of async-stripe's own client, which keeps `Retry-After` to itself and writes the whole request,
/// names and emails included, into its tracing spans.
impl StripeClient for Stripe {
    type Err = Failure;

    async fn execute(&self, request: CustomizedStripeRequest) -> Result<Bytes, Failure> {
        let started = Instant::now();
        let answer = self.call(request).await;
        let result = match &answer {
            Ok(_) => "ok",
            Err(failure) => failure.kind.name(),
        };
        metrics::counter!("vestry_stripe_calls_total", "result" => result).increment(1);
        metrics::histogram!("vestry_stripe_call_seconds").record(started.elapsed());
        answer
    }
}

impl Stripe {
    async fn call(&self, request: CustomizedStripeRequest) -> Result<Bytes, Failure> {
        let (request, overrides) = request.into_pieces();
        let method = match request.method {
            StripeMethod::Get => Method::GET,
            StripeMethod::Post => Method::POST,
            StripeMethod::Delete => Method::DELETE,
        };
        let query = request.query.map(|query| format!("?{query}")).unwrap_or_default();
        let mut call = self.http.request(method, format!("{}v1{}{query}", self.url, request.path));
        if let Some(key) = overrides.request_strategy.and_then(|strategy| strategy.get_key()) {
            call = call.header("idempotency-key", key.as_str());
        }
        if let Some(body) = request.body {
            call = call.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body);
        }
        let answer = call.send().await.map_err(|error| self.unanswered(&error))?;
        if answer.status().is_success() {
            answer.bytes().await.map_err(|error| self.unanswered(&error))
        } else {
            Err(Failure::of_answer(answer).await)
        }
    }

    fn unanswered(&self, error: &reqwest::Error) -> Failure {
        let reason = if error.is_timeout() {
            format!("Stripe did not answer within {:?}.", self.deadline)
        } else {
            format!("Stripe could not be reached: {}.", root(error))
        };
        Failure { kind: Kind::Unanswered, reason, retry_after: None }
    }
}

impl Failure {
    /// Stripe's own message may repeat what it was sent; its codes do not.
    async fn of_answer(answer: Response) -> Self {
        let status = answer.status();
        let after = answer.headers().get(RETRY_AFTER).and_then(|after| after.to_str().ok()?.parse().ok());
        let body: serde_json::Value =
            answer.bytes().await.ok().and_then(|body| serde_json::from_slice(&body).ok()).unwrap_or_default();
        let word = |name: &str| body["error"][name].as_str().unwrap_or_default().to_owned();
        let code = [word("code"), word("param")].into_iter().filter(|word| !word.is_empty());
        let code: String = code.map(|word| format!(", {word}")).collect();
        let (kind, what) = match status {
            StatusCode::TOO_MANY_REQUESTS => (Kind::Busy, "Stripe asks for fewer calls"),
            StatusCode::CONFLICT => (Kind::Busy, "Stripe is busy with the same call"),
            StatusCode::UNAUTHORIZED => (Kind::KeyRefused, "Stripe does not know STRIPE_SECRET_KEY"),
            StatusCode::FORBIDDEN => (Kind::KeyRefused, "Stripe does not allow STRIPE_SECRET_KEY to do this"),
            _ if status.is_client_error() => (Kind::Refused, "Stripe refused the call"),
            _ => (Kind::Fault, "Stripe failed"),
        };
        let reason = format!("{what} ({}{code}).", status.as_u16());
        Self { kind, reason, retry_after: after.map(Duration::from_secs) }
    }
}

impl StripeClientErr for Failure {
    fn deserialize_err(_: impl std::fmt::Display) -> Self {
        let reason = "Stripe's answer was not understood: this version of Vestry may be too old for it.";
        Self { kind: Kind::Refused, reason: reason.to_owned(), retry_after: None }
    }
}

impl Kind {
    /// In `/metrics`.
    fn name(self) -> &'static str {
        match self {
            Self::Unanswered => "unanswered",
            Self::Busy => "busy",
            Self::Fault => "fault",
            Self::Refused => "refused",
            Self::KeyRefused => "key_refused",
        }
    }
}

/// The cause at the bottom; what lies above repeats addresses.
fn root(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.last().map(ToString::to_string).unwrap_or_default()
}
