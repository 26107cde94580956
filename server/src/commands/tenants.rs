use super::{print, print_json};
use crate::{
    Error,
    doctor::{self, DatabaseState},
    installation::{Access, Installation},
};
use clap::Subcommand;
use registry::{
    Registry, TenantId, runs,
    tenants::{self, Listed},
};
use serde::Serialize;

#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// List churches, the newest first
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
    /// Close a church's office for now: its people see a page that says so, and nothing is lost
    Suspend { id: String },
    /// Open a suspended church's office again
    Resume { id: String },
    /// Restore the role of a church: its settings, password, connection limit and rights
    Repair { id: String },
    /// Try a failed signup again
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
            print(&tenants::list(registry, status.as_deref(), limit).await?, json, &headings, |tenant| {
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
            let id = known(&id)?;
            let tenant = tenants::show(registry, &id).await.map_err(|error| unknown(id.as_str(), error))?;
            let database_state = doctor::database_state(&installation.into(), &id).await?;
            if json { print_json(&Shown { tenant, database_state }) } else { show(&tenant, database_state) }
        }
        Command::Suspend { id } => {
            if !tenants::suspend(registry, &known(&id)?).await.map_err(|error| unknown(&id, error))? {
                return Err(Error::Command(format!("{id} is not active: there is nothing to suspend")));
            }
            announce(registry, "suspended", &id).await;
            println!("{id} is suspended.");
        }
        Command::Resume { id } => {
            if !tenants::resume(registry, &known(&id)?).await.map_err(|error| unknown(&id, error))? {
                return Err(Error::Command(format!("{id} is not suspended: there is nothing to resume")));
            }
            announce(registry, "resumed", &id).await;
            println!("{id} is active again.");
        }
        Command::Repair { id } => {
            let tenant = known(&id)?;
            tenants::show(registry, &tenant).await.map_err(|error| unknown(&id, error))?;
            let repaired = installation.repairs.repair(&tenant).await;
            repaired.map_err(|failure| Error::Command(format!("{} ({})", failure.reason, failure.cause)))?;
            println!("The role of {id} is as it should be.");
        }
        Command::Retry { id } => retry(registry, &id).await?,
    }
    Ok(())
}

async fn retry(registry: &Registry, id: &str) -> Result<(), Error> {
    let tenant = tenants::show(registry, &known(id)?).await.map_err(|error| unknown(id, error))?;
    match tenant.run {
        Some(run) if run.status == "failed" => runs::retry(registry, run.id).await?,
        _ => {
            return Err(Error::Command(format!(
                "the signup of {id} has not failed: there is nothing to retry"
            )));
        }
    }
    announce(registry, "retried", id).await;
    println!("{id} is tried again.");
    Ok(())
}

/// Notes in the logs what was done to a church, and which account of this machine did it.
async fn announce(registry: &Registry, did: &str, id: &str) {
    let account = ["SUDO_USER", "USER", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok());
    let by = account.filter(|name| !name.is_empty()).unwrap_or_else(|| "unknown account".to_owned());
    if let Err(error) = registry::changes::announce_command(registry, did, id, &by).await {
        tracing::warn!(error = %registry::chain(&error), "other processes could not be told of the command");
    }
}

fn known(id: &str) -> Result<TenantId, Error> {
    id.parse().map_err(|error| unknown(id, error))
}

fn unknown(id: &str, error: registry::Error) -> Error {
    match error {
        registry::Error::NotFound => {
            Error::Command(format!("{id} is no church here: vestry tenants list shows them"))
        }
        error => error.into(),
    }
}

/// What the registry says, and what is really there.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    #[serde(flatten)]
    tenant: Listed,
    database_state: DatabaseState,
}

fn show(tenant: &Listed, database_state: DatabaseState) {
    let mut lines = vec![
        ("id", tenant.id.clone()),
        ("name", tenant.name.clone()),
        ("status", tenant.status.clone()),
        ("isolation", tenant.isolation.clone()),
        ("server", tenant.server.clone().unwrap_or_else(|| "not placed".into())),
        ("region", tenant.region.clone().unwrap_or_default()),
        ("database", tenant.database_name.clone().unwrap_or_default()),
        ("schema", tenant.schema_name.clone().unwrap_or_default()),
        ("data", database_state.words().to_owned()),
        ("version", tenant.schema_version.map(|version| version.to_string()).unwrap_or_default()),
        ("since", tenant.created_at.format("%F %T UTC").to_string()),
        ("trial ends", tenant.trial_ends_at.format("%F %T UTC").to_string()),
    ];
    lines.extend(tenant.billing.map(|billing| ("billing", billing.name().to_owned())));
    if let Some(run) = &tenant.run {
        lines.push(("last run", format!("{} ({}), {} attempts", run.status, run.reference, run.attempts)));
        lines.extend(run.reason.clone().map(|reason| ("reason", reason)));
    }
    for (what, value) in lines.iter().filter(|(_, value)| !value.is_empty()) {
        println!("{what:<11} {value}");
    }
}
