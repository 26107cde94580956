//! Provisioning runs: a worker claims a run with a lease and records each step as an event.

use crate::{Registry, Result, TenantId, lease::require_lease, pg::interval, progress::Step};
use chrono::{DateTime, Utc};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Duration of a lease without a heartbeat.
pub const LEASE: Duration = Duration::from_secs(6);

/// A run that this worker has leased; only the lease holder writes to it.
#[derive(Clone, Debug)]
pub struct ClaimedRun {
    pub run_id: Uuid,
    pub tenant_id: TenantId,
    pub attempts: i32,
    /// The owner of the church, sealed.
    pub sealed_owner: Vec<u8>,
    /// Time before the claim was sent: the lease lasts at least [`LEASE`] from then on.
    pub claimed_at: Instant,
    pub(crate) lease: Uuid,
}

/// Claims the due run that has waited longest.
pub async fn claim(registry: &Registry) -> Result<Option<ClaimedRun>> {
    let lease = Uuid::new_v4();
    let claimed_at = Instant::now();
    let row = sqlx::query!(
        // Skips fsync: after a crash that loses the claim, the worker's later writes fail on the lease.
        "with soft as (select set_config('synchronous_commit', 'off', true))
         update provisioning_runs
            set status = 'running', lease = $1, lease_until = now() + $2, attempts = attempts + 1
           from soft
          where id = (select id
                        from provisioning_runs
                       where status in ('queued', 'running')
                         and next_attempt_at <= now()
                         and (lease_until is null or lease_until < now())
                       order by next_attempt_at
                       limit 1
                         for update skip locked)
         returning id, tenant_id, attempts, sealed",
        lease,
        interval(LEASE),
    )
    .fetch_optional(&registry.pool)
    .await?;
    row.map(|row| {
        Ok(ClaimedRun {
            run_id: row.id,
            tenant_id: row.tenant_id.parse()?,
            attempts: row.attempts,
            sealed_owner: row.sealed.unwrap_or_default(),
            claimed_at,
            lease,
        })
    })
    .transpose()
}

/// Extends the lease.
pub async fn renew(registry: &Registry, run: &ClaimedRun) -> Result<()> {
    require_lease(sqlx::query!(
        "update provisioning_runs set lease_until = now() + $3 where id = $1 and lease = $2",
        run.run_id,
        run.lease,
        interval(LEASE),
    ))
    .execute(&registry.pool)
    .await
}

/// Records that steps have succeeded and that the next one has started.
pub async fn advance(
    registry: &Registry,
    run: &ClaimedRun,
    done: &[(Step, Duration)],
    next: Step,
) -> Result<()> {
    let steps: Vec<_> = done.iter().map(|(step, _)| step.name().to_owned()).collect();
    let took: Vec<_> = done.iter().map(|(_, took)| millis(*took)).collect();
    require_lease(sqlx::query!(
        // Skips fsync: losing an event is harmless, because steps are idempotent.
        "with soft as (select set_config('synchronous_commit', 'off', true)),
              last as (select coalesce(max(seq), 0) as seq from provisioning_events where run_id = $1),
              news as (select step, 'succeeded' as state, took, nth
                         from unnest($3::text[], $4::integer[]) with ordinality as d (step, took, nth)
                       union all
                       select $5, 'started', null, cardinality($3::text[]) + 1)
         insert into provisioning_events (run_id, seq, step, state, duration_ms)
         select r.id, last.seq + news.nth, news.step, news.state, news.took
           from provisioning_runs r, last, soft, news
          where r.id = $1 and r.lease = $2",
        run.run_id,
        run.lease,
        &steps,
        &took,
        next.name(),
    ))
    .execute(&registry.pool)
    .await
}

/// Completes the last step: activates the tenant, ends the run and deletes the sealed owner.
pub async fn succeed(
    registry: &Registry,
    run: &ClaimedRun,
    schema_version: i64,
    took: Duration,
) -> Result<()> {
    require_lease(sqlx::query!(
        "with run as (
             update provisioning_runs
                set status = 'succeeded', sealed = null, lease = null, lease_until = null, finished_at = now()
              where id = $1 and lease = $2
             returning id, tenant_id
         ), tenant as (
             update tenants t
                set status = 'active', schema_version = $3, updated_at = now()
               from run where t.id = run.tenant_id
         )
         insert into provisioning_events (run_id, seq, step, state, duration_ms)
         select run.id, coalesce((select max(seq) from provisioning_events where run_id = $1), 0) + 1, $4, 'succeeded', $5
           from run",
        run.run_id,
        run.lease,
        schema_version,
        Step::Open.name(),
        millis(took),
    ))
    .execute(&registry.pool)
    .await
}

/// Releases the run and schedules its next attempt after `wait`.
pub async fn postpone(registry: &Registry, run: &ClaimedRun, wait: Duration) -> Result<()> {
    require_lease(sqlx::query!(
        "update provisioning_runs
            set lease = null, lease_until = null, next_attempt_at = now() + $3
          where id = $1 and lease = $2",
        run.run_id,
        run.lease,
        interval(wait),
    ))
    .execute(&registry.pool)
    .await
}

/// Ends the run with the reason of the failure. Keeps the sealed owner for a retry.
pub async fn fail(registry: &Registry, run: &ClaimedRun, step: Step, reason: &str) -> Result<()> {
    require_lease(sqlx::query!(
        "with run as (
             update provisioning_runs
                set status = 'failed', lease = null, lease_until = null, finished_at = now()
              where id = $1 and lease = $2
             returning id, tenant_id
         ), tenant as (
             update tenants t set status = 'failed', updated_at = now() from run where t.id = run.tenant_id
         )
         insert into provisioning_events (run_id, seq, step, state, reason)
         select run.id, coalesce((select max(seq) from provisioning_events where run_id = $1), 0) + 1, $3, 'failed', $4
           from run",
        run.run_id,
        run.lease,
        step.name(),
        reason,
    ))
    .execute(&registry.pool)
    .await
}

/// Queues a failed run again. Does nothing to other runs, nor to one whose undo has begun (it has a lease, maybe
/// expired): a worker frozen during the undo may still drop the database.
pub async fn retry(registry: &Registry, run_id: Uuid) -> Result<()> {
    sqlx::query!(
        "with run as (
             update provisioning_runs
                set status = 'queued', attempts = 0, next_attempt_at = now(), finished_at = null
              where id = $1 and status = 'failed' and sealed is not null and lease is null
             returning tenant_id
         )
         update tenants t set status = 'provisioning', updated_at = now() from run where t.id = run.tenant_id",
        run_id,
    )
    .execute(&registry.pool)
    .await?;
    Ok(())
}

/// Claims a run that failed longer than `after` ago, to undo it.
pub async fn claim_abandoned(registry: &Registry, after: Duration) -> Result<Option<ClaimedRun>> {
    let lease = Uuid::new_v4();
    let claimed_at = Instant::now();
    let row = sqlx::query!(
        "update provisioning_runs
            set lease = $1, lease_until = now() + $2
          where id = (select id
                        from provisioning_runs
                       where status = 'failed'
                         and finished_at < now() - $3::interval
                         and (lease_until is null or lease_until < now())
                       order by finished_at
                       limit 1
                         for update skip locked)
         returning id, tenant_id, attempts",
        lease,
        interval(LEASE),
        interval(after),
    )
    .fetch_optional(&registry.pool)
    .await?;
    row.map(|row| {
        Ok(ClaimedRun {
            run_id: row.id,
            tenant_id: row.tenant_id.parse()?,
            attempts: row.attempts,
            sealed_owner: Vec::new(),
            claimed_at,
            lease,
        })
    })
    .transpose()
}

/// Keeps a failed run whose database holds data that the run did not write. It is examined again after the same delay;
/// a retry opens the church with its data.
pub async fn keep_abandoned(registry: &Registry, run: &ClaimedRun) -> Result<()> {
    require_lease(sqlx::query!(
        "update provisioning_runs set lease = null, lease_until = null, finished_at = now() where id = $1 and lease = $2",
        run.run_id,
        run.lease,
    ))
    .execute(&registry.pool)
    .await
}

/// Deletes a tenant whose database and role are dropped, with its admin emails, run and events.
pub async fn delete_tenant(registry: &Registry, run: &ClaimedRun) -> Result<()> {
    require_lease(sqlx::query!(
        "delete from tenants t using provisioning_runs r where r.id = $1 and r.lease = $2 and t.id = r.tenant_id",
        run.run_id,
        run.lease,
    ))
    .execute(&registry.pool)
    .await
}

/// Returns when the next queued run, or running one with an expired lease, is due.
pub async fn next_due(registry: &Registry) -> Result<Option<DateTime<Utc>>> {
    let due = sqlx::query_scalar!(
        "select min(greatest(next_attempt_at, lease_until)) from provisioning_runs where status in ('queued', 'running')"
    )
    .fetch_one(&registry.pool)
    .await?;
    Ok(due)
}

fn millis(duration: Duration) -> i32 {
    duration.as_millis().try_into().unwrap_or(i32::MAX)
}
