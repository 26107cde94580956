//! The steps of a run, each with its undo, safe to repeat.

use super::{databases::Role, failure::Failure, servers::Administered, servers::Servers, worker::keeping};
use crate::{installation::Installation, lease::Lost};
use identity::{Founder, Identity, Secret};
use registry::{
    Registry,
    ready::{self, Edition, Planned, Vacancy},
    runs::{self, Claimed, Step},
    tenants::{self, Isolation, Placement, Tenant},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tenant::{contents::Contents, office, schema};

pub type Result<T = ()> = std::result::Result<T, Failure>;

/// What the steps work with.
#[derive(Clone)]
pub struct Tools {
    pub registry: Registry,
    pub identity: Identity,
    pub secret: Secret,
    pub servers: Servers,
    /// How many databases are to stand ready on every server.
    pub ready_databases: u32,
}

/// A run in a worker's hands, and what it knows of its tenant.
pub struct Work<'a> {
    tools: &'a Tools,
    run: &'a Claimed,
    tenant: Tenant,
}

/// A run that failed and was not tried again for so long is undone.
const ABANDONED_AFTER: Duration = Duration::from_secs(7 * 24 * 3600);

impl Tools {
    pub fn of(installation: &Installation, ready_databases: u32) -> Self {
        Self {
            registry: installation.registry.clone(),
            identity: installation.identity.clone(),
            secret: installation.secret.clone(),
            servers: installation.servers.clone(),
            ready_databases,
        }
    }

    /// Undoes the run that was given up longest ago; false when there is none.
    pub async fn undo_one_abandoned(&self) -> Result<bool> {
        let Some(run) = runs::claim_abandoned(&self.registry, ABANDONED_AFTER).await? else {
            return Ok(false);
        };
        let (tenant, run_id) = (&run.tenant_id, run.run_id);
        match keeping(&self.registry, &run, self.undo(&run)).await {
            Ok(Ok(())) => {
                tracing::info!(%tenant, run = %run_id, "an abandoned signup was undone");
                Ok(true)
            }
            Ok(Err(failure)) if !failure.lease_lost => {
                let error = &failure.cause;
                tracing::warn!(%tenant, run = %run_id, %error, "an abandoned signup could not be undone");
                Err(failure)
            }
            // It undoes it as well.
            Ok(Err(_)) | Err(Lost) => {
                tracing::warn!(%tenant, run = %run_id, "another worker took the undo over");
                Ok(true)
            }
        }
    }

    /// Undoes what the steps have done, last first; safe to repeat like they are.
    async fn undo(&self, run: &Claimed) -> Result {
        let tenant = tenants::find(&self.registry, &run.tenant_id).await?;
        // Opening, office and schema are undone with the database, and the place with the row.
        if let Some(placement) = &tenant.placement {
            let server = self.servers.find(placement.server.id).await?;
            let role = tenant.id.own_name();
            let contents = match tenant.isolation {
                Isolation::Database => server.database_contents(&placement.database).await?,
                Isolation::Schema => server.schema_contents(&placement.database, &placement.schema).await?,
            };
            // The registry may have been restored from a dump made before the run succeeded.
            if contents == Some(Contents::Data) {
                tracing::warn!(
                    tenant = %tenant.id,
                    "a failed signup is not undone: its database holds data. vestry tenants retry opens it"
                );
                return Ok(runs::keep_abandoned(&self.registry, run).await?);
            }
            runs::renew(&self.registry, run).await?;
            match tenant.isolation {
                Isolation::Database => server.drop_database(&placement.database, &role).await?,
                Isolation::Schema => server.drop_schema(placement, &role).await?,
            }
        }
        Ok(runs::forget(&self.registry, run).await?)
    }

    /// Forgets what stands ready in the registry only: after the registry was restored from a dump, say.
    pub async fn check_ready(&self) -> Result {
        for (id, server_id, is_tenant) in ready::standing(&self.registry).await? {
            let Ok(server) = self.servers.find(server_id).await else { continue };
            let vacancy = match is_tenant {
                true => Vacancy::Occupied,
                false => server.vacancy(&id).await,
            };
            if matches!(vacancy, Vacancy::Occupied | Vacancy::Missing) {
                ready::forget_unfit(&self.registry, &id, vacancy).await?;
            }
        }
        Ok(())
    }

    /// Makes one more database that stands ready; false when there are enough.
    pub async fn make_one_ready(&self) -> Result<bool> {
        let edition = schema::edition();
        let edition = Edition { name: &edition, schema_version: schema::version() };
        let Some(planned) = ready::plan(&self.registry, edition, self.ready_databases).await? else {
            return Ok(false);
        };
        let made = self.make_ready(&planned).await;
        made.map_err(|failure| failure.within(&format!("ready database {}", planned.id)))
    }

    async fn make_ready(&self, planned: &Planned) -> Result<bool> {
        let server = self.servers.find(planned.server_id).await?;
        let name = planned.id.own_name();
        let role = Role::of(&planned.id, 1, &self.secret, self.identity.role_limit());
        if !server.make_database(&name, &role).await? {
            server.update_database(&name, &name).await?;
        }
        match ready::made(&self.registry, planned).await {
            // It took so long that another worker has removed it, perhaps before it was made: it was never ready, so
            // nobody can have taken it.
            Err(registry::Error::LeaseLost) => {
                metrics::counter!("vestry_leases_lost_total", "kind" => "ready").increment(1);
                tracing::warn!(database = name, "another worker removes the ready database");
                if server.database_contents(&name).await? == Some(Contents::Empty) {
                    server.drop_database(&name, &name).await?;
                }
                Ok(true)
            }
            made => Ok(made.map(|()| true)?),
        }
    }

    /// Removes one that stands ready and will not be used; false when there is none.
    pub async fn remove_one_unwanted(&self) -> Result<bool> {
        let edition = schema::edition();
        let edition = Edition { name: &edition, schema_version: schema::version() };
        match ready::claim_unwanted(&self.registry, edition, self.ready_databases).await? {
            Some(planned) => {
                let removed = self.remove(&planned).await;
                removed.map_err(|failure| failure.within(&format!("ready database {}", planned.id)))?;
                Ok(true)
            }
            None => Ok(false),
        }
    }

    /// Drops its database, unless that is in use: a restored registry may list one that has found its church since.
    async fn remove(&self, planned: &Planned) -> Result {
        let name = planned.id.own_name();
        let server = self.servers.find(planned.server_id).await?;
        let contents = server.database_contents(&name).await?;
        if planned.is_tenant || matches!(contents, Some(Contents::Initial | Contents::Data)) {
            tracing::warn!(database = name, "a ready database is in use and was forgotten, not dropped");
            return Ok(ready::forget(&self.registry, planned).await?);
        }
        match ready::renew(&self.registry, planned).await {
            // Another worker removes it.
            Err(registry::Error::LeaseLost) => return Ok(()),
            renewed => renewed?,
        }
        server.drop_database(&name, &name).await?;
        Ok(ready::forget(&self.registry, planned).await?)
    }
}

impl<'a> Work<'a> {
    pub async fn begin(tools: &'a Tools, run: &'a Claimed) -> Result<Self> {
        Ok(Self { tools, run, tenant: tenants::find(&tools.registry, &run.tenant_id).await? })
    }

    /// The steps that are done by the database being there with its tables and role: it stood ready.
    pub fn settled(&self) -> &'static [Step] {
        match self.tenant.schema_version {
            Some(version) if version == schema::version() => &[Step::Place, Step::Database, Step::Schema],
            _ => &[],
        }
    }

    pub async fn take(&mut self, step: Step) -> Result {
        let started = Instant::now();
        match step {
            Step::Place => self.place().await,
            Step::Database => self.database().await,
            Step::Schema => self.schema().await,
            Step::Office => self.office().await,
            Step::Open => {
                Ok(runs::succeed(&self.tools.registry, self.run, schema::version(), started.elapsed())
                    .await?)
            }
        }
    }

    /// On a server that answers: one that does not is noted, and the next one is tried.
    async fn place(&mut self) -> Result {
        while self.tenant.placement.is_none() {
            let shared = self.tools.servers.shared_database();
            let placement = runs::place(&self.tools.registry, self.run, shared).await?;
            let placement = placement.ok_or_else(|| {
                Failure::passing("No database server has room for another church just now.", "no server")
            })?;
            let server = self.tools.servers.find(placement.server.id).await?;
            if self.tools.servers.reach(&server).await {
                self.tenant.placement = Some(placement);
            }
        }
        Ok(())
    }

    async fn database(&mut self) -> Result {
        let (server, placement) = self.placed().await?;
        match self.tenant.isolation {
            Isolation::Database => {
                if server.make_database(&placement.database, &self.role()).await? {
                    self.tenant.schema_version = Some(schema::version());
                }
                Ok(())
            }
            Isolation::Schema => server.make_shared_database(&placement.database).await,
        }
    }

    async fn schema(&self) -> Result {
        let (server, placement) = self.placed().await?;
        match self.tenant.isolation {
            // A fresh clone.
            Isolation::Database if self.tenant.schema_version == Some(schema::version()) => Ok(()),
            Isolation::Database => {
                server.update_database(&placement.database, &self.tenant.id.own_name()).await
            }
            Isolation::Schema => server.make_schema(placement, &self.role()).await,
        }
    }

    async fn office(&self) -> Result {
        let (_, placement) = self.placed().await?;
        let (tools, tenant) = (self.tools, &self.tenant);
        let founder =
            Founder::open(&tools.secret, tenant.id.as_str(), &self.run.sealed).map_err(|error| {
                Failure::lasting(
                    "The signup was sealed with another secret key. Please sign up again.",
                    error,
                )
            })?;
        let place = tools.identity.place(tenant, placement).map_err(|error| {
            Failure::passing("The database server of this church cannot be reached.", error)
        })?;
        let opened = tools.identity.unfinished(&tools.secret, &place).await;
        let first = office::Founder {
            email: &founder.email,
            first_name: &founder.first_name,
            last_name: &founder.last_name,
            password_hash: &founder.password_hash,
        };
        Ok(office::furnish(&opened, &first, &tenant.timezone, &tenant.country).await?)
    }

    fn role(&self) -> Role {
        let limit = self.tools.identity.role_limit();
        Role::of(&self.tenant.id, self.tenant.role_version, &self.tools.secret, limit)
    }

    async fn placed(&self) -> Result<(Arc<Administered>, &Placement)> {
        let placement = self.tenant.placement.as_ref();
        let placement =
            placement.ok_or_else(|| Failure::passing("The church has no place yet.", "no placement"))?;
        Ok((self.tools.servers.find(placement.server.id).await?, placement))
    }
}
