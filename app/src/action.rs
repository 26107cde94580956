//! Results of server functions.
//!
//! A server function extracts the current user, calls one function that its page calls too, and answers by
//! [`respond`]. No text of a driver crosses to the browser.

use crate::flash::Flash;
use domain::{Errors, RawForm};
use leptos::{
    prelude::{FromServerFnError, ServerFnErrorErr},
    server_fn::codec::JsonEncoding,
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A form was saved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    /// Path of the page to show next.
    pub location: String,
    /// Message that the next page shows.
    pub flash: Flash,
}

impl Saved {
    pub fn new(location: impl Into<String>, flash: Flash) -> Self {
        Self { location: location.into(), flash }
    }
}

/// Why a server function did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ActionError {
    Invalid(Errors),
    /// Somebody else was faster. Sent again with these hidden fields, the form is meant.
    Conflict {
        errors: Errors,
        replace: RawForm,
    },
    SignedOut,
    Forbidden,
    NotFound,
    TooMany {
        message: String,
    },
    Unavailable {
        message: String,
    },
}

impl ActionError {
    /// HTTP status of the response.
    pub fn status(&self) -> u16 {
        match self {
            Self::Invalid(_) => 422,
            Self::Conflict { .. } => 409,
            Self::SignedOut => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::TooMany { .. } => 429,
            Self::Unavailable { .. } => 503,
        }
    }

    /// What to show at the fields, and above the form.
    pub fn errors(&self) -> Errors {
        match self {
            Self::Invalid(errors) | Self::Conflict { errors, .. } => errors.clone(),
            Self::SignedOut => Errors::form(
                "You are signed out. Sign in again in another tab, then save here: what you typed is kept.",
            ),
            Self::Forbidden => {
                Errors::form("You don't have permission to do this. Ask an owner or administrator.")
            }
            Self::NotFound => Errors::form("This is not here any more. Reload the page."),
            Self::TooMany { message } | Self::Unavailable { message } => Errors::form(message.clone()),
        }
    }
}

impl fmt::Display for ActionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let messages: Vec<_> = self.errors().0.into_iter().map(|error| error.message).collect();
        f.write_str(&messages.join(" "))
    }
}

impl FromServerFnError for ActionError {
    type Encoder = JsonEncoding;

    /// Errors of the transport: arguments that cannot be read, a network that is down.
    fn from_server_fn_error(error: ServerFnErrorErr) -> Self {
        let is_unreadable = matches!(
            error,
            ServerFnErrorErr::Args(_) | ServerFnErrorErr::MissingArg(_) | ServerFnErrorErr::Deserialization(_)
        );
        if is_unreadable {
            return Self::Invalid(Errors::form("We could not read what was sent. Reload the page and try again."));
        }
        let message = "We can't reach Vestry right now. Check your connection, then try again.";
        Self::Unavailable { message: message.to_owned() }
    }
}

#[cfg(feature = "ssr")]
mod server {
    use super::{ActionError, Saved};
    use crate::{error::PageError, ui::layout::LayoutSettings};
    use http::{HeaderValue, header};
    use identity::CurrentUser;
    use leptos::prelude::use_context;
    use leptos_axum::ResponseOptions;

    /// Runs the body of a server function for the user who is signed in.
    pub async fn respond<T, F>(action: impl FnOnce(CurrentUser) -> F) -> Result<T, ActionError>
    where
        F: Future<Output = Result<T, PageError>>,
    {
        let user = use_context::<CurrentUser>().ok_or(ActionError::SignedOut)?;
        action(user).await.map_err(ActionError::from)
    }

    /// Does the same for a form that is saved: the page that the browser shows next shows the message.
    pub async fn respond_saved<F>(action: impl FnOnce(CurrentUser) -> F) -> Result<Saved, ActionError>
    where
        F: Future<Output = Result<Saved, PageError>>,
    {
        let saved = respond(action).await?;
        if let (Some(response), Some(settings)) =
            (use_context::<ResponseOptions>(), use_context::<LayoutSettings>())
            && let Ok(cookie) = HeaderValue::from_str(&settings.flash_cookie(saved.flash))
        {
            response.append_header(header::SET_COOKIE, cookie);
        }
        Ok(saved)
    }

    impl From<PageError> for ActionError {
        fn from(error: PageError) -> Self {
            error.log();
            let message = error.message().1;
            match error {
                PageError::Invalid(errors) => Self::Invalid(errors),
                PageError::Conflict { errors, replace } => Self::Conflict { errors, replace },
                PageError::SignedOut { .. } => Self::SignedOut,
                PageError::NotFound => Self::NotFound,
                PageError::Forbidden | PageError::CrossSite | PageError::Suspended { .. } => Self::Forbidden,
                PageError::Refused(_) => Self::Invalid(domain::Errors::form(message)),
                PageError::TooManyAttempts { .. } | PageError::Busy => Self::TooMany { message },
                PageError::Unavailable { .. } | PageError::Internal(_) => Self::Unavailable { message },
            }
        }
    }
}

#[cfg(feature = "ssr")]
pub use server::{respond, respond_saved};
