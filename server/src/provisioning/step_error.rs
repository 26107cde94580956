use registry::{chain, sqlstate};
use std::error::Error;

pub type Result<T = ()> = std::result::Result<T, StepError>;

/// Error of a provisioning step.
#[derive(Debug)]
pub struct StepError {
    /// Message for the person who waits, without technical detail.
    pub reason: &'static str,
    /// Whether a retry may succeed without intervention.
    pub is_transient: bool,
    /// Another worker holds the lease: write nothing about the run.
    pub lease_lost: bool,
    /// Cause, for the log.
    pub cause: String,
    /// The registry is unreachable or read-only; logged at a limited rate.
    pub is_registry_outage: bool,
}

impl StepError {
    pub fn permanent(reason: &'static str, cause: impl ToString) -> Self {
        Self {
            reason,
            is_transient: false,
            lease_lost: false,
            cause: cause.to_string(),
            is_registry_outage: false,
        }
    }

    pub fn transient(reason: &'static str, cause: impl ToString) -> Self {
        Self {
            reason,
            is_transient: true,
            lease_lost: false,
            cause: cause.to_string(),
            is_registry_outage: false,
        }
    }

    /// Converts an error of a database server.
    pub fn from_server(error: sqlx::Error) -> Self {
        Self::new(
            &error,
            "The database server did not answer, or did not do what was asked. Setup goes on by itself when it does.",
        )
    }

    /// Prefixes the cause with what it concerns.
    pub fn with_context(self, what: &str) -> Self {
        Self { cause: format!("{what}: {}", self.cause), ..self }
    }

    /// Picks the message by SQLSTATE, or else `fallback`.
    fn new(error: &(dyn Error + 'static), fallback: &'static str) -> Self {
        let cause = chain(error);
        match sqlstate(error).as_deref() {
            Some("42501") => Self::permanent(
                "The database server does not allow Vestry to make a database. Its operator has to permit it.",
                cause,
            ),
            Some("53100") => {
                Self::transient("The database server has no room left. Its operator has to make some.", cause)
            }
            Some("53300") => {
                Self::transient("The database server was too busy to take another connection.", cause)
            }
            _ => Self::transient(fallback, cause),
        }
    }
}

impl From<registry::Error> for StepError {
    fn from(error: registry::Error) -> Self {
        use registry::Error::{LeaseLost, ReadOnly, Unavailable};
        let lease_lost = matches!(error, LeaseLost);
        let is_registry_outage = matches!(error, Unavailable(_) | ReadOnly(_));
        Self { lease_lost, is_registry_outage, ..Self::new(&error, "The registry did not answer.") }
    }
}

impl From<tenant::Error> for StepError {
    fn from(error: tenant::Error) -> Self {
        Self::new(&error, "The new database did not answer.")
    }
}

impl From<sqlx::migrate::MigrateError> for StepError {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        Self::new(&error, "The tables could not be made in the new database.")
    }
}
