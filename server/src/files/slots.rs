//! Who may send or prepare a picture now, so that no church takes what all share.

use crate::body::Progress;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};

/// How many uploads are received at a time, of one church and by this process. Each takes a part of a body in memory,
/// and disk for the rest.
const OF_A_TENANT: usize = 2;
const OF_THE_PROCESS: usize = 64;

/// How long an upload waits for its slot.
const WAIT: Duration = Duration::from_secs(5);

/// Upload rate below which a slot is taken back while others wait for one: a step of bytes in this time, 16 kB/s.
const MIN_STEP_TIME: Duration = Duration::from_secs(2);
const STEP_BYTES: usize = 32 * 1024;

/// A semaphore for each tenant, for as long as somebody holds it or waits for it.
#[derive(Clone)]
pub struct PerTenant {
    permits: usize,
    semaphores: Arc<Mutex<HashMap<String, Weak<Semaphore>>>>,
}

impl PerTenant {
    pub fn new(permits: usize) -> Self {
        Self { permits, semaphores: Arc::default() }
    }

    pub async fn acquire(&self, tenant_id: &str) -> OwnedSemaphorePermit {
        acquire(self.semaphore(tenant_id)).await
    }

    fn semaphore(&self, tenant_id: &str) -> Arc<Semaphore> {
        let mut semaphores = lock(&self.semaphores);
        if let Some(known) = semaphores.get(tenant_id).and_then(Weak::upgrade) {
            return known;
        }
        semaphores.retain(|_, semaphore| semaphore.strong_count() > 0);
        let new = Arc::new(Semaphore::new(self.permits));
        semaphores.insert(tenant_id.to_owned(), Arc::downgrade(&new));
        new
    }
}

pub async fn acquire(semaphore: Arc<Semaphore>) -> OwnedSemaphorePermit {
    semaphore.acquire_owned().await.expect("it is never closed")
}

/// Slots for concurrent uploads. While others wait, the slowest upload loses its slot: a trickling client would keep it for
/// minutes.
#[derive(Clone)]
pub struct UploadSlots {
    tenants: PerTenant,
    process: Arc<Semaphore>,
    min_step_time: Duration,
    receiving: Arc<Mutex<HashMap<u64, Arc<Progress>>>>,
}

/// The right to receive and prepare one upload, until it is dropped.
pub struct UploadSlot {
    _tenant: OwnedSemaphorePermit,
    process: Option<OwnedSemaphorePermit>,
    /// Set while a body is received.
    receiving: Option<Receiving>,
    slots: UploadSlots,
}

/// An entry among the bodies that are received, until it is dropped.
struct Receiving {
    id: u64,
    all: Arc<Mutex<HashMap<u64, Arc<Progress>>>>,
}

impl UploadSlots {
    pub fn new() -> Self {
        Self::with(OF_THE_PROCESS, MIN_STEP_TIME)
    }

    fn with(of_the_process: usize, min_step_time: Duration) -> Self {
        let process = Arc::new(Semaphore::new(of_the_process));
        Self { tenants: PerTenant::new(OF_A_TENANT), process, min_step_time, receiving: Arc::default() }
    }

    /// A slot, or `None` when there is none in time. A tenant waits for one of its own before it stands in the queue of
    /// all: however many uploads it sends, two of them stand there.
    pub async fn acquire(&self, tenant_id: &str) -> Option<UploadSlot> {
        let both = async {
            let tenant = self.tenants.acquire(tenant_id).await;
            let process = self.acquire_of_process().await;
            UploadSlot { _tenant: tenant, process: Some(process), receiving: None, slots: self.clone() }
        };
        timeout(WAIT, both).await.ok()
    }

    async fn acquire_of_process(&self) -> OwnedSemaphorePermit {
        let mut permit = std::pin::pin!(acquire(self.process.clone()));
        loop {
            tokio::select! {
                biased;
                permit = &mut permit => return permit,
                () = sleep(self.min_step_time / 4) => self.take_back_slowest(),
            }
        }
    }

    /// Cancels the upload that has been the longest without a step, if it is too slow.
    fn take_back_slowest(&self) {
        let receiving = lock(&self.receiving);
        let waiting = receiving.values().filter(|progress| !progress.is_cancelled());
        let slowest = waiting.max_by_key(|progress| progress.since_step());
        if let Some(slowest) = slowest.filter(|progress| progress.since_step() >= self.min_step_time) {
            metrics::counter!("vestry_uploads_too_slow_total").increment(1);
            slowest.cancel();
        }
    }
}

impl UploadSlot {
    /// Progress of the body that is received in this slot, which a body that is read has to report.
    pub fn progress(&mut self) -> Arc<Progress> {
        let progress = Arc::new(Progress::new(STEP_BYTES));
        let mut receiving = lock(&self.slots.receiving);
        let id = receiving.keys().max().map_or(0, |last| last + 1);
        receiving.insert(id, progress.clone());
        drop(receiving);
        self.receiving = Some(Receiving { id, all: self.slots.receiving.clone() });
        progress
    }

    /// The body is on the disk: others may send theirs.
    pub fn received(&mut self) {
        self.receiving = None;
        self.process = None;
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        lock(&self.all).remove(&self.id);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::{BodyError, Incoming};
    use axum::body::{Body, Bytes};
    use futures::{StreamExt, stream};
    use std::{convert::Infallible, time::Instant};

    const STEP_TIME: Duration = Duration::from_millis(200);

    /// A body that sends so many bytes every few milliseconds, for ever.
    fn drip(bytes: usize) -> Body {
        let parts = stream::repeat(()).then(move |()| async move {
            sleep(Duration::from_millis(5)).await;
            Ok::<_, Infallible>(Bytes::from(vec![0; bytes]))
        });
        Body::from_stream(parts)
    }

    /// Receives a body in a slot until it ends; how it ended.
    async fn receive(mut slot: UploadSlot, body: Body) -> BodyError {
        let mut incoming = Incoming::new(body, usize::MAX);
        incoming.report_to(slot.progress());
        loop {
            match incoming.next().await {
                Ok(part) => assert!(part.is_some(), "it goes on for ever"),
                Err(error) => return error,
            }
        }
    }

    #[tokio::test]
    async fn a_slow_upload_gives_way_to_others_and_a_fast_one_does_not() {
        let slots = UploadSlots::with(2, STEP_TIME);
        let slow = tokio::spawn(receive(slots.acquire("slow").await.expect("free"), drip(1)));
        let fast = tokio::spawn(receive(slots.acquire("fast").await.expect("free"), drip(STEP_BYTES)));
        let asked = Instant::now();
        let third = slots.acquire("third").await.expect("the slow one gives way");
        assert!(asked.elapsed() >= STEP_TIME / 2, "not before it had its time");
        assert_eq!(slow.await.expect("it ends"), BodyError::TooSlow);
        // A fast upload keeps its slot, and so does one whose body is complete.
        assert!(slots.acquire("fourth").await.is_none());
        assert!(!fast.is_finished());
        drop(third);
        assert!(slots.acquire("fourth").await.is_some());
        fast.abort();
    }

    #[tokio::test]
    async fn a_slow_upload_goes_on_while_nobody_waits() {
        let slots = UploadSlots::with(2, STEP_TIME);
        let body = drip(1).into_data_stream().take(120);
        let mut slot = slots.acquire("slow").await.expect("free");
        let mut incoming = Incoming::new(Body::from_stream(body), usize::MAX);
        incoming.report_to(slot.progress());
        let (started, mut received) = (Instant::now(), 0);
        while let Some(part) = incoming.next().await.expect("it is waited for") {
            received += part.len();
            assert!(slots.acquire("other").await.is_some());
        }
        assert!(received == 120 && started.elapsed() > 2 * STEP_TIME);
    }
}
