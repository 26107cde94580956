//! Rate-limited warnings about registry outages, which every task of a process notices several times a second.

use registry::Error;
use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Interval between two warnings.
const INTERVAL: Duration = Duration::from_secs(30);

static LAST: Mutex<Option<Instant>> = Mutex::new(None);

/// Logs a registry error. Outages are logged at most once in 30 s per process.
pub fn warn_registry(error: &Error, what: &'static str) {
    let cause = registry::chain(error).to_string();
    match error {
        Error::Unavailable(_) | Error::ReadOnly(_) => warn_outage(&cause, what),
        _ => tracing::warn!(cause, "{what}"),
    }
}

/// Logs an outage of which only the message is known, at most once in 30 s per process.
pub fn warn_outage(cause: &str, what: &'static str) {
    match is_due() {
        true => tracing::warn!(cause, "{what}; repeated every 30 s while it lasts"),
        false => tracing::debug!(cause, "{what}"),
    }
}

fn is_due() -> bool {
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    let due = last.is_none_or(|last| last.elapsed() >= INTERVAL);
    if due {
        *last = Some(Instant::now());
    }
    due
}
