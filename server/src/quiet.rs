//! Warnings of a registry that is away or read-only: every loop of a process meets it, several times a second.

use registry::Error;
use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// From one warning to the next.
const PAUSE: Duration = Duration::from_secs(30);

static LAST: Mutex<Option<Instant>> = Mutex::new(None);

/// Warns that something could not be done in the registry; while that is away or read-only, once in 30 s for all of
/// the process.
pub fn warn_registry(error: &Error, what: &'static str) {
    let cause = registry::chain(error).to_string();
    match error {
        Error::Unavailable(_) | Error::ReadOnly(_) => warn_outage(&cause, what),
        _ => tracing::warn!(cause, "{what}"),
    }
}

/// The same, where only the words of the error are left.
pub fn warn_outage(cause: &str, what: &'static str) {
    match is_due() {
        true => tracing::warn!(cause, "{what}; this is said again in 30 s if it lasts"),
        false => tracing::debug!(cause, "{what}"),
    }
}

fn is_due() -> bool {
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    let due = last.is_none_or(|last| last.elapsed() >= PAUSE);
    if due {
        *last = Some(Instant::now());
    }
    due
}
