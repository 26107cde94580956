//! Keeps the server running for as long as the process lives: PostgreSQL may be killed for want of memory, or end
//! because its disk is full.

use std::time::{Duration, Instant};

use tokio::{sync::oneshot, task::JoinHandle};

use crate::{Cluster, Error};

/// A server that ran for so long counts as one that can run: the next end is the first of a new series.
const STABLE: Duration = Duration::from_secs(60);
/// Pause before a start, doubled with every end and every start that failed.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// No start has succeeded for so long: the process ends, and says why.
pub(crate) const GIVE_UP: Duration = Duration::from_secs(60);

/// A [`Cluster`] whose server is started again when it ends.
pub struct Supervisor {
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<Option<Error>>,
}

impl Supervisor {
    pub(crate) fn start(cluster: Cluster, give_up: Duration) -> Self {
        let (stop, stopped) = oneshot::channel();
        Self { stop: Some(stop), task: tokio::spawn(supervise(cluster, stopped, give_up)) }
    }

    /// Completes only when the server could not be started again.
    pub async fn failed(&mut self) -> Error {
        match (&mut self.task).await {
            Ok(Some(error)) => error,
            _ => Error::NotReady,
        }
    }

    /// Stops the server, as [`Cluster::stop`] does.
    pub async fn stop(mut self) {
        if let Some(stop) = self.stop.take()
            && stop.send(()).is_ok()
        {
            let _ = (&mut self.task).await;
        }
    }
}

impl Drop for Supervisor {
    /// Drops the cluster with the task, which asks the server to stop.
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn supervise(
    mut cluster: Cluster,
    mut stopped: oneshot::Receiver<()>,
    give_up: Duration,
) -> Option<Error> {
    let mut pause = FIRST_PAUSE;
    loop {
        let since = Instant::now();
        tokio::select! {
            _ = &mut stopped => break,
            () = cluster.ended() => {}
        }
        if since.elapsed() >= STABLE {
            pause = FIRST_PAUSE;
        }
        let down_since = Instant::now();
        loop {
            tokio::select! {
                _ = &mut stopped => return stop(cluster).await,
                () = tokio::time::sleep(pause) => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
            let revived = tokio::select! {
                _ = &mut stopped => return stop(cluster).await,
                revived = cluster.revive() => revived,
            };
            match revived {
                Ok(()) => break,
                Err(error) if down_since.elapsed() > give_up => return Some(error),
                Err(error) => tracing::error!(%error, "the embedded PostgreSQL could not be started again"),
            }
        }
        tracing::info!("the embedded PostgreSQL runs again");
    }
    stop(cluster).await
}

async fn stop(cluster: Cluster) -> Option<Error> {
    cluster.stop().await;
    None
}
