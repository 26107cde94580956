//! Every address that is answered.

use crate::{
    address, api, assets, events, guard, health, http_log, metrics, pages, state::AppState, storage::handlers,
};
use axum::{
    Router,
    body::HttpBody,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, put},
};
use tower::ServiceBuilder;
use tower_http::{catch_panic::CatchPanicLayer, compression::CompressionLayer};
use tower_sessions::{
    Expiry, SessionManagerLayer,
    cookie::{SameSite, time::Duration},
};

/// Idle time after which a session ends.
const SESSION_IDLE_TTL: Duration = Duration::days(14);

pub fn router(state: AppState) -> Router {
    // Browsers take a cookie of this prefix only from this host, over https and for all of it.
    let session_name = if state.https { "__Host-vestry" } else { "vestry" };
    let sessions = SessionManagerLayer::new(state.identity.sessions())
        .with_name(session_name)
        .with_same_site(SameSite::Lax)
        .with_http_only(true)
        .with_secure(state.https)
        .with_expiry(Expiry::OnInactivity(SESSION_IDLE_TTL));
    let pages = pages::router(&state)
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
        .route("/signup/{id}/events", get(events::progress))
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

/// A fault of ours ends its request, not the server. The panic hook has logged it.
pub fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
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
