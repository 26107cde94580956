//! Compares the registry with the database servers. Read-only.

mod placements;
mod server;

use crate::{Error, installation::Installation, provisioning::Servers};
use registry::{Registry, SchemaState, TenantId, inventory, servers as registry_servers, tenants};
use serde::Serialize;
use server::Inspected;
use std::collections::BTreeMap;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

#[derive(Clone)]
pub struct Scope {
    registry: Registry,
    servers: Servers,
    id: Option<Uuid>,
}

impl From<&Installation> for Scope {
    fn from(installation: &Installation) -> Self {
        let Installation { registry, servers, id, .. } = installation;
        Self { registry: registry.clone(), servers: servers.clone(), id: *id }
    }
}

/// A mismatch, with advice.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    pub severity: Severity,
    pub what: String,
    pub advice: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// A tenant is or will be locked out of its data, or can reach another's.
    Problem,
    /// Nothing is at risk.
    Notice,
}

impl Finding {
    fn problem(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { severity: Severity::Problem, what: what.into(), advice: advice.into() }
    }

    fn notice(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { severity: Severity::Notice, ..Self::problem(what, advice) }
    }
}

/// Returns all findings, problems first.
pub async fn examine(scope: &Scope) -> Result<Vec<Finding>, Error> {
    let registry = &scope.registry;
    let mut findings = Vec::new();
    if registry.schema_state().await? == SchemaState::Newer {
        findings.push(Finding::notice(
            "the registry's tables are of a newer release than this one",
            "roll forward again when you can; churches that were brought up to date are closed to this release",
        ));
    }
    findings.extend(primary_elsewhere(registry).await?);
    let tenants = inventory::placed_tenants(registry).await?;
    let ready = inventory::ready_databases(registry).await?;
    let mut servers = BTreeMap::new();
    for server in registry_servers::list(registry).await? {
        match server::inspect(scope, server.id, &tenants).await {
            Ok(found) => drop(servers.insert(server.id, found)),
            Err(cause) => findings.push(Finding::problem(
                format!("cannot inspect the server {}: {cause}", server.name),
                "start it, or set its new address: vestry servers set NAME --url …",
            )),
        }
    }
    findings.extend(placements::check_tenants(scope, &servers, &tenants).await);
    findings.extend(placements::check_ready(scope, &servers, &tenants, &ready).await);
    findings.extend(placements::check_orphans(scope, &servers, &tenants, &ready).await);
    findings.sort_by_key(|finding| finding.severity != Severity::Problem);
    Ok(findings)
}

/// Reports a registry on another server than the stored primary address.
async fn primary_elsewhere(registry: &Registry) -> Result<Option<Finding>, Error> {
    let here = registry_servers::system_identifier(registry).await?;
    let Some(primary) = registry_servers::primary(registry).await? else { return Ok(None) };
    let is_elsewhere = here.zip(primary.system_identifier).is_some_and(|(here, stored)| here != stored);
    Ok(is_elsewhere.then(|| {
        let (host, port) = (primary.server.host, primary.server.port);
        Finding::problem(
            format!("churches are looked for at {host}:{port}, which is another server than the registry's"),
            "if they have moved here with the registry: vestry servers set primary --url …; until then nothing starts",
        )
    }))
}

/// The reachable servers, by id.
type InspectedServers = BTreeMap<Uuid, Inspected>;

/// Maximum findings logged at startup.
const MAX_LOGGED: usize = 20;

/// Runs the comparison once in the background and logs the findings.
pub fn report_at_start(installation: &Installation, stop: &CancellationToken) {
    let (scope, stop) = (Scope::from(installation), stop.clone());
    tokio::spawn(async move { stop.run_until_cancelled(report(&scope)).await });
}

async fn report(scope: &Scope) {
    match examine(scope).await {
        Ok(findings) => {
            for Finding { severity, what, advice } in findings.iter().take(MAX_LOGGED) {
                match severity {
                    Severity::Problem => tracing::warn!(advice, "{what}"),
                    Severity::Notice => tracing::info!(advice, "{what}"),
                }
            }
            if findings.len() > MAX_LOGGED {
                tracing::warn!("{} more findings: vestry doctor shows all", findings.len() - MAX_LOGGED);
            }
        }
        Err(error) => tracing::warn!(%error, "cannot compare the registry with the database servers"),
    }
}

/// State of a tenant's data at its placement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DatabaseState {
    NotPlaced,
    Present,
    Missing,
    RoleMissing,
    /// Its server does not answer.
    Unknown,
}

impl DatabaseState {
    pub fn description(self) -> &'static str {
        match self {
            Self::NotPlaced => "not placed yet",
            Self::Present => "is there",
            Self::Missing => "is gone: restore it from a backup",
            Self::RoleMissing => "is there, and its login role is gone",
            Self::Unknown => "unknown: its server does not answer",
        }
    }
}

pub async fn database_state(scope: &Scope, id: &TenantId) -> Result<DatabaseState, Error> {
    let tenant = tenants::find(&scope.registry, id).await?;
    let Some(placement) = tenant.placement else { return Ok(DatabaseState::NotPlaced) };
    let placed = inventory::PlacedTenant {
        id: tenant.id,
        status: String::new(),
        has_dedicated_database: tenant.isolation == tenants::Isolation::Database,
        server_id: placement.server.id,
        database: placement.database,
        schema: placement.schema,
    };
    match server::inspect(scope, placed.server_id, std::slice::from_ref(&placed)).await {
        Err(_) => Ok(DatabaseState::Unknown),
        Ok(found) if !found.has(&placed) => Ok(DatabaseState::Missing),
        Ok(found) if !found.roles.contains(&placed.id.pg_identifier()) => Ok(DatabaseState::RoleMissing),
        Ok(_) => Ok(DatabaseState::Present),
    }
}
