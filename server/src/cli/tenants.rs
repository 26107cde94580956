use super::{print, print_json};
use crate::{
    Error,
    doctor::{self, DatabaseState},
    installation::{Access, Installation},
};
use clap::Subcommand;
use registry::{
    Registry, TenantId, runs,
    tenant_list::{self, TenantSummary},
    tenants,
};
use serde::Serialize;

#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// List churches, newest first
    List {
        /// provisioning, active, suspended, archived or failed
        #[arg(long, value_parser = ["provisioning", "active", "suspended", "archived", "failed"])]
        status: Option<String>,
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(i64).range(1..=10_000))]
        limit: i64,
        #[arg(long)]
        json: bool,
    },
    /// Show one church and its last run
    Show {
        id: String,
        #[arg(long)]
        json: bool,
    },
    /// Suspend a church: its users see a page that says so, and no data is lost
    Suspend { id: String },
    /// Resume a suspended church
    Resume { id: String },
    /// Repair the database role of a church: settings, password, connection limit and rights
    Repair { id: String },
    /// Retry a failed signup
    Retry { id: String },
}

impl Command {
    pub fn access(&self) -> Access {
        match self {
            Self::List { .. } | Self::Show { .. } => Access::Read,
            Self::Suspend { .. } | Self::Resume { .. } | Self::Repair { .. } | Self::Retry { .. } => {
                Access::Write
            }
        }
    }
}

pub async fn run(command: Command, installation: &Installation) -> Result<(), Error> {
    let registry = &installation.registry;
    match command {
        Command::List { status, limit, json } => {
            let headings = ["ID", "NAME", "STATUS", "ISOLATION", "SERVER", "SINCE"];
            print(&tenant_list::list(registry, status.as_deref(), limit).await?, json, &headings, |tenant| {
                vec![
                    tenant.id.clone(),
                    tenant.name.clone(),
                    tenant.status.clone(),
                    tenant.isolation.clone(),
                    tenant.server.clone().unwrap_or_default(),
                    tenant.created_at.format("%F %T UTC").to_string(),
                ]
            });
        }
        Command::Show { id, json } => {
            let id = parse_id(&id)?;
            let tenant =
                tenant_list::show(registry, &id).await.map_err(|error| unknown(id.as_str(), error))?;
            let database_state = doctor::database_state(&installation.into(), &id).await?;
            if json {
                print_json(&TenantDetails { tenant, database_state })
            } else {
                show(&tenant, database_state)
            }
        }
        Command::Suspend { id } => {
            if !tenants::suspend(registry, &parse_id(&id)?).await.map_err(|error| unknown(&id, error))? {
                return Err(Error::Command(format!("{id} is not active: there is nothing to suspend")));
            }
            announce(registry, "suspended", &id).await;
            println!("{id} is suspended.");
        }
        Command::Resume { id } => {
            if !tenants::resume(registry, &parse_id(&id)?).await.map_err(|error| unknown(&id, error))? {
                return Err(Error::Command(format!("{id} is not suspended: there is nothing to resume")));
            }
            announce(registry, "resumed", &id).await;
            println!("{id} is active again.");
        }
        Command::Repair { id } => {
            let tenant = parse_id(&id)?;
            tenant_list::show(registry, &tenant).await.map_err(|error| unknown(&id, error))?;
            let repaired = installation.role_repair.repair(&tenant).await;
            repaired.map_err(|error| Error::Command(format!("{} ({})", error.reason, error.cause)))?;
            println!("The role of {id} is repaired.");
        }
        Command::Retry { id } => retry(registry, &id).await?,
    }
    Ok(())
}

async fn retry(registry: &Registry, id: &str) -> Result<(), Error> {
    let tenant = tenant_list::show(registry, &parse_id(id)?).await.map_err(|error| unknown(id, error))?;
    match tenant.run {
        Some(run) if run.status == "failed" => runs::retry(registry, run.id).await?,
        _ => {
            return Err(Error::Command(format!(
                "the signup of {id} has not failed: there is nothing to retry"
            )));
        }
    }
    announce(registry, "retried", id).await;
    println!("{id} is queued again.");
    Ok(())
}

/// Logs the command in all processes, with the local account that ran it.
async fn announce(registry: &Registry, action: &str, id: &str) {
    let account = ["SUDO_USER", "USER", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok());
    let by = account.filter(|name| !name.is_empty()).unwrap_or_else(|| "unknown account".to_owned());
    if let Err(error) = registry::notifications::announce_command(registry, action, id, &by).await {
        tracing::warn!(error = %registry::chain(&error), "cannot announce the command to other processes");
    }
}

fn parse_id(id: &str) -> Result<TenantId, Error> {
    id.parse().map_err(|error| unknown(id, error))
}

fn unknown(id: &str, error: registry::Error) -> Error {
    match error {
        registry::Error::NotFound => {
            Error::Command(format!("no church has the id {id}; see vestry tenants list"))
        }
        error => error.into(),
    }
}

/// A tenant, and the actual state of its database.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TenantDetails {
    #[serde(flatten)]
    tenant: TenantSummary,
    database_state: DatabaseState,
}

fn show(tenant: &TenantSummary, database_state: DatabaseState) {
    let mut lines = vec![
        ("id", tenant.id.clone()),
        ("name", tenant.name.clone()),
        ("status", tenant.status.clone()),
        ("isolation", tenant.isolation.clone()),
        ("server", tenant.server.clone().unwrap_or_else(|| "not placed".into())),
        ("region", tenant.region.clone().unwrap_or_default()),
        ("database", tenant.database_name.clone().unwrap_or_default()),
        ("schema", tenant.schema_name.clone().unwrap_or_default()),
        ("data", database_state.description().to_owned()),
        ("version", tenant.schema_version.map(|version| version.to_string()).unwrap_or_default()),
        ("since", tenant.created_at.format("%F %T UTC").to_string()),
        ("trial ends", tenant.trial_ends_at.format("%F %T UTC").to_string()),
    ];
    lines.extend(tenant.billing.map(|billing| ("billing", billing.name().to_owned())));
    if let Some(run) = &tenant.run {
        lines.push(("last run", format!("{} ({}), {} attempts", run.status, run.reference, run.attempts)));
        lines.extend(run.reason.clone().map(|reason| ("reason", reason)));
    }
    for (label, value) in lines.iter().filter(|(_, value)| !value.is_empty()) {
        println!("{label:<11} {value}");
    }
}
