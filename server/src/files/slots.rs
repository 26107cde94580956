//! Who may send or prepare a picture now, so that no church takes what all share.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// How many uploads are received at a time, of one church and by this process. Each takes a part of a body in memory,
/// and disk for the rest.
const UPLOADS_PER_TENANT: usize = 2;
const UPLOADS_PER_PROCESS: usize = 64;

/// How long an upload waits for its slot.
const WAIT: Duration = Duration::from_secs(5);

/// A semaphore for each tenant, dropped once unused.
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
        let mut semaphores = self.semaphores.lock().unwrap_or_else(PoisonError::into_inner);
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

#[derive(Clone)]
pub struct UploadSlots {
    tenants: PerTenant,
    process: Arc<Semaphore>,
}

/// The right to receive and prepare one upload, until it is dropped.
pub struct UploadSlot {
    _tenant: OwnedSemaphorePermit,
    process: Option<OwnedSemaphorePermit>,
}

impl UploadSlots {
    pub fn new() -> Self {
        Self {
            tenants: PerTenant::new(UPLOADS_PER_TENANT),
            process: Arc::new(Semaphore::new(UPLOADS_PER_PROCESS)),
        }
    }

    /// A slot, or `None` when there is none in time. A tenant waits for one of its own before it stands in the queue of
    /// all: however many uploads it sends, two of them stand there.
    pub async fn acquire(&self, tenant_id: &str) -> Option<UploadSlot> {
        let both = async {
            let tenant = self.tenants.acquire(tenant_id).await;
            let process = acquire(self.process.clone()).await;
            UploadSlot { _tenant: tenant, process: Some(process) }
        };
        timeout(WAIT, both).await.ok()
    }
}

impl UploadSlot {
    /// The body is on the disk: others may send theirs.
    pub fn received(&mut self) {
        self.process = None;
    }
}
