use super::{Billing, BillingError, Breaker, ErrorKind};
use crate::{config::StripeTimeouts, lease, log_limit::warn_registry};
use chrono::Utc;
use registry::{
    Registry,
    billing::{self, Backlog, ClaimedJob, JobFailure, StripeSubscription},
    chain,
    notifications::{Notification, Subscriber},
};
use std::time::Duration;
use tokio::time;
use tokio_util::sync::CancellationToken;

/// Poll interval, in case a notification is lost.
const POLL_INTERVAL: Duration = Duration::from_secs(5);
/// Maximum delay between two attempts, and the delay after a rejection.
const MAX_BACKOFF: Duration = Duration::from_secs(3600);
/// Maximum calls of one attempt: customer and subscription, each looked up first.
const MAX_CALLS: u32 = 4;

/// Processes billing jobs, one at a time, until `stop`.
pub struct Worker<B> {
    pub billing: B,
    pub registry: Registry,
    pub notifications: Subscriber,
    pub breaker: Breaker,
    pub timeouts: StripeTimeouts,
    pub stop: CancellationToken,
    /// Whether a rejected key was logged already.
    pub key_rejected: bool,
}

impl<B: Billing> Worker<B> {
    pub async fn run(mut self) {
        // The operator may have corrected the cause before this start.
        if let Err(error) = billing::retry_failing(&self.registry).await {
            warn_registry(&error, "cannot reset failing billing jobs");
        }
        while !self.stop.is_cancelled() {
            let wait = match self.process_next().await {
                Ok(None) => continue,
                Ok(Some(wait)) => wait,
                Err(error) => {
                    warn_registry(&error, "cannot process billing jobs");
                    Duration::from_secs(1)
                }
            };
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = self.notifications.wait_for(|n| matches!(n, Notification::Tenant(_))) => {}
                () = time::sleep(wait) => {}
            }
        }
    }

    /// Attempts one job; without a due job, returns how long to wait.
    async fn process_next(&mut self) -> registry::Result<Option<Duration>> {
        billing::enqueue(&self.registry).await?;
        let Backlog { pending, failing, next_due } = billing::backlog(&self.registry).await?;
        metrics::gauge!("vestry_billing_jobs", "state" => "pending").set(pending as f64);
        metrics::gauge!("vestry_billing_jobs", "state" => "failing").set(failing as f64);
        let Some(next_due) = next_due else { return Ok(Some(POLL_INTERVAL)) };
        if !self.breaker.permits() {
            return Ok(Some(POLL_INTERVAL.min(self.timeouts.pause)));
        }
        match billing::claim(&self.registry, self.lease_duration()).await? {
            Some(job) => {
                if let Err(error) = self.attempt(&job).await {
                    log_write_error(&job, &error);
                }
                Ok(None)
            }
            None => {
                let until_due = (next_due - Utc::now()).to_std().unwrap_or_default();
                Ok(Some(until_due.clamp(Duration::from_millis(20), POLL_INTERVAL)))
            }
        }
    }

    /// Returns a lease longer than an attempt can take.
    fn lease_duration(&self) -> Duration {
        self.timeouts.deadline * (MAX_CALLS + 1)
    }

    async fn attempt(&mut self, job: &ClaimedJob) -> registry::Result<()> {
        let renew = || billing::renew(&self.registry, job, self.lease_duration());
        let held = lease::hold(job.claimed_at, self.lease_duration(), renew, self.create(job));
        let created = tokio::select! {
            () = self.stop.cancelled() => return billing::release(&self.registry, job).await,
            created = held => created.map_err(|lease::Lost| registry::Error::LeaseLost)?,
        };
        match created {
            Ok((customer, subscription)) => {
                self.breaker.succeeded();
                self.key_rejected = false;
                billing::finish(&self.registry, job, &customer, subscription.as_ref()).await?;
                tracing::info!(tenant = %job.tenant_id, attempts = job.attempts, "tenant billed");
                Ok(())
            }
            Err((customer, error)) => self.postpone(job, customer.as_deref(), &error).await,
        }
    }

    /// Creates customer and subscription. An error includes the customer, if it exists.
    async fn create(
        &self,
        job: &ClaimedJob,
    ) -> Result<(String, Option<StripeSubscription>), (Option<String>, BillingError)> {
        let customer = match &job.customer {
            Some(customer) => customer.clone(),
            None => self.billing.customer(job).await.map_err(|error| (None, error))?,
        };
        match self.billing.subscription(job, &customer).await {
            Ok(subscription) => Ok((customer, subscription)),
            Err(error) => Err((Some(customer), error)),
        }
    }

    async fn postpone(
        &mut self,
        job: &ClaimedJob,
        customer: Option<&str>,
        error: &BillingError,
    ) -> registry::Result<()> {
        match error.kind {
            ErrorKind::Rejected => self.breaker.succeeded(),
            ErrorKind::NoResponse | ErrorKind::Busy | ErrorKind::Server | ErrorKind::KeyRejected => {
                self.breaker.failed()
            }
        }
        if error.kind == ErrorKind::KeyRejected && !std::mem::replace(&mut self.key_rejected, true) {
            tracing::error!(reason = %error.reason, "Stripe rejects STRIPE_SECRET_KEY: billing stops until it is corrected");
        }
        let rejected = matches!(error.kind, ErrorKind::Rejected | ErrorKind::KeyRejected);
        let wait = if rejected { MAX_BACKOFF } else { self.backoff(job.attempts, error.retry_after) };
        let job_failure = JobFailure {
            reason: &error.reason,
            rejected,
            has_response: !matches!(error.kind, ErrorKind::NoResponse | ErrorKind::Busy),
            customer,
        };
        billing::postpone(&self.registry, job, wait, job_failure).await?;
        tracing::warn!(tenant = %job.tenant_id, attempts = job.attempts, reason = %error.reason, "billing postponed");
        Ok(())
    }

    /// Exponential backoff with 25 % jitter.
    fn backoff(&self, attempts: i32, retry_after: Option<Duration>) -> Duration {
        let doubled = 2_u32.saturating_pow(attempts.clamp(1, 30) as u32 - 1);
        let wait = self.timeouts.backoff.saturating_mul(doubled).min(MAX_BACKOFF);
        wait.mul_f64(rand::random_range(0.75..1.25)).max(retry_after.unwrap_or_default()).min(MAX_BACKOFF)
    }
}

/// Logs that the result is not stored; the next lease holder repeats the job.
fn log_write_error(job: &ClaimedJob, error: &registry::Error) {
    let (tenant, attempts) = (&job.tenant_id, job.attempts);
    if matches!(error, registry::Error::LeaseLost) {
        metrics::counter!("vestry_leases_lost_total", "kind" => "billing").increment(1);
        tracing::warn!(%tenant, attempts, "another worker took over the billing job");
    } else {
        tracing::warn!(%tenant, attempts, error = %chain(error), "cannot store the result of billing");
    }
}
