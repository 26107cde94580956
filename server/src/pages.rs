//! How a page of the app is rendered for the person who asks.

use crate::{address, assets, router::AppState};
use any_spawner::Executor;
use app::{
    answer::{Answer, Failure, Flash, Reply},
    sessions::page::sign_in_address,
    ui::document::{Surroundings, document},
    visit::{Doors, Look, SignedIn, Theme, Visit},
};
use axum::{
    body::Body,
    extract::{ConnectInfo, Form, FromRequestParts, Path, Request, State},
    http::{HeaderMap, Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Redirect, Response},
};
use leptos::prelude::*;
use serde::Deserialize;
use std::{collections::HashMap, net::SocketAddr, pin::Pin, sync::Arc};
use tower_http::request_id::RequestId;
use tower_sessions::Session;

/// The most a form may send: notes of 10,000 characters, written as `%xx%xx%xx`, and room.
const BODY: usize = 256 * 1024;

pub type Page =
    Arc<dyn Fn(Visit, Doors, Option<SignedIn>) -> Pin<Box<dyn Future<Output = Answer> + Send>> + Send + Sync>;

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
        address: address_of(&parts),
    };
    let visit = Visit {
        uri: parts.uri.clone(),
        body,
        id: params.ok().and_then(|Path(mut params)| params.remove("id")),
        accept_language: text(&parts.headers, header::ACCEPT_LANGUAGE).to_owned(),
        look: look(&parts.headers),
    };
    let (office, page) = match who {
        Who::Anybody => (None, page),
        Who::SignedIn => match state.identity.resolve(&session).await {
            Ok(office) => (office, page),
            Err(error) => {
                let failure = Arc::new(std::sync::Mutex::new(Some(Failure::from(error))));
                let failed: Page = Arc::new(move |_, _, _| {
                    let failure = failure.lock().ok().and_then(|mut failure| failure.take());
                    Box::pin(async move { Err(failure.unwrap_or(Failure::NotFound)) })
                });
                (None, failed)
            }
        },
    };
    render(state, parts, visit, doors, office, page).await
}

async fn render(
    state: AppState,
    parts: Parts,
    visit: Visit,
    doors: Doors,
    office: Option<SignedIn>,
    page: Page,
) -> Response {
    let request_id = parts
        .extensions
        .get::<RequestId>()
        .and_then(|id| id.header_value().to_str().ok())
        .unwrap_or_default();
    let around = Surroundings {
        options: state.leptos.clone(),
        look: visit.look,
        office: office.clone(),
        request_id: request_id.to_owned(),
        exact: visit.path().matches('/').count() <= 1,
    };
    let app = move || {
        let asked = page(visit.clone(), doors.clone(), office.clone());
        let around = around.clone();
        Suspend::new(async move { document(asked.await, &around) })
    };
    let request = Request::from_parts(parts, Body::empty());
    let mut response = leptos_axum::render_app_async_with_context(|| {}, app)(request).await;
    if response.status().is_redirection() {
        *response.body_mut() = Body::empty();
    }
    response.headers_mut().insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    response
}

async fn form_body(parts: &Parts, body: Body) -> Result<Arc<str>, StatusCode> {
    let kind = text(&parts.headers, header::CONTENT_TYPE);
    let sent = axum::body::to_bytes(body, BODY).await.map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)?;
    // A form without fields has no type.
    if !kind.starts_with("application/x-www-form-urlencoded") && !sent.is_empty() {
        return Err(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    std::str::from_utf8(&sent).map(Arc::from).map_err(|_| StatusCode::BAD_REQUEST)
}

fn address_of(parts: &Parts) -> std::net::IpAddr {
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| *peer);
    address::of(peer.unwrap_or_else(|| ([0, 0, 0, 0], 0).into()), &parts.headers)
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

#[derive(Deserialize)]
pub struct Chosen {
    theme: String,
}

/// Remembers the colours somebody likes, in the browser, and goes back to the page they were on.
pub async fn theme(headers: HeaderMap, Form(chosen): Form<Chosen>) -> Response {
    let theme = Theme::from_name(&chosen.theme);
    let cookie = format!("theme={}; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax", theme.name());
    let back = text(&headers, header::REFERER)
        .split_once("://")
        .and_then(|(_, rest)| rest.find('/').map(|at| &rest[at..]));
    ([(header::SET_COOKIE, cookie)], Redirect::to(back.filter(|path| !path.starts_with("//")).unwrap_or("/")))
        .into_response()
}

/// The options of Leptos: everything is known here, nothing is read from the environment.
pub fn leptos_options() -> LeptosOptions {
    // An error says that another server of this process has done it.
    let _ = Executor::init_tokio();
    LeptosOptions::builder()
        .output_name("vestry")
        .site_root("target/site")
        .site_pkg_dir(assets::PKG.as_str())
        .build()
}
