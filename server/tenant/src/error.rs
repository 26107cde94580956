#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("record not found")]
    NotFound,
    #[error("permission denied")]
    Forbidden,
    /// The input violates a constraint; worded for the user.
    #[error("{field}: {message}")]
    Rejected { field: &'static str, message: &'static str },
    /// Optimistic lock: the record was changed since it was read.
    #[error("the record was changed concurrently")]
    Changed,
    /// Pool timeout, or the database is unreachable. Transient.
    #[error("the tenant's database is unavailable")]
    Unavailable(#[source] sqlx::Error),
    #[error("a tenant query failed")]
    Database(#[source] sqlx::Error),
}

pub type Result<T> = std::result::Result<T, Error>;

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::RowNotFound => Self::NotFound,
            sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::Io(_)
            | sqlx::Error::Tls(_) => Self::Unavailable(error),
            sqlx::Error::Database(db) if db.code().is_some_and(|code| is_transient(&code)) => {
                Self::Unavailable(error)
            }
            _ => Self::Database(error),
        }
    }
}

/// Too many connections; server starting, stopping or crashed; database closed; or lock timeout.
fn is_transient(code: &str) -> bool {
    code.starts_with("53")
        || code.starts_with("57P")
        || code.starts_with("08")
        || matches!(code, "55000" | "55P03")
}

/// Field and message of a constraint.
pub(crate) struct ConstraintMessage {
    pub constraint: &'static str,
    pub field: &'static str,
    pub message: &'static str,
}

/// Converts the violation of a listed constraint to an error of its field.
pub(crate) fn map_constraints(messages: &'static [ConstraintMessage]) -> impl Fn(sqlx::Error) -> Error {
    |error| {
        let violated = error
            .as_database_error()
            .and_then(|db| db.constraint())
            .and_then(|name| messages.iter().find(|message| message.constraint == name));
        match violated {
            Some(violated) => Error::Rejected { field: violated.field, message: violated.message },
            None => error.into(),
        }
    }
}
