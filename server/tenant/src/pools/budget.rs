use super::{Limits, Usage, church::Church};
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

/// How long a connection may take to answer that it is at rest.
pub const REST: Duration = Duration::from_secs(1);
/// How long a backend may take to leave after it was told to: PostgreSQL does not say when it has.
const LEAVING: Duration = Duration::from_millis(10);

/// The connections to one database server: never more than its limit, over all tenants.
///
/// A few places are kept free by closing what was unused longest before somebody needs its place: a
/// tenant that comes anew does not wait for another's connection to close.
pub struct Budget {
    server: String,
    limits: Limits,
    state: Mutex<State>,
}

struct State {
    limit: usize,
    /// Places that are taken: open, being opened, or leaving.
    open: usize,
    leaving: usize,
    /// Whoever gave one back longest ago stands first.
    idle: VecDeque<Idle>,
    waiting: VecDeque<Waiting>,
}

pub struct Idle {
    pub(super) church: Arc<Church>,
    connection: PgConnection,
    since: Instant,
}

struct Waiting {
    church: Arc<Church>,
    turn: oneshot::Sender<Lease>,
}

/// The right to one connection; given back when it is dropped.
pub struct Lease {
    church: Arc<Church>,
    connection: Option<PgConnection>,
    /// Whether somebody else may have the connection.
    sound: bool,
    /// Whether the connection was opened for this lease.
    is_new: bool,
}

impl State {
    /// A connection for `church`, if it may have one more now.
    fn take(&mut self, church: &Arc<Church>, per_tenant: usize) -> Option<Lease> {
        let own = self.idle.iter().rposition(|idle| Arc::ptr_eq(&idle.church, church));
        let own = own.and_then(|own| self.idle.remove(own));
        if own.is_none() {
            if church.busy.load(Relaxed) >= per_tenant || self.open >= self.limit {
                return None;
            }
            self.open += 1;
        }
        church.busy.fetch_add(1, Relaxed);
        Some(Lease {
            church: church.clone(),
            connection: own.map(|own| own.connection),
            sound: true,
            is_new: false,
        })
    }

    /// Whose turn it is: of the churches that wait, the one with the fewest connections, so that a
    /// busy one does not starve the others. Of equals, who came first.
    fn next(&mut self, per_tenant: usize) -> Option<(oneshot::Sender<Lease>, Lease)> {
        self.waiting.retain(|waiting| !waiting.turn.is_closed());
        let order = self.waiting.iter().enumerate();
        let (at, _) = order.min_by_key(|(nth, waiting)| (waiting.church.busy.load(Relaxed), *nth))?;
        let church = self.waiting[at].church.clone();
        let lease = self.take(&church, per_tenant)?;
        Some((self.waiting.remove(at)?.turn, lease))
    }

    /// The connection to close next, so that others find a place.
    fn surplus(&mut self, per_tenant: usize) -> Option<PgConnection> {
        // A sixteenth is kept free, and at least one.
        let settled = self.limit.saturating_sub(self.limit.div_ceil(16)).max(1).min(self.limit);
        let may_come =
            |waiting: &&Waiting| !waiting.turn.is_closed() && waiting.church.busy.load(Relaxed) < per_tenant;
        let wanted = self.waiting.iter().filter(may_come).count();
        if self.open - self.leaving <= settled && wanted <= self.leaving {
            return None;
        }
        let least_recent = self.idle.pop_front()?;
        self.leaving += 1;
        Some(least_recent.connection)
    }
}

impl Budget {
    pub fn new(host: &str, port: u16, limit: usize, limits: Limits) -> Self {
        let state = State { limit, open: 0, leaving: 0, idle: VecDeque::new(), waiting: VecDeque::new() };
        Self { server: format!("{host}:{port}"), limits, state: Mutex::new(state) }
    }

    /// A connection for `church`, when it is its turn.
    pub async fn lease(self: &Arc<Self>, church: &Arc<Church>) -> sqlx::Result<Lease> {
        let patience = tokio::time::Instant::now() + self.limits.wait;
        let got = self.state().take(church, self.limits.per_tenant);
        let mut lease = match got {
            Some(lease) => lease,
            None => {
                self.count("vestry_pool_waits_total");
                let (turn, awaited) = oneshot::channel();
                self.state().waiting.push_back(Waiting { church: church.clone(), turn });
                self.settle();
                let Ok(Ok(lease)) = timeout_at(patience, awaited).await else {
                    self.count("vestry_pool_refusals_total");
                    return Err(sqlx::Error::PoolTimedOut);
                };
                lease
            }
        };
        if lease.connection.is_none() {
            self.settle();
        }
        timeout_at(patience, self.connect(&mut lease)).await.map_err(|_| sqlx::Error::PoolTimedOut)??;
        Ok(lease)
    }

    async fn connect(self: &Arc<Self>, lease: &mut Lease) -> sqlx::Result<()> {
        if lease.connection.is_some() {
            // Until it has answered, it is of no use to anybody else. What a request that went away has left
            // unread is passed over here as well.
            lease.sound = false;
            let rests = matches!(timeout(REST, lease.connection().ping()).await, Ok(Ok(())));
            lease.sound = true;
            if rests {
                return Ok(());
            }
            // The server has cut it: its backend is gone, and its place is ours.
            lease.connection = None;
        }
        let mut pause = Duration::from_millis(20);
        let (church, mut repaired) = (lease.church.clone(), false);
        loop {
            match church.connect().await {
                Ok(connection) => {
                    self.count("vestry_pool_opens_total");
                    lease.connection = Some(connection);
                    if repaired || !church.needs_repair(lease.connection()).await? {
                        lease.is_new = true;
                        return Ok(());
                    }
                    // Settings of a role take effect when it connects.
                    lease.connection = None;
                    repaired = true;
                    church.repair().await;
                }
                // The server allows no more in all, or to this role. What others here do not use makes room.
                Err(error) if has_code(&error, "53300") => {
                    self.close_least_recent();
                    sleep(pause).await;
                }
                // It is starting.
                Err(error) if has_code(&error, "57P03") => sleep(pause).await,
                // The role has another password, is not there, or may not enter: a database that was restored without
                // its rights was closed to everybody.
                Err(error) if (has_code(&error, "28P01") || has_code(&error, "42501")) && !repaired => {
                    repaired = true;
                    if !church.repair().await {
                        return Err(error);
                    }
                }
                Err(error) => return Err(error),
            }
            pause = (pause * 2).min(Duration::from_millis(500));
        }
    }

    /// Closes the idle connection that was unused longest, if there is one.
    fn close_least_recent(self: &Arc<Self>) {
        let mut state = self.state();
        let Some(least_recent) = state.idle.pop_front() else { return };
        state.leaving += 1;
        drop(state);
        self.count("vestry_pool_evictions_total");
        self.close(least_recent.connection);
    }

    fn give_back(self: &Arc<Self>, lease: &mut Lease) {
        let mut state = self.state();
        let church = lease.church.clone();
        church.busy.fetch_sub(1, Relaxed);
        match lease.connection.take() {
            Some(connection) if lease.sound && !church.gone.load(Relaxed) && state.open <= state.limit => {
                state.idle.push_back(Idle { church, connection, since: Instant::now() });
            }
            Some(connection) => {
                state.leaving += 1;
                self.close(connection);
            }
            None => state.open -= 1,
        }
        drop(state);
        self.settle();
    }

    /// Hands out what is free to those who wait, and closes what others have more use for.
    fn settle(self: &Arc<Self>) {
        loop {
            let mut state = self.state();
            let next = state.next(self.limits.per_tenant);
            drop(state);
            // Whoever has gone meanwhile gives it back by not taking it.
            match next {
                Some((turn, lease)) => drop(turn.send(lease)),
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

    /// Tells a backend to leave; its place is free when it has.
    fn close(self: &Arc<Self>, connection: PgConnection) {
        let budget = self.clone();
        let closing = async move {
            // One that cannot be told any more is gone already.
            let _ = timeout(Duration::from_secs(1), connection.close()).await;
            sleep(LEAVING).await;
            let mut state = budget.state();
            state.open -= 1;
            state.leaving -= 1;
            drop(state);
            budget.settle();
        };
        // Without a runtime the process is ending, and its connections with it.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(closing);
        }
    }

    pub fn close_where(self: &Arc<Self>, unwanted: impl Fn(&Idle) -> bool) {
        let mut state = self.state();
        let (close, keep): (VecDeque<_>, _) =
            std::mem::take(&mut state.idle).into_iter().partition(|idle| unwanted(idle));
        state.idle = keep;
        state.leaving += close.len();
        drop(state);
        close.into_iter().for_each(|idle| self.close(idle.connection));
    }

    pub fn close_unused(self: &Arc<Self>) {
        self.close_where(|idle| idle.since.elapsed() >= self.limits.idle);
    }

    pub fn set_limit(self: &Arc<Self>, limit: usize) {
        self.state().limit = limit;
        self.settle();
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

    /// What this holds is of no use to anybody else.
    pub fn discard(&mut self) {
        self.sound = false;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.church.budget.clone().give_back(self);
    }
}

fn has_code(error: &sqlx::Error, code: &str) -> bool {
    error.as_database_error().and_then(|error| error.code()).is_some_and(|found| found == code)
}
