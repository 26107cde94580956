//! The connection budget, shared by all processes of an installation.

use crate::{Registry, Result};
use std::time::Duration;
use uuid::Uuid;

/// A process that was not heard of for so long is taken for dead. Its connections are gone at once
/// when it was killed; only one that was frozen may have some left.
pub const PRESUMED_DEAD: Duration = Duration::from_secs(10);

/// This process, as the others see it.
#[derive(Clone, Copy, Debug)]
pub struct Process {
    pub id: Uuid,
    /// How many connections to each server it has use for.
    pub wanted: usize,
}

/// What a process may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// It may open connections up to this number.
    pub limit: usize,
    /// It still has more than its share, and should tell again when that has changed.
    pub too_much: bool,
}

/// Says that the process lives, and learns how many connections it may have: an equal share of the
/// budget, as far as the others have let go of theirs. `keep_to` is told that number before anybody else
/// is, opens no more from then on, and says how many there are to the server it has most to.
pub async fn beat(
    registry: &Registry,
    process: Process,
    budget: usize,
    keep_to: impl FnOnce(usize) -> usize,
) -> Result<Part> {
    let mut tx = registry.pool.begin().await?;
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended('vestry processes', 0))")
        .execute(&mut *tx)
        .await?;
    sqlx::query!(
        "delete from processes where seen_at < now() - make_interval(secs => $1)",
        PRESUMED_DEAD.as_secs_f64(),
    )
    .execute(&mut *tx)
    .await?;
    let (wanted, budget) = (whole(process.wanted), whole(budget));
    sqlx::query!(
        "insert into processes (id, wanted) values ($1, $2) on conflict (id) do update set wanted = $2, seen_at = now()",
        process.id,
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
                  ($2 - coalesce(sum(p.part) filter (where p.id <> $1), 0))::integer as "left!"
             from processes p, equal
            group by equal.share"#,
        process.id,
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
    sqlx::query!("update processes set part = $2 where id = $1", process.id, part).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(Part { limit, too_much: part > target })
}

/// Gives the part back.
pub async fn leave(registry: &Registry, process: Process) -> Result<()> {
    sqlx::query!("delete from processes where id = $1", process.id).execute(&registry.pool).await?;
    Ok(())
}

fn whole(number: usize) -> i32 {
    number.try_into().unwrap_or(i32::MAX)
}
