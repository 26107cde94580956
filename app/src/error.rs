//! Errors of pages, forms and server functions, mapped once from those of the libraries.

use axum::response::{IntoResponse, Response};
use domain::{Errors, RawForm};
use http::StatusCode;
use registry::chain;
use std::time::Duration;
use tower_sessions::{session, session_store};

/// Why a request was not carried out. What a driver or database said stays in the log.
#[derive(Clone, Debug)]
pub enum PageError {
    /// The form has errors: it is shown again with what was typed.
    Invalid(Errors),
    /// Somebody else was faster. The form is shown again; sent with these hidden fields, it is meant.
    Conflict {
        errors: Errors,
        replace: RawForm,
    },
    /// Nobody is signed in; `next` is where to come back to.
    SignedOut {
        next: String,
    },
    NotFound,
    Forbidden,
    /// A form posted by another site.
    CrossSite,
    /// A request that cannot be read, by its status: 400, 405, 408, 413, 415 …
    Refused(StatusCode),
    Suspended {
        church: String,
    },
    TooManyAttempts {
        retry_after: Duration,
    },
    /// Too many uploads at a time.
    Busy,
    /// Not possible now, and worth trying again; the cause is for the log.
    Unavailable {
        outage: Outage,
        cause: String,
    },
    /// A bug; the cause is for the log.
    Internal(String),
}

/// The page is written by the layout layer, which knows who is signed in and the request's id.
impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Cause of an outage, as far as users and operators act on it differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outage {
    /// A database does not answer, or has no connection to spare.
    Unreachable,
    /// PostgreSQL has no room on its disk.
    DiskFull,
    /// The church's tables could not be brought to this release's version.
    UpgradeFailed,
    /// The church's tables are of a newer release than this process.
    NewerSchema,
}

impl Outage {
    fn from_error(error: &(dyn std::error::Error + 'static)) -> Self {
        match registry::sqlstate(error).as_deref() {
            Some("53100") => Self::DiskFull,
            _ => Self::Unreachable,
        }
    }

    /// Name in logs and in problem types of the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unreachable => "unavailable",
            Self::DiskFull => "disk-full",
            Self::UpgradeFailed => "upgrade-failed",
            Self::NewerSchema => "newer-schema",
        }
    }

    /// In seconds.
    fn retry_after(self) -> u64 {
        match self {
            Self::Unreachable => 5,
            Self::DiskFull | Self::UpgradeFailed | Self::NewerSchema => 60,
        }
    }

    fn message(self) -> (&'static str, &'static str) {
        match self {
            Self::Unreachable => {
                ("We can't reach your data right now", "Nothing is lost. Try again in a minute.")
            }
            Self::DiskFull => (
                "We can't save anything right now",
                "The database server has run out of space. What was saved before is safe. Contact your Vestry provider, and try again later.",
            ),
            Self::UpgradeFailed => (
                "We couldn't update your church's account",
                "Vestry has a new version, and your account could not be moved to it yet. Your data is safe. Try again in a few minutes. If it keeps happening, send your Vestry provider this reference.",
            ),
            Self::NewerSchema => (
                "Vestry is being updated",
                "Your church's account has already moved to the new version. Your data is safe. Try again in a few minutes.",
            ),
        }
    }
}

impl PageError {
    /// The error behind a status that axum answered by itself.
    pub fn from_status(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::NotFound,
            StatusCode::FORBIDDEN => Self::Forbidden,
            StatusCode::SERVICE_UNAVAILABLE => {
                Self::Unavailable { outage: Outage::Unreachable, cause: format!("answered {status}") }
            }
            status if status.is_client_error() => Self::Refused(status),
            status => Self::Internal(format!("answered {status}")),
        }
    }

    pub fn status(&self) -> StatusCode {
        match self {
            Self::Invalid(_) | Self::Conflict { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Self::SignedOut { .. } => StatusCode::UNAUTHORIZED,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Forbidden | Self::CrossSite | Self::Suspended { .. } => StatusCode::FORBIDDEN,
            Self::Refused(status) => *status,
            Self::TooManyAttempts { .. } | Self::Busy => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Seconds to wait before trying again, as `Retry-After`.
    pub fn retry_after(&self) -> Option<u64> {
        match self {
            Self::TooManyAttempts { retry_after } => Some(retry_after.as_secs().max(1)),
            Self::Busy => Some(5),
            Self::Unavailable { outage, .. } => Some(outage.retry_after()),
            _ => None,
        }
    }

    /// Heading, and what to do.
    pub fn message(&self) -> (&'static str, String) {
        let (heading, text) = match self {
            Self::Invalid(errors) | Self::Conflict { errors, .. } => {
                let messages: Vec<_> = errors.0.iter().map(|error| error.message.as_str()).collect();
                return ("There is a problem", messages.join(" "));
            }
            Self::SignedOut { .. } => ("You are signed out", "Sign in and try again."),
            Self::NotFound => ("Page not found", "Check the web address, or go to the home page."),
            Self::Forbidden => (
                "You don't have permission to do this",
                "Your account may not change this. Ask an owner, or an administrator of all branches.",
            ),
            Self::CrossSite => (
                "This form came from another website",
                "Nothing was changed. Open the page here, and send the form again.",
            ),
            Self::Refused(StatusCode::METHOD_NOT_ALLOWED) => (
                "This page cannot do that",
                "Go back to the page you came from, and try again from there.",
            ),
            Self::Refused(StatusCode::PAYLOAD_TOO_LARGE) => (
                "That is too large to send",
                "Nothing was saved. Go back, shorten the longest text or choose a smaller file, and try again.",
            ),
            Self::Refused(StatusCode::REQUEST_TIMEOUT) => (
                "Sending took too long",
                "Nothing was saved. Check your connection, then go back and try again.",
            ),
            Self::Refused(_) => (
                "We could not read what was sent",
                "Nothing was saved. Go back, reload the page and try again.",
            ),
            Self::Suspended { church } => {
                let text = format!(
                    "The account of {church} is suspended. Your data is safe. Contact your Vestry provider to reopen it."
                );
                return ("This account is suspended", text);
            }
            Self::TooManyAttempts { retry_after } => {
                return ("Too many attempts", format!("Wait {}, then try again.", human(*retry_after)));
            }
            Self::Busy => {
                ("Too many photos at once", "Wait until the others are uploaded, then send this one again.")
            }
            Self::Unavailable { outage, .. } => outage.message(),
            Self::Internal(_) => (
                "Sorry, something went wrong",
                "Your changes were not saved. Try again. If it keeps happening, send your Vestry provider this reference.",
            ),
        };
        (heading, text.to_owned())
    }

    /// Logs an error that is not the client's; called once, where it is answered. The line carries the request's id and
    /// tenant.
    pub fn log(&self) {
        match self {
            Self::Unavailable { outage, cause } => {
                tracing::warn!(outage = outage.name(), error = %cause, "request failed: unavailable");
            }
            Self::Internal(cause) => tracing::error!(error = %cause, "request failed"),
            _ => {}
        }
    }

    fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        Self::Internal(chain(error).to_string())
    }

    fn unavailable(error: &(dyn std::error::Error + 'static)) -> Self {
        Self::Unavailable { outage: Outage::from_error(error), cause: chain(error).to_string() }
    }
}

fn human(wait: Duration) -> String {
    match wait.as_secs() {
        0..=1 => "a second".into(),
        seconds @ 2..=90 => format!("{seconds} seconds"),
        seconds => format!("{} minutes", seconds.div_ceil(60)),
    }
}

impl From<tenant::Error> for PageError {
    fn from(error: tenant::Error) -> Self {
        match &error {
            tenant::Error::NotFound => Self::NotFound,
            tenant::Error::Forbidden => Self::Forbidden,
            tenant::Error::Unavailable(_) => Self::unavailable(&error),
            tenant::Error::Rejected { field, message } => Self::Invalid(Errors::one(field, *message)),
            tenant::Error::Changed | tenant::Error::Database(_) => Self::internal(&error),
        }
    }
}

impl From<registry::Error> for PageError {
    fn from(error: registry::Error) -> Self {
        match &error {
            registry::Error::NotFound => Self::NotFound,
            registry::Error::Unavailable(_) | registry::Error::ReadOnly(_) => Self::unavailable(&error),
            _ => Self::internal(&error),
        }
    }
}

impl From<identity::Error> for PageError {
    fn from(error: identity::Error) -> Self {
        match error {
            identity::Error::TooManyAttempts { retry_after } => Self::TooManyAttempts { retry_after },
            identity::Error::Suspended { church } => Self::Suspended { church },
            identity::Error::Registry(error) => error.into(),
            identity::Error::Tenant(error) => error.into(),
            identity::Error::WrongCredentials
            | identity::Error::Unauthenticated
            | identity::Error::WrongTenant
            | identity::Error::ChooseTenant(_) => Self::Forbidden,
            // Forms show these at a field.
            identity::Error::KeyReused | identity::Error::TooManyUnverified | identity::Error::NotProved => {
                Self::Forbidden
            }
            identity::Error::TooNew => {
                Self::Unavailable { outage: Outage::NewerSchema, cause: error.to_string() }
            }
            identity::Error::TooOld => {
                Self::Unavailable { outage: Outage::UpgradeFailed, cause: error.to_string() }
            }
            // Sessions are kept in the registry.
            identity::Error::Session(session::Error::Store(session_store::Error::Backend(_))) => {
                Self::unavailable(&error)
            }
            error => Self::internal(&error),
        }
    }
}

impl From<Errors> for PageError {
    fn from(errors: Errors) -> Self {
        Self::Invalid(errors)
    }
}
