//! Provisioning runs: claimed with a lease, written down as events, read by whoever watches.

use crate::{Error, Registry, Result, TenantId, servers::Server, signups::OWN_SCHEMA, tenants::Placement};
use chrono::{DateTime, Utc};
use rand::seq::IndexedRandom;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// What a run does, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    Place,
    Database,
    Schema,
    Office,
    Open,
}

impl Step {
    pub const ALL: [Self; 5] = [Self::Place, Self::Database, Self::Schema, Self::Office, Self::Open];

    pub fn name(self) -> &'static str {
        match self {
            Self::Place => "place",
            Self::Database => "database",
            Self::Schema => "schema",
            Self::Office => "office",
            Self::Open => "open",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.name() == name)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunStatus {
    Queued,
    Running,
    Succeeded,
    Failed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepState {
    Waiting,
    Running,
    Succeeded,
    Failed,
}

/// A run as somebody watching sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    pub run_id: Uuid,
    pub tenant_id: TenantId,
    pub church: String,
    pub reference: String,
    pub status: RunStatus,
    pub steps: Vec<StepProgress>,
    /// The number of the last event, to tell what is new.
    pub seq: i32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepProgress {
    pub step: Step,
    pub state: StepState,
    pub duration: Option<Duration>,
    /// Why it failed, in words for the person who waits.
    pub reason: Option<String>,
}

/// How a run stands now. Reading it never starts work.
pub async fn progress(registry: &Registry, run_id: Uuid) -> Result<Progress> {
    let rows = sqlx::query!(
        r#"select r.tenant_id, t.name as church, r.reference, r.status,
                  e.seq as "seq?", e.step as "step?", e.state as "state?", e.duration_ms, e.reason
             from provisioning_runs r
             join tenants t on t.id = r.tenant_id
             left join provisioning_events e on e.run_id = r.id
            where r.id = $1
            order by e.seq"#,
        run_id,
    )
    .fetch_all(&registry.pool)
    .await?;
    let run = rows.first().ok_or(Error::NotFound)?;
    let mut progress = Progress {
        run_id,
        tenant_id: run.tenant_id.parse()?,
        church: run.church.clone(),
        reference: run.reference.clone(),
        status: match run.status.as_str() {
            "queued" => RunStatus::Queued,
            "running" => RunStatus::Running,
            "succeeded" => RunStatus::Succeeded,
            _ => RunStatus::Failed,
        },
        steps: Step::ALL
            .map(|step| StepProgress { step, state: StepState::Waiting, duration: None, reason: None })
            .to_vec(),
        seq: 0,
    };
    for row in &rows {
        progress.seq = row.seq.unwrap_or(0);
        let step = row.step.as_deref().and_then(Step::from_name);
        let Some(known) = progress.steps.iter_mut().find(|known| Some(known.step) == step) else { continue };
        known.state = match row.state.as_deref() {
            Some("started") => StepState::Running,
            Some("succeeded") => StepState::Succeeded,
            _ => StepState::Failed,
        };
        known.duration = row.duration_ms.map(|ms| Duration::from_millis(ms as u64));
        known.reason = row.reason.clone();
    }
    Ok(progress)
}

/// How long a claim lasts without a heartbeat.
pub const LEASE: Duration = Duration::from_secs(6);

/// A run that this worker, and nobody else, may work on and write to.
#[derive(Clone, Debug)]
pub struct Claimed {
    pub run_id: Uuid,
    pub tenant_id: TenantId,
    pub attempts: i32,
    pub sealed: Vec<u8>,
    /// Taken before the claim was sent: the lease lasts at least [`LEASE`] from here on.
    pub claimed_at: Instant,
    lease: Uuid,
}

/// Claims the run that has waited longest, if one is due.
pub async fn claim(registry: &Registry) -> Result<Option<Claimed>> {
    let lease = Uuid::new_v4();
    let claimed_at = Instant::now();
    let row = sqlx::query!(
        // A claim that a crash of the database forgets is nobody's: its worker can write nothing more.
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
        Ok(Claimed {
            run_id: row.id,
            tenant_id: row.tenant_id.parse()?,
            attempts: row.attempts,
            sealed: row.sealed.unwrap_or_default(),
            claimed_at,
            lease,
        })
    })
    .transpose()
}

/// The heartbeat.
pub async fn renew(registry: &Registry, claimed: &Claimed) -> Result<()> {
    held(sqlx::query!(
        "update provisioning_runs set lease_until = now() + $3 where id = $1 and lease = $2",
        claimed.run_id,
        claimed.lease,
        interval(LEASE),
    ))
    .execute(&registry.pool)
    .await
}

/// Writes down that steps ended and, with it, that the next one began.
pub async fn advance(
    registry: &Registry,
    claimed: &Claimed,
    done: &[(Step, Duration)],
    next: Step,
) -> Result<()> {
    let steps: Vec<_> = done.iter().map(|(step, _)| step.name().to_owned()).collect();
    let took: Vec<_> = done.iter().map(|(_, took)| millis(*took)).collect();
    held(sqlx::query!(
        // These notes need not survive a crash of the database: a step can be repeated.
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
        claimed.run_id,
        claimed.lease,
        &steps,
        &took,
        next.name(),
    ))
    .execute(&registry.pool)
    .await
}

/// Places the tenant on the emptiest server that has room, of the region it asked for, or else that of
/// the first server, and writes it down. `None`
/// when there is no such server.
pub async fn place(
    registry: &Registry,
    claimed: &Claimed,
    shared_database: &str,
) -> Result<Option<Placement>> {
    let mut tx = registry.pool.begin().await?;
    let server = sqlx::query!(
        "select s.id, s.name, s.region, s.host, s.port, s.administrator
           from database_servers s, tenants t
          where t.id = $1 and s.state = 'open' and s.unreachable_since is null
            and (t.region is null or t.region = s.region)
            and (select count(*) from tenants o where o.server_id = s.id)
              + (select count(*) from ready_databases r where r.server_id = s.id) < s.max_tenants
          order by s.region = (select p.region from database_servers p where p.name = 'primary') desc,
                   (select count(*) from tenants o where o.server_id = s.id), s.name <> 'primary', s.name
          limit 1
            for update of s",
        claimed.tenant_id.as_str(),
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(server) = server else { return Ok(None) };
    let tenant = sqlx::query!(
        r#"update tenants t
            set server_id = $3, updated_at = now(),
                database_name = case isolation when 'schema' then $4 else $5 end,
                schema_name = case isolation when 'schema' then $5 else $6 end
           from provisioning_runs r
          where r.id = $1 and r.lease = $2 and t.id = r.tenant_id
         returning t.database_name as "database_name!", t.schema_name as "schema_name!""#,
        claimed.run_id,
        claimed.lease,
        server.id,
        shared_database,
        claimed.tenant_id.own_name(),
        OWN_SCHEMA,
    )
    .fetch_optional(&mut *tx)
    .await?
    .ok_or(Error::LeaseLost)?;
    tx.commit().await?;
    Ok(Some(Placement {
        server: Server {
            id: server.id,
            name: server.name,
            region: server.region,
            host: server.host,
            port: server.port as u16,
        },
        administrator: server.administrator,
        database: tenant.database_name,
        schema: tenant.schema_name,
    }))
}

/// The last step: the tenant becomes active, the run ends, and its secret is wiped.
pub async fn succeed(
    registry: &Registry,
    claimed: &Claimed,
    schema_version: i64,
    took: Duration,
) -> Result<()> {
    held(sqlx::query!(
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
        claimed.run_id,
        claimed.lease,
        schema_version,
        Step::Open.name(),
        millis(took),
    ))
    .execute(&registry.pool)
    .await
}

/// Gives the run back, to be tried again after a while.
pub async fn postpone(registry: &Registry, claimed: &Claimed, wait: Duration) -> Result<()> {
    held(sqlx::query!(
        "update provisioning_runs
            set lease = null, lease_until = null, next_attempt_at = now() + $3
          where id = $1 and lease = $2",
        claimed.run_id,
        claimed.lease,
        interval(wait),
    ))
    .execute(&registry.pool)
    .await
}

/// Ends the run with the reason why a step failed. What it needs to go on stays sealed in it.
pub async fn fail(registry: &Registry, claimed: &Claimed, step: Step, reason: &str) -> Result<()> {
    held(sqlx::query!(
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
        claimed.run_id,
        claimed.lease,
        step.name(),
        reason,
    ))
    .execute(&registry.pool)
    .await
}

/// *Try again*: a failed run waits for a worker once more. Any other run stays as it is, and so does a run whose undo
/// has begun (it has a lease, even if that has expired): a worker that was frozen in the middle of the undo may still
/// drop the database.
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

/// Claims a run that failed so long ago that nobody will try it again, to undo it.
pub async fn claim_abandoned(registry: &Registry, after: Duration) -> Result<Option<Claimed>> {
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
        Ok(Claimed {
            run_id: row.id,
            tenant_id: row.tenant_id.parse()?,
            attempts: row.attempts,
            sealed: Vec::new(),
            claimed_at,
            lease,
        })
    })
    .transpose()
}

/// Gives up undoing a run whose database holds data that the run did not make. The next look is as far away as the
/// first was; *Try again* opens the church with what it has.
pub async fn keep_abandoned(registry: &Registry, claimed: &Claimed) -> Result<()> {
    held(sqlx::query!(
        "update provisioning_runs set lease = null, lease_until = null, finished_at = now() where id = $1 and lease = $2",
        claimed.run_id,
        claimed.lease,
    ))
    .execute(&registry.pool)
    .await
}

/// Forgets a tenant whose database and role are gone, with its email claim, run and events.
pub async fn forget(registry: &Registry, claimed: &Claimed) -> Result<()> {
    held(sqlx::query!(
        "delete from tenants t using provisioning_runs r where r.id = $1 and r.lease = $2 and t.id = r.tenant_id",
        claimed.run_id,
        claimed.lease,
    ))
    .execute(&registry.pool)
    .await
}

/// When the next run is due, if one waits or its worker was not heard of.
pub async fn next_due(registry: &Registry) -> Result<Option<DateTime<Utc>>> {
    let due = sqlx::query_scalar!(
        "select min(greatest(next_attempt_at, lease_until)) from provisioning_runs where status in ('queued', 'running')"
    )
    .fetch_one(&registry.pool)
    .await?;
    Ok(due)
}

/// Six letters and digits that nobody mistakes for one another, in two groups.
pub(crate) fn new_reference() -> String {
    const CLEAR: &[u8] = b"23456789ABCDEFGHJKMNPQRSTVWXYZ";
    let mut rng = rand::rng();
    let mut group =
        || (0..3).map(|_| char::from(*CLEAR.choose(&mut rng).unwrap_or(&b'2'))).collect::<String>();
    format!("{}-{}", group(), group())
}

/// A write that must find the lease in place.
pub(crate) struct Held<T>(T);

pub(crate) fn held<T>(query: T) -> Held<T> {
    Held(query)
}

impl<A> Held<sqlx::query::Query<'_, sqlx::Postgres, A>>
where
    A: Send + sqlx::IntoArguments<sqlx::Postgres>,
{
    pub(crate) async fn execute(self, pool: &sqlx::PgPool) -> Result<()> {
        let done = self.0.execute(pool).await?;
        (done.rows_affected() > 0).then_some(()).ok_or(Error::LeaseLost)
    }
}

fn millis(duration: Duration) -> i32 {
    duration.as_millis().try_into().unwrap_or(i32::MAX)
}

pub(crate) fn interval(duration: Duration) -> sqlx::postgres::types::PgInterval {
    sqlx::postgres::types::PgInterval { months: 0, days: 0, microseconds: duration.as_micros() as i64 }
}
