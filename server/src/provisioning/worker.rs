use super::{
    failure::Failure,
    steps::{Tools, Work},
    stock,
};
use crate::{
    lease::{self, Lost},
    quiet::warn_registry,
};
use chrono::Utc;
use futures::FutureExt;
use registry::{
    Registry, chain,
    changes::{Change, Changes, Subscription},
    runs::{self, Claimed, LEASE, Step, StepState},
};
use std::time::{Duration, Instant};
use tokio::{task::JoinSet, time};
use tokio_util::sync::CancellationToken;

/// While some runs wait for their databases to be cloned, others furnish their offices.
const AT_ONCE: usize = 4;
/// A step that fails for a passing reason is tried so often before the person is told.
const ATTEMPTS: i32 = 7;
/// How often is looked for work that nobody announced.
const LOOK_AROUND: Duration = Duration::from_secs(3);
const HOUSEKEEPING: Duration = Duration::from_secs(60);

/// Carries out provisioning runs, until told to stop.
pub struct Worker {
    pub tools: Tools,
    pub changes: Changes,
    pub stop: CancellationToken,
}

impl Worker {
    /// Works, and returns when told to stop and the runs in hand are done.
    pub async fn run(self) {
        let mut loops = JoinSet::new();
        loops.spawn(work(self.tools.clone(), self.changes.subscribe(), self.stop.clone()));
        loops.spawn(stock::keep(self.tools.clone(), self.changes.subscribe(), self.stop.clone()));
        loops.spawn(self.tools.servers.clone().watch(self.stop.clone()));
        loops.spawn(housekeeping(self.tools, self.stop));
        while loops.join_next().await.is_some() {}
    }
}

/// Claims what waits while there is room for it. One looks for all: if each did who has nothing to do, a burst of
/// signups would be a burst of claims in vain.
async fn work(tools: Tools, mut changes: Subscription, stop: CancellationToken) {
    let mut in_hand = JoinSet::new();
    while !stop.is_cancelled() {
        while in_hand.try_join_next().is_some() {}
        if in_hand.len() == AT_ONCE {
            in_hand.join_next().await;
        }
        // To look once is enough for all that was announced until now.
        while announced(&mut changes).now_or_never().is_some() {}
        match runs::claim(&tools.registry).await {
            Ok(Some(run)) => drop(in_hand.spawn(see_through(tools.clone(), run, stop.clone()))),
            Ok(None) => tokio::select! {
                () = stop.cancelled() => {}
                () = announced(&mut changes) => {}
                // A run that is postponed is due sooner than was known.
                Some(_) = in_hand.join_next() => {}
                () = time::sleep(until_due(&tools).await) => {}
            },
            Err(error) => {
                warn_registry(&error, "no work can be claimed");
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = time::sleep(Duration::from_secs(1)) => {}
                }
            }
        }
    }
    while in_hand.join_next().await.is_some() {}
}

async fn see_through(tools: Tools, run: Claimed, stop: CancellationToken) {
    tokio::select! {
        () = carry_out(&tools, &run) => {}
        () = asked_to_hurry(&stop) => hand_back(&tools, &run).await,
    }
}

/// How long a run may take to end when the process stops.
const GRACE: Duration = Duration::from_secs(5);

async fn asked_to_hurry(stop: &CancellationToken) {
    stop.cancelled().await;
    time::sleep(GRACE).await;
}

/// So that another process goes on at once, not when the lease has run out.
async fn hand_back(tools: &Tools, run: &Claimed) {
    if let Err(error) = runs::postpone(&tools.registry, run, Duration::ZERO).await {
        tracing::warn!(tenant = %run.tenant_id, run = %run.run_id, error = %chain(&error), "the run could not be handed back");
    }
}

async fn announced(changes: &mut Subscription) {
    loop {
        match changes.next().await {
            Some(Change::Queued | Change::Unheard) => return,
            Some(_) => {}
            None => std::future::pending().await,
        }
    }
}

async fn until_due(tools: &Tools) -> Duration {
    match runs::next_due(&tools.registry).await {
        Ok(Some(due)) => {
            (due - Utc::now()).to_std().unwrap_or_default().clamp(Duration::from_millis(20), LOOK_AROUND)
        }
        _ => LOOK_AROUND,
    }
}

/// Takes the run's steps while a heartbeat keeps the claim. When the claim is lost, whoever has it
/// now goes on, and this worker lets go in the middle.
async fn carry_out(tools: &Tools, run: &Claimed) {
    if let Err(Lost) = keeping(&tools.registry, run, take_steps(tools, run)).await.flatten() {
        metrics::counter!("vestry_leases_lost_total", "kind" => "run").increment(1);
        tracing::warn!(tenant = %run.tenant_id, run = %run.run_id, "another worker took the run over");
    }
}

/// Does the work while a heartbeat keeps the claim.
pub async fn keeping<T>(
    registry: &Registry,
    run: &Claimed,
    work: impl Future<Output = T>,
) -> Result<T, Lost> {
    lease::hold(run.claimed_at, LEASE, || runs::renew(registry, run), work).await
}

async fn take_steps(tools: &Tools, run: &Claimed) -> Result<(), Lost> {
    let mut at = Step::Place;
    let Err(failure) = try_steps(tools, run, &mut at).await else { return Ok(()) };
    if failure.lease_lost {
        return Err(Lost);
    }
    let again = failure.passing && run.attempts < ATTEMPTS;
    log_step(run, at, again, &failure);
    let result = if again { "postponed" } else { "failed" };
    metrics::counter!("vestry_runs_total", "result" => result).increment(1);
    let told = if again {
        let wait = Duration::from_millis(500) * 2_u32.pow(run.attempts.clamp(1, 6) as u32 - 1);
        runs::postpone(&tools.registry, run, wait).await
    } else {
        runs::fail(&tools.registry, run, at, failure.reason).await
    };
    match told {
        Ok(()) => Ok(()),
        Err(registry::Error::LeaseLost) => Err(Lost),
        Err(error) => {
            // The lease runs out, and the next worker finds the run as it is.
            tracing::warn!(tenant = %run.tenant_id, run = %run.run_id, error = %chain(&error), "the failure could not be written down");
            Ok(())
        }
    }
}

fn log_step(run: &Claimed, step: Step, again: bool, failure: &Failure) {
    let (tenant, run_id, step) = (&run.tenant_id, run.run_id, step.name());
    let (attempt, error) = (run.attempts, &failure.cause);
    match again {
        true => {
            tracing::warn!(%tenant, run = %run_id, step, attempt, %error, "a provisioning step failed and will be tried again");
        }
        false => tracing::error!(%tenant, run = %run_id, step, attempt, %error, "provisioning failed"),
    }
}

async fn try_steps(tools: &Tools, run: &Claimed, at: &mut Step) -> super::steps::Result {
    let begun = Instant::now();
    let before = runs::progress(&tools.registry, run.run_id).await?;
    let taken = before.steps.iter().take_while(|step| step.state == StepState::Succeeded).count();
    let mut work = Work::begin(tools, run).await?;
    let mut done: Vec<_> = work.settled().iter().skip(taken).map(|step| (*step, Duration::ZERO)).collect();
    for step in &Step::ALL[taken + done.len()..] {
        *at = *step;
        runs::advance(&tools.registry, run, &done, *step).await?;
        let started = Instant::now();
        work.take(*step).await?;
        metrics::histogram!("vestry_provisioning_step_seconds", "step" => step.name())
            .record(started.elapsed());
        done = vec![(*step, started.elapsed())];
    }
    metrics::counter!("vestry_runs_total", "result" => "succeeded").increment(1);
    tracing::info!(tenant = %run.tenant_id, run = %run.run_id, duration_ms = begun.elapsed().as_millis() as u64, "church opened");
    Ok(())
}

async fn housekeeping(tools: Tools, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = time::sleep(HOUSEKEEPING) => {}
        }
        if let Err(error) = tools.identity.sweep().await {
            tracing::warn!(error = %chain(&error), "expired sessions could not be swept");
        }
        // It has logged its failure, with the church and the run.
        let _ = tools.undo_one_abandoned().await;
    }
}
