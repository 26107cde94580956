//! Conversions to PostgreSQL types.

use sqlx::postgres::types::PgInterval;
use std::time::Duration;

pub(crate) fn interval(duration: Duration) -> PgInterval {
    PgInterval { months: 0, days: 0, microseconds: duration.as_micros() as i64 }
}
