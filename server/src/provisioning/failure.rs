use registry::{chain, sqlstate};
use std::error::Error;

/// Why a step did not succeed.
#[derive(Debug)]
pub struct Failure {
    /// For the person who waits: what happened, without the words of any driver.
    pub reason: &'static str,
    /// Whether trying again soon may help without anybody's doing.
    pub passing: bool,
    /// Another worker has the run now: nothing is to be written about it.
    pub lease_lost: bool,
    /// For the operator's log.
    pub cause: String,
    /// The registry is away or read-only, which all loops of the process notice.
    pub of_registry: bool,
}

impl Failure {
    pub fn lasting(reason: &'static str, cause: impl ToString) -> Self {
        Self { reason, passing: false, lease_lost: false, cause: cause.to_string(), of_registry: false }
    }

    pub fn passing(reason: &'static str, cause: impl ToString) -> Self {
        Self { reason, passing: true, lease_lost: false, cause: cause.to_string(), of_registry: false }
    }

    /// In a step that talks to a database server as its administrator.
    pub fn of_server(error: sqlx::Error) -> Self {
        Self::of(
            &error,
            "The database server did not answer, or did not do what was asked. Setup goes on by itself when it does.",
        )
    }

    /// Names what it happened to, for the log.
    pub fn within(self, what: &str) -> Self {
        Self { cause: format!("{what}: {}", self.cause), ..self }
    }

    /// `otherwise` is said unless PostgreSQL itself gives the reason.
    fn of(error: &(dyn Error + 'static), otherwise: &'static str) -> Self {
        let cause = chain(error);
        match sqlstate(error).as_deref() {
            Some("42501") => Self::lasting(
                "The database server does not allow Vestry to make a database. Its operator has to permit it.",
                cause,
            ),
            Some("53100") => {
                Self::passing("The database server has no room left. Its operator has to make some.", cause)
            }
            Some("53300") => {
                Self::passing("The database server was too busy to take another connection.", cause)
            }
            _ => Self::passing(otherwise, cause),
        }
    }
}

impl From<registry::Error> for Failure {
    fn from(error: registry::Error) -> Self {
        use registry::Error::{LeaseLost, ReadOnly, Unavailable};
        let lease_lost = matches!(error, LeaseLost);
        let of_registry = matches!(error, Unavailable(_) | ReadOnly(_));
        Self { lease_lost, of_registry, ..Self::of(&error, "The registry did not answer.") }
    }
}

impl From<tenant::Error> for Failure {
    fn from(error: tenant::Error) -> Self {
        Self::of(&error, "The new database did not answer.")
    }
}

impl From<sqlx::migrate::MigrateError> for Failure {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        Self::of(&error, "The tables could not be made in the new database.")
    }
}
