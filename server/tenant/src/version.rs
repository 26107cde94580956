use chrono::{DateTime, Utc};
use std::{fmt, num::ParseIntError, str::FromStr};

/// Version of a record, for optimistic locking: `updated_at` in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version(i64);

impl From<DateTime<Utc>> for Version {
    fn from(updated_at: DateTime<Utc>) -> Self {
        Self(updated_at.timestamp_micros())
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Version {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// Optimistic lock: [`crate::Error::Changed`] unless `expected` is current; `None` skips the check.
pub(crate) fn check_version(expected: Option<Version>, updated_at: DateTime<Utc>) -> crate::Result<()> {
    match expected {
        Some(expected) if expected != Version::from(updated_at) => Err(crate::Error::Changed),
        _ => Ok(()),
    }
}
