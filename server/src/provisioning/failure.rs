/// Why a step did not succeed.
#[derive(Debug)]
pub struct Failure {
    /// For the person who waits: what happened, without the words of any driver.
    pub reason: &'static str,
    /// Whether trying again soon may help without anybody's doing.
    pub passing: bool,
    /// For the operator's log.
    pub cause: String,
}

impl Failure {
    pub fn lasting(reason: &'static str, cause: impl ToString) -> Self {
        Self { reason, passing: false, cause: cause.to_string() }
    }

    pub fn passing(reason: &'static str, cause: impl ToString) -> Self {
        Self { reason, passing: true, cause: cause.to_string() }
    }

    /// In a step that talks to a database server as its administrator.
    pub fn of_server(error: sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(|db| db.code()).map(|code| code.into_owned());
        match code.as_deref() {
            Some("42501") => Self::lasting(
                "The database server does not allow Vestry to make a database. Its operator has to permit it.",
                error,
            ),
            Some("53100") => {
                Self::passing("The database server has no room left. Its operator has to make some.", error)
            }
            Some("53300") => {
                Self::passing("The database server was too busy to take another connection.", error)
            }
            _ => Self::passing("The database server did not do what was asked. It may be restarting.", error),
        }
    }
}

impl From<registry::Error> for Failure {
    fn from(error: registry::Error) -> Self {
        Self::passing("The registry did not answer. It may be restarting.", error)
    }
}

impl From<tenant::Error> for Failure {
    fn from(error: tenant::Error) -> Self {
        let cause = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
        Self::passing("The new database did not answer. It may be restarting.", cause)
    }
}

impl From<sqlx::migrate::MigrateError> for Failure {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        Self::passing("The tables could not be made in the new database.", error)
    }
}

/// Said once, where it is handled.
pub fn logged(step: &str, failure: &Failure) {
    tracing::warn!(step, cause = %failure.cause, "a provisioning step failed");
}
