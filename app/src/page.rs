//! Responses of page handlers.
//!
//! A view is not `Clone` and cannot travel in response extensions: a page renders its content when it becomes a
//! response, and leaves title and layout in the extensions. The layout layer (`ui::layout`) puts the document around it.

use crate::{error::PageError, flash::Flash};
use axum::response::{Html, IntoResponse, Response};
use domain::Errors;
use http::{StatusCode, header};
use leptos::prelude::*;

/// The content of a page, and what the layout needs to know of it.
pub struct Page {
    head: Head,
    status: StatusCode,
    retry_after: Option<u64>,
    body: AnyView,
}

/// What the layout layer reads from the response's extensions.
#[derive(Clone)]
pub struct Head {
    pub title: String,
    pub layout: Layout,
    /// Reloads the page every second where there is no JavaScript.
    pub auto_refresh: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// One column, for pages in front of the sign-in.
    Public,
    /// The church's pages, with navigation.
    App(NavItem),
    /// The same with a narrow column, for forms.
    Narrow(NavItem),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NavItem {
    Home,
    Members,
    Branches,
    Settings,
}

impl Page {
    pub fn new(title: impl Into<String>, layout: Layout, body: impl IntoView + 'static) -> Self {
        let head = Head { title: title.into(), layout, auto_refresh: false };
        Self { head, status: StatusCode::OK, retry_after: None, body: body.into_any() }
    }

    /// A form that is shown again because of errors is answered 422.
    pub fn with_errors(self, errors: &Errors) -> Self {
        if errors.is_empty() { self } else { self.with_status(StatusCode::UNPROCESSABLE_ENTITY) }
    }

    pub fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// A form that is shown again because of `error`, with its status.
    pub fn with_error(self, error: &PageError) -> Self {
        Self { status: error.status(), retry_after: error.retry_after(), ..self }
    }

    pub fn auto_refresh(mut self, is_wanted: bool) -> Self {
        self.head.auto_refresh = is_wanted;
        self
    }
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let mut response = (self.status, Html(self.body.to_html())).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response.extensions_mut().insert(self.head);
        response
    }
}

/// 303 to another page, which may show a message.
pub struct Redirect {
    to: String,
    flash: Option<Flash>,
}

impl Redirect {
    pub fn to(path: impl Into<String>) -> Self {
        Self { to: path.into(), flash: None }
    }

    pub fn with_flash(self, flash: Flash) -> Self {
        Self { flash: Some(flash), ..self }
    }
}

impl From<crate::action::Saved> for Redirect {
    fn from(saved: crate::action::Saved) -> Self {
        Self::to(saved.location).with_flash(saved.flash)
    }
}

impl IntoResponse for Redirect {
    fn into_response(self) -> Response {
        let mut response = (StatusCode::SEE_OTHER, [(header::LOCATION, self.to)]).into_response();
        // The layout layer writes the cookie: it knows whether browsers reach us over https.
        if let Some(flash) = self.flash {
            response.extensions_mut().insert(flash);
        }
        response
    }
}
