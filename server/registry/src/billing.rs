//! Billing jobs: tenants that still need a Stripe customer or subscription.
//!
//! The billing worker inserts a job for each active tenant, never the signup itself. So a signup does not depend on
//! billing, a failed signup leaves no customer, and tenants get their jobs when a key is configured later.

use crate::{Registry, Result, TenantId, lease::require_lease, pg::interval};
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Billing state of a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum BillingState {
    /// Not billed.
    None,
    /// A job is queued or will be retried.
    Pending,
    /// Stripe rejects the job; an operator has to act.
    Failing,
    /// Customer and subscription exist.
    Ready,
}

impl BillingState {
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Pending => "pending",
            Self::Failing => "failing",
            Self::Ready => "ready",
        }
    }

    /// `failing` is that of the tenant's job, if there is one.
    pub(crate) fn new(customer: Option<&str>, failing: Option<bool>) -> Self {
        match (customer, failing) {
            (_, Some(true)) => Self::Failing,
            (_, Some(false)) => Self::Pending,
            (Some(_), None) => Self::Ready,
            (None, None) => Self::None,
        }
    }
}

/// A job that this worker has leased.
#[derive(Clone, Debug)]
pub struct ClaimedJob {
    pub tenant_id: TenantId,
    pub church: String,
    /// Email of the owner.
    pub email: String,
    pub trial_ends_at: DateTime<Utc>,
    /// Customer created by an earlier attempt.
    pub customer: Option<String>,
    /// Attempts, this one included.
    pub attempts: i32,
    /// Error responses of Stripe so far.
    pub errors: i32,
    /// Time before the claim was sent: the lease lasts at least its requested duration from then on.
    pub claimed_at: Instant,
    lease: Uuid,
}

/// Inserts a job for each active tenant without a customer and a job.
pub async fn enqueue(registry: &Registry) -> Result<()> {
    sqlx::query!(
        "insert into billing_jobs (tenant_id, email)
         select t.id, e.email
           from tenants t
          cross join lateral
                (select email from admin_emails where tenant_id = t.id order by created_at, email limit 1) e
          where t.status = 'active'
            and t.stripe_customer_id is null
            and not exists (select from billing_jobs j where j.tenant_id = t.id)
             on conflict do nothing"
    )
    .execute(&registry.pool)
    .await?;
    Ok(())
}

/// Claims the due job that has waited longest.
pub async fn claim(registry: &Registry, lease_for: Duration) -> Result<Option<ClaimedJob>> {
    let lease = Uuid::new_v4();
    let claimed_at = Instant::now();
    let row = sqlx::query!(
        "with claimed as (
             update billing_jobs
                set lease = $1, lease_until = now() + $2, attempts = attempts + 1
              where tenant_id = (select j.tenant_id
                                   from billing_jobs j
                                   join tenants t on t.id = j.tenant_id
                                  where j.next_attempt_at <= now()
                                    and (j.lease_until is null or j.lease_until < now())
                                    and t.status = 'active'
                                  order by j.next_attempt_at
                                  limit 1
                                    for update of j skip locked)
             returning tenant_id, email, attempts, errors
         )
         select c.tenant_id, c.email, c.attempts, c.errors, t.name, t.trial_ends_at, t.stripe_customer_id
           from claimed c
           join tenants t on t.id = c.tenant_id",
        lease,
        interval(lease_for),
    )
    .fetch_optional(&registry.pool)
    .await?;
    row.map(|row| {
        Ok(ClaimedJob {
            tenant_id: row.tenant_id.parse()?,
            church: row.name,
            email: row.email,
            trial_ends_at: row.trial_ends_at,
            customer: row.stripe_customer_id,
            attempts: row.attempts,
            errors: row.errors,
            claimed_at,
            lease,
        })
    })
    .transpose()
}

/// Extends the lease.
pub async fn renew(registry: &Registry, job: &ClaimedJob, lease_for: Duration) -> Result<()> {
    require_lease(sqlx::query!(
        "update billing_jobs set lease_until = now() + $3 where tenant_id = $1 and lease = $2",
        job.tenant_id.as_str(),
        job.lease,
        interval(lease_for),
    ))
    .execute(&registry.pool)
    .await
}

#[derive(Clone, Debug)]
pub struct StripeSubscription {
    pub id: String,
    /// `trialing`, `active`, `past_due` …
    pub status: String,
}

/// Stores customer and subscription, and deletes the job.
pub async fn finish(
    registry: &Registry,
    job: &ClaimedJob,
    customer: &str,
    subscription: Option<&StripeSubscription>,
) -> Result<()> {
    require_lease(sqlx::query!(
        "with done as (
             delete from billing_jobs where tenant_id = $1 and lease = $2 returning tenant_id
         )
         update tenants t
            set stripe_customer_id = $3,
                stripe_subscription_id = coalesce($4, t.stripe_subscription_id),
                subscription_status = coalesce($5, t.subscription_status),
                updated_at = now()
           from done
          where t.id = done.tenant_id",
        job.tenant_id.as_str(),
        job.lease,
        customer,
        subscription.map(|subscription| subscription.id.as_str()),
        subscription.map(|subscription| subscription.status.as_str()),
    ))
    .execute(&registry.pool)
    .await
}

/// Reason to postpone a job.
pub struct JobFailure<'a> {
    /// Message for the operator, without secrets.
    pub reason: &'a str,
    /// Stripe rejected the call; an operator has to act.
    pub rejected: bool,
    /// Stripe answered with an error, which it repeats for the same idempotency key.
    pub has_response: bool,
    /// The customer, if it was created.
    pub customer: Option<&'a str>,
}

/// Releases the job and schedules its next attempt after `wait`.
pub async fn postpone(
    registry: &Registry,
    job: &ClaimedJob,
    wait: Duration,
    failure: JobFailure<'_>,
) -> Result<()> {
    require_lease(sqlx::query!(
        "with job as (
             update billing_jobs
                set lease = null, lease_until = null, next_attempt_at = now() + $3,
                    last_error = $4, failing = $5, errors = errors + $6
              where tenant_id = $1 and lease = $2
             returning tenant_id
         )
         update tenants t
            set stripe_customer_id = coalesce($7, t.stripe_customer_id), updated_at = now()
           from job
          where t.id = job.tenant_id",
        job.tenant_id.as_str(),
        job.lease,
        interval(wait),
        failure.reason,
        failure.rejected,
        i32::from(failure.has_response),
        failure.customer,
    ))
    .execute(&registry.pool)
    .await
}

/// Makes all failing jobs due now.
pub async fn retry_failing(registry: &Registry) -> Result<()> {
    sqlx::query!("update billing_jobs set next_attempt_at = now() where failing and next_attempt_at > now()")
        .execute(&registry.pool)
        .await?;
    Ok(())
}

/// Releases the job without an attempt.
pub async fn release(registry: &Registry, job: &ClaimedJob) -> Result<()> {
    require_lease(sqlx::query!(
        "update billing_jobs set lease = null, lease_until = null where tenant_id = $1 and lease = $2",
        job.tenant_id.as_str(),
        job.lease,
    ))
    .execute(&registry.pool)
    .await
}

/// Number of jobs, and when the next one is due.
#[derive(Clone, Copy, Debug)]
pub struct Backlog {
    pub pending: i64,
    pub failing: i64,
    pub next_due: Option<DateTime<Utc>>,
}

pub async fn backlog(registry: &Registry) -> Result<Backlog> {
    let backlog = sqlx::query_as!(
        Backlog,
        r#"select count(*) filter (where not j.failing) as "pending!",
                  count(*) filter (where j.failing) as "failing!",
                  min(greatest(j.next_attempt_at, j.lease_until)) filter (where t.status = 'active') as next_due
             from billing_jobs j
             join tenants t on t.id = j.tenant_id"#
    )
    .fetch_one(&registry.pool)
    .await?;
    Ok(backlog)
}
