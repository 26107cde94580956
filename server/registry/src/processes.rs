//! The connection budget, shared by all processes of an installation.

use crate::{Registry, Result};
use std::time::Duration;

/// A process that was not heard of for so long is taken for dead, when its connections do not show it sooner: a frozen
/// one still has them.
pub const PRESUMED_DEAD: Duration = Duration::from_secs(10);

/// After PostgreSQL has started, processes that live need a moment to connect again.
const RECONNECT: Duration = Duration::from_secs(5);

/// What a process may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// It may open connections up to this number.
    pub limit: usize,
    /// It still has more than its share, and should tell again when that has changed.
    pub too_much: bool,
    /// It has less than its share until others have let go of theirs.
    pub waits: bool,
    /// How many processes share the budget.
    pub processes: usize,
}

/// Says that the process lives, and learns how many connections to each server it may have: an equal share of the
/// budget, but no more than `wanted`, as far as the others have let go of theirs. `keep_to` is told that number before
/// anybody else is, opens no more from then on, and says how many there are to the server it has most to.
///
/// The part of a process is free as soon as all its connections to the registry have closed.
pub async fn beat(
    registry: &Registry,
    wanted: usize,
    budget: usize,
    keep_to: impl FnOnce(usize) -> usize,
) -> Result<Part> {
    let mut tx = registry.pool.begin().await?;
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended('vestry processes', 0))")
        .execute(&mut *tx)
        .await?;
    sqlx::query!(
        "delete from processes p
          where seen_at < now() - make_interval(secs => $1)
             or (marked and id <> $2 and pg_postmaster_start_time() < now() - make_interval(secs => $3)
                 and not exists (select from pg_stat_activity where application_name = 'vestry ' || p.id))",
        PRESUMED_DEAD.as_secs_f64(),
        registry.process,
        RECONNECT.as_secs_f64(),
    )
    .execute(&mut *tx)
    .await?;
    let (wanted, budget) = (whole(wanted), whole(budget));
    sqlx::query!(
        "insert into processes (id, wanted, marked) values ($1, $2, true)
         on conflict (id) do update set wanted = $2, seen_at = now()",
        registry.process,
        wanted,
    )
    .execute(&mut *tx)
    .await?;
    // Who wants less than an equal share gets that; the rest is shared among the rest.
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
    let open = keep_to(limit);
    // What is still open counts until it is closed.
    let part = target.max(whole(open));
    sqlx::query!("update processes set part = $2 where id = $1", registry.process, part)
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    let processes = row.processes.try_into().unwrap_or(0);
    Ok(Part { limit, too_much: part > target, waits: target < row.share, processes })
}

/// Gives the part back.
pub async fn leave(registry: &Registry) -> Result<()> {
    sqlx::query!("delete from processes where id = $1", registry.process).execute(&registry.pool).await?;
    Ok(())
}

/// How many processes share the budget.
pub async fn count(registry: &Registry) -> Result<usize> {
    let processes = sqlx::query_scalar!(r#"select count(*) as "count!" from processes"#);
    Ok(processes.fetch_one(&registry.pool).await?.try_into().unwrap_or(0))
}

fn whole(number: usize) -> i32 {
    number.try_into().unwrap_or(i32::MAX)
}
