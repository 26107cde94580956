//! Every address that is answered.

use crate::{
    address::{self, TrustedProxies},
    api, assets, events,
    files::{Files, pages as pictures},
    guard, health, http_log, metrics, pages,
    pages::{private, public},
    storage,
};
use app::{answer::Failure, branches, members, provisioning, sessions, signup, tags, tokens};
use axum::{
    Extension, Router,
    body::HttpBody,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get, post, put},
};
use identity::Identity;
use leptos::prelude::LeptosOptions;
use registry::{Registry, changes::Changes};
use std::{ops::Deref, sync::Arc};
use tenant::photos::Whose;
use tokio_util::sync::CancellationToken;
use tower::ServiceBuilder;
use tower_http::{catch_panic::CatchPanicLayer, compression::CompressionLayer};
use tower_sessions::{
    Expiry, SessionManagerLayer,
    cookie::{SameSite, time::Duration},
};

/// What requests are answered with. It is cloned at every layer that a request passes.
#[derive(Clone)]
pub struct AppState(Arc<Parts>);

pub struct Parts {
    pub registry: Registry,
    pub changes: Changes,
    pub identity: Identity,
    pub leptos: LeptosOptions,
    pub operator_token: Option<Arc<str>>,
    /// Where the source code is offered.
    pub source_url: Option<Arc<str>>,
    pub trusted_proxies: TrustedProxies,
    /// Whether browsers reach us over https.
    pub https: bool,
    pub files: Files,
    pub limits: Arc<api::Limits>,
    pub streams: events::Streams,
    /// The process is about to stop, and wants no new requests.
    pub draining: CancellationToken,
}

impl From<Parts> for AppState {
    fn from(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}

impl Deref for AppState {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// A session nobody uses for so long ends.
const SESSION: Duration = Duration::days(14);

pub fn router(state: AppState) -> Router {
    // Browsers take a cookie of this prefix only from this host, over https and for all of it.
    let session_name = if state.https { "__Host-vestry" } else { "vestry" };
    let sessions = SessionManagerLayer::new(state.identity.sessions())
        .with_name(session_name)
        .with_same_site(SameSite::Lax)
        .with_http_only(true)
        .with_secure(state.https)
        .with_expiry(Expiry::OnInactivity(SESSION));
    let pages = Router::new()
        .route("/", get(pages::first))
        .route("/signup", get(public(signup::page::church)))
        .route("/signup/you", form(public(signup::page::founder)))
        .route("/opening/{id}", form(public(provisioning::page::opening)))
        .route("/signin", form(public(sessions::page::sign_in)))
        .route("/choose", form(public(sessions::page::choose)))
        .route("/signout", form(public(sessions::page::sign_out)))
        .route("/theme", post(pages::theme))
        .route("/members", get(private(members::list::list)))
        .route("/members/new", form(private(members::edit::add)))
        .route("/members/{id}", get(private(members::detail::detail)))
        .route("/members/{id}/edit", form(private(members::edit::change)))
        .route("/members/{id}/archive", form(private(members::detail::archive)))
        .route("/members/{id}/restore", form(private(members::detail::restore)))
        .route("/members/{id}/photo", form(pictures::form(Whose::Member)))
        .route("/members/{id}/photo.jpg", get(pictures::of_member))
        .route("/members/{id}/photo-small.jpg", get(pictures::of_member_small))
        .route("/branches", get(private(branches::list::list)))
        .route("/branches/new", form(private(branches::edit::add)))
        .route("/branches/{id}", get(private(branches::detail::detail)))
        .route("/branches/{id}/edit", form(private(branches::edit::change)))
        .route("/branches/{id}/archive", form(private(branches::detail::archive)))
        .route("/branches/{id}/restore", form(private(branches::detail::restore)))
        .route("/branches/{id}/picture", form(pictures::form(Whose::Branch)))
        .route("/branches/{id}/picture.jpg", get(pictures::of_branch))
        .route("/settings/tags", get(private(tags::list::list)))
        .route("/settings/tags/{id}/edit", form(private(tags::edit::rename)))
        .route("/settings/tags/{id}/remove", form(private(tags::edit::remove)))
        .route("/settings/tokens", get(private(tokens::list::list)))
        .route("/settings/tokens/new", form(private(tokens::add::add)))
        .route("/settings/tokens/{id}/revoke", form(private(tokens::revoke::revoke)))
        .fallback(pages::not_found)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn(same_origin))
        .layer(middleware::from_fn_with_state(state.clone(), pages::failures))
        .layer(sessions)
        .layer(middleware::from_fn(never_empty))
        .layer(CompressionLayer::new());
    let files = Router::new()
        .route("/{pkg}/{file}", get(assets::script_or_style))
        .route("/fonts/{file}", get(assets::font))
        .route("/favicon.svg", get(assets::icon));
    Router::new()
        .merge(pages)
        .merge(files)
        .route("/files/{*key}", put(storage::upload).get(storage::download))
        .merge(api::router(state.clone()))
        .route("/opening/{id}/events", get(events::progress))
        .route("/healthz", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(metrics::metrics))
        .layer(
            ServiceBuilder::new()
                .layer(middleware::from_fn(http_log::log))
                .layer(CatchPanicLayer::custom(panicked))
                .layer(middleware::from_fn_with_state(state.clone(), headers))
                .layer(middleware::from_fn_with_state(state.clone(), address::identify))
                .layer(middleware::from_fn_with_state(state.clone(), guard::check)),
        )
        .with_state(state)
}

/// A page that shows a form, and takes what it sends.
fn form<F>(page: F) -> MethodRouter<AppState>
where
    F: Fn(State<AppState>, Request) -> pages::Answered + Clone + Send + Sync + 'static,
{
    get(page.clone()).post(page)
}

/// The session layer answers 500 with nothing in it when a session cannot be written down.
async fn never_empty(request: Request, next: Next) -> Response {
    let is_leaving = request.uri().path() == "/signout";
    let mut response = next.run(request).await;
    mend_removals(response.headers_mut(), is_leaving);
    let is_empty = response.body().size_hint().exact() == Some(0);
    if response.status() != StatusCode::INTERNAL_SERVER_ERROR || !is_empty {
        return response;
    }
    let words = "We can't save anything right now. Nothing is lost. Try again in a minute.";
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "30")], words).into_response()
}

/// The session layer takes away the cookie of a session that is not there any more. A request from before somebody
/// signed in, such as a button pressed twice, may be answered after that: it would take away the new session's.
///
/// Signing out takes it away, with the attributes that the session layer leaves out: browsers ignore a cookie whose name
/// begins with `__Host-` unless it is `Secure`.
fn mend_removals(headers: &mut HeaderMap, is_leaving: bool) {
    let takes_away = |value: &HeaderValue| {
        let value = value.as_bytes();
        value.starts_with(b"vestry=;") || value.starts_with(b"__Host-vestry=;")
    };
    if !headers.get_all(header::SET_COOKIE).iter().any(takes_away) {
        return;
    }
    let all: Vec<_> = headers.get_all(header::SET_COOKIE).iter().cloned().collect();
    headers.remove(header::SET_COOKIE);
    for value in all {
        match takes_away(&value) {
            false => drop(headers.append(header::SET_COOKIE, value)),
            true if is_leaving => drop(headers.append(header::SET_COOKIE, with_attributes(value))),
            true => {}
        }
    }
}

fn with_attributes(removal: HeaderValue) -> HeaderValue {
    let secure = if removal.as_bytes().starts_with(b"__Host-") { "; Secure" } else { "" };
    let text = removal.to_str().map(|text| format!("{text}; HttpOnly; SameSite=Lax{secure}"));
    text.ok().and_then(|text| HeaderValue::try_from(text).ok()).unwrap_or(removal)
}

/// A form of another site is refused. Browsers say where a form comes from; whoever says nothing is
/// no browser, and has no session it did not get itself.
async fn same_origin(request: Request, next: Next) -> Response {
    if request.method() != Method::POST {
        return next.run(request).await;
    }
    if !is_from_us(request.headers()) {
        return (StatusCode::FORBIDDEN, Extension(Failure::CrossSite)).into_response();
    }
    next.run(request).await
}

fn is_from_us(headers: &HeaderMap) -> bool {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    match (header("sec-fetch-site"), header("origin"), header("host")) {
        (Some(site), ..) => matches!(site, "same-origin" | "none"),
        (None, Some(origin), Some(host)) => origin.split_once("://").is_some_and(|(_, from)| from == host),
        (None, Some(_), None) => false,
        (None, None, _) => true,
    }
}

/// A fault of ours ends its request, not the server. The panic hook has logged it.
fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong on our side. Try again.").into_response()
}

/// Headers of every answer. What a handler has set stays.
async fn headers(State(state): State<AppState>, request: Request, next: Next) -> Response {
    const ALWAYS: [(HeaderName, &str); 5] = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (
            HeaderName::from_static("permissions-policy"),
            "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
        ),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in ALWAYS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if state.https {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    // Only what is the same for everybody may be kept: everything else may hold tokens or personal data.
    let is_public =
        headers.get(header::CACHE_CONTROL).is_some_and(|value| value.as_bytes().starts_with(b"public"));
    if !is_public {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let policy = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
        headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(policy);
    }
    response
}
