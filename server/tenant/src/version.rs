use chrono::{DateTime, Utc};
use std::{fmt, num::ParseIntError, str::FromStr};

/// Which state of a record somebody has seen: when it was last written, in microseconds.
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

/// Refuses to write over what somebody has not seen. Whoever says nothing of what was seen writes over anything.
pub(crate) fn unless_changed(seen: Option<Version>, updated_at: DateTime<Utc>) -> crate::Result<()> {
    match seen {
        Some(seen) if seen != Version::from(updated_at) => Err(crate::Error::Changed),
        _ => Ok(()),
    }
}
