use crate::router::AppState;
use axum::{extract::State, http::StatusCode};

/// The process lives.
pub async fn live() -> &'static str {
    "ok"
}

/// It can answer: the registry does.
pub async fn ready(State(state): State<AppState>) -> (StatusCode, &'static str) {
    match state.registry.ping().await {
        Ok(()) => (StatusCode::OK, "ok"),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the registry does not answer"),
    }
}
