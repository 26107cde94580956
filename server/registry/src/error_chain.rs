//! Formats errors for the log.

use std::{error::Error, fmt};

/// Formats an error with all its sources: `the registry did not answer: Connection refused (os error 111)`.
///
/// Omits what PostgreSQL and TLS libraries quote: personal data and server names.
pub fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl fmt::Display + 'a {
    Chain(error)
}

/// Returns the SQLSTATE of the PostgreSQL error among the sources, such as `53100` for a full disk.
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
            let own = own_message(current);
            if !own.is_empty() {
                write!(f, "{separator}{own}")?;
                separator = ": ";
            }
            error = current.source();
        }
        Ok(())
    }
}

/// Returns the error's message without its source, which many errors repeat at the end.
fn own_message(error: &dyn Error) -> String {
    let message = error.to_string();
    let source = error.source().map(ToString::to_string).unwrap_or_default();
    unquoted(message.strip_suffix(&source).unwrap_or(&message)).to_owned()
}

/// Formats PostgreSQL's message and SQLSTATE.
fn postgres(error: &dyn sqlx::error::DatabaseError) -> String {
    let code = error.code().unwrap_or_default();
    // Data exceptions (class 22) quote the value.
    let message = match code.starts_with("22") {
        true => unquoted(error.message()),
        false => error.message(),
    };
    format!("{message} (SQLSTATE {code})")
}

/// Returns the text before the first quotation mark.
fn unquoted(text: &str) -> &str {
    text.split(['"', '`']).next().unwrap_or_default().trim_end_matches([' ', ':'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Outer(&'static str, #[source] std::io::Error);

    #[test]
    fn prints_each_source_once() {
        let refused = || std::io::Error::other("refused");
        assert_eq!(chain(&Outer("away", refused())).to_string(), "away: refused");
        assert_eq!(chain(&Outer("away: refused", refused())).to_string(), "away: refused");
    }

    #[test]
    fn omits_server_names() {
        let tls =
            "invalid peer certificate: certificate not valid for name \"db.example.org\"; only for other.org";
        let error = crate::Error::Unavailable(sqlx::Error::Tls(tls.into()));
        let text = chain(&error).to_string();
        assert!(text.contains("certificate not valid for name"), "{text}");
        assert!(!text.contains("example") && !text.contains("other.org"), "{text}");
    }
}
