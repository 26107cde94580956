use super::{
    Provisioner, ready,
    step_error::StepError,
    steps::{StepContext, with_heartbeat},
};
use crate::{lease::Lost, log_limit::warn_registry};
use chrono::Utc;
use futures::FutureExt;
use registry::{
    chain,
    notifications::{Notification, Notifications, Subscriber},
    progress::{self, Step, StepState},
    runs::{self, ClaimedRun},
};
use std::time::{Duration, Instant};
use tokio::{task::JoinSet, time};
use tokio_util::sync::CancellationToken;

/// While some runs wait for a clone permit, others seed their databases.
const MAX_CONCURRENT_RUNS: usize = 4;
/// Attempts after transient errors, before the run fails.
const MAX_ATTEMPTS: i32 = 7;
/// Poll interval, in case a notification is lost.
const POLL_INTERVAL: Duration = Duration::from_secs(3);
const HOUSEKEEPING_INTERVAL: Duration = Duration::from_secs(60);

/// Provisioning tasks of a process.
pub struct Worker {
    pub provisioner: Provisioner,
    pub notifications: Notifications,
    pub stop: CancellationToken,
}

impl Worker {
    /// Runs all tasks until `stop`; returns once the claimed runs are done.
    pub async fn run(self) {
        let mut tasks = JoinSet::new();
        tasks.spawn(claim_runs(self.provisioner.clone(), self.notifications.subscribe(), self.stop.clone()));
        tasks.spawn(ready::maintain(
            self.provisioner.clone(),
            self.notifications.subscribe(),
            self.stop.clone(),
        ));
        tasks.spawn(self.provisioner.servers.clone().watch(self.stop.clone()));
        tasks.spawn(housekeeping(self.provisioner, self.stop));
        while tasks.join_next().await.is_some() {}
    }
}

/// Claims due runs, up to the concurrency limit. One task claims for all workers; otherwise every idle worker would poll on
/// each notification.
async fn claim_runs(provisioner: Provisioner, mut notifications: Subscriber, stop: CancellationToken) {
    let mut active = JoinSet::new();
    while !stop.is_cancelled() {
        while active.try_join_next().is_some() {}
        if active.len() == MAX_CONCURRENT_RUNS {
            active.join_next().await;
        }
        // One claim covers all notifications so far.
        while run_queued(&mut notifications).now_or_never().is_some() {}
        match runs::claim(&provisioner.registry).await {
            Ok(Some(run)) => drop(active.spawn(run_until_shutdown(provisioner.clone(), run, stop.clone()))),
            Ok(None) => tokio::select! {
                () = stop.cancelled() => {}
                () = run_queued(&mut notifications) => {}
                // A finished run may have been postponed, and be due before the next poll.
                Some(_) = active.join_next() => {}
                () = time::sleep(time_until_due(&provisioner).await) => {}
            },
            Err(error) => {
                warn_registry(&error, "cannot claim provisioning runs");
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = time::sleep(Duration::from_secs(1)) => {}
                }
            }
        }
    }
    while active.join_next().await.is_some() {}
}

async fn run_until_shutdown(provisioner: Provisioner, run: ClaimedRun, stop: CancellationToken) {
    tokio::select! {
        () = execute(&provisioner, &run) => {}
        () = grace_period(&stop) => release(&provisioner, &run).await,
    }
}

/// Time that claimed runs have to finish after `stop`.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

async fn grace_period(stop: &CancellationToken) {
    stop.cancelled().await;
    time::sleep(SHUTDOWN_GRACE).await;
}

/// Releases the run, so that another process continues at once instead of after the lease expires.
async fn release(provisioner: &Provisioner, run: &ClaimedRun) {
    if let Err(error) = runs::postpone(&provisioner.registry, run, Duration::ZERO).await {
        tracing::warn!(tenant = %run.tenant_id, run = %run.run_id, error = %chain(&error), "cannot release the run");
    }
}

async fn time_until_due(provisioner: &Provisioner) -> Duration {
    match runs::next_due(&provisioner.registry).await {
        Ok(Some(due)) => {
            (due - Utc::now()).to_std().unwrap_or_default().clamp(Duration::from_millis(20), POLL_INTERVAL)
        }
        _ => POLL_INTERVAL,
    }
}

/// Executes the run while a heartbeat renews its lease; stops midway when the lease is lost.
async fn execute(provisioner: &Provisioner, run: &ClaimedRun) {
    let executed = with_heartbeat(&provisioner.registry, run, run_or_postpone(provisioner, run)).await;
    if let Err(Lost) = executed.flatten() {
        metrics::counter!("vestry_leases_lost_total", "kind" => "run").increment(1);
        tracing::warn!(tenant = %run.tenant_id, run = %run.run_id, "another worker took over the run");
    }
}

/// Runs the steps. On an error, postpones the run, or fails it after the last attempt.
async fn run_or_postpone(provisioner: &Provisioner, run: &ClaimedRun) -> Result<(), Lost> {
    let mut current = Step::Place;
    let Err(error) = run_steps(provisioner, run, &mut current).await else { return Ok(()) };
    if error.lease_lost {
        return Err(Lost);
    }
    let retry = error.is_transient && run.attempts < MAX_ATTEMPTS;
    log_step_error(run, current, retry, &error);
    let result = if retry { "postponed" } else { "failed" };
    metrics::counter!("vestry_runs_total", "result" => result).increment(1);
    let recorded = if retry {
        let wait = Duration::from_millis(500) * 2_u32.pow(run.attempts.clamp(1, 6) as u32 - 1);
        runs::postpone(&provisioner.registry, run, wait).await
    } else {
        runs::fail(&provisioner.registry, run, current, error.reason).await
    };
    match recorded {
        Ok(()) => Ok(()),
        Err(registry::Error::LeaseLost) => Err(Lost),
        Err(error) => {
            // The lease expires, and the next worker finds the run unchanged.
            tracing::warn!(tenant = %run.tenant_id, run = %run.run_id, error = %chain(&error), "cannot record the failed run");
            Ok(())
        }
    }
}

fn log_step_error(run: &ClaimedRun, step: Step, retry: bool, error: &StepError) {
    let (tenant, run_id, step) = (&run.tenant_id, run.run_id, step.name());
    let (attempt, error) = (run.attempts, &error.cause);
    match retry {
        true => {
            tracing::warn!(%tenant, run = %run_id, step, attempt, %error, "provisioning step failed; it will be retried");
        }
        false => tracing::error!(%tenant, run = %run_id, step, attempt, %error, "provisioning failed"),
    }
}

/// Runs the remaining steps. `current` is the step in progress, for the error report.
async fn run_steps(
    provisioner: &Provisioner,
    run: &ClaimedRun,
    current: &mut Step,
) -> super::step_error::Result {
    let started_run = Instant::now();
    let before = progress::find(&provisioner.registry, run.run_id).await?;
    let succeeded = before.steps.iter().take_while(|step| step.state == StepState::Succeeded).count();
    let mut context = StepContext::begin(provisioner, run).await?;
    let completed = context.completed_steps().iter().skip(succeeded);
    let mut done: Vec<_> = completed.map(|step| (*step, Duration::ZERO)).collect();
    for step in &Step::ALL[succeeded + done.len()..] {
        *current = *step;
        runs::advance(&provisioner.registry, run, &done, *step).await?;
        let started = Instant::now();
        context.run_step(*step).await?;
        metrics::histogram!("vestry_provisioning_step_seconds", "step" => step.name())
            .record(started.elapsed());
        done = vec![(*step, started.elapsed())];
    }
    metrics::counter!("vestry_runs_total", "result" => "succeeded").increment(1);
    let duration_ms = started_run.elapsed().as_millis() as u64;
    tracing::info!(tenant = %run.tenant_id, run = %run.run_id, duration_ms, "church opened");
    Ok(())
}

async fn housekeeping(provisioner: Provisioner, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = time::sleep(HOUSEKEEPING_INTERVAL) => {}
        }
        if let Err(error) = provisioner.identity.sweep().await {
            tracing::warn!(error = %chain(&error), "housekeeping failed");
        }
        // Logs its own errors.
        let _ = provisioner.undo_abandoned().await;
    }
}

async fn run_queued(notifications: &mut Subscriber) {
    notifications.wait_for(|notification| *notification == Notification::RunQueued).await;
}
