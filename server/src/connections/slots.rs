use metrics::{counter, gauge};
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;

/// Maximum number of connections.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    pub total: usize,
    pub per_address: usize,
}

/// Slots of open connections.
#[derive(Clone)]
pub struct ConnectionSlots(Arc<Shared>);

struct Shared {
    limits: ConnectionLimits,
    taken: Mutex<Taken>,
    freed: Notify,
}

#[derive(Default)]
struct Taken {
    next_id: u64,
    entries: HashMap<u64, Arc<Entry>>,
    by_address: HashMap<IpAddr, usize>,
}

struct Entry {
    /// `None` for trusted proxies, which connect for many clients.
    address: Option<IpAddr>,
    phase: Mutex<Phase>,
    close: CancellationToken,
}

/// Phase of a connection, with the time since which it waits for its client.
#[derive(Clone, Copy, Debug)]
pub enum Phase {
    /// Waits for the next request.
    Idle(Instant),
    /// Receives request headers.
    Headers(Instant),
    /// The server works on the response.
    Responding,
    /// The client neither sends its body nor reads the response.
    Stalled(Instant),
}

impl Phase {
    fn waiting_since(self) -> Option<Instant> {
        match self {
            Self::Idle(since) | Self::Headers(since) | Self::Stalled(since) => Some(since),
            Self::Responding => None,
        }
    }
}

impl ConnectionSlots {
    pub fn new(limits: ConnectionLimits) -> Self {
        Self(Arc::new(Shared { limits, taken: Mutex::default(), freed: Notify::new() }))
    }

    /// Waits for a free slot; closes the connection that has waited longest if there is none.
    pub async fn make_room(&self) {
        while self.taken().entries.len() >= self.0.limits.total {
            let freed = self.0.freed.notified();
            self.close_longest_waiting();
            // A phase change to waiting sends no notification, so this polls.
            let _ = tokio::time::timeout(Duration::from_millis(20), freed).await;
        }
    }

    /// Closes the connection that has waited longest for its client.
    pub fn close_longest_waiting(&self) {
        self.taken().close_oldest(|_| true);
    }

    /// Takes a slot; `None` if the address is at its limit and none of its connections is waiting.
    pub fn take(&self, address: IpAddr, trusted: bool) -> Option<ConnectionSlot> {
        let mut taken = self.taken();
        let address = (!trusted).then_some(address);
        if let Some(address) = address {
            let full = taken.by_address.get(&address).is_some_and(|n| *n >= self.0.limits.per_address);
            if full && !taken.close_oldest(|entry| entry.address == Some(address)) {
                counter!("vestry_http_connections_refused_total").increment(1);
                return None;
            }
            *taken.by_address.entry(address).or_default() += 1;
        }
        taken.next_id += 1;
        let id = taken.next_id;
        let phase = Mutex::new(Phase::Idle(Instant::now()));
        let entry = Arc::new(Entry { address, phase, close: CancellationToken::new() });
        taken.entries.insert(id, entry.clone());
        gauge!("vestry_http_connections").set(taken.entries.len() as f64);
        Some(ConnectionSlot { id, entry, slots: self.clone() })
    }

    /// Closes all connections.
    pub fn close_all(&self) {
        self.taken().entries.values().for_each(|entry| entry.close.cancel());
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        lock(&self.0.taken)
    }
}

impl Taken {
    fn close_oldest(&mut self, among: impl Fn(&Entry) -> bool) -> bool {
        let waiting = self.entries.values().filter(|entry| among(entry) && !entry.close.is_cancelled());
        let longest = waiting
            .filter_map(|entry| Some((lock(&entry.phase).waiting_since()?, entry)))
            .min_by_key(|(since, _)| *since);
        if let Some((_, entry)) = longest {
            counter!("vestry_http_connections_closed_total").increment(1);
            entry.close.cancel();
        }
        longest.is_some()
    }
}

/// The slot of one connection; freed on drop.
pub struct ConnectionSlot {
    id: u64,
    entry: Arc<Entry>,
    slots: ConnectionSlots,
}

impl ConnectionSlot {
    pub fn phase(&self) -> Phase {
        *lock(&self.entry.phase)
    }

    pub fn set(&self, phase: Phase) {
        *lock(&self.entry.phase) = phase;
    }

    /// Records the first bytes of a request.
    pub fn received(&self) {
        let mut phase = lock(&self.entry.phase);
        if matches!(*phase, Phase::Idle(_)) {
            *phase = Phase::Headers(Instant::now());
        }
    }

    /// Records that the client blocks a body transfer.
    pub fn stalled(&self) {
        let mut phase = lock(&self.entry.phase);
        if matches!(*phase, Phase::Responding) {
            *phase = Phase::Stalled(Instant::now());
        }
    }

    pub fn resumed(&self) {
        let mut phase = lock(&self.entry.phase);
        if matches!(*phase, Phase::Stalled(_)) {
            *phase = Phase::Responding;
        }
    }

    /// Enters `Responding` until the guard is dropped.
    pub fn responding(self: &Arc<Self>) -> Responding {
        self.set(Phase::Responding);
        Responding(self.clone())
    }

    pub async fn closed(&self) {
        self.entry.close.cancelled().await;
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let mut taken = self.slots.taken();
        taken.entries.remove(&self.id);
        gauge!("vestry_http_connections").set(taken.entries.len() as f64);
        if let Some(address) = self.entry.address
            && let Some(number) = taken.by_address.get_mut(&address)
        {
            *number -= 1;
            if *number == 0 {
                taken.by_address.remove(&address);
            }
        }
        drop(taken);
        self.slots.0.freed.notify_one();
    }
}

pub struct Responding(Arc<ConnectionSlot>);

impl Drop for Responding {
    fn drop(&mut self) {
        self.0.set(Phase::Idle(Instant::now()));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
