//! Billing jobs: churches whose customer, or subscription, the billing service has still to make.
//!
//! A job is written when its church has opened, by a worker that bills, and never within a signup: signing
//! up gains nothing by it, a church that never opens leaves no customer behind, without a key no jobs pile
//! up, and when a key appears later every church there is gets its job.

use crate::{
    Registry, Result, TenantId,
    runs::{held, interval},
};
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// How a tenant stands with the billing service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// It is not billed: nothing was made for it, and nothing is going to be.
    None,
    /// Something has still to be made, now or when the service answers again.
    Pending,
    /// The service refuses: somebody has to look.
    Failing,
    /// All is made.
    Ready,
}

impl State {
    /// For an operator.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Pending => "pending",
            Self::Failing => "failing",
            Self::Ready => "ready",
        }
    }

    /// From its customer, and from its job: whether that is failing.
    pub(crate) fn of(customer: Option<&str>, job: Option<bool>) -> Self {
        match (customer, job) {
            (_, Some(true)) => Self::Failing,
            (_, Some(false)) => Self::Pending,
            (Some(_), None) => Self::Ready,
            (None, None) => Self::None,
        }
    }
}

/// A job that this worker, and nobody else, may work on.
#[derive(Clone, Debug)]
pub struct Claimed {
    pub tenant_id: TenantId,
    pub church: String,
    /// Of its founder.
    pub email: String,
    pub trial_ends_at: DateTime<Utc>,
    /// The customer that an earlier attempt has made.
    pub customer: Option<String>,
    /// This one included.
    pub attempts: i32,
    /// How many errors the service has answered.
    pub errors: i32,
    /// Taken before the claim was sent: the lease lasts at least as long as was asked for from here on.
    pub claimed_at: Instant,
    lease: Uuid,
}

/// Writes a job for every open church that has neither a customer nor a job.
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

/// Claims the job that has waited longest, if one is due.
pub async fn claim(registry: &Registry, lease_for: Duration) -> Result<Option<Claimed>> {
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
        Ok(Claimed {
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

/// The heartbeat.
pub async fn renew(registry: &Registry, job: &Claimed, lease_for: Duration) -> Result<()> {
    held(sqlx::query!(
        "update billing_jobs set lease_until = now() + $3 where tenant_id = $1 and lease = $2",
        job.tenant_id.as_str(),
        job.lease,
        interval(lease_for),
    ))
    .execute(&registry.pool)
    .await
}

#[derive(Clone, Debug)]
pub struct Subscription {
    pub id: String,
    /// `trialing`, `active`, `past_due` …
    pub status: String,
}

/// All is made: the job is done.
pub async fn finish(
    registry: &Registry,
    job: &Claimed,
    customer: &str,
    subscription: Option<&Subscription>,
) -> Result<()> {
    held(sqlx::query!(
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
        subscription.map(|made| made.id.as_str()),
        subscription.map(|made| made.status.as_str()),
    ))
    .execute(&registry.pool)
    .await
}

/// Why a job is given back.
pub struct Setback<'a> {
    /// In words for the operator, without a secret.
    pub reason: &'a str,
    /// Whether it is refused, so that somebody has to look.
    pub refused: bool,
    /// Whether the service answered with an error, which it keeps for the idempotency key.
    pub answered: bool,
    /// The customer, if that much is made.
    pub customer: Option<&'a str>,
}

/// Gives the job back, to be tried again after a while.
pub async fn postpone(
    registry: &Registry,
    job: &Claimed,
    wait: Duration,
    setback: Setback<'_>,
) -> Result<()> {
    held(sqlx::query!(
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
        setback.reason,
        setback.refused,
        i32::from(setback.answered),
        setback.customer,
    ))
    .execute(&registry.pool)
    .await
}

/// Makes every failing job due at once.
pub async fn retry_failing(registry: &Registry) -> Result<()> {
    sqlx::query!("update billing_jobs set next_attempt_at = now() where failing and next_attempt_at > now()")
        .execute(&registry.pool)
        .await?;
    Ok(())
}

/// Gives the job back untried, for whoever is next.
pub async fn release(registry: &Registry, job: &Claimed) -> Result<()> {
    held(sqlx::query!(
        "update billing_jobs set lease = null, lease_until = null where tenant_id = $1 and lease = $2",
        job.tenant_id.as_str(),
        job.lease,
    ))
    .execute(&registry.pool)
    .await
}

/// How many jobs there are, and when the next one is due.
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
