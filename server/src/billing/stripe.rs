use super::{Billing, BillingError, ErrorKind};
use crate::{Error, config::Config};
use axum::body::Bytes;
use chrono::{TimeDelta, Utc};
use registry::billing::{ClaimedJob, StripeSubscription};
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

/// Metadata key with the tenant's id.
const TENANT_ID_KEY: &str = "tenantId";
/// Page size; more tenants than one email ever has.
const LIST_LIMIT: i64 = 100;

pub struct Stripe {
    http: reqwest::Client,
    /// Ends with a slash.
    url: String,
    price: Option<String>,
    deadline: Duration,
}

impl Stripe {
    /// Returns `None` without a key.
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
        let deadline = config.stripe_timeouts.deadline;
        let http = reqwest::Client::builder()
            .default_headers(always)
            .timeout(deadline)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| Error::StripeClient(root_cause(&error)))?;
        let url = format!("{}/", url.as_str().trim_end_matches('/'));
        Ok(Some(Self { http, url, price: config.stripe_price.clone(), deadline }))
    }

    /// Finds the customer created by an earlier attempt whose response was lost. Stripe keeps idempotency keys for only a
    /// day.
    async fn find_customer(&self, job: &ClaimedJob) -> Result<Option<String>, BillingError> {
        let same_email = ListCustomer::new().email(&job.email).limit(LIST_LIMIT).send(self).await?;
        let mut made = same_email.data.into_iter();
        let made = made.find(|made| made.metadata.as_ref().is_some_and(|data| belongs_to(job, data)));
        Ok(made.map(|made| made.id.to_string()))
    }

    async fn find_subscription(
        &self,
        job: &ClaimedJob,
        customer: &str,
    ) -> Result<Option<StripeSubscription>, BillingError> {
        let of_customer = ListSubscription::new().customer(customer).limit(LIST_LIMIT).send(self).await?;
        let made = of_customer.data.into_iter().find(|made| belongs_to(job, &made.metadata));
        Ok(made.map(subscription))
    }
}

impl Billing for Stripe {
    async fn customer(&self, job: &ClaimedJob) -> Result<String, BillingError> {
        if job.attempts > 1
            && let Some(made) = self.find_customer(job).await?
        {
            return Ok(made);
        }
        let create = CreateCustomer::new().name(&job.church).email(&job.email).metadata(metadata(job));
        let made = create.customize().request_strategy(idempotency(job, "customer")?).send(self).await?;
        Ok(made.id.to_string())
    }

    async fn subscription(
        &self,
        job: &ClaimedJob,
        customer: &str,
    ) -> Result<Option<StripeSubscription>, BillingError> {
        let Some(price) = &self.price else { return Ok(None) };
        if job.attempts > 1
            && let Some(made) = self.find_subscription(job, customer).await?
        {
            return Ok(Some(made));
        }
        let mut item = CreateSubscriptionItems::new();
        item.price = Some(price.clone());
        let mut create = CreateSubscription::new()
            .customer(customer)
            .items(vec![item])
            .metadata(metadata(job))
            // There is no payment method yet.
            .payment_behavior(CreateSubscriptionPaymentBehavior::DefaultIncomplete);
        // Skips a trial that has ended before billing was configured.
        if job.trial_ends_at > Utc::now() + TimeDelta::minutes(1) {
            let mut end = CreateSubscriptionTrialSettingsEndBehavior::new();
            end.missing_payment_method = Some(MissingPaymentMethod::Pause);
            create = create
                .trial_end(CreateSubscriptionTrialEnd::Timestamp(job.trial_ends_at.timestamp()))
                .trial_settings(CreateSubscriptionTrialSettings::new(end));
        }
        let made = create.customize().request_strategy(idempotency(job, "subscription")?).send(self).await?;
        Ok(Some(subscription(made)))
    }
}

fn subscription(made: stripe_billing::Subscription) -> StripeSubscription {
    StripeSubscription { id: made.id.to_string(), status: made.status.to_string() }
}

fn metadata(job: &ClaimedJob) -> HashMap<String, String> {
    HashMap::from([(TENANT_ID_KEY.to_owned(), job.tenant_id.to_string())])
}

fn belongs_to(job: &ClaimedJob, metadata: &HashMap<String, String>) -> bool {
    metadata.get(TENANT_ID_KEY).is_some_and(|id| id == job.tenant_id.as_str())
}

/// Returns an idempotency key that stays the same until Stripe responds, so that a repeated call has no second effect. An
/// error response changes the key, because Stripe would repeat that response.
fn idempotency(job: &ClaimedJob, call: &str) -> Result<RequestStrategy, BillingError> {
    IdempotencyKey::new(format!("vestry-{}-{call}-{}", job.tenant_id, job.errors))
        .map(RequestStrategy::Idempotent)
        .map_err(BillingError::deserialize_err)
}

/// Replaces async-stripe's client, which hides `Retry-After` and records whole requests, personal data included, in its
/// tracing spans.
impl StripeClient for Stripe {
    type Err = BillingError;

    async fn execute(&self, request: CustomizedStripeRequest) -> Result<Bytes, BillingError> {
        let started = Instant::now();
        let answer = self.call(request).await;
        let result = match &answer {
            Ok(_) => "ok",
            Err(error) => error.kind.name(),
        };
        metrics::counter!("vestry_stripe_calls_total", "result" => result).increment(1);
        metrics::histogram!("vestry_stripe_call_seconds").record(started.elapsed());
        answer
    }
}

impl Stripe {
    async fn call(&self, request: CustomizedStripeRequest) -> Result<Bytes, BillingError> {
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
        let answer = call.send().await.map_err(|error| self.no_response(&error))?;
        if answer.status().is_success() {
            answer.bytes().await.map_err(|error| self.no_response(&error))
        } else {
            Err(BillingError::from_response(answer).await)
        }
    }

    fn no_response(&self, error: &reqwest::Error) -> BillingError {
        let reason = if error.is_timeout() {
            format!("Stripe did not answer within {:?}.", self.deadline)
        } else {
            format!("Stripe could not be reached: {}.", root_cause(error))
        };
        BillingError { kind: ErrorKind::NoResponse, reason, retry_after: None }
    }
}

impl BillingError {
    /// Uses Stripe's codes only: its messages may repeat request data.
    async fn from_response(answer: Response) -> Self {
        let status = answer.status();
        let after = answer.headers().get(RETRY_AFTER).and_then(|after| after.to_str().ok()?.parse().ok());
        let body: serde_json::Value =
            answer.bytes().await.ok().and_then(|body| serde_json::from_slice(&body).ok()).unwrap_or_default();
        let word = |name: &str| body["error"][name].as_str().unwrap_or_default().to_owned();
        let code = [word("code"), word("param")].into_iter().filter(|word| !word.is_empty());
        let code: String = code.map(|word| format!(", {word}")).collect();
        let (kind, what) = match status {
            StatusCode::TOO_MANY_REQUESTS => (ErrorKind::Busy, "Stripe asks for fewer calls"),
            StatusCode::CONFLICT => (ErrorKind::Busy, "Stripe is busy with the same call"),
            StatusCode::UNAUTHORIZED => (ErrorKind::KeyRejected, "Stripe does not know STRIPE_SECRET_KEY"),
            StatusCode::FORBIDDEN => {
                (ErrorKind::KeyRejected, "Stripe does not allow STRIPE_SECRET_KEY to do this")
            }
            _ if status.is_client_error() => (ErrorKind::Rejected, "Stripe refused the call"),
            _ => (ErrorKind::Server, "Stripe failed"),
        };
        let reason = format!("{what} ({}{code}).", status.as_u16());
        Self { kind, reason, retry_after: after.map(Duration::from_secs) }
    }
}

impl StripeClientErr for BillingError {
    fn deserialize_err(_: impl std::fmt::Display) -> Self {
        let reason = "Stripe's answer was not understood: this version of Vestry may be too old for it.";
        Self { kind: ErrorKind::Rejected, reason: reason.to_owned(), retry_after: None }
    }
}

impl ErrorKind {
    /// Label in `/metrics`.
    fn name(self) -> &'static str {
        match self {
            Self::NoResponse => "unanswered",
            Self::Busy => "busy",
            Self::Server => "fault",
            Self::Rejected => "refused",
            Self::KeyRejected => "key_refused",
        }
    }
}

/// Returns the innermost cause; the outer errors repeat URLs.
fn root_cause(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.last().map(ToString::to_string).unwrap_or_default()
}
