use crate::Choice;
use std::time::Duration;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the email or the password is not right")]
    WrongCredentials,
    #[error("too many attempts")]
    TooManyAttempts { retry_after: Duration },
    /// The signup's idempotency key, or its form, was used for something else before, or has ended.
    #[error("the key of this signup was used before")]
    KeyReused,
    /// So many churches may be signed up with an email that nobody has proved to be theirs, and no more.
    #[error("the email has too many churches without being verified")]
    TooManyUnverified,
    /// A token of the issuer that does not prove the email of whoever shows it.
    #[error("the token does not prove the email")]
    NotProved,
    #[error("the church is suspended")]
    Suspended { church: String },
    /// The token is unknown, expired, revoked or not ours; which of them is nobody's business.
    #[error("the token opens nothing")]
    Unauthenticated,
    /// The credential is good, for another church.
    #[error("the credential does not open that church")]
    WrongTenant,
    /// The credential opens several churches, and says of none that it is meant.
    #[error("the credential opens several churches")]
    ChooseTenant(Vec<Choice>),
    /// None of the outside issuer's keys is known, and it does not answer. Worth trying again.
    #[error("the issuer of the token cannot be reached now")]
    IssuerUnavailable,
    /// The tenant's tables are of a later version than this binary knows.
    #[error("the church's database is of a newer version")]
    TooNew,
    /// They are of an earlier version, and could not be brought up to date just now.
    #[error("the church's database is of an older version")]
    TooOld,
    #[error("a sealed record could not be opened: it belongs to another secret key")]
    Sealed,
    #[error(transparent)]
    Registry(registry::Error),
    #[error(transparent)]
    Tenant(#[from] tenant::Error),
    #[error("the session could not be read or written")]
    Session(#[from] tower_sessions::session::Error),
}

impl From<registry::Error> for Error {
    fn from(error: registry::Error) -> Self {
        match error {
            registry::Error::KeyReused => Self::KeyReused,
            registry::Error::TooManyUnverified => Self::TooManyUnverified,
            error => Self::Registry(error),
        }
    }
}

pub type Result<T> = std::result::Result<T, Error>;
