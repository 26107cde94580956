//! The JSON API, for a church's website, a telephone app, an integrator.
//!
//! A handler authorises, calls one verb and converts: the verbs are those of the pages, and so are the rules that input
//! is checked by. The church comes from the credential, never from the address.
//!
//! | module | holds |
//! | --- | --- |
//! | `access` | who shows which token; how often |
//! | `repeats` | `Idempotency-Key`: the same request again is answered the same |
//! | `extract` | bodies, queries, ids and versions, and what is said when they are wrong |
//! | `pictures` | a picture as a part of changing a record |
//! | `problem` | everything that goes wrong, as RFC 9457 |
//! | `docs` | the OpenAPI document, and a page to read it |
//! | the others | a feature each |

mod access;
mod auth;
mod branches;
mod docs;
mod extract;
mod files;
mod health;
mod limits;
mod members;
mod pictures;
mod problem;
mod provisioning;
mod records;
mod repeats;
mod schema;
mod statuses;
mod tags;
mod tenants;

pub use limits::Limits;
pub use problem::Problem;

use crate::state::AppState;
use axum::{
    Router,
    extract::{DefaultBodyLimit, Request},
    http::StatusCode,
    middleware::{from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::any,
};
use std::{any::Any, time::Duration};
use tower::ServiceBuilder;
use tower_http::{catch_panic::CatchPanicLayer, timeout::TimeoutLayer};
use utoipa_axum::{router::OpenApiRouter, routes};

/// The most a request may send: notes of 10,000 characters, four bytes each or escaped, and room.
const MAX_BODY_BYTES: usize = 256 * 1024;

/// How long a request may take; the wait for a connection is shorter.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

pub fn router(state: AppState) -> Router<AppState> {
    let source_url = state.layout.source_url.clone();
    let calls = calls(state.clone()).route("/{*rest}", any(not_found)).layer(
        ServiceBuilder::new()
            .layer(from_fn(problem::render))
            .layer(CatchPanicLayer::custom(panicked))
            .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, REQUEST_TIMEOUT))
            .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
            .layer(from_fn_with_state(state, access::rate_limit)),
    );
    let (router, document) = OpenApiRouter::with_openapi(docs::frame()).nest("/api", calls).split_for_parts();
    router.merge(docs::router(document, source_url.as_deref()))
}

fn calls(state: AppState) -> OpenApiRouter<AppState> {
    let inside = OpenApiRouter::new()
        .routes(routes!(auth::me))
        .routes(routes!(health::health))
        .routes(routes!(branches::list, branches::add))
        .routes(routes!(branches::find, branches::update, branches::archive))
        .routes(routes!(members::list, members::add))
        .routes(routes!(members::find, members::update, members::archive))
        .routes(routes!(files::list, files::add))
        .routes(routes!(files::find, files::remove))
        .routes(routes!(statuses::list))
        .routes(routes!(tags::list))
        .routes(routes!(tags::find, tags::rename, tags::delete))
        .layer(from_fn(repeats::replay))
        .route_layer(from_fn_with_state(state.clone(), access::authenticate));
    let operator = OpenApiRouter::new()
        .routes(routes!(tenants::list, tenants::add))
        .route_layer(from_fn_with_state(state, access::operator));
    OpenApiRouter::new()
        .routes(routes!(auth::register))
        .routes(routes!(auth::login))
        .routes(routes!(auth::refresh))
        .routes(routes!(auth::logout))
        .routes(routes!(provisioning::progress))
        .routes(routes!(provisioning::events))
        .merge(inside)
        .merge(operator)
}

async fn not_found() -> Problem {
    Problem::not_found()
}

/// A fault of ours ends its request, not the server. The panic hook has logged it.
fn panicked(_: Box<dyn Any + Send>) -> Response {
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}

/// A header's text.
fn header<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request.headers().get(name).and_then(|value| value.to_str().ok())
}
