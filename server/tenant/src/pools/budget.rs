use super::{Limits, Usage, entry::PoolEntry};
use sqlx::{Connection, PgConnection};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};
use tokio::{
    sync::oneshot,
    time::{sleep, timeout, timeout_at},
};

/// Timeout for the ping of an idle connection, and for a rollback.
pub const PING_TIMEOUT: Duration = Duration::from_secs(1);
/// Time for a backend to exit after a close, which PostgreSQL does not confirm.
const BACKEND_EXIT_DELAY: Duration = Duration::from_millis(10);

/// Connections to one database server, of all its tenants, at most `limit`.
///
/// Closes the least recently used idle connections ahead of demand, so that a tenant without connections does not wait
/// for another's to close.
pub struct Budget {
    server: String,
    limits: Limits,
    state: Mutex<State>,
}

struct State {
    limit: usize,
    /// Connections that are open, opening or closing.
    open: usize,
    closing: usize,
    /// Least recently used first.
    idle: VecDeque<Idle>,
    waiting: VecDeque<Waiting>,
}

pub struct Idle {
    pub(super) entry: Arc<PoolEntry>,
    connection: PgConnection,
    since: Instant,
}

struct Waiting {
    entry: Arc<PoolEntry>,
    turn: oneshot::Sender<Lease>,
}

/// A counted connection, idle or still to be opened.
struct Slot {
    entry: Arc<PoolEntry>,
    connection: Option<PgConnection>,
}

/// The right to one connection; returned to the budget on drop.
pub struct Lease {
    budget: Arc<Budget>,
    entry: Arc<PoolEntry>,
    connection: Option<PgConnection>,
    /// Whether the connection may be reused.
    reusable: bool,
    /// Whether the connection was opened for this lease.
    is_new: bool,
}

impl State {
    /// Takes a connection for `entry`, if the limits allow one now.
    fn take(&mut self, entry: &Arc<PoolEntry>, per_tenant: usize) -> Option<Slot> {
        let own = self.idle.iter().rposition(|idle| Arc::ptr_eq(&idle.entry, entry));
        let own = own.and_then(|own| self.idle.remove(own));
        if own.is_none() {
            if entry.busy.load(Relaxed) >= per_tenant || self.open >= self.limit {
                return None;
            }
            self.open += 1;
        }
        entry.busy.fetch_add(1, Relaxed);
        Some(Slot { entry: entry.clone(), connection: own.map(|own| own.connection) })
    }

    /// PictureOwner turn it is: of the tenants that wait, the one with the fewest connections, so that a
    /// busy one does not starve the others. Of equals, who came first.
    fn next(&mut self, per_tenant: usize) -> Option<(oneshot::Sender<Lease>, Slot)> {
        self.waiting.retain(|waiting| !waiting.turn.is_closed());
        let order = self.waiting.iter().enumerate();
        let (at, _) = order.min_by_key(|(nth, waiting)| (waiting.entry.busy.load(Relaxed), *nth))?;
        let entry = self.waiting[at].entry.clone();
        let slot = self.take(&entry, per_tenant)?;
        Some((self.waiting.remove(at)?.turn, slot))
    }

    /// Returns the next idle connection to close, to make room.
    fn surplus(&mut self, per_tenant: usize) -> Option<PgConnection> {
        // Keeps a sixteenth free, at least one.
        let target = self.limit.saturating_sub(self.limit.div_ceil(16)).max(1).min(self.limit);
        let can_use =
            |waiting: &&Waiting| !waiting.turn.is_closed() && waiting.entry.busy.load(Relaxed) < per_tenant;
        let wanted = self.waiting.iter().filter(can_use).count();
        if self.open - self.closing <= target && wanted <= self.closing {
            return None;
        }
        let least_recent = self.idle.pop_front()?;
        self.closing += 1;
        Some(least_recent.connection)
    }
}

impl Budget {
    pub fn new(host: &str, port: u16, limit: usize, limits: Limits) -> Self {
        let state = State { limit, open: 0, closing: 0, idle: VecDeque::new(), waiting: VecDeque::new() };
        Self { server: format!("{host}:{port}"), limits, state: Mutex::new(state) }
    }

    /// Waits for a connection for `entry`, up to the wait limit.
    pub async fn lease(self: &Arc<Self>, entry: &Arc<PoolEntry>) -> sqlx::Result<Lease> {
        let deadline = tokio::time::Instant::now() + self.limits.wait;
        let got = self.state().take(entry, self.limits.per_tenant);
        let mut lease = match got {
            Some(slot) => self.grant(slot),
            None => {
                self.count("vestry_pool_waits_total");
                let (turn, awaited) = oneshot::channel();
                self.state().waiting.push_back(Waiting { entry: entry.clone(), turn });
                self.rebalance();
                let Ok(Ok(lease)) = timeout_at(deadline, awaited).await else {
                    self.count("vestry_pool_refusals_total");
                    return Err(sqlx::Error::PoolTimedOut);
                };
                lease
            }
        };
        if lease.connection.is_none() {
            self.rebalance();
        }
        timeout_at(deadline, self.connect(&mut lease)).await.map_err(|_| sqlx::Error::PoolTimedOut)??;
        Ok(lease)
    }

    fn grant(self: &Arc<Self>, slot: Slot) -> Lease {
        let Slot { entry, connection } = slot;
        Lease { budget: self.clone(), entry, connection, reusable: true, is_new: false }
    }

    async fn connect(self: &Arc<Self>, lease: &mut Lease) -> sqlx::Result<()> {
        if lease.connection.is_some() {
            // Not reusable until it has answered. The ping also discards what a cancelled request left unread.
            lease.reusable = false;
            let is_alive = matches!(timeout(PING_TIMEOUT, lease.connection().ping()).await, Ok(Ok(())));
            lease.reusable = true;
            if is_alive {
                return Ok(());
            }
            // The server has closed it: reuse its slot.
            lease.connection = None;
        }
        let mut pause = Duration::from_millis(20);
        let (entry, mut repaired) = (lease.entry.clone(), false);
        loop {
            match entry.connect().await {
                Ok(connection) => {
                    self.count("vestry_pool_opens_total");
                    lease.connection = Some(connection);
                    if repaired || !entry.needs_repair(lease.connection()).await? {
                        lease.is_new = true;
                        return Ok(());
                    }
                    // Settings of a role take effect when it connects.
                    lease.connection = None;
                    repaired = true;
                    entry.repair().await;
                }
                // Too many connections, in all or for this role. Closes an idle one to make room.
                Err(error) if has_code(&error, "53300") => {
                    self.close_least_recent();
                    sleep(pause).await;
                }
                // The server is starting.
                Err(error) if has_code(&error, "57P03") => sleep(pause).await,
                // Wrong password, missing role, or no right to connect, as after restoring a database without its grants.
                Err(error) if (has_code(&error, "28P01") || has_code(&error, "42501")) && !repaired => {
                    repaired = true;
                    if !entry.repair().await {
                        return Err(error);
                    }
                }
                Err(error) => return Err(error),
            }
            pause = (pause * 2).min(Duration::from_millis(500));
        }
    }

    /// Closes the least recently used idle connection.
    fn close_least_recent(self: &Arc<Self>) {
        let mut state = self.state();
        let Some(least_recent) = state.idle.pop_front() else { return };
        state.closing += 1;
        drop(state);
        self.count("vestry_pool_evictions_total");
        self.close(least_recent.connection);
    }

    fn give_back(self: &Arc<Self>, lease: &mut Lease) {
        let mut state = self.state();
        let entry = lease.entry.clone();
        entry.busy.fetch_sub(1, Relaxed);
        match lease.connection.take() {
            Some(connection)
                if lease.reusable && !entry.removed.load(Relaxed) && state.open <= state.limit =>
            {
                state.idle.push_back(Idle { entry, connection, since: Instant::now() });
            }
            Some(connection) => {
                state.closing += 1;
                self.close(connection);
            }
            None => state.open -= 1,
        }
        drop(state);
        self.rebalance();
    }

    /// Grants free connections to waiters, and closes surplus ones.
    fn rebalance(self: &Arc<Self>) {
        loop {
            let mut state = self.state();
            let next = state.next(self.limits.per_tenant);
            drop(state);
            // A waiter that is gone drops the lease, which returns it.
            match next {
                Some((turn, slot)) => drop(turn.send(self.grant(slot))),
                None => break,
            }
        }
        loop {
            let surplus = self.state().surplus(self.limits.per_tenant);
            match surplus {
                Some(connection) => {
                    self.count("vestry_pool_evictions_total");
                    self.close(connection);
                }
                None => break,
            }
        }
    }

    /// Closes a connection; its slot is free once the backend has exited.
    fn close(self: &Arc<Self>, connection: PgConnection) {
        let budget = self.clone();
        let closing = async move {
            // An error means that it is closed already.
            let _ = timeout(Duration::from_secs(1), connection.close()).await;
            sleep(BACKEND_EXIT_DELAY).await;
            let mut state = budget.state();
            state.open -= 1;
            state.closing -= 1;
            drop(state);
            budget.rebalance();
        };
        // Without a runtime, the process is exiting and its connections close anyway.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(closing);
        }
    }

    pub fn close_where(self: &Arc<Self>, unwanted: impl Fn(&Idle) -> bool) {
        let mut state = self.state();
        let (close, keep): (VecDeque<_>, _) =
            std::mem::take(&mut state.idle).into_iter().partition(|idle| unwanted(idle));
        state.idle = keep;
        state.closing += close.len();
        drop(state);
        close.into_iter().for_each(|idle| self.close(idle.connection));
    }

    pub fn close_unused(self: &Arc<Self>) {
        self.close_where(|idle| idle.since.elapsed() >= self.limits.idle);
    }

    pub fn set_limit(self: &Arc<Self>, limit: usize) {
        self.state().limit = limit;
        self.rebalance();
    }

    pub fn usage(&self) -> Usage {
        let state = self.state();
        Usage {
            server: self.server.clone(),
            limit: state.limit,
            open: state.open,
            idle: state.idle.len(),
            waiting: state.waiting.iter().filter(|waiting| !waiting.turn.is_closed()).count(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, what: &'static str) {
        metrics::counter!(what, "server" => self.server.clone()).increment(1);
    }
}

impl Lease {
    pub fn connection(&mut self) -> &mut PgConnection {
        self.connection.as_mut().expect("a lease that was handed out is connected")
    }

    pub fn as_connection(&self) -> &PgConnection {
        self.connection.as_ref().expect("a lease that was handed out is connected")
    }

    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// Marks the connection as not reusable.
    pub fn discard(&mut self) {
        self.reusable = false;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.budget.clone().give_back(self);
    }
}

fn has_code(error: &sqlx::Error, code: &str) -> bool {
    error.as_database_error().and_then(|error| error.code()).is_some_and(|found| found == code)
}
