//! The steps of a run. Each is idempotent; [`super::undo`] reverses them.

use super::{
    Provisioner,
    databases::Role,
    servers::ServerAdmin,
    step_error::{Result, StepError},
};
use crate::lease::{self, Lost};
use identity::Owner;
use registry::{
    Registry, placement,
    progress::Step,
    runs::{self, ClaimedRun, LEASE},
    tenants::{self, Isolation, Placement, TenantRecord},
};
use std::{sync::Arc, time::Instant};
use tenant::{schema, seed};

/// Runs `work` while a heartbeat renews the lease of `run`.
pub async fn with_heartbeat<T>(
    registry: &Registry,
    run: &ClaimedRun,
    work: impl Future<Output = T>,
) -> std::result::Result<T, Lost> {
    lease::hold(run.claimed_at, LEASE, || runs::renew(registry, run), work).await
}

/// A claimed run and its tenant.
pub struct StepContext<'a> {
    provisioner: &'a Provisioner,
    run: &'a ClaimedRun,
    tenant: TenantRecord,
}

impl<'a> StepContext<'a> {
    pub async fn begin(provisioner: &'a Provisioner, run: &'a ClaimedRun) -> Result<Self> {
        Ok(Self { provisioner, run, tenant: tenants::find(&provisioner.registry, &run.tenant_id).await? })
    }

    /// Returns the steps that a ready database has completed already.
    pub fn completed_steps(&self) -> &'static [Step] {
        match self.tenant.schema_version {
            Some(version) if version == schema::version() => &[Step::Place, Step::Database, Step::Schema],
            _ => &[],
        }
    }

    pub async fn run_step(&mut self, step: Step) -> Result {
        let started = Instant::now();
        match step {
            Step::Place => self.place().await,
            Step::Database => self.database().await,
            Step::Schema => self.schema().await,
            Step::Seed => self.seed().await,
            Step::Open => {
                Ok(runs::succeed(&self.provisioner.registry, self.run, schema::version(), started.elapsed())
                    .await?)
            }
        }
    }

    /// Places the tenant on a reachable server. The probe marks an unreachable one, so the next attempt picks another.
    async fn place(&mut self) -> Result {
        while self.tenant.placement.is_none() {
            let shared = self.provisioner.servers.shared_database();
            let placement = placement::place(&self.provisioner.registry, self.run, shared).await?;
            let placement = placement.ok_or_else(|| {
                StepError::transient("No database server has room for another church just now.", "no server")
            })?;
            let server = self.provisioner.servers.find(placement.server.id).await?;
            if self.provisioner.servers.probe(&server).await {
                self.tenant.placement = Some(placement);
            }
        }
        Ok(())
    }

    async fn database(&mut self) -> Result {
        let (server, placement) = self.server_and_placement().await?;
        match self.tenant.isolation {
            Isolation::Database => {
                if server.create_database(&placement.database, &self.role()).await? {
                    self.tenant.schema_version = Some(schema::version());
                }
                Ok(())
            }
            Isolation::Schema => server.create_shared_database(&placement.database).await,
        }
    }

    async fn schema(&self) -> Result {
        let (server, placement) = self.server_and_placement().await?;
        match self.tenant.isolation {
            // A new clone has the current tables.
            Isolation::Database if self.tenant.schema_version == Some(schema::version()) => Ok(()),
            Isolation::Database => {
                server.update_database(&placement.database, &self.tenant.id.pg_identifier()).await
            }
            Isolation::Schema => server.create_schema(placement, &self.role()).await,
        }
    }

    async fn seed(&self) -> Result {
        let (_, placement) = self.server_and_placement().await?;
        let (provisioner, tenant) = (self.provisioner, &self.tenant);
        let owner = Owner::open(&provisioner.secret, tenant.id.as_str(), &self.run.sealed_owner).map_err(
            |error| {
                StepError::permanent(
                    "The signup was sealed with another secret key. Please sign up again.",
                    error,
                )
            },
        )?;
        let location = provisioner.identity.location(tenant, placement).map_err(|error| {
            StepError::transient("The database server of this church cannot be reached.", error)
        })?;
        let opened = provisioner.identity.open_provisioning(&provisioner.secret, &location).await;
        let new_owner = seed::NewOwner {
            email: &owner.email,
            first_name: &owner.first_name,
            last_name: &owner.last_name,
            password_hash: &owner.password_hash,
        };
        Ok(seed::initial_data(&opened, &new_owner, &tenant.timezone, &tenant.country).await?)
    }

    fn role(&self) -> Role {
        let limit = self.provisioner.identity.role_limit();
        Role::new(&self.tenant.id, self.tenant.role_version, &self.provisioner.secret, limit)
    }

    async fn server_and_placement(&self) -> Result<(Arc<ServerAdmin>, &Placement)> {
        let placement = self.tenant.placement.as_ref();
        let placement = placement
            .ok_or_else(|| StepError::transient("The church has not been placed yet.", "no placement"))?;
        Ok((self.provisioner.servers.find(placement.server.id).await?, placement))
    }
}
