//! Runs work only while a lease is held.

use registry::Error;
use std::{
    future::poll_fn,
    pin::pin,
    sync::{Mutex, PoisonError},
    task::Poll,
    time::{Duration, Instant},
};
use tokio::time;

/// The lease was lost to another worker.
#[derive(Debug)]
pub struct Lost;

/// Runs `work` while a heartbeat renews the lease, which lasts `lease` from `claimed_at`.
///
/// Drops the work once the heartbeat finds the lease lost. Does not poll it while the lease may have expired: a process
/// that was frozen or cut off from the registry resumes only after a successful heartbeat.
pub async fn hold<T, R>(
    claimed_at: Instant,
    lease: Duration,
    mut renew: impl FnMut() -> R,
    work: impl Future<Output = T>,
) -> Result<T, Lost>
where
    R: Future<Output = registry::Result<()>>,
{
    let held_until = Mutex::new(claimed_at + lease);
    let heartbeat = async {
        loop {
            let due = *locked(&held_until) - lease * 2 / 3;
            time::sleep_until(due.max(Instant::now()).into()).await;
            let sent_at = Instant::now();
            match renew().await {
                Ok(()) => *locked(&held_until) = sent_at + lease,
                Err(Error::LeaseLost) => return,
                Err(error) => {
                    tracing::warn!(error = %registry::chain(&error), "heartbeat failed");
                    time::sleep(lease / 6).await;
                }
            }
        }
    };
    let mut work = pin!(work);
    let fenced = poll_fn(|cx| match Instant::now() < *locked(&held_until) {
        true => work.as_mut().poll(cx),
        // The heartbeat runs in the same task, so a renewal polls this again.
        false => Poll::Pending,
    });
    tokio::select! {
        // Polls the heartbeat first, so that the work resumes in the same poll as the renewal.
        biased;
        () = heartbeat => Err(Lost),
        done = fenced => Ok(done),
    }
}

fn locked(held_until: &Mutex<Instant>) -> std::sync::MutexGuard<'_, Instant> {
    held_until.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    const LEASE: Duration = Duration::from_millis(300);

    /// Counts its steps, which it makes every 10 ms.
    async fn steps(count: &AtomicUsize) {
        loop {
            time::sleep(Duration::from_millis(10)).await;
            count.fetch_add(1, Relaxed);
        }
    }

    #[tokio::test]
    async fn without_an_answer_of_the_registry_the_work_rests_when_the_lease_runs_out() {
        let (count, released) = (AtomicUsize::new(0), tokio::sync::Notify::new());
        let answer = async || {
            released.notified().await;
            Err(Error::LeaseLost)
        };
        let claimed_at = Instant::now();
        let work = hold(claimed_at, LEASE, answer, steps(&count));
        let watch = async {
            time::sleep_until((claimed_at + LEASE + Duration::from_millis(20)).into()).await;
            let rests_at = count.load(Relaxed);
            assert!(rests_at > 0, "it began");
            time::sleep(LEASE).await;
            assert_eq!(count.load(Relaxed), rests_at, "it made a step without a lease");
            released.notify_one();
        };
        let (held, ()) = tokio::join!(work, watch);
        assert!(held.is_err(), "the heartbeat was told");
    }

    #[tokio::test]
    async fn a_lease_that_is_renewed_late_lets_the_work_go_on() {
        // As after a long freeze: the lease has run out, and nobody else has claimed it.
        let claimed_at = Instant::now().checked_sub(LEASE * 2).expect("it runs for longer");
        let renewed = AtomicUsize::new(0);
        let renew = async || {
            renewed.fetch_add(1, Relaxed);
            Ok(())
        };
        let work = async { renewed.load(Relaxed) };
        assert_eq!(
            hold(claimed_at, LEASE, renew, work).await.expect("it is held"),
            1,
            "renewed before it worked"
        );
    }
}
