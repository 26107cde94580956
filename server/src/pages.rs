//! How a page of the app is rendered for the person who asks.

use crate::{address, assets, body, state::AppState};
use any_spawner::Executor;
use app::{
    answer::{Answer, Failure, Flash, Reply},
    sessions::page::sign_in_address,
    ui::document::{Surroundings, cookie, document},
    visit::{Doors, Look, SignedIn, Theme, Visit, local_path},
};
use axum::{
    body::Body,
    extract::{FromRequestParts, Path, Request, State},
    http::{HeaderMap, Method, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};
use identity::Device;
use leptos::{config::Env, prelude::*};
use serde::Deserialize;
use std::{collections::HashMap, future::ready, pin::Pin, sync::Arc};
use tower_http::request_id::RequestId;
use tower_sessions::Session;
use uuid::Uuid;

/// The most a form may send: notes of 10,000 characters, written as `%xx%xx%xx`, and room.
const BODY: usize = 256 * 1024;

pub type Page = Arc<dyn Fn(Visit, Doors, Option<SignedIn>) -> Answering + Send + Sync>;

type Answering = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// A page that anybody may ask for.
pub fn public<F, R>(page: F) -> impl Fn(State<AppState>, Request) -> Answered + Clone + Send + Sync + 'static
where
    F: Fn(Visit, Doors) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Answer> + Send + 'static,
{
    let page: Page = Arc::new(move |visit, doors, _| Box::pin(page(visit, doors)));
    move |State(state), request| Box::pin(answer(state, request, page.clone(), Who::Anybody))
}

/// A page of an office: whoever is not signed in does so first, and comes back.
pub fn private<F, R>(page: F) -> impl Fn(State<AppState>, Request) -> Answered + Clone + Send + Sync + 'static
where
    F: Fn(Visit, SignedIn) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Answer> + Send + 'static,
{
    let page: Page = Arc::new(move |visit, _, office| match office {
        Some(office) => Box::pin(page(visit, office)),
        None => Box::pin(async move { Ok(sign_in_first(&visit)) }),
    });
    move |State(state), request| Box::pin(answer(state, request, page.clone(), Who::SignedIn))
}

/// The first page: the office of whoever is signed in, a welcome for anybody else.
pub async fn first(state: State<AppState>, request: Request) -> Response {
    let page: Page = Arc::new(move |visit, _, office| match office {
        Some(office) => Box::pin(app::home::home(visit, office)),
        None => Box::pin(app::signup::page::welcome()),
    });
    answer(state.0, request, page, Who::SignedIn).await
}

pub async fn not_found(state: State<AppState>, request: Request) -> Response {
    let page: Page = Arc::new(|_, _, _| Box::pin(async { Err(Failure::NotFound) }));
    answer(state.0, request, page, Who::Anybody).await
}

pub type Answered = Pin<Box<dyn Future<Output = Response> + Send>>;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Who {
    Anybody,
    SignedIn,
}

/// What was sent to a page while nobody was signed in is not carried out; a page is asked for again.
pub fn sign_in_first(visit: &Visit) -> Reply {
    let here = visit.uri.path_and_query().map_or("/", |here| here.as_str());
    Reply::redirect(sign_in_address(here))
}

pub async fn answer(state: AppState, request: Request, page: Page, who: Who) -> Response {
    let (mut parts, body) = request.into_parts();
    let body = if parts.method == Method::POST {
        match form_body(&parts, body).await {
            Ok(body) => Some(body),
            Err(status) => return status.into_response(),
        }
    } else {
        None
    };
    let Some(session) = parts.extensions.get::<Session>().cloned() else {
        tracing::error!("a page stands outside the session layer");
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let params = Path::<HashMap<String, String>>::from_request_parts(&mut parts, &()).await;
    let doors = Doors {
        identity: state.identity.clone(),
        registry: state.registry.clone(),
        session: session.clone(),
        device: Device::new(parts.extensions.get().cloned().unwrap_or_default(), state.https),
        address: address::client_of(&parts).limit_key(),
    };
    let visit = Visit {
        uri: parts.uri.clone(),
        body,
        id: params.ok().and_then(|Path(mut params)| params.remove("id")),
        accept_language: text(&parts.headers, header::ACCEPT_LANGUAGE).to_owned(),
        look: look(&parts.headers),
    };
    let office = match who {
        Who::Anybody => None,
        Who::SignedIn => match state.identity.resolve(&session).await {
            Ok(office) => office,
            Err(error) => return failure(&state, parts, error.into()).await,
        },
    };
    if let Some(office) = &office {
        tracing::Span::current().record("tenant", office.tenant.id());
    }
    let shown = office.clone();
    render(&state, parts, shown, move || page(visit.clone(), doors.clone(), office.clone())).await
}

/// The page that says what went wrong.
pub async fn failure(state: &AppState, parts: Parts, failure: Failure) -> Response {
    render(state, parts, None, move || Box::pin(ready(Err(failure.clone())))).await
}

async fn render(
    state: &AppState,
    parts: Parts,
    office: Option<SignedIn>,
    answer: impl Fn() -> Answering + Clone + Send + Sync + 'static,
) -> Response {
    let request_id = parts
        .extensions
        .get::<RequestId>()
        .and_then(|id| id.header_value().to_str().ok())
        .unwrap_or_default();
    let around = Surroundings {
        options: state.leptos.clone(),
        look: look(&parts.headers),
        office,
        request_id: request_id.to_owned(),
        secure: state.https,
        exact: parts.uri.path().matches('/').count() <= 1,
        source_url: state.source_url.clone(),
    };
    let app = move || {
        let answer = answer();
        let around = around.clone();
        Suspend::new(async move { document(answer.await, &around) })
    };
    let request = Request::from_parts(parts, Body::empty());
    let mut response = leptos_axum::render_app_async_with_context(|| {}, app)(request).await;
    if response.status().is_redirection() {
        *response.body_mut() = Body::empty();
    }
    response
}

/// Gives every failure its page, also those that axum answers in words of its own.
pub async fn failures(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let mut response = next.run(Request::from_parts(parts.clone(), body)).await;
    let status = response.status();
    let is_failure = status.is_client_error() || status.is_server_error();
    if !is_failure || text(response.headers(), header::CONTENT_TYPE).starts_with("text/html") {
        return response;
    }
    let known = response.extensions_mut().remove::<Failure>();
    let mut page = failure(&state, parts, known.unwrap_or_else(|| Failure::of(status))).await;
    for name in [header::ALLOW, header::RETRY_AFTER] {
        if let Some(value) = response.headers_mut().remove(&name) {
            page.headers_mut().insert(name, value);
        }
    }
    page
}

/// The record that an address names. What is no id names nothing.
pub struct Id(pub Uuid);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, StatusCode> {
        let id = Path::<Uuid>::from_request_parts(parts, state).await;
        id.map(|Path(id)| Self(id)).map_err(|_| StatusCode::NOT_FOUND)
    }
}

async fn form_body(parts: &Parts, body: Body) -> Result<Arc<str>, StatusCode> {
    let sent = body::read(body, BODY).await?;
    let kind = text(&parts.headers, header::CONTENT_TYPE).split(';').next().unwrap_or_default().trim();
    // A form without fields has no type.
    if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") && !sent.is_empty() {
        return Err(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    std::str::from_utf8(&sent).map(Arc::from).map_err(|_| StatusCode::BAD_REQUEST)
}

fn look(headers: &HeaderMap) -> Look {
    let cookies = text(headers, header::COOKIE);
    let cookie = |name: &str| {
        cookies
            .split(';')
            .filter_map(|cookie| cookie.trim().split_once('='))
            .find(|(n, _)| *n == name)
            .map(|(_, v)| v)
    };
    Look {
        theme: cookie("theme").map(Theme::from_name).unwrap_or_default(),
        flash: cookie("flash").and_then(Flash::from_name),
    }
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> &str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Chosen {
    theme: String,
}

/// Remembers the colours somebody likes, in the browser, and goes back to the page they were on.
pub async fn theme(State(state): State<AppState>, request: Request) -> Result<Response, StatusCode> {
    let (parts, body) = request.into_parts();
    let form = form_body(&parts, body).await?;
    let chosen: Chosen = serde_urlencoded::from_str(&form).unwrap_or_default();
    let theme = Theme::from_name(&chosen.theme);
    let cookie = cookie(&format!("theme={}; Max-Age=31536000", theme.name()), state.https);
    let host = text(&parts.headers, header::HOST);
    let back = local_path(text(&parts.headers, header::REFERER), host).unwrap_or_else(|| "/".into());
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to(&back)).into_response())
}

/// The options of Leptos: known here, but for what `make dev` sets in the environment.
pub fn leptos_options() -> LeptosOptions {
    // An error says that another server of this process has done it.
    let _ = Executor::init_tokio();
    let options = LeptosOptions::builder()
        .output_name("vestry")
        .site_root("target/site")
        .site_pkg_dir(assets::PKG.as_str());
    if !*assets::WATCHED {
        return options.env(Env::PROD).build();
    }
    // cargo-leptos says on which port it announces changes.
    let port = std::env::var("LEPTOS_RELOAD_PORT").ok().and_then(|port| port.parse().ok());
    options.env(Env::DEV).reload_port(port.unwrap_or(3001)).build()
}
