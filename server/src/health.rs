use crate::state::AppState;
use axum::{extract::State, http::StatusCode};
use identity::Identity;
use registry::{Registry, tenants};
use std::time::{Duration, Instant};

/// The process lives.
pub async fn live() -> &'static str {
    "ok"
}

/// Whether requests should be sent here: the registry answers, the process has connections to churches, and it is not
/// about to stop.
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
            tracing::warn!(error = %registry::chain(&error), "not ready: the registry does not answer");
            (StatusCode::SERVICE_UNAVAILABLE, "the registry does not answer")
        }
    }
}

/// How often some tenant's database is asked whether it answers.
const SAMPLE: Duration = Duration::from_secs(5);

/// Opens one church after another, as its people would, for as long as the process lives.
pub async fn sample(registry: Registry, identity: Identity) {
    loop {
        tokio::time::sleep(SAMPLE).await;
        // People come first.
        if identity.connections().iter().any(|server| server.waiting > 0) {
            continue;
        }
        let Ok(Some(id)) = tenants::any_active(&registry).await else { continue };
        let started = Instant::now();
        let result = match identity.check(&id).await {
            Ok(()) => "ok",
            Err(error) => {
                tracing::warn!(tenant = %id, error = %registry::chain(&error), "a church's database does not answer");
                "failed"
            }
        };
        metrics::histogram!("vestry_tenant_check_seconds", "result" => result).record(started.elapsed());
    }
}
