//! Random faults under load: processes are killed, connections cut, PostgreSQL is restarted. Afterwards
//! nothing that was answered is lost, and nothing is left over. `make chaos` runs it; `make test` runs a
//! little of it.

pub mod faults;
pub mod fleet;
pub mod load;
pub mod postgres;
pub mod restore;
pub mod verdict;
pub mod watch;

use clap::Parser;
use faults::Done;
use fleet::{BUDGET, Fleet, Kind};
use load::{Answered, Load};
use postgres::Postgres;
use restore::Forgotten;
use std::{collections::BTreeSet, fmt, process::ExitCode, time::Instant};
use verdict::Verdict;
use watch::Watch;

/// Kills processes of Vestry under load, and says what was lost.
#[derive(Parser)]
struct Options {
    /// How many processes are killed.
    #[arg(long, default_value_t = 50)]
    kills: usize,
    /// What decides when and which: that of an earlier run does the same again, as far as time allows.
    #[arg(long, default_value_t = rand::random::<u32>().into())]
    seed: u64,
    /// From cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

// The tests have this file as a module.
#[allow(dead_code)]
fn main() -> ExitCode {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let summary = runtime.block_on(async {
        println!("seed {}", options.seed);
        let mut rig = Rig::start(&[Kind::Serve, Kind::Serve, Kind::Work], 3).await;
        let done = faults::kill(&mut rig, options.kills, options.seed).await;
        rig.finish(done).await
    });
    print!("{summary}");
    if summary.verdict.lost.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// An installation of several processes, and people who use it.
pub struct Rig {
    pub postgres: Postgres,
    pub fleet: Fleet,
    pub load: Load,
    /// Churches that a restored registry does not know.
    pub forgotten: Vec<Forgotten>,
    /// Their databases and roles among others, which stay behind.
    pub left_over: BTreeSet<String>,
    watch: Watch,
    since: Instant,
}

pub struct Summary {
    pub done: Done,
    pub answered: Answered,
    pub verdict: Verdict,
    pub starts: usize,
    pub most_connections: i64,
    seconds: u64,
}

impl Rig {
    pub async fn start(kinds: &[Kind], ready: usize) -> Self {
        let postgres = Postgres::start().await;
        let secret = uuid::Uuid::new_v4().to_string() + &uuid::Uuid::new_v4().to_string();
        let fleet = Fleet::start(kinds, ready, &postgres.url(), &secret);
        let load = Load::start(&fleet.posts);
        Self {
            watch: Watch::start(&postgres),
            postgres,
            fleet,
            load,
            forgotten: Vec::new(),
            left_over: BTreeSet::new(),
            since: Instant::now(),
        }
    }

    /// Lets everything come to rest, and judges.
    pub async fn finish(self, done: Done) -> Summary {
        let forgotten = self.judge_forgotten().await;
        let answered = self.load.stop().await;
        let mut verdict = Verdict::on(&self.postgres, &self.fleet, &answered, &self.left_over).await;
        verdict.lost.extend(forgotten);
        let most_connections = self.watch.stop().await;
        if most_connections > BUDGET as i64 {
            verdict.lost.push(format!("{most_connections} connections on a budget of {BUDGET}"));
        }
        let starts = self.fleet.posts.iter().map(|post| post.starts()).sum();
        verdict.lost.extend(self.fleet.stop().await);
        self.postgres.stop().await;
        Summary { done, answered, verdict, starts, most_connections, seconds: self.since.elapsed().as_secs() }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Done { kills, terminations, restarts, restores, backends, listeners, moves } = self.done;
        let Verdict { open, failed, found, lost } = &self.verdict;
        let lines = [
            ("processes killed", kills.to_string()),
            ("processes told to stop", terminations.to_string()),
            ("starts of processes", self.starts.to_string()),
            ("PostgreSQL restarts", restarts.to_string()),
            ("registry restored", restores.to_string()),
            ("connections cut", backends.to_string()),
            ("listeners cut", listeners.to_string()),
            ("churches moved", moves.to_string()),
            ("signups accepted", self.answered.signups.len().to_string()),
            ("  open", open.to_string()),
            ("  failed with a reason", failed.to_string()),
            ("members answered", self.answered.members.len().to_string()),
            ("  found", found.to_string()),
            ("most connections", format!("{} of {BUDGET}", self.most_connections)),
            ("seconds", self.seconds.to_string()),
            ("lost or left over", lost.len().to_string()),
        ];
        for (what, number) in lines {
            writeln!(f, "{what:<24}{number:>10}")?;
        }
        lost.iter().try_for_each(|lost| writeln!(f, "✗ {lost}"))
    }
}
