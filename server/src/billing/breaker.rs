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

/// So many failures in a row, and no call is made for a while. Then one is let through: if that fails as
/// well, the while begins anew.
const FAILURES: u32 = 5;

/// Stands between the worker and a service that does not answer.
#[derive(Clone)]
pub struct Breaker {
    machine: StateMachine<ConsecutiveFailures<Constant>, Gauge>,
    gauge: Gauge,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// Calls are made.
    Closed,
    /// One call is made, to see.
    HalfOpen,
    /// No call is made.
    Open,
}

impl Breaker {
    pub fn new(pause: Duration) -> Self {
        let gauge = Gauge::default();
        let policy = failure_policy::consecutive_failures(FAILURES, backoff::constant(pause));
        Self { machine: Config::new().failure_policy(policy).instrument(gauge.clone()).build(), gauge }
    }

    pub fn position(&self) -> Position {
        match self.gauge.0.load(Ordering::Relaxed) {
            0 => Position::Closed,
            1 => Position::HalfOpen,
            _ => Position::Open,
        }
    }

    /// Whether a call may be made. Ask before each, make one at a time, and tell how it went.
    pub fn permits(&self) -> bool {
        self.machine.is_call_permitted()
    }

    /// The service answered, be it with a refusal.
    pub fn answered(&self) {
        self.machine.on_success();
    }

    pub fn failed(&self) {
        self.machine.on_error();
    }
}

/// Where the breaker stands, for `/metrics`: 0 closed, 0.5 half open, 1 open.
#[derive(Clone, Default)]
struct Gauge(Arc<AtomicU8>);

impl Gauge {
    fn set(&self, position: Position) {
        self.0.store(position as u8, Ordering::Relaxed);
        metrics::gauge!("vestry_stripe_breaker_open").set(f64::from(position as u8) / 2.0);
    }
}

impl Instrument for Gauge {
    fn on_call_rejected(&self) {}

    fn on_open(&self) {
        tracing::warn!("Stripe fails again and again: no calls for a while");
        self.set(Position::Open);
    }

    fn on_half_open(&self) {
        self.set(Position::HalfOpen);
    }

    fn on_closed(&self) {
        self.set(Position::Closed);
    }
}
