use crate::Choice;
use std::time::Duration;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("wrong email or password")]
    WrongCredentials,
    #[error("too many attempts")]
    TooManyAttempts { retry_after: Duration },
    /// The idempotency key or form key of the signup was used for another request, or has expired.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// The email is unverified in too many churches.
    #[error("the email is unverified in too many churches")]
    TooManyUnverified,
    /// The OIDC token does not prove that the email is the user's.
    #[error("the token does not prove the email")]
    EmailNotProven,
    #[error("the church is suspended")]
    Suspended { church: String },
    /// The token is unknown, expired, revoked or foreign; clients do not learn which.
    #[error("invalid token")]
    Unauthenticated,
    /// The credentials are valid for another church.
    #[error("the credentials do not open this church")]
    WrongTenant,
    /// The credentials open several churches, and the request names none.
    #[error("the credentials open several churches")]
    ChooseTenant(Vec<Choice>),
    /// The OIDC issuer's keys cannot be fetched. Transient.
    #[error("the token issuer is unreachable")]
    IssuerUnavailable,
    /// The tenant's schema is newer than this binary.
    #[error("the tenant's schema is newer than this release")]
    TooNew,
    /// The tenant's schema is older, and its upgrade failed.
    #[error("the tenant's schema upgrade failed")]
    TooOld,
    #[error("cannot unseal: sealed with another secret key")]
    Sealed,
    #[error(transparent)]
    Registry(registry::Error),
    #[error(transparent)]
    Tenant(#[from] tenant::Error),
    #[error("session storage failed")]
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
