use super::{Billing, Breaker, Failure, Kind};
use crate::{config::Patience, lease, quiet::warn_registry};
use chrono::Utc;
use registry::{
    Registry,
    billing::{self, Backlog, Claimed, Setback, Subscription},
    chain,
    changes::{Change, Subscription as Changes},
};
use std::time::Duration;
use tokio::time;
use tokio_util::sync::CancellationToken;

/// How often is looked for work that nobody announced.
const LOOK_AROUND: Duration = Duration::from_secs(5);
/// The longest wait between two attempts, and the usual one where somebody has to look.
const CEILING: Duration = Duration::from_secs(3600);
/// The most calls of one attempt: a customer and a subscription, each looked up first.
const CALLS: u32 = 4;

/// Carries out billing jobs one after another, until told to stop.
pub struct Worker<B> {
    pub billing: B,
    pub registry: Registry,
    pub changes: Changes,
    pub breaker: Breaker,
    pub patience: Patience,
    pub stop: CancellationToken,
    /// The operator was told that the key is refused.
    pub key_refused: bool,
}

impl<B: Billing> Worker<B> {
    pub async fn run(mut self) {
        // Whoever starts it may just have set right what was refused.
        if let Err(error) = billing::retry_failing(&self.registry).await {
            warn_registry(&error, "refused billing is tried again later");
        }
        while !self.stop.is_cancelled() {
            let wait = match self.turn().await {
                Ok(None) => continue,
                Ok(Some(wait)) => wait,
                Err(error) => {
                    warn_registry(&error, "billing cannot be worked on");
                    Duration::from_secs(1)
                }
            };
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = announced(&mut self.changes) => {}
                () = time::sleep(wait) => {}
            }
        }
    }

    /// Attempts one job, or says how long to wait for one.
    async fn turn(&mut self) -> registry::Result<Option<Duration>> {
        billing::enqueue(&self.registry).await?;
        let Backlog { pending, failing, next_due } = billing::backlog(&self.registry).await?;
        metrics::gauge!("vestry_billing_jobs", "state" => "pending").set(pending as f64);
        metrics::gauge!("vestry_billing_jobs", "state" => "failing").set(failing as f64);
        let Some(next_due) = next_due else { return Ok(Some(LOOK_AROUND)) };
        if !self.breaker.permits() {
            return Ok(Some(LOOK_AROUND.min(self.patience.pause)));
        }
        match billing::claim(&self.registry, self.lease()).await? {
            Some(job) => {
                if let Err(error) = self.attempt(&job).await {
                    log_unwritten(&job, &error);
                }
                Ok(None)
            }
            None => {
                let until_due = (next_due - Utc::now()).to_std().unwrap_or_default();
                Ok(Some(until_due.clamp(Duration::from_millis(20), LOOK_AROUND)))
            }
        }
    }

    /// A little more than an attempt can take.
    fn lease(&self) -> Duration {
        self.patience.deadline * (CALLS + 1)
    }

    async fn attempt(&mut self, job: &Claimed) -> registry::Result<()> {
        let renew = || billing::renew(&self.registry, job, self.lease());
        let held = lease::hold(job.claimed_at, self.lease(), renew, self.make(job));
        let made = tokio::select! {
            () = self.stop.cancelled() => return billing::release(&self.registry, job).await,
            made = held => made.map_err(|lease::Lost| registry::Error::LeaseLost)?,
        };
        match made {
            Ok((customer, subscription)) => {
                self.breaker.answered();
                self.key_refused = false;
                billing::finish(&self.registry, job, &customer, subscription.as_ref()).await?;
                tracing::info!(tenant = %job.tenant_id, attempts = job.attempts, "church is billed");
                Ok(())
            }
            Err((customer, failure)) => self.put_off(job, customer.as_deref(), &failure).await,
        }
    }

    /// Makes what is missing; a failure comes with the customer, if there is one already.
    async fn make(&self, job: &Claimed) -> Result<(String, Option<Subscription>), (Option<String>, Failure)> {
        let customer = match &job.customer {
            Some(customer) => customer.clone(),
            None => self.billing.customer(job).await.map_err(|failure| (None, failure))?,
        };
        match self.billing.subscription(job, &customer).await {
            Ok(subscription) => Ok((customer, subscription)),
            Err(failure) => Err((Some(customer), failure)),
        }
    }

    async fn put_off(
        &mut self,
        job: &Claimed,
        customer: Option<&str>,
        failure: &Failure,
    ) -> registry::Result<()> {
        match failure.kind {
            Kind::Refused => self.breaker.answered(),
            Kind::Unanswered | Kind::Busy | Kind::Fault | Kind::KeyRefused => self.breaker.failed(),
        }
        if failure.kind == Kind::KeyRefused && !std::mem::replace(&mut self.key_refused, true) {
            tracing::error!(reason = %failure.reason, "STRIPE_SECRET_KEY is refused: nobody is billed until it is set right");
        }
        let refused = matches!(failure.kind, Kind::Refused | Kind::KeyRefused);
        let wait = if refused { CEILING } else { self.backoff(job.attempts, failure.retry_after) };
        let setback = Setback {
            reason: &failure.reason,
            refused,
            answered: !matches!(failure.kind, Kind::Unanswered | Kind::Busy),
            customer,
        };
        billing::postpone(&self.registry, job, wait, setback).await?;
        tracing::warn!(tenant = %job.tenant_id, attempts = job.attempts, reason = %failure.reason, "billing has to wait");
        Ok(())
    }

    /// Twice as long after each attempt, give or take a quarter so that not all jobs come back at once.
    fn backoff(&self, attempts: i32, asked_for: Option<Duration>) -> Duration {
        let doubled = 2_u32.saturating_pow(attempts.clamp(1, 30) as u32 - 1);
        let wait = self.patience.backoff.saturating_mul(doubled).min(CEILING);
        wait.mul_f64(rand::random_range(0.75..1.25)).max(asked_for.unwrap_or_default()).min(CEILING)
    }
}

/// The job stays as it is, for the worker that has its lease or gets it next.
fn log_unwritten(job: &Claimed, error: &registry::Error) {
    let (tenant, attempts) = (&job.tenant_id, job.attempts);
    if matches!(error, registry::Error::LeaseLost) {
        metrics::counter!("vestry_leases_lost_total", "kind" => "billing").increment(1);
        tracing::warn!(%tenant, attempts, "another worker took the billing job over");
    } else {
        tracing::warn!(%tenant, attempts, error = %chain(error), "the result of billing could not be written down");
    }
}

/// A church may have opened: its row has changed.
async fn announced(changes: &mut Changes) {
    loop {
        match changes.next().await {
            Some(Change::Tenant(_) | Change::Unheard) => return,
            Some(_) => {}
            None => std::future::pending().await,
        }
    }
}
