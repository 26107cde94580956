use super::steps::Tools;
use crate::quiet::warn_outage;
use chrono::Utc;
use registry::{
    changes::{Change, Subscription},
    runs,
};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How soon is looked again while churches are being opened, and otherwise.
const BUSY: Duration = Duration::from_millis(250);
const LOOK_AROUND: Duration = Duration::from_secs(5);

/// Keeps as many databases ready as are wanted, and removes those that are of no use any more. It
/// works only while no church waits, and never on two at a time.
pub async fn keep(tools: Tools, mut changes: Subscription, stop: CancellationToken) {
    if let Err(failure) = tools.check_ready().await {
        tracing::warn!(error = %failure.cause, "ready databases could not be compared with their servers");
    }
    while !stop.is_cancelled() {
        let pause = match work(&tools).await {
            Ok(pause) => pause,
            Err(failure) if failure.of_registry => {
                warn_outage(&failure.cause, "ready databases could not be kept up");
                LOOK_AROUND
            }
            Err(failure) => {
                tracing::warn!(error = %failure.cause, "ready databases could not be kept up");
                LOOK_AROUND
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
            () = taken(&mut changes), if pause == LOOK_AROUND => {}
        }
    }
}

/// One piece of work, and when to look for the next.
async fn work(tools: &Tools) -> super::steps::Result<Duration> {
    let waiting = runs::next_due(&tools.registry).await?;
    if waiting.is_some_and(|due| due <= Utc::now() + chrono::TimeDelta::seconds(10)) {
        return Ok(BUSY);
    }
    let worked = tools.make_one_ready().await? || tools.remove_one_unwanted().await?;
    Ok(if worked { Duration::ZERO } else { LOOK_AROUND })
}

async fn taken(changes: &mut Subscription) {
    loop {
        match changes.next().await {
            Some(Change::ReadyTaken | Change::Unheard) => return,
            Some(_) => {}
            None => std::future::pending().await,
        }
    }
}
