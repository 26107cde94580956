//! Undo of failed runs that nobody has retried.

use super::{Provisioner, step_error::Result, steps::with_heartbeat};
use crate::lease::Lost;
use registry::{
    runs::{self, ClaimedRun},
    tenants::{self, Isolation},
};
use std::time::Duration;
use tenant::contents::Contents;

/// Age at which a failed run is undone.
const ABANDONED_AFTER: Duration = Duration::from_secs(7 * 24 * 3600);

impl Provisioner {
    /// Undoes the oldest abandoned run; returns false if there is none.
    pub async fn undo_abandoned(&self) -> Result<bool> {
        let Some(run) = runs::claim_abandoned(&self.registry, ABANDONED_AFTER).await? else {
            return Ok(false);
        };
        let (tenant, run_id) = (&run.tenant_id, run.run_id);
        match with_heartbeat(&self.registry, &run, self.undo(&run)).await {
            Ok(Ok(())) => {
                tracing::info!(%tenant, run = %run_id, "abandoned signup undone");
                Ok(true)
            }
            Ok(Err(error)) if !error.lease_lost => {
                tracing::warn!(%tenant, run = %run_id, error = error.cause, "undo of an abandoned signup failed");
                Err(error)
            }
            Ok(Err(_)) | Err(Lost) => {
                tracing::warn!(%tenant, run = %run_id, "another worker took over the undo");
                Ok(true)
            }
        }
    }

    /// Undoes the steps, last first. Idempotent.
    async fn undo(&self, run: &ClaimedRun) -> Result {
        let tenant = tenants::find(&self.registry, &run.tenant_id).await?;
        // Dropping the database undoes all later steps; deleting the row undoes the placement.
        if let Some(placement) = &tenant.placement {
            let server = self.servers.find(placement.server.id).await?;
            let role = tenant.id.pg_identifier();
            let contents = match tenant.isolation {
                Isolation::Database => server.database_contents(&placement.database).await?,
                Isolation::Schema => server.schema_contents(&placement.database, &placement.schema).await?,
            };
            // The registry may have been restored from a dump made before the run succeeded.
            if contents == Some(Contents::Data) {
                tracing::warn!(
                    tenant = %tenant.id,
                    "failed signup not undone: its database holds data; vestry tenants retry opens it"
                );
                return Ok(runs::keep_abandoned(&self.registry, run).await?);
            }
            runs::renew(&self.registry, run).await?;
            match tenant.isolation {
                Isolation::Database => server.drop_database(&placement.database, &role).await?,
                Isolation::Schema => server.drop_schema(placement, &role).await?,
            }
        }
        Ok(runs::delete_tenant(&self.registry, run).await?)
    }
}
