//! What a page answers: itself, another address, or why not.

use crate::{forms::Errors, ui::frame::Door};
use http::StatusCode;
use leptos::prelude::*;
use registry::chain;
use std::time::Duration;
use tower_sessions::{session, session_store};

pub type Answer = Result<Reply, Failure>;

pub enum Reply {
    Page(Page),
    /// Leads on, with something to be said there.
    Redirect(String, Option<Flash>),
}

/// A page, before its frame is put around it.
pub struct Page {
    pub title: String,
    pub status: StatusCode,
    pub frame: Frame,
    pub body: AnyView,
    /// Asks for itself again after so long, where there is no JavaScript to watch for news.
    pub refresh: bool,
    /// In seconds.
    pub retry_after: Option<u64>,
}

pub enum Frame {
    /// Before anybody is signed in: one quiet column.
    Gate,
    /// The church's own room.
    Room { door: Door, narrow: bool },
}

impl Reply {
    pub fn gate(title: &str, body: impl IntoView + 'static) -> Self {
        Self::page(title, Frame::Gate, body)
    }

    pub fn room(title: &str, door: Door, body: impl IntoView + 'static) -> Self {
        Self::page(title, Frame::Room { door, narrow: false }, body)
    }

    /// A room for a form.
    pub fn desk(title: &str, door: Door, body: impl IntoView + 'static) -> Self {
        Self::page(title, Frame::Room { door, narrow: true }, body)
    }

    pub fn redirect(to: impl Into<String>) -> Self {
        Self::Redirect(to.into(), None)
    }

    fn page(title: &str, frame: Frame, body: impl IntoView + 'static) -> Self {
        let page = Page {
            title: title.to_owned(),
            status: StatusCode::OK,
            frame,
            body: body.into_any(),
            refresh: false,
            retry_after: None,
        };
        Self::Page(page)
    }

    /// A form that has something wrong is shown again as 422.
    pub fn unless_wrong(mut self, errors: &Errors) -> Self {
        if let Self::Page(page) = &mut self
            && !errors.is_empty()
        {
            page.status = StatusCode::UNPROCESSABLE_ENTITY;
        }
        self
    }

    pub fn with_status(mut self, status: StatusCode) -> Self {
        if let Self::Page(page) = &mut self {
            page.status = status;
        }
        self
    }

    /// A form that is shown again because of a failure, with that failure's status.
    pub fn failed(mut self, failure: &Failure) -> Self {
        if let Self::Page(page) = &mut self {
            page.status = failure.status();
            page.retry_after = failure.retry_after();
        }
        self
    }

    pub fn refreshing(mut self, refresh: bool) -> Self {
        if let Self::Page(page) = &mut self {
            page.refresh = refresh;
        }
        self
    }

    pub fn saying(self, flash: Flash) -> Self {
        match self {
            Self::Redirect(to, _) => Self::Redirect(to, Some(flash)),
            page => page,
        }
    }
}

/// Said once, on the page that follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flash {
    MemberAdded,
    MemberChanged,
    MemberArchived,
    MemberRestored,
    BranchAdded,
    BranchChanged,
    BranchArchived,
    BranchRestored,
    PictureSaved,
    PictureRemoved,
    TagChanged,
    TagRemoved,
    TokenRevoked,
    TokenShown,
    SignedOut,
}

impl Flash {
    const ALL: [(Self, &str, &str); 15] = [
        (Self::MemberAdded, "member-added", "The member is added."),
        (Self::MemberChanged, "member-changed", "Your changes are saved."),
        (Self::MemberArchived, "member-archived", "The member is archived. Nothing was deleted."),
        (Self::MemberRestored, "member-restored", "The member is back."),
        (Self::BranchAdded, "branch-added", "The branch is added."),
        (Self::BranchChanged, "branch-changed", "Your changes are saved."),
        (Self::BranchArchived, "branch-archived", "The branch is archived. Nothing was deleted."),
        (Self::BranchRestored, "branch-restored", "The branch is back."),
        (Self::PictureSaved, "picture-saved", "The picture is saved."),
        (Self::PictureRemoved, "picture-removed", "The picture is removed."),
        (Self::TagChanged, "tag-changed", "Your changes are saved."),
        (Self::TagRemoved, "tag-removed", "The tag is removed, and nobody bears it any more."),
        (Self::TokenRevoked, "token-revoked", "The token is revoked. Whatever uses it is refused."),
        (
            Self::TokenShown,
            "token-shown",
            "This token is made, and was shown once. If you have no copy, revoke it and make another.",
        ),
        (Self::SignedOut, "signed-out", "You are signed out."),
    ];

    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(flash, ..)| *flash == self).map_or("", |(_, name, _)| name)
    }

    pub fn words(self) -> &'static str {
        Self::ALL.iter().find(|(flash, ..)| *flash == self).map_or("", |(.., words)| words)
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known, _)| *known == name).map(|(flash, ..)| *flash)
    }
}

/// Why a page is not shown. What a driver or database said stays in the log.
#[derive(Clone, Debug)]
pub enum Failure {
    NotFound,
    Forbidden,
    /// A form that another site has sent.
    CrossSite,
    /// A request that cannot be taken as it is, by its status: 400, 405, 408, 413, 415 …
    Refused(StatusCode),
    Suspended {
        church: String,
    },
    TooManyAttempts {
        retry_after: Duration,
    },
    /// More is sent at a time than is taken.
    Busy,
    /// Not possible now, and worth trying again; the cause is for the log.
    Unavailable {
        outage: Outage,
        cause: String,
    },
    /// Something that should not happen; the cause is for the log.
    Internal(String),
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
    fn of(error: &(dyn std::error::Error + 'static)) -> Self {
        match registry::sqlstate(error).as_deref() {
            Some("53100") => Self::DiskFull,
            _ => Self::Unreachable,
        }
    }

    /// For the log and for programs.
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

    fn words(self) -> (&'static str, &'static str) {
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

impl Failure {
    /// The failure behind a status that came without one.
    pub fn of(status: StatusCode) -> Self {
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
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Forbidden | Self::CrossSite | Self::Suspended { .. } => StatusCode::FORBIDDEN,
            Self::Refused(status) => *status,
            Self::TooManyAttempts { .. } | Self::Busy => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// After how many seconds it is worth trying again.
    pub fn retry_after(&self) -> Option<u64> {
        match self {
            Self::TooManyAttempts { retry_after } => Some(retry_after.as_secs().max(1)),
            Self::Busy => Some(5),
            Self::Unavailable { outage, .. } => Some(outage.retry_after()),
            _ => None,
        }
    }

    /// The heading, and what to do.
    pub fn words(&self) -> (&'static str, String) {
        match self {
            Self::NotFound => (
                "This page is not here",
                "It may have moved, or the address has a slip in it.".into(),
            ),
            Self::Forbidden => (
                "This needs somebody else",
                "Your account may not change this. Ask an owner, or an administrator of your whole church.".into(),
            ),
            Self::CrossSite => (
                "This form came from another website",
                "Nothing was changed. Open the page here, and send the form again.".into(),
            ),
            Self::Refused(StatusCode::METHOD_NOT_ALLOWED) => (
                "This page cannot do that",
                "Go back to the page you came from, and try again from there.".into(),
            ),
            Self::Refused(StatusCode::PAYLOAD_TOO_LARGE) => (
                "That is too large to send",
                "Nothing was saved. Go back, shorten the longest text or choose a smaller file, and try again.".into(),
            ),
            Self::Refused(StatusCode::REQUEST_TIMEOUT) => (
                "Sending took too long",
                "Nothing was saved. Check your connection, then go back and try again.".into(),
            ),
            Self::Refused(_) => (
                "We could not read what was sent",
                "Nothing was saved. Go back, reload the page and try again.".into(),
            ),
            Self::Suspended { church } => (
                "This office is closed for now",
                format!("The office of {church} is suspended. Nothing is lost; whoever runs this installation can open it again."),
            ),
            Self::TooManyAttempts { retry_after } => (
                "That was too often",
                format!("Please wait {} and try again.", human(*retry_after)),
            ),
            Self::Busy => (
                "Too many photos at once",
                "Wait until the others are done, then send this one again.".into(),
            ),
            Self::Unavailable { outage, .. } => {
                let (heading, words) = outage.words();
                (heading, words.into())
            }
            Self::Internal(_) => (
                "Sorry, something went wrong",
                "Your changes were not saved. Try again. If it keeps happening, send your Vestry provider this reference.".into(),
            ),
        }
    }

    /// Writes to the log why a request fails through no fault of its sender. For where it is answered; the line
    /// carries the request's id and tenant.
    pub fn log(&self) {
        match self {
            Self::Unavailable { outage, cause } => {
                tracing::warn!(outage = outage.name(), error = %cause, "request failed: unavailable");
            }
            Self::Internal(cause) => tracing::error!(error = %cause, "request failed"),
            Self::NotFound
            | Self::Forbidden
            | Self::CrossSite
            | Self::Refused(_)
            | Self::Suspended { .. }
            | Self::TooManyAttempts { .. }
            | Self::Busy => {}
        }
    }

    fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        Self::Internal(chain(error).to_string())
    }

    fn unavailable(error: &(dyn std::error::Error + 'static)) -> Self {
        Self::Unavailable { outage: Outage::of(error), cause: chain(error).to_string() }
    }
}

fn human(wait: Duration) -> String {
    match wait.as_secs() {
        0..=1 => "a second".into(),
        seconds @ 2..=90 => format!("{seconds} seconds"),
        seconds => format!("{} minutes", seconds.div_ceil(60)),
    }
}

impl From<tenant::Error> for Failure {
    fn from(error: tenant::Error) -> Self {
        match &error {
            tenant::Error::NotFound => Self::NotFound,
            tenant::Error::Forbidden => Self::Forbidden,
            tenant::Error::Unavailable(_) => Self::unavailable(&error),
            // Forms show this at the field; elsewhere it is the words that matter.
            tenant::Error::Rejected { .. } | tenant::Error::Changed | tenant::Error::Database(_) => {
                Self::internal(&error)
            }
        }
    }
}

impl From<registry::Error> for Failure {
    fn from(error: registry::Error) -> Self {
        match &error {
            registry::Error::NotFound => Self::NotFound,
            registry::Error::Unavailable(_) | registry::Error::ReadOnly(_) => Self::unavailable(&error),
            _ => Self::internal(&error),
        }
    }
}

impl From<identity::Error> for Failure {
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
            identity::Error::KeyReused
            | identity::Error::TooManyUnverified
            | identity::Error::EmailNotProven => Self::Forbidden,
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
