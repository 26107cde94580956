//! Limits on open event streams.

use crate::address::Client;
use std::{
    collections::HashMap,
    hash::Hash,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use uuid::Uuid;

/// Limits per run and per client address. A refused page retries; without JavaScript it reloads itself.
const PER_RUN: usize = 32;
const PER_ADDRESS: usize = 32;

/// Open event streams. Each holds a connection and never waits for its client, so streams have limits of their own.
#[derive(Clone)]
pub struct Streams(Arc<Shared>);

struct Shared {
    max: usize,
    max_age: Duration,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    total: usize,
    by_run: HashMap<Uuid, usize>,
    by_address: HashMap<IpAddr, usize>,
}

impl Streams {
    /// Allows `max` streams. A stream ends at `max_age`; the browser then reconnects.
    pub fn new(max: usize, max_age: Duration) -> Self {
        Self(Arc::new(Shared { max, max_age, open: Mutex::default() }))
    }

    pub fn max_age(&self) -> Duration {
        self.0.max_age
    }

    /// Registers a stream; `None` at a limit. Trusted proxies have no limit per address.
    pub fn open(&self, run_id: Uuid, client: Client) -> Option<StreamPermit> {
        let address = (!client.is_trusted()).then(|| client.limit_key());
        let mut open = self.locked();
        let run_is_full = open.by_run.get(&run_id).is_some_and(|n| *n >= PER_RUN);
        let address_is_full =
            address.is_some_and(|address| open.by_address.get(&address).is_some_and(|n| *n >= PER_ADDRESS));
        if run_is_full || address_is_full || open.total >= self.0.max {
            return None;
        }
        open.total += 1;
        *open.by_run.entry(run_id).or_default() += 1;
        if let Some(address) = address {
            *open.by_address.entry(address).or_default() += 1;
        }
        drop(open);
        Some(StreamPermit { streams: self.clone(), run_id, address })
    }

    fn locked(&self) -> MutexGuard<'_, Open> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts one open stream until dropped.
pub struct StreamPermit {
    streams: Streams,
    run_id: Uuid,
    address: Option<IpAddr>,
}

impl Drop for StreamPermit {
    fn drop(&mut self) {
        let mut open = self.streams.locked();
        open.total -= 1;
        release(&mut open.by_run, &self.run_id);
        if let Some(address) = &self.address {
            release(&mut open.by_address, address);
        }
    }
}

fn release<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}
