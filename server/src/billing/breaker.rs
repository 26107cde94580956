use failsafe::{
    Config, Instrument, StateMachine,
    backoff::{self, Constant},
    failure_policy::{self, ConsecutiveFailures},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

/// Consecutive failures that open the breaker. After the pause it admits one call; a failure reopens it.
const MAX_FAILURES: u32 = 5;

/// Circuit breaker for calls to Stripe.
#[derive(Clone)]
pub struct Breaker {
    machine: StateMachine<ConsecutiveFailures<Constant>, Gauge>,
    gauge: Gauge,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Calls pass.
    Closed,
    /// One probe call passes.
    HalfOpen,
    /// No call passes.
    Open,
}

impl Breaker {
    pub fn new(pause: Duration) -> Self {
        let gauge = Gauge::default();
        let policy = failure_policy::consecutive_failures(MAX_FAILURES, backoff::constant(pause));
        Self { machine: Config::new().failure_policy(policy).instrument(gauge.clone()).build(), gauge }
    }

    pub fn state(&self) -> BreakerState {
        match self.gauge.0.load(Ordering::Relaxed) {
            0 => BreakerState::Closed,
            1 => BreakerState::HalfOpen,
            _ => BreakerState::Open,
        }
    }

    /// Returns whether a call may be made. Call before each attempt, one at a time, and record the result.
    pub fn permits(&self) -> bool {
        self.machine.is_call_permitted()
    }

    /// Records a response, even a rejection.
    pub fn succeeded(&self) {
        self.machine.on_success();
    }

    /// Records a failure.
    pub fn failed(&self) {
        self.machine.on_error();
    }
}

/// State for `/metrics`: 0 closed, 0.5 half open, 1 open.
#[derive(Clone, Default)]
struct Gauge(Arc<AtomicU8>);

impl Gauge {
    fn set(&self, state: BreakerState) {
        self.0.store(state as u8, Ordering::Relaxed);
        metrics::gauge!("vestry_stripe_breaker_open").set(f64::from(state as u8) / 2.0);
    }
}

impl Instrument for Gauge {
    fn on_call_rejected(&self) {}

    fn on_open(&self) {
        tracing::warn!("Stripe keeps failing: circuit breaker opened");
        self.set(BreakerState::Open);
    }

    fn on_half_open(&self) {
        self.set(BreakerState::HalfOpen);
    }

    fn on_closed(&self) {
        self.set(BreakerState::Closed);
    }
}
