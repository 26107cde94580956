//! An error for the log. It stands in this crate because it is the lowest one that logs.

use std::{error::Error, fmt};

/// An error with all its sources, for the log: `the registry did not answer: Connection refused (os error 111)`.
///
/// What PostgreSQL and TLS libraries quote is left out: values of people's data, and names of servers.
pub fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl fmt::Display + 'a {
    Chain(error)
}

/// The SQLSTATE that PostgreSQL gave, if it is behind the error: `53100` when its disk is full.
pub fn sqlstate(error: &(dyn Error + 'static)) -> Option<String> {
    let chain = std::iter::successors(Some(error), |&error| error.source());
    let mut errors = chain.filter_map(|error| error.downcast_ref::<sqlx::Error>());
    errors.find_map(|error| error.as_database_error()?.code().map(|code| code.into_owned()))
}

struct Chain<'a>(&'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut error = Some(self.0);
        let mut separator = "";
        while let Some(current) = error {
            if let Some(sqlx::Error::Database(db)) = current.downcast_ref() {
                return write!(f, "{separator}{}", postgres(&**db));
            }
            let own = own_words(current);
            if !own.is_empty() {
                write!(f, "{separator}{own}")?;
                separator = ": ";
            }
            error = current.source();
        }
        Ok(())
    }
}

/// What the error says itself: many repeat their source at the end.
fn own_words(error: &dyn Error) -> String {
    let words = error.to_string();
    let source = error.source().map(ToString::to_string).unwrap_or_default();
    unquoted(words.strip_suffix(&source).unwrap_or(&words)).to_owned()
}

/// The code, by which PostgreSQL's manual explains it, and the message.
fn postgres(error: &dyn sqlx::error::DatabaseError) -> String {
    let code = error.code().unwrap_or_default();
    // Data exceptions quote the value.
    let message = match code.starts_with("22") {
        true => unquoted(error.message()),
        false => error.message(),
    };
    format!("{message} (SQLSTATE {code})")
}

/// The words before the first quotation.
fn unquoted(words: &str) -> &str {
    words.split(['"', '`']).next().unwrap_or_default().trim_end_matches([' ', ':'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Outer(&'static str, #[source] std::io::Error);

    #[test]
    fn every_source_is_said_once() {
        let refused = || std::io::Error::other("refused");
        assert_eq!(chain(&Outer("away", refused())).to_string(), "away: refused");
        assert_eq!(chain(&Outer("away: refused", refused())).to_string(), "away: refused");
    }

    #[test]
    fn names_of_servers_are_left_out() {
        let tls =
            "invalid peer certificate: certificate not valid for name \"db.example.org\"; only for other.org";
        let error = crate::Error::Unavailable(sqlx::Error::Tls(tls.into()));
        let said = chain(&error).to_string();
        assert!(said.contains("certificate not valid for name"), "{said}");
        assert!(!said.contains("example") && !said.contains("other.org"), "{said}");
    }
}
