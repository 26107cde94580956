//! The connection budget, shared by all processes of an installation.

use crate::{Registry, Result};
use std::time::Duration;

/// Heartbeat timeout. Closed connections reveal a dead process sooner; a frozen process still has them.
pub const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(10);

/// Time that processes have to reconnect after PostgreSQL has started.
const RECONNECT_GRACE: Duration = Duration::from_secs(5);

/// Connections allotted to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allotment {
    /// Maximum connections to each server.
    pub limit: usize,
    /// More connections are open than `limit`; the process sends another heartbeat soon.
    pub is_over_limit: bool,
    /// `limit` is below the fair share until other processes close connections.
    pub is_waiting: bool,
    /// Processes that share the budget.
    pub processes: usize,
}

/// Records a heartbeat and returns the connections allotted to the process: an equal share of the budget, at most
/// `wanted`, as far as other processes have closed theirs.
///
/// Calls `apply_limit` with the new limit before the transaction commits. It must stop opening connections above the
/// limit, and return the open connections to the server with most. A process frees its share when its connections to the
/// registry close.
pub async fn heartbeat(
    registry: &Registry,
    wanted: usize,
    budget: usize,
    apply_limit: impl FnOnce(usize) -> usize,
) -> Result<Allotment> {
    let mut tx = registry.pool.begin().await?;
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended('vestry processes', 0))")
        .execute(&mut *tx)
        .await?;
    sqlx::query!(
        "delete from processes p
          where seen_at < now() - make_interval(secs => $1)
             or (marked and id <> $2 and pg_postmaster_start_time() < now() - make_interval(secs => $3)
                 and not exists (select from pg_stat_activity where application_name = 'vestry ' || p.id))",
        HEARTBEAT_TIMEOUT.as_secs_f64(),
        registry.process,
        RECONNECT_GRACE.as_secs_f64(),
    )
    .execute(&mut *tx)
    .await?;
    let (wanted, budget) = (to_i32(wanted), to_i32(budget));
    sqlx::query!(
        "insert into processes (id, wanted, marked) values ($1, $2, true)
         on conflict (id) do update set wanted = $2, seen_at = now()",
        registry.process,
        wanted,
    )
    .execute(&mut *tx)
    .await?;
    // A process that wants less than an equal share gets what it wants; the others divide the rest.
    let row = sqlx::query!(
        r#"with equal as (select $2::integer / count(*) as share from processes)
           select least($3::integer, case when $3::integer <= equal.share then $3::integer
                                 else ($2 - coalesce(sum(p.wanted) filter (where p.wanted <= equal.share), 0))
                                      / count(*) filter (where p.wanted > equal.share) end)::integer as "share!",
                  ($2 - coalesce(sum(p.part) filter (where p.id <> $1), 0))::integer as "left!",
                  count(*) as "processes!"
             from processes p, equal
            group by equal.share"#,
        registry.process,
        budget,
        wanted,
    )
    .fetch_one(&mut *tx)
    .await?;
    let target = row.share.min(row.left).max(0);
    let limit = target.try_into().unwrap_or(0);
    let open = apply_limit(limit);
    // Open connections count until they are closed.
    let part = target.max(to_i32(open));
    sqlx::query!("update processes set part = $2 where id = $1", registry.process, part)
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    let processes = row.processes.try_into().unwrap_or(0);
    Ok(Allotment { limit, is_over_limit: part > target, is_waiting: target < row.share, processes })
}

/// Frees the share of this process.
pub async fn leave(registry: &Registry) -> Result<()> {
    sqlx::query!("delete from processes where id = $1", registry.process).execute(&registry.pool).await?;
    Ok(())
}

/// Counts the processes that share the budget.
pub async fn count(registry: &Registry) -> Result<usize> {
    let processes = sqlx::query_scalar!(r#"select count(*) as "count!" from processes"#);
    Ok(processes.fetch_one(&registry.pool).await?.try_into().unwrap_or(0))
}

fn to_i32(number: usize) -> i32 {
    number.try_into().unwrap_or(i32::MAX)
}
