//! Billing: creates a Stripe customer and a trial subscription for each active tenant.
//!
//! Signups never wait for it. A worker queues a job for each tenant without a customer and retries: see
//! [`registry::billing`] for the jobs, [`Breaker`] for outages.

mod breaker;
mod stripe;
mod worker;

pub use breaker::{Breaker, BreakerState};

use crate::{Error, config::Config, installation::Installation};
use registry::billing::{ClaimedJob, StripeSubscription};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The billing service. Both calls are idempotent: they find what an earlier attempt has created.
pub trait Billing: Send + Sync + 'static {
    /// Creates the customer, or finds it.
    fn customer(&self, job: &ClaimedJob) -> impl Future<Output = Result<String, BillingError>> + Send;

    /// Creates the subscription, billed after the trial, or finds it; `None` without STRIPE_PRICE.
    fn subscription(
        &self,
        job: &ClaimedJob,
        customer: &str,
    ) -> impl Future<Output = Result<Option<StripeSubscription>, BillingError>> + Send;
}

/// Error of a call to the billing service.
#[derive(Debug)]
pub struct BillingError {
    pub kind: ErrorKind,
    /// Message for the operator, without secrets and personal data.
    pub reason: String,
    /// `Retry-After` of the response.
    pub retry_after: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// No response: the call may have succeeded.
    NoResponse,
    /// Rate limited or locked: nothing was done.
    Busy,
    /// Server error.
    Server,
    /// Rejected until something is corrected.
    Rejected,
    /// The API key is rejected.
    KeyRejected,
}

/// A running billing worker.
pub struct Running {
    pub breaker: Breaker,
    pub worker: JoinHandle<()>,
}

/// Starts the worker; `None` without STRIPE_SECRET_KEY.
pub fn start(
    config: &Config,
    installation: &Installation,
    stop: &CancellationToken,
) -> Result<Option<Running>, Error> {
    let Some(stripe) = stripe::Stripe::new(config)? else {
        tracing::info!("STRIPE_SECRET_KEY is not set: trials without billing");
        return Ok(None);
    };
    let breaker = Breaker::new(config.stripe_timeouts.pause);
    let worker = worker::Worker {
        billing: stripe,
        registry: installation.registry.clone(),
        notifications: installation.notifications.subscribe(),
        breaker: breaker.clone(),
        timeouts: config.stripe_timeouts,
        stop: stop.clone(),
        key_rejected: false,
    };
    Ok(Some(Running { breaker, worker: tokio::spawn(worker.run()) }))
}
