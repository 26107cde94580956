//! Samples the availability of tenant databases for metrics.

use identity::Identity;
use registry::{Registry, tenants};
use std::time::{Duration, Instant};

/// Interval between two samples.
const INTERVAL: Duration = Duration::from_secs(5);

/// Opens a random active tenant as a request would, and measures it, for as long as the process lives.
pub async fn run(registry: Registry, identity: Identity) {
    loop {
        tokio::time::sleep(INTERVAL).await;
        // Requests have priority.
        if identity.connections().iter().any(|server| server.waiting > 0) {
            continue;
        }
        let Ok(Some(id)) = tenants::any_active(&registry).await else { continue };
        let started = Instant::now();
        let result = match identity.check(&id).await {
            Ok(()) => "ok",
            Err(error) => {
                tracing::warn!(tenant = %id, error = %registry::chain(&error), "tenant database check failed");
                "failed"
            }
        };
        metrics::histogram!("vestry_tenant_check_seconds", "result" => result).record(started.elapsed());
    }
}
