//! The layer that puts the document around pages, and writes the pages of errors.

use super::frame;
use crate::{
    error::PageError,
    flash::Flash,
    page::{Head, Layout, NavItem, Page},
    preferences::{Preferences, Theme},
    sessions::sign_in_address,
};
use axum::{
    body::to_bytes,
    extract::{Request, State},
    middleware::Next,
    response::{Html, IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts};
use hydration_context::SsrSharedContext;
use identity::CurrentUser;
use leptos::{
    config::Env,
    hydration::{AutoReload, HydrationScripts},
    nonce::{provide_nonce, use_nonce},
    prelude::*,
    reactive::computed::ScopedFuture,
    tachys::html::InertElement,
};
use std::sync::Arc;
use tower_http::request_id::RequestId;

/// Settings of the installation that pages depend on.
#[derive(Clone)]
pub struct LayoutSettings {
    pub options: LeptosOptions,
    /// Cookies are sent over https only.
    pub secure: bool,
    /// Where the source code is offered.
    pub source_url: Option<Arc<str>>,
}

impl LayoutSettings {
    /// Returns a `Set-Cookie` value with the attributes that all cookies have.
    pub fn cookie(&self, value: &str) -> String {
        let secure = if self.secure { "; Secure" } else { "" };
        format!("{value}; Path=/; HttpOnly; SameSite=Lax{secure}")
    }

    pub fn flash_cookie(&self, flash: Flash) -> String {
        self.cookie(&format!("flash={}", flash.name()))
    }
}

/// What the layout reads from a request.
pub(super) struct LayoutContext<'a> {
    pub settings: &'a LayoutSettings,
    pub preferences: Preferences,
    pub user: Option<CurrentUser>,
    /// Shown with an error, and found again in the log.
    pub request_id: String,
    /// The path is that of a navigation item itself, not of a page below it.
    pub is_section_root: bool,
}

impl<'a> LayoutContext<'a> {
    fn new(settings: &'a LayoutSettings, parts: &Parts) -> Self {
        let request_id = parts.extensions.get::<RequestId>().and_then(|id| id.header_value().to_str().ok());
        Self {
            settings,
            preferences: Preferences::from(&parts.headers),
            user: parts.extensions.get().cloned(),
            request_id: request_id.unwrap_or_default().to_owned(),
            is_section_root: parts.uri.path().matches('/').count() <= 1,
        }
    }
}

/// Middleware: runs the handler with what views need, then completes its response. Errors get a page, also those that
/// axum answers in its own words.
pub async fn layout(State(settings): State<LayoutSettings>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let mut context = LayoutContext::new(&settings, &parts);
    let request = Request::from_parts(parts, body);
    let mut response = in_owner(next.run(request)).await;
    if let Some(user) = response.extensions_mut().remove::<CurrentUser>() {
        context.user = Some(user);
    }
    if let Some(flash) = response.extensions_mut().remove::<Flash>() {
        append_cookie(response.headers_mut(), &settings.flash_cookie(flash));
    }
    if let Some(head) = response.extensions_mut().remove::<Head>() {
        let (parts, body) = response.into_parts();
        let content = to_bytes(body, usize::MAX).await.unwrap_or_default();
        let content = String::from_utf8_lossy(&content).into_owned();
        let mut document = in_owner(async { document(head, content, &context) }).await;
        *document.status_mut() = parts.status;
        merge(document.headers_mut(), parts.headers);
        return document;
    }
    let status = response.status();
    let is_html = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"text/html"));
    if is_html || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let error = response.extensions_mut().remove::<PageError>();
    let headers = std::mem::take(response.headers_mut());
    let mut page = error_page(error.unwrap_or_else(|| PageError::from_status(status)), &context).await;
    merge(page.headers_mut(), headers);
    page
}

/// Keeps the headers that a handler has set, but not those of its body.
fn merge(headers: &mut HeaderMap, of_handler: HeaderMap) {
    for (name, value) in &of_handler {
        if ![header::CONTENT_TYPE, header::CONTENT_LENGTH].contains(name) {
            headers.append(name, value.clone());
        }
    }
}

/// The page of an error outside of the layer.
pub async fn error_response(settings: &LayoutSettings, parts: &Parts, error: PageError) -> Response {
    error_page(error, &LayoutContext::new(settings, parts)).await
}

async fn error_page(error: PageError, context: &LayoutContext<'_>) -> Response {
    if let PageError::SignedOut { next } = &error {
        return (StatusCode::SEE_OTHER, [(header::LOCATION, sign_in_address(next))]).into_response();
    }
    error.log();
    in_owner(async {
        let (heading, message) = error.message();
        let reference = matches!(error, PageError::Internal(_) | PageError::Unavailable { .. }).then(|| {
            view! { <p class="muted">"Reference " <span class="reference">{context.request_id.clone()}</span></p> }
        });
        let body = view! {
            <div class="card empty">
                <h1>{heading}</h1>
                <p>{message}</p>
                {reference}
                <a class="btn primary" href="/">"Go to the home page"</a>
            </div>
        };
        let layout = match (&context.user, &error) {
            (None, _) | (_, PageError::Suspended { .. }) => Layout::Public,
            (Some(_), _) => Layout::App(NavItem::Home),
        };
        let mut page = Page::new(heading, layout, body).with_error(&error).into_response();
        let head = page.extensions_mut().remove::<Head>();
        let (parts, body) = page.into_parts();
        let content = to_bytes(body, usize::MAX).await.unwrap_or_default();
        let Some(head) = head else { return parts.status.into_response() };
        let mut document = document(head, String::from_utf8_lossy(&content).into_owned(), context);
        *document.status_mut() = parts.status;
        merge(document.headers_mut(), parts.headers);
        document
    })
    .await
}

/// Runs a future with a reactive owner of its own, in which views with islands can be made.
async fn in_owner<T>(future: impl Future<Output = T>) -> T {
    let owner = Owner::new_root(Some(Arc::new(SsrSharedContext::new_islands())));
    let value = owner.with(|| {
        provide_nonce();
        ScopedFuture::new_untracked(future)
    });
    let value = value.await;
    owner.unset_with_forced_cleanup();
    value
}

/// The whole document around the content of a page.
fn document(head: Head, content: String, context: &LayoutContext<'_>) -> Response {
    let settings = context.settings;
    // The script of AutoReload connects to cargo-leptos, on a port of its own.
    let reload = match settings.options.env {
        Env::DEV => format!(" ws://*:{}", settings.options.reload_port),
        Env::PROD => String::new(),
    };
    let nonce = use_nonce().map(|nonce| nonce.to_string()).unwrap_or_default();
    let policy = format!(
        "default-src 'none'; script-src 'self' 'nonce-{nonce}' 'wasm-unsafe-eval'; style-src 'self'; \
         font-src 'self'; img-src 'self'; connect-src 'self'{reload}; form-action 'self'; base-uri 'none'; \
         frame-ancestors 'none'; manifest-src 'self'"
    );
    let html = html(head, content, context).to_html();
    let mut response = Html(html).into_response();
    let headers = response.headers_mut();
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    if context.preferences.flash.is_some() {
        append_cookie(headers, &settings.cookie("flash=; Max-Age=0"));
    }
    response
}

fn append_cookie(headers: &mut HeaderMap, cookie: &str) {
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        headers.append(header::SET_COOKIE, cookie);
    }
}

fn html(head: Head, content: String, context: &LayoutContext<'_>) -> AnyView {
    let options = &context.settings.options;
    let theme = match context.preferences.theme {
        Theme::System => None,
        theme => Some(theme.name()),
    };
    let title = match (&context.user, head.layout) {
        (Some(user), Layout::App(_) | Layout::Narrow(_)) => {
            format!("{} · {} · Vestry", head.title, user.church.name)
        }
        _ => format!("{} · Vestry", head.title),
    };
    let content = InertElement::new(content).into_any();
    let framed = match (&context.user, head.layout) {
        (Some(user), Layout::App(item)) => frame::app(user, item, false, context, content),
        (Some(user), Layout::Narrow(item)) => frame::app(user, item, true, context, content),
        _ => frame::public(context, content),
    };
    let stylesheet = format!("/{}/vestry.css", options.site_pkg_dir);
    view! {
        <!DOCTYPE html>
        <html lang="en" data-theme=theme>
            <head>
                <meta charset="utf-8"/>
                <meta name="viewport" content="width=device-width, initial-scale=1, viewport-fit=cover"/>
                <meta name="color-scheme" content="light dark"/>
                <title>{title}</title>
                <link rel="preload" href="/fonts/inter-latin.woff2" r#as="font" r#type="font/woff2" crossorigin="anonymous"/>
                <link rel="preload" href="/fonts/source-serif-4-latin.woff2" r#as="font" r#type="font/woff2" crossorigin="anonymous"/>
                <link rel="stylesheet" href=stylesheet/>
                <link rel="icon" href="/favicon.svg" r#type="image/svg+xml"/>
                {head.auto_refresh.then(|| view! { <noscript><meta http-equiv="refresh" content="1"/></noscript> })}
                <AutoReload options=options.clone() disable_watch=options.env != Env::DEV/>
                <HydrationScripts options=options.clone() islands=true/>
            </head>
            <body>{framed}</body>
        </html>
    }
    .into_any()
}
