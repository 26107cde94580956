//! Billing: open churches become customers of Stripe, with a trial, whenever Stripe can be reached.
//!
//! None of it is on the way of a signup. A worker finds the churches that have no customer yet, writes a job
//! for each, and keeps trying: see [`registry::billing`] for the jobs, [`Breaker`] for when Stripe is away.

mod breaker;
mod stripe;
mod worker;

pub use breaker::{Breaker, Position};

use crate::{Error, config::Config, installation::Installation};
use registry::billing::{Claimed, Subscription};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The service that churches are billed through. Both calls may be repeated: they find what an earlier attempt
/// has made, even if nobody heard of it.
pub trait Billing: Send + Sync + 'static {
    /// Makes a customer of the church.
    fn customer(&self, church: &Claimed) -> impl Future<Output = Result<String, Failure>> + Send;

    /// Subscribes the customer, to be billed when the trial is over; `None` where churches are not subscribed.
    fn subscription(
        &self,
        church: &Claimed,
        customer: &str,
    ) -> impl Future<Output = Result<Option<Subscription>, Failure>> + Send;
}

/// Why a call did not do what was asked.
#[derive(Debug)]
pub struct Failure {
    pub kind: Kind,
    /// In words for the operator, without secrets and without personal data.
    pub reason: String,
    /// How long the service asks to be left alone.
    pub retry_after: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// No answer: it may have been done all the same.
    Unanswered,
    /// Not now: nothing was done.
    Busy,
    /// Something is wrong over there.
    Fault,
    /// What is asked will not be done unless somebody changes something.
    Refused,
    /// Nothing at all will be done for this key.
    KeyRefused,
}

/// The worker, and the breaker between it and Stripe.
pub struct Running {
    pub breaker: Breaker,
    pub worker: JoinHandle<()>,
}

/// Starts the worker; without a key to Stripe there is nothing for it to do.
pub fn start(
    config: &Config,
    installation: &Installation,
    stop: &CancellationToken,
) -> Result<Option<Running>, Error> {
    let Some(stripe) = stripe::Stripe::new(config)? else {
        tracing::info!("STRIPE_SECRET_KEY is not set: churches get trials without billing");
        return Ok(None);
    };
    let breaker = Breaker::new(config.stripe_patience.pause);
    let worker = worker::Worker {
        billing: stripe,
        registry: installation.registry.clone(),
        changes: installation.changes.subscribe(),
        breaker: breaker.clone(),
        patience: config.stripe_patience,
        stop: stop.clone(),
        key_refused: false,
    };
    Ok(Some(Running { breaker, worker: tokio::spawn(worker.run()) }))
}
