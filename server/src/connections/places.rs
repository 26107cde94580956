use metrics::{counter, gauge};
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;

/// How many connections are kept.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub in_all: usize,
    pub per_address: usize,
}

/// The places for connections.
#[derive(Clone)]
pub struct Places(Arc<Shared>);

struct Shared {
    bounds: Bounds,
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
    /// `None` for trusted proxies: they connect for many clients.
    address: Option<IpAddr>,
    phase: Mutex<Phase>,
    close: CancellationToken,
}

/// What a connection is doing, and since when its client keeps it waiting.
#[derive(Clone, Copy, Debug)]
pub enum Phase {
    /// No byte of the next request has come.
    Idle(Instant),
    /// A request has begun.
    Headers(Instant),
    /// It is our turn.
    Answering,
    /// The client neither sends its body on nor takes its answer.
    Stalled(Instant),
}

impl Phase {
    fn waiting_since(self) -> Option<Instant> {
        match self {
            Self::Idle(since) | Self::Headers(since) | Self::Stalled(since) => Some(since),
            Self::Answering => None,
        }
    }
}

impl Places {
    pub fn new(bounds: Bounds) -> Self {
        Self(Arc::new(Shared { bounds, taken: Mutex::default(), freed: Notify::new() }))
    }

    /// Waits until there is a free place; closes the connection that has waited longest when there is none.
    pub async fn make_room(&self) {
        while self.taken().entries.len() >= self.0.bounds.in_all {
            let freed = self.0.freed.notified();
            self.give_way();
            // All may be answering now and waiting for their clients in a moment, which nobody announces.
            let _ = tokio::time::timeout(Duration::from_millis(20), freed).await;
        }
    }

    /// Closes the connection whose client has kept it waiting longest.
    pub fn give_way(&self) {
        self.taken().close_longest_waiting(|_| true);
    }

    /// Takes a place. `None`: all of this address are answering, so that none gives way.
    pub fn take(&self, address: IpAddr, trusted: bool) -> Option<Place> {
        let mut taken = self.taken();
        let address = (!trusted).then_some(address);
        if let Some(address) = address {
            let full = taken.by_address.get(&address).is_some_and(|n| *n >= self.0.bounds.per_address);
            if full && !taken.close_longest_waiting(|entry| entry.address == Some(address)) {
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
        Some(Place { id, entry, places: self.clone() })
    }

    /// Ends every connection now.
    pub fn close_all(&self) {
        self.taken().entries.values().for_each(|entry| entry.close.cancel());
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        lock(&self.0.taken)
    }
}

impl Taken {
    fn close_longest_waiting(&mut self, among: impl Fn(&Entry) -> bool) -> bool {
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

/// One connection's place; free again when it is dropped.
pub struct Place {
    id: u64,
    entry: Arc<Entry>,
    places: Places,
}

impl Place {
    pub fn phase(&self) -> Phase {
        *lock(&self.entry.phase)
    }

    pub fn set(&self, phase: Phase) {
        *lock(&self.entry.phase) = phase;
    }

    /// The first bytes of a request have come.
    pub fn received(&self) {
        let mut phase = lock(&self.entry.phase);
        if matches!(*phase, Phase::Idle(_)) {
            *phase = Phase::Headers(Instant::now());
        }
    }

    /// The client keeps us waiting with a body or an answer.
    pub fn stalled(&self) {
        let mut phase = lock(&self.entry.phase);
        if matches!(*phase, Phase::Answering) {
            *phase = Phase::Stalled(Instant::now());
        }
    }

    pub fn moved_on(&self) {
        let mut phase = lock(&self.entry.phase);
        if matches!(*phase, Phase::Stalled(_)) {
            *phase = Phase::Answering;
        }
    }

    /// A request is being answered, until what is returned is dropped.
    pub fn answering(self: &Arc<Self>) -> Answering {
        self.set(Phase::Answering);
        Answering(self.clone())
    }

    pub async fn closed(&self) {
        self.entry.close.cancelled().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
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
        self.places.0.freed.notify_one();
    }
}

pub struct Answering(Arc<Place>);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.set(Phase::Idle(Instant::now()));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
