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
    /// Churches that were moved to another database.
    pub moves: usize,
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
        match rng.random_range(0..22) {
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
            18..20 => done.listeners += rig.cut(LISTENERS, 10).await,
            _ => done.moves += usize::from(rig.move_a_church().await),
        }
    }
    done
}

/// Those that hear what other processes change.
pub const LISTENERS: &str = "query ilike 'listen%'";

impl Rig {
    /// Moves a church, while people work in it, to another database, as OPERATIONS.md says; false when there is none.
    pub async fn move_a_church(&self) -> bool {
        let mut registry = self.postgres.registry().await;
        let some = "select id, database_name from tenants where status = 'active' and isolation = 'database'
                     order by random() limit 1";
        let some = sqlx::query_as(some).fetch_optional(&mut registry).await.expect("it may");
        let Some((id, old)): Option<(String, String)> = some else { return false };
        let new = format!("tenant_{id}_{}", rand::random::<u32>());
        // Closed first: a process that has not heard of the move fails, and writes nothing there.
        self.postgres.run(&format!("alter database {old} with allow_connections false")).await;
        let cut = "select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname =";
        self.postgres.run(&format!("{cut} '{old}'")).await;
        self.postgres.run(&format!("create database {new} template {old} owner vestry")).await;
        self.postgres.run(&format!("revoke all on database {new} from public")).await;
        self.postgres.run(&format!("grant connect on database {new} to tenant_{id}")).await;
        self.postgres.run(&format!("update tenants set database_name = '{new}' where id = '{id}'")).await;
        self.postgres.run(&format!("drop database {old} with (force)")).await;
        true
    }

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
