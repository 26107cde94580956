//! What goes wrong, at random.

use super::{Rig, postgres::Shutdown};
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::time::Duration;

/// The most kills from one restart of PostgreSQL to the next.
const RESTART: usize = 20;

#[derive(Clone, Copy, Debug, Default)]
pub struct Done {
    pub kills: usize,
    pub terminations: usize,
    pub restarts: usize,
    pub restores: usize,
    pub backends: i64,
    pub listeners: i64,
}

/// Does one thing after the other, until so many processes were killed.
pub async fn kill(rig: &mut Rig, kills: usize, seed: u64) -> Done {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut done = Done::default();
    let every = (kills / 3).clamp(1, RESTART);
    let mut dumped = false;
    while done.kills < kills {
        // Between the two, churches come that the restored registry does not know.
        if !dumped && done.kills >= kills / 4 {
            rig.dump_registry().await;
            dumped = true;
        }
        if done.restores == 0 && done.kills >= kills * 3 / 4 {
            rig.restore_registry().await;
            done.restores += 1;
            eprintln!(
                "{} of {kills} killed; registry restored, {} churches forgotten",
                done.kills,
                rig.forgotten.len()
            );
        }
        tokio::time::sleep(Duration::from_millis(rng.random_range(300..1000))).await;
        let post = rng.random_range(0..rig.fleet.posts.len());
        match rng.random_range(0..20) {
            0..14 => {
                done.kills += usize::from(rig.fleet.posts[post].signal("-KILL"));
                if done.kills / every > done.restarts {
                    let shutdown = [Shutdown::Fast, Shutdown::Immediate, Shutdown::Killed][done.restarts % 3];
                    rig.postgres.restart(shutdown).await;
                    done.restarts += 1;
                    eprintln!("{} of {kills} killed; PostgreSQL restarted ({shutdown:?})", done.kills);
                }
            }
            14..16 => done.terminations += usize::from(rig.fleet.posts[post].signal("-TERM")),
            16..18 => done.backends += rig.cut("usename = 'vestry' or usename like 'tenant\\_%'", 5).await,
            _ => done.listeners += rig.cut(LISTENERS, 10).await,
        }
    }
    done
}

/// Those that hear what other processes change.
pub const LISTENERS: &str = "query ilike 'listen%'";

impl Rig {
    /// Cuts some of the connections that fit; how many.
    pub async fn cut(&self, which: &str, at_most: usize) -> i64 {
        let cut = format!(
            "select count(pg_terminate_backend(pid))
               from (select pid from pg_stat_activity where {which} order by random() limit {at_most}) as chosen"
        );
        let mut superuser = self.postgres.registry().await;
        sqlx::query_scalar(sqlx::AssertSqlSafe(cut)).fetch_one(&mut superuser).await.expect("it may")
    }
}
