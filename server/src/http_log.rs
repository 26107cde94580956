//! Access log and metrics of every request.

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

/// Route of unmatched requests. Their paths are not logged.
const UNMATCHED: &str = "unmatched";

/// Routes polled by machines: logged at debug level below status 400.
const FREQUENT: [&str; 7] = [
    "/healthz",
    "/readyz",
    "/metrics",
    "/{pkg}/{file}",
    "/fonts/{file}",
    "/favicon.svg",
    "/api/docs/{*rest}",
];

/// The client disconnected before the response (nginx's status; never sent).
const CLIENT_CLOSED: u16 = 499;

/// Adds a request id and a span, then logs and measures the response.
///
/// Logs the matched route instead of the path: it has no ids and few values.
pub async fn log(mut request: Request, next: Next) -> Response {
    let id = request_id(request.headers());
    let route = request.extensions().get::<MatchedPath>().map_or(UNMATCHED, MatchedPath::as_str).to_owned();
    let method = method_name(request.method());
    let request_id = id.to_str().unwrap_or_default();
    // At error level, so that RUST_LOG never filters the span out.
    let span = tracing::error_span!("request", request_id, method, route, tenant = tracing::field::Empty);
    let in_flight = InFlight { started: Instant::now(), method, route, span, status: CLIENT_CLOSED };
    metrics::gauge!("vestry_http_requests_in_flight").increment(1);
    request.headers_mut().insert(REQUEST_ID, id.clone());
    request.extensions_mut().insert(RequestId::new(id.clone()));
    let mut response = next.run(request).instrument(in_flight.span.clone()).await;
    response.headers_mut().insert(REQUEST_ID, id);
    in_flight.respond(response.status());
    response
}

/// A request in flight. Dropped without a response, the client has disconnected.
struct InFlight {
    started: Instant,
    method: &'static str,
    route: String,
    span: Span,
    status: u16,
}

impl InFlight {
    fn respond(mut self, status: StatusCode) {
        self.status = status.as_u16();
    }
}

impl Drop for InFlight {
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

/// Returns the proxy's request id, if it is well-formed, or a new one.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let plain = |id: &&HeaderValue| {
        let letter = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(byte);
        (1..=64).contains(&id.len()) && id.as_bytes().iter().all(letter)
    };
    let new = || HeaderValue::try_from(Uuid::new_v4().to_string()).expect("an id is ASCII");
    headers.get(REQUEST_ID).filter(plain).cloned().unwrap_or_else(new)
}

/// Maps invented methods to one value: a metric label needs few.
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
