//! Health checks for load balancers.

use crate::state::AppState;
use axum::{extract::State, http::StatusCode};

/// `/healthz`: the process is alive.
pub async fn live() -> &'static str {
    "ok"
}

/// `/readyz`: the registry answers, the process has database connections, and it is not draining.
pub async fn ready(State(state): State<AppState>) -> (StatusCode, &'static str) {
    if state.draining.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping");
    }
    if state.identity.connection_limit() == 0 {
        return (StatusCode::SERVICE_UNAVAILABLE, "waiting for a share of the connection budget");
    }
    match state.registry.ping().await {
        Ok(()) => (StatusCode::OK, "ok"),
        Err(error) => {
            tracing::warn!(error = %registry::chain(&error), "not ready: registry unreachable");
            (StatusCode::SERVICE_UNAVAILABLE, "the registry does not answer")
        }
    }
}
