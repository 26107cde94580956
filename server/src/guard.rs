//! Rejects malformed requests before anything else handles them.

use crate::{api::Problem, pages, state::AppState};
use app::answer::Failure;
use axum::{
    extract::{Request, State},
    http::{
        HeaderMap, HeaderName, Method, StatusCode, Uri, Version, header,
        uri::{Authority, PathAndQuery},
    },
    middleware::Next,
    response::{IntoResponse, Response},
};
use tower_http::request_id::RequestId;

/// Headers that must not repeat: two parsers could pick different values.
const SINGLE_HEADERS: [HeaderName; 7] = [
    header::HOST,
    header::AUTHORIZATION,
    header::CONTENT_TYPE,
    header::ORIGIN,
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("sec-fetch-site"),
    HeaderName::from_static("x-tenant-id"),
];

pub async fn check(State(state): State<AppState>, mut request: Request, next: Next) -> Response {
    if matches!(*request.method(), Method::CONNECT | Method::TRACE) || is_asterisk_options(&request) {
        let allowed = [(header::ALLOW, "GET, HEAD, POST, PUT, PATCH, DELETE")];
        return (StatusCode::METHOD_NOT_ALLOWED, allowed, "This method is not allowed.\n").into_response();
    }
    let Some(target) = origin_form(&request) else {
        return (StatusCode::BAD_REQUEST, "This request target is not valid.\n").into_response();
    };
    *request.uri_mut() = target;
    match invalid_header(request.headers(), request.version()) {
        Some(error) => bad_request(&state, request, error).await,
        None => next.run(request).await,
    }
}

fn is_asterisk_options(request: &Request) -> bool {
    request.method() == Method::OPTIONS && request.uri().path() == "*"
}

/// Returns the target in origin form (RFC 9112, 3.2.1). Accepts absolute form if its host equals `Host`.
fn origin_form(request: &Request) -> Option<Uri> {
    let uri = request.uri();
    let is_ours = match uri.authority() {
        None => uri.scheme().is_none(),
        Some(authority) => {
            let host = request.headers().get(header::HOST).map(|host| host.as_bytes());
            let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
            is_http && host.is_some_and(|host| host.eq_ignore_ascii_case(authority.as_str().as_bytes()))
        }
    };
    let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let is_text = percent_encoding::percent_decode_str(uri.path()).decode_utf8().is_ok();
    (is_ours && path.starts_with('/') && is_text).then(|| path.parse().ok())?
}

fn invalid_header(headers: &HeaderMap, version: Version) -> Option<String> {
    let repeated = SINGLE_HEADERS.into_iter().find(|name| headers.get_all(name).iter().nth(1).is_some());
    if let Some(name) = repeated {
        return Some(format!("The header {name} may stand there once."));
    }
    let is_host = |host: &str| host.parse::<Authority>().is_ok_and(|host| !host.as_str().contains('@'));
    match headers.get(header::HOST) {
        None if version == Version::HTTP_11 => Some("The header host is missing.".into()),
        Some(host) if !host.to_str().is_ok_and(is_host) => Some("The header host names no host.".into()),
        _ => None,
    }
}

async fn bad_request(state: &AppState, request: Request, error: String) -> Response {
    let (parts, _) = request.into_parts();
    if parts.uri.path().starts_with("/api/") {
        return Problem::malformed(error).rendered(parts.extensions.get::<RequestId>());
    }
    pages::failure(state, parts, Failure::Refused(StatusCode::BAD_REQUEST)).await
}
