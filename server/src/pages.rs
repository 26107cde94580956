//! The pages of the app and its server functions, with the layers that they need.

use crate::{address, files::pages as pictures, state::AppState};
use any_spawner::Executor;
use app::{
    action::ActionError,
    branches,
    error::PageError,
    extract::{Form, PublicContext, load_user, read_body, require_user},
    home, members, personal_tokens,
    preferences::{Theme, local_path},
    provisioning, sessions, signup, tags,
    ui::layout::{LayoutSettings, layout},
};
use axum::{
    Extension, Json, Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, Method, StatusCode, header},
    middleware::{Next, from_fn, from_fn_with_state},
    response::{IntoResponse, Redirect, Response},
    routing::post,
};
use identity::{CurrentUser, Device};
use leptos::{config::Env, prelude::*, server_fn::axum::get_server_fn_service};
use leptos_axum::handle_server_fns_with_context;
use tower_http::catch_panic::CatchPanicLayer;
use tower_sessions::Session;

/// Limit of the arguments of a server function: those of a form, as JSON.
const MAX_ARGUMENT_BYTES: usize = 256 * 1024;

pub fn router(state: &AppState) -> Router<AppState> {
    let of_church = Router::new()
        .merge(members::routes())
        .merge(branches::routes())
        .merge(tags::routes())
        .merge(personal_tokens::routes())
        .route_layer(from_fn(require_user))
        .merge(pictures::routes())
        .merge(home::routes())
        .fallback(not_found)
        .layer(from_fn(load_user));
    let pages = Router::new()
        .merge(of_church)
        .merge(signup::routes())
        .merge(provisioning::routes())
        .merge(sessions::routes())
        .route("/theme", post(theme))
        .layer(from_fn_with_state(state.clone(), provide_context))
        .layer(CatchPanicLayer::custom(crate::router::panicked))
        .layer(from_fn(same_origin))
        .layer(from_fn_with_state(state.layout.clone(), layout));
    let functions = Router::new()
        .route("/fn/{*name}", post(call_server_fn))
        .layer(from_fn(load_user))
        .layer(from_fn_with_state(state.clone(), provide_context))
        .layer(CatchPanicLayer::custom(function_panicked))
        .layer(from_fn(same_origin))
        .layer(from_fn(answer_in_json));
    pages.merge(functions)
}

async fn not_found() -> PageError {
    PageError::NotFound
}

/// Middleware: adds [`PublicContext`] to the request.
async fn provide_context(State(state): State<AppState>, mut request: Request, next: Next) -> Response {
    let Some(session) = request.extensions().get::<Session>().cloned() else {
        return PageError::Internal("a page stands outside of the session layer".into()).into_response();
    };
    let (parts, body) = request.into_parts();
    let context = PublicContext {
        identity: state.identity.clone(),
        registry: state.registry.clone(),
        session,
        device: Device::new(parts.extensions.get().cloned().unwrap_or_default(), state.https),
        address: address::client(&parts).limit_key(),
    };
    request = Request::from_parts(parts, body);
    request.extensions_mut().insert(context);
    next.run(request).await
}

/// Middleware: CSRF check by `Sec-Fetch-Site` and `Origin`. A client that sends neither is not a browser and cannot
/// carry a victim's cookie.
async fn same_origin(request: Request, next: Next) -> Response {
    if request.method() == Method::POST && !is_same_origin(request.headers()) {
        return PageError::CrossSite.into_response();
    }
    next.run(request).await
}

fn is_same_origin(headers: &HeaderMap) -> bool {
    match (text(headers, "sec-fetch-site"), text(headers, "origin"), text(headers, "host")) {
        (Some(site), ..) => matches!(site, "same-origin" | "none"),
        (None, Some(origin), Some(host)) => origin.split_once("://").is_some_and(|(_, from)| from == host),
        (None, Some(_), None) => false,
        (None, None, _) => true,
    }
}

/// Calls a server function. An unknown name is one of an earlier release, in a page that was left open.
async fn call_server_fn(
    State(state): State<AppState>,
    user: Option<Extension<CurrentUser>>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    if get_server_fn_service(parts.uri.path(), parts.method.clone()).is_none() {
        return function_error(ActionError::NotFound);
    }
    let bytes = match read_body(body, MAX_ARGUMENT_BYTES).await {
        Ok(bytes) => bytes,
        Err(status) => return function_error(PageError::Refused(status).into()),
    };
    let settings = state.layout.clone();
    let context = move || {
        if let Some(Extension(user)) = &user {
            provide_context_value(user.clone());
        }
        provide_context_value(settings.clone());
    };
    let request = Request::from_parts(parts, Body::from(bytes));
    let response = handle_server_fns_with_context(context, request).await.into_response();
    if response.status() != StatusCode::INTERNAL_SERVER_ERROR {
        return response;
    }
    // Leptos answers every error with 500: the status is that of the error in its body.
    let (mut parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    if let Ok(error) = serde_json::from_slice::<ActionError>(&body) {
        parts.status = StatusCode::from_u16(error.status()).unwrap_or(parts.status);
    }
    Response::from_parts(parts, Body::from(body))
}

fn provide_context_value<T: Send + Sync + 'static>(value: T) {
    leptos::prelude::provide_context(value);
}

fn function_error(error: ActionError) -> Response {
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    // The header by which the browser's side of a server function knows an error.
    let header = [(HeaderName::from_static("servererror"), "1")];
    (status, header, Json(error)).into_response()
}

/// Middleware: errors of layers are answered in the format of server functions.
async fn answer_in_json(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    match response.extensions_mut().remove::<PageError>() {
        Some(error) => function_error(error.into()),
        None if response.status() == StatusCode::METHOD_NOT_ALLOWED => function_error(ActionError::NotFound),
        None => response,
    }
}

fn function_panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    PageError::Internal("a server function panicked".into()).into_response()
}

/// Stores the theme in a cookie, and goes back to the page.
async fn theme(
    State(state): State<AppState>,
    headers: HeaderMap,
    Form(form): Form,
) -> Result<Response, PageError> {
    let theme = Theme::from_name(form.get("theme"));
    let cookie = state.layout.cookie(&format!("theme={}; Max-Age=31536000", theme.name()));
    let host = text(&headers, "host").unwrap_or_default();
    let back = text(&headers, "referer").and_then(|referer| local_path(referer, host));
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to(&back.unwrap_or_else(|| "/".into()))).into_response())
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Settings of pages. The options of Leptos are known here, except what `make dev` sets in the environment.
pub fn layout_settings(secure: bool, source_url: Option<String>) -> LayoutSettings {
    // An error says that another server of this process has done it.
    let _ = Executor::init_tokio();
    let options = LeptosOptions::builder()
        .output_name("vestry")
        .site_root("target/site")
        .site_pkg_dir(crate::assets::PKG.as_str());
    let options = if *crate::assets::WATCHED {
        // cargo-leptos says on which port it announces changes.
        let port = std::env::var("LEPTOS_RELOAD_PORT").ok().and_then(|port| port.parse().ok());
        options.env(Env::DEV).reload_port(port.unwrap_or(3001)).build()
    } else {
        options.env(Env::PROD).build()
    };
    LayoutSettings { options, secure, source_url: source_url.map(Into::into) }
}
