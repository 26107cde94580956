//! `/metrics` for Prometheus.

use crate::{address::Client, operator, state::AppState};
use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use metrics::gauge;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, OnceLock, PoisonError},
    time::Duration,
};

/// Histogram buckets, in seconds.
const BUCKETS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// Returns the global recorder. Measurements before the first call are lost.
pub fn recorder() -> &'static PrometheusHandle {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    RECORDER.get_or_init(|| {
        PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &BUCKETS)
            .expect("there are buckets")
            .install_recorder()
            .expect("it is the first recorder of the process")
    })
}

/// Runs upkeep every 5 s; otherwise samples pile up until the next scrape.
pub async fn upkeep() {
    loop {
        tokio::time::sleep(Duration::from_secs(5)).await;
        recorder().run_upkeep();
    }
}

/// Requires the operator token. Without one configured, serves only local clients that use no proxy.
pub async fn metrics(
    State(state): State<AppState>,
    Extension(client): Extension<Client>,
    headers: HeaderMap,
) -> Response {
    let allowed = match &state.operator_token {
        Some(token) => operator::is_operator(&headers, token),
        None => client.is_local(),
    };
    if !allowed {
        return (StatusCode::FORBIDDEN, "Set VESTRY_OPERATOR_TOKEN, and send it as a bearer token.\n")
            .into_response();
    }
    let gathered = gather(&state).await;
    gauge!("vestry_registry_up").set(if gathered.is_ok() { 1.0 } else { 0.0 });
    if let Err(error) = gathered {
        tracing::warn!(error = %registry::chain(&error), "cannot read the registry's counts");
    }
    let text = recorder().render();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}

/// Reads the gauges.
async fn gather(state: &AppState) -> registry::Result<()> {
    for usage in state.identity.connections() {
        let set = |name: &'static str, number: usize| {
            gauge!(name, "server" => usage.server.clone()).set(number as f64);
        };
        set("vestry_pool_budget", usage.limit);
        set("vestry_pool_open", usage.open);
        set("vestry_pool_idle", usage.idle);
        set("vestry_pool_waiting", usage.waiting);
    }
    let counts = registry::counts::load(&state.registry).await?;
    for (status, number) in counts.tenants {
        gauge!("vestry_tenants", "status" => status).set(number as f64);
    }
    count_versions(counts.versions);
    for (server, number) in counts.ready {
        gauge!("vestry_ready_databases", "server" => server).set(number as f64);
    }
    gauge!("vestry_provisioning_queue").set(counts.queued as f64);
    gauge!("vestry_processes").set(counts.processes as f64);
    Ok(())
}

/// Sets the gauges of tenants by schema version; versions without tenants go to 0.
fn count_versions(counts: Vec<(i64, i64)>) {
    static SEEN: Mutex<BTreeSet<i64>> = Mutex::new(BTreeSet::new());
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    seen.insert(tenant::schema::version());
    seen.extend(counts.iter().map(|(version, _)| version));
    let counts: BTreeMap<_, _> = counts.into_iter().collect();
    for version in seen.iter() {
        let number = counts.get(version).copied().unwrap_or_default();
        gauge!("vestry_tenants_by_schema_version", "version" => version.to_string()).set(number as f64);
    }
    gauge!("vestry_schema_version").set(tenant::schema::version() as f64);
}
