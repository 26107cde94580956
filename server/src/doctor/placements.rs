//! Compares databases, schemas and roles with the registry.

use super::{Finding, InspectedServers, Scope};
use crate::provisioning::installation_mark;
use registry::{
    inventory::{PlacedTenant, ReadyDatabase},
    ready::Vacancy,
};
use std::collections::{BTreeMap, BTreeSet};
use tenant::contents::Contents;
use uuid::Uuid;

/// Maximum databases opened to see whether they hold data.
const MAX_OPENED: usize = 50;

/// Maximum names in a finding.
const MAX_NAMES: usize = 10;

const RESTORE: &str = "restore it from a backup; OPERATIONS.md says how";

pub async fn check_tenants(
    scope: &Scope,
    servers: &InspectedServers,
    tenants: &[PlacedTenant],
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for tenant in tenants {
        let Some(server) = servers.get(&tenant.server_id) else { continue };
        let (id, role) = (&tenant.id, tenant.id.pg_identifier());
        match tenant.status.as_str() {
            "active" | "suspended" if !server.has(tenant) => {
                let elsewhere = servers.values().find(|other| other.has(tenant)).map(|other| &other.name);
                findings.push(match elsewhere {
                    Some(other) => Finding::problem(
                        format!("the church {id} is not on its server {}, but on {other}", server.name),
                        "the registry is older than the move: restore a newer one, or correct tenants.server_id",
                    ),
                    None => Finding::problem(
                        format!("the database of the church {id} is gone from the server {}", server.name),
                        RESTORE,
                    ),
                });
            }
            "active" | "suspended" if !server.roles.contains(&role) => findings.push(Finding::problem(
                format!("the login role of the church {id} is gone from the server {}", server.name),
                format!("restore the roles (pg_dumpall --globals-only), or run: vestry tenants repair {id}"),
            )),
            "failed" => findings.extend(failed(scope, tenant).await),
            _ => {}
        }
        let database = server.databases.get(&tenant.database);
        if database.is_some_and(|database| database.is_open) {
            findings.push(Finding::problem(
                format!("every role may connect to the database {}", tenant.database),
                match tenant.has_dedicated_database {
                    true => {
                        format!("vestry tenants repair {id} closes it, and lets the church's own role in")
                    }
                    false => format!(
                        "in psql on {}: revoke connect, temporary on database {} from public",
                        server.name, tenant.database
                    ),
                },
            ));
        }
        if database.is_some_and(|database| !database.is_ours) {
            findings.push(Finding::problem(
                format!("the database {} belongs to another role than this installation's", tenant.database),
                format!(
                    "its tables cannot be brought up to date; in psql, as superuser: alter database {} owner to …, \
                     and reassign owned inside it",
                    tenant.database
                ),
            ));
        }
    }
    findings
}

/// Reports a failed signup whose database holds data: it succeeded after the registry was dumped.
async fn failed(scope: &Scope, tenant: &PlacedTenant) -> Option<Finding> {
    let server = scope.servers.find(tenant.server_id).await.ok()?;
    let contents = match tenant.has_dedicated_database {
        true => server.database_contents(&tenant.database).await,
        false => server.schema_contents(&tenant.database, &tenant.schema).await,
    };
    let id = &tenant.id;
    matches!(contents, Ok(Some(Contents::Data))).then(|| {
        Finding::problem(
            format!(
                "the signup of {id} failed, and its database holds data: the registry may be older than that"
            ),
            format!("open the church with its data: vestry tenants retry {id}"),
        )
    })
}

pub async fn check_ready(
    scope: &Scope,
    servers: &InspectedServers,
    tenants: &[PlacedTenant],
    ready: &[ReadyDatabase],
) -> Vec<Finding> {
    let tenants: BTreeSet<_> = tenants.iter().map(|tenant| tenant.id.as_str()).collect();
    let mut findings = Vec::new();
    for database in
        ready.iter().filter(|database| database.is_ready && servers.contains_key(&database.server_id))
    {
        let name = database.id.pg_identifier();
        let Ok(server) = scope.servers.find(database.server_id).await else { continue };
        let forgotten =
            "it is given to nobody and not dropped; it is forgotten when a process starts or meets it";
        match server.vacancy(&database.id).await {
            Vacancy::Occupied => findings.push(Finding::problem(
                format!("the ready database {name} holds data: the registry may be older than that"),
                forgotten,
            )),
            Vacancy::Missing => findings.push(Finding::notice(
                format!("the ready database {name}, or its role, is missing on {}", server.server.name),
                forgotten,
            )),
            Vacancy::Vacant if tenants.contains(database.id.as_str()) => findings.push(Finding::notice(
                format!("{name} is a church's, and listed as ready as well"),
                forgotten,
            )),
            Vacancy::Vacant | Vacancy::Unknown => {}
        }
    }
    findings
}

/// Reports databases that no row of the registry names.
pub async fn check_orphans(
    scope: &Scope,
    servers: &InspectedServers,
    tenants: &[PlacedTenant],
    ready: &[ReadyDatabase],
) -> Vec<Finding> {
    let mut known: BTreeSet<(Uuid, String)> =
        tenants.iter().map(|tenant| (tenant.server_id, tenant.database.clone())).collect();
    known.extend(ready.iter().map(|database| (database.server_id, database.id.pg_identifier())));
    // A moved database is reported with its tenant.
    let placed: BTreeMap<_, _> =
        tenants.iter().map(|tenant| (tenant.database.as_str(), tenant.server_id)).collect();
    let mark = scope.id.map(installation_mark);
    let mut findings = Vec::new();
    let mut opened = 0;
    for (server_id, server) in servers {
        let mut unmarked = Vec::new();
        for (name, database) in &server.databases {
            if !database.is_ours || known.contains(&(*server_id, name.clone())) {
                continue;
            }
            match &database.mark {
                None => unmarked.push(name.as_str()),
                // Created by another installation on the server.
                other if *other != mark => {}
                Some(_) if opened < MAX_OPENED => {
                    opened += 1;
                    findings.extend(
                        inspect_orphan(scope, *server_id, &server.name, name, placed.get(name.as_str()))
                            .await,
                    );
                }
                Some(_) => unmarked.push(name.as_str()),
            }
        }
        if !unmarked.is_empty() {
            let names = unmarked.iter().take(MAX_NAMES).copied().collect::<Vec<_>>().join(", ");
            findings.push(Finding::notice(
                format!(
                    "{} databases on {} belong to no church of this registry: {names}",
                    unmarked.len(),
                    server.name
                ),
                "leave those of another installation; look into the others before you drop them",
            ));
        }
    }
    findings
}

async fn inspect_orphan(
    scope: &Scope,
    server_id: Uuid,
    server_name: &str,
    name: &str,
    placed: Option<&Uuid>,
) -> Option<Finding> {
    if placed.is_some() {
        return Some(Finding::notice(
            format!("{name} on {server_name} is of a church that lives on another server"),
            "look into it before you drop it: it may be what a move has left, or the church's newer data",
        ));
    }
    let server = scope.servers.find(server_id).await.ok()?;
    match server.database_contents(name).await {
        Ok(Some(Contents::Empty)) => Some(Finding::notice(
            format!("{name} on {server_name} is empty and belongs to nobody"),
            format!("in psql: drop database {name}; drop role {name}"),
        )),
        Ok(Some(_)) => Some(Finding::problem(
            format!(
                "{name} on {server_name} holds a church's data, and the registry does not know that church"
            ),
            "the registry is older than the church: restore a newer one, or insert its rows; never drop the database",
        )),
        _ => None,
    }
}
