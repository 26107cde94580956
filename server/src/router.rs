//! Every address that is answered.

use crate::{
    address, api, assets, events,
    files::pages as pictures,
    guard, health, http_log, metrics, pages,
    pages::{private, public},
    state::AppState,
    storage::handlers,
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
use tenant::pictures::PictureOwner;
use tower::ServiceBuilder;
use tower_http::{catch_panic::CatchPanicLayer, compression::CompressionLayer};
use tower_sessions::{
    Expiry, SessionManagerLayer,
    cookie::{SameSite, time::Duration},
};

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
        .route("/members/{id}/photo", form(pictures::form(PictureOwner::Member)))
        .route("/members/{id}/photo.jpg", get(pictures::of_member))
        .route("/members/{id}/photo-small.jpg", get(pictures::of_member_small))
        .route("/branches", get(private(branches::list::list)))
        .route("/branches/new", form(private(branches::edit::add)))
        .route("/branches/{id}", get(private(branches::detail::detail)))
        .route("/branches/{id}/edit", form(private(branches::edit::change)))
        .route("/branches/{id}/archive", form(private(branches::detail::archive)))
        .route("/branches/{id}/restore", form(private(branches::detail::restore)))
        .route("/branches/{id}/picture", form(pictures::form(PictureOwner::Branch)))
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
        .route("/files/{*key}", put(handlers::upload).get(handlers::download))
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
                .layer(middleware::from_fn_with_state(state.trusted_proxies.clone(), address::identify))
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
    if !is_leaving {
        keep_session(response.headers_mut());
    }
    let is_empty = response.body().size_hint().exact() == Some(0);
    if response.status() != StatusCode::INTERNAL_SERVER_ERROR || !is_empty {
        return response;
    }
    let words = "We can't save anything right now. Nothing is lost. Try again in a minute.";
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "30")], words).into_response()
}

/// The session layer takes away the cookie of a session that is not there any more. A request from before somebody
/// signed in, such as a button pressed twice, may be answered after that: it would take away the new session's.
fn keep_session(headers: &mut HeaderMap) {
    let takes_away = |value: &HeaderValue| {
        let value = value.as_bytes();
        value.starts_with(b"vestry=;") || value.starts_with(b"__Host-vestry=;")
    };
    if !headers.get_all(header::SET_COOKIE).iter().any(takes_away) {
        return;
    }
    let all: Vec<_> = headers.get_all(header::SET_COOKIE).iter().cloned().collect();
    headers.remove(header::SET_COOKIE);
    for value in all.into_iter().filter(|value| !takes_away(value)) {
        headers.append(header::SET_COOKIE, value);
    }
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
