//! Ready databases: created in advance, so that signups need not wait for a clone.

use super::{Provisioner, databases::Role, step_error::Result};
use crate::log_limit::warn_outage;
use chrono::Utc;
use registry::{
    notifications::{Notification, Subscriber},
    ready::{self, ClaimedDatabase, SchemaRevision, Vacancy},
    runs,
};
use std::time::Duration;
use tenant::{contents::Contents, schema};
use tokio_util::sync::CancellationToken;

/// Pause while signups are pending, so that they have the server to themselves.
const BUSY_PAUSE: Duration = Duration::from_millis(250);
/// Pause when there is nothing to do.
const POLL_INTERVAL: Duration = Duration::from_secs(5);

/// Creates ready databases up to the configured number and drops unwanted ones, one at a time, and only while no signup
/// is pending.
pub async fn maintain(provisioner: Provisioner, mut notifications: Subscriber, stop: CancellationToken) {
    if let Err(error) = provisioner.delete_stale_ready().await {
        tracing::warn!(error = error.cause, "cannot inspect the ready databases");
    }
    while !stop.is_cancelled() {
        let pause = match work(&provisioner).await {
            Ok(pause) => pause,
            Err(error) if error.is_registry_outage => {
                warn_outage(&error.cause, "cannot maintain ready databases");
                POLL_INTERVAL
            }
            Err(error) => {
                tracing::warn!(error = error.cause, "cannot maintain ready databases");
                POLL_INTERVAL
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
            () = notifications.wait_for(|n| *n == Notification::ReadyTaken), if pause == POLL_INTERVAL => {}
        }
    }
}

/// Creates or drops at most one database; returns the pause before the next call.
async fn work(provisioner: &Provisioner) -> Result<Duration> {
    let waiting = runs::next_due(&provisioner.registry).await?;
    if waiting.is_some_and(|due| due <= Utc::now() + chrono::TimeDelta::seconds(10)) {
        return Ok(BUSY_PAUSE);
    }
    let worked = provisioner.create_ready().await? || provisioner.drop_unwanted().await?;
    Ok(if worked { Duration::ZERO } else { POLL_INTERVAL })
}

impl Provisioner {
    /// Deletes rows without a vacant database, as after restoring the registry from a dump.
    pub async fn delete_stale_ready(&self) -> Result {
        for (id, server_id, is_tenant) in ready::list(&self.registry).await? {
            let Ok(server) = self.servers.find(server_id).await else { continue };
            let vacancy = match is_tenant {
                true => Vacancy::Occupied,
                false => server.vacancy(&id).await,
            };
            if matches!(vacancy, Vacancy::Occupied | Vacancy::Missing) {
                ready::delete_stale(&self.registry, &id, vacancy).await?;
            }
        }
        Ok(())
    }

    /// Creates one ready database; returns false if there are enough.
    pub async fn create_ready(&self) -> Result<bool> {
        let revision = schema::revision();
        let revision = SchemaRevision { name: &revision, schema_version: schema::version() };
        let Some(claimed) = ready::claim_new(&self.registry, revision, self.ready_databases).await? else {
            return Ok(false);
        };
        let created = self.create(&claimed).await;
        created.map_err(|error| error.with_context(&format!("ready database {}", claimed.id)))
    }

    async fn create(&self, claimed: &ClaimedDatabase) -> Result<bool> {
        let server = self.servers.find(claimed.server_id).await?;
        let name = claimed.id.pg_identifier();
        let role = Role::new(&claimed.id, 1, &self.secret, self.identity.role_limit());
        if !server.create_database(&name, &role).await? {
            server.update_database(&name, &name).await?;
        }
        match ready::mark_ready(&self.registry, claimed).await {
            // The claim expired and another worker drops the database, perhaps before it existed. It was never ready, so no
            // signup has taken it.
            Err(registry::Error::LeaseLost) => {
                metrics::counter!("vestry_leases_lost_total", "kind" => "ready").increment(1);
                tracing::warn!(database = name, "another worker drops the ready database");
                if server.database_contents(&name).await? == Some(Contents::Empty) {
                    server.drop_database(&name, &name).await?;
                }
                Ok(true)
            }
            marked => Ok(marked.map(|()| true)?),
        }
    }

    /// Drops one unwanted ready database; returns false if there is none.
    pub async fn drop_unwanted(&self) -> Result<bool> {
        let revision = schema::revision();
        let revision = SchemaRevision { name: &revision, schema_version: schema::version() };
        match ready::claim_unwanted(&self.registry, revision, self.ready_databases).await? {
            Some(claimed) => {
                let dropped = self.drop_ready(&claimed).await;
                dropped.map_err(|error| error.with_context(&format!("ready database {}", claimed.id)))?;
                Ok(true)
            }
            None => Ok(false),
        }
    }

    /// Drops a ready database unless it is in use: a restored registry may list one that was taken since.
    async fn drop_ready(&self, claimed: &ClaimedDatabase) -> Result {
        let name = claimed.id.pg_identifier();
        let server = self.servers.find(claimed.server_id).await?;
        let contents = server.database_contents(&name).await?;
        if claimed.is_tenant || matches!(contents, Some(Contents::Initial | Contents::Data)) {
            tracing::warn!(
                database = name,
                "ready database is in use: removed from the registry, not dropped"
            );
            return Ok(ready::delete_claimed(&self.registry, claimed).await?);
        }
        match ready::renew(&self.registry, claimed).await {
            // Another worker drops it.
            Err(registry::Error::LeaseLost) => return Ok(()),
            renewed => renewed?,
        }
        server.drop_database(&name, &name).await?;
        Ok(ready::delete_claimed(&self.registry, claimed).await?)
    }
}
