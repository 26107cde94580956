//! A line in the log and a measurement for every request.

use axum::{
    extract::{MatchedPath, Request},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode},
    middleware::Next,
    response::Response,
};
use std::time::Instant;
use tower_http::request_id::RequestId;
use tracing::{Instrument, Span};
use uuid::Uuid;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What stands for the route of a request that no route matches. Its path is a stranger's, and not logged.
const UNMATCHED: &str = "unmatched";

/// Asked for all the time, by machines: logged at debug level while they are answered well.
const FREQUENT: [&str; 7] = [
    "/healthz",
    "/readyz",
    "/metrics",
    "/{pkg}/{file}",
    "/fonts/{file}",
    "/favicon.svg",
    "/api/docs/{*rest}",
];

/// The client went away before it was answered (nginx's number for it; no client sees it).
const CLIENT_CLOSED: u16 = 499;

/// Gives the request an id and a span that every line of the log about it carries, and logs and measures its answer.
///
/// The route as it was matched stands for the path: it holds no ids, and there are only so many of them.
pub async fn log(mut request: Request, next: Next) -> Response {
    let id = request_id(request.headers());
    let route = request.extensions().get::<MatchedPath>().map_or(UNMATCHED, MatchedPath::as_str).to_owned();
    let method = method_name(request.method());
    let request_id = id.to_str().unwrap_or_default();
    // At the level of errors, so that they carry it whatever RUST_LOG leaves out.
    let span = tracing::error_span!("request", request_id, method, route, tenant = tracing::field::Empty);
    let exchange = Exchange { started: Instant::now(), method, route, span, status: CLIENT_CLOSED };
    metrics::gauge!("vestry_http_requests_in_flight").increment(1);
    request.headers_mut().insert(REQUEST_ID, id.clone());
    request.extensions_mut().insert(RequestId::new(id.clone()));
    let mut response = next.run(request).instrument(exchange.span.clone()).await;
    response.headers_mut().insert(REQUEST_ID, id);
    exchange.answered(response.status());
    response
}

/// A request and, in the end, its answer. Dropped without one, the client has gone away.
struct Exchange {
    started: Instant,
    method: &'static str,
    route: String,
    span: Span,
    status: u16,
}

impl Exchange {
    fn answered(mut self, status: StatusCode) {
        self.status = status.as_u16();
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let Self { started, method, route, span, status } = self;
        let (took, status) = (started.elapsed(), *status);
        metrics::gauge!("vestry_http_requests_in_flight").decrement(1);
        metrics::histogram!(
            "vestry_http_request_seconds",
            "method" => *method, "route" => route.clone(), "status" => status.to_string(),
        )
        .record(took);
        let duration_ms = (took.as_secs_f64() * 10_000.0).round() / 10.0;
        span.in_scope(|| match status {
            500.. => tracing::warn!(status, duration_ms, "answered"),
            ..400 if FREQUENT.contains(&route.as_str()) => tracing::debug!(status, duration_ms, "answered"),
            _ => tracing::info!(status, duration_ms, "answered"),
        });
    }
}

/// The id that a proxy in front has given the request, or a new one.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let plain = |id: &&HeaderValue| {
        let letter = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(byte);
        (1..=64).contains(&id.len()) && id.as_bytes().iter().all(letter)
    };
    let new = || HeaderValue::try_from(Uuid::new_v4().to_string()).expect("an id is ASCII");
    headers.get(REQUEST_ID).filter(plain).cloned().unwrap_or_else(new)
}

/// A client may make up methods; a label of a metric has few values.
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "OTHER",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{Router, body::Body, middleware, response::IntoResponse, routing::get};
    use std::{
        io,
        sync::{Arc, Mutex},
    };
    use tower::ServiceExt;
    use tower_http::catch_panic::CatchPanicLayer;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("nobody panics here").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Asks a router whose pages panic or never answer; what is logged.
    async fn logged(path: &str) -> (StatusCode, Vec<serde_json::Value>) {
        let written = Written::default();
        let writer = written.clone();
        let json = tracing_subscriber::fmt().with_writer(move || writer.clone()).json().flatten_event(true);
        let _guard = tracing::subscriber::set_default(json.finish());
        std::panic::set_hook(Box::new(crate::log::log_panic));
        async fn panics() {
            let nothing: Result<(), _> = "Ruth Okafor".parse::<u8>().map(drop).map_err(|_| "Ruth Okafor");
            nothing.expect("it never is");
        }
        let app = Router::new()
            .route("/panics/{id}", get(panics))
            .route("/waits", get(std::future::pending::<()>))
            .layer(CatchPanicLayer::custom(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response()))
            .layer(middleware::from_fn(log));
        let request =
            Request::get(path).header("x-request-id", "one").body(Body::empty()).expect("a request");
        let answer = tokio::time::timeout(std::time::Duration::from_millis(50), app.oneshot(request)).await;
        drop(std::panic::take_hook());
        let status = answer.map_or(StatusCode::OK, |answer| answer.expect("infallible").status());
        let written = written.0.lock().expect("nobody panics here").clone();
        let lines = String::from_utf8(written).expect("text");
        (status, lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect())
    }

    #[tokio::test]
    async fn a_panic_is_logged_with_the_request_it_happened_in() {
        let (status, lines) = logged("/panics/7").await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        let [panic, answered] = &lines[..] else { panic!("two lines: {lines:?}") };
        assert_eq!(panic["level"], "ERROR");
        assert_eq!(panic["message"], "panicked: it never is");
        assert!(panic["location"].as_str().is_some_and(|location| location.contains("http_log.rs")));
        for line in [panic, answered] {
            assert_eq!(line["span"]["request_id"], "one");
            assert_eq!(line["span"]["route"], "/panics/{id}");
        }
        assert_eq!((&answered["level"], &answered["status"]), (&"WARN".into(), &500.into()));
        assert!(!lines.iter().any(|line| line.to_string().contains("Ruth")), "{lines:?}");
    }

    #[tokio::test]
    async fn a_client_that_goes_away_is_logged() {
        let (_, lines) = logged("/waits").await;
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0]["status"], CLIENT_CLOSED);
        assert!(lines[0]["duration_ms"].as_f64().is_some_and(|ms| ms >= 40.0), "{lines:?}");
    }
}
