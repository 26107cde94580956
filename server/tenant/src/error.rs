#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no such record in this church")]
    NotFound,
    #[error("this admin may not do that")]
    Forbidden,
    /// The database holds the rule that the input breaks; said in the user's words.
    #[error("{field}: {message}")]
    Rejected { field: &'static str, message: &'static str },
    /// Somebody else has written to the record since it was read.
    #[error("the record was changed meanwhile")]
    Changed,
    /// All connections are in use, or the database does not answer now. Worth trying again.
    #[error("the church's database is not reachable now")]
    Unavailable(#[source] sqlx::Error),
    #[error("a query failed")]
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
            sqlx::Error::Database(db) if db.code().is_some_and(|code| is_passing(&code)) => {
                Self::Unavailable(error)
            }
            _ => Self::Database(error),
        }
    }
}

/// Too many connections, a server that starts, stops or crashed, a database closed for now, or a lock that others hold
/// for too long.
fn is_passing(code: &str) -> bool {
    code.starts_with("53")
        || code.starts_with("57P")
        || code.starts_with("08")
        || matches!(code, "55000" | "55P03")
}

/// What a rule of the database is called in words, by the name of its constraint.
pub(crate) struct Rule {
    pub constraint: &'static str,
    pub field: &'static str,
    pub message: &'static str,
}

/// Turns the violation of a known constraint into words at the field it concerns.
pub(crate) fn explained(rules: &'static [Rule]) -> impl Fn(sqlx::Error) -> Error {
    |error| {
        let broken = error
            .as_database_error()
            .and_then(|db| db.constraint())
            .and_then(|name| rules.iter().find(|rule| rule.constraint == name));
        match broken {
            Some(rule) => Error::Rejected { field: rule.field, message: rule.message },
            None => error.into(),
        }
    }
}
