use super::print;
use crate::{
    Error,
    installation::{Access, Installation, host_of},
    sensitive::Sensitive,
};
use clap::Subcommand;
use registry::{
    Registry,
    servers::{self, NewServer},
};
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use std::time::Duration;

#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Add a database server for churches, or update the one with this name
    Add {
        /// Name of the server
        name: String,
        /// postgres://role:password@host/postgres; the role must be allowed to create databases and roles
        #[arg(long, env = "VESTRY_SERVER_URL", hide_env_values = true)]
        url: Sensitive,
        /// Region; churches that sign up may choose one. Default for a new server: local
        #[arg(long)]
        region: Option<String>,
        /// Maximum number of churches. Default for a new server: 5000
        #[arg(long, value_parser = clap::value_parser!(i32).range(1..))]
        max_tenants: Option<i32>,
    },
    /// Change the address of a server that has moved. The registry's own server is named primary
    Set {
        name: String,
        /// postgres://role:password@host/postgres; reachable from every process
        #[arg(long, env = "VESTRY_SERVER_URL", hide_env_values = true)]
        url: Sensitive,
    },
    /// List the database servers
    List {
        #[arg(long)]
        json: bool,
    },
    /// Stop placing churches on a server; its churches stay
    Drain { name: String },
    /// Place churches on a drained server again
    #[command(alias = "undrain")]
    Open { name: String },
}

impl Command {
    pub fn access(&self) -> Access {
        match self {
            Self::List { .. } => Access::Read,
            Self::Add { .. } | Self::Set { .. } | Self::Drain { .. } | Self::Open { .. } => Access::Write,
        }
    }
}

pub async fn run(command: Command, installation: &Installation) -> Result<(), Error> {
    let registry = &installation.registry;
    match command {
        Command::Add { name, url, region, max_tenants } => {
            if name == servers::PRIMARY {
                return Err(Error::Command(format!(
                    "{name} is the registry's server and exists already; change its address with: vestry servers set {name}"
                )));
            }
            let options = check_administrator(&url).await?;
            let new = NewServer {
                name: &name,
                region: region.as_deref(),
                host: &host_of(&options),
                port: options.get_port(),
                max_tenants,
                sealed_admin_url: &installation.secret.seal(&name, url.as_bytes()),
            };
            let (region, open) = match servers::add(registry, new).await {
                Err(registry::Error::AddressTaken) => return Err(taken(registry, &options).await?),
                added => added?,
            };
            match open {
                true => println!("{name} is open for churches, in the region {region}."),
                false => {
                    println!("{name} is updated, but still drained; open it with: vestry servers open {name}")
                }
            }
        }
        Command::Set { name, url } => set(installation, &name, &url).await?,
        Command::List { json } => {
            let headings = ["NAME", "REGION", "STATE", "TENANTS", "ROOM FOR", "READY", "HOST"];
            print(&servers::list(registry).await?, json, &headings, |server| {
                let state = match server.unreachable_since {
                    Some(since) => {
                        format!("{}, unreachable since {}", server.state, since.format("%F %T UTC"))
                    }
                    None => server.state.clone(),
                };
                vec![
                    server.name.clone(),
                    server.region.clone(),
                    state,
                    server.tenants.to_string(),
                    server.max_tenants.to_string(),
                    server.ready_databases.to_string(),
                    format!("{}:{}", server.host, server.port),
                ]
            });
        }
        Command::Drain { name } => {
            servers::drain(registry, &name).await.map_err(|error| unknown(&name, error))?;
            println!("{name} is drained: no new churches are placed on it.");
        }
        Command::Open { name } => {
            servers::open(registry, &name).await.map_err(|error| unknown(&name, error))?;
            println!("{name} is open for churches again.");
        }
    }
    Ok(())
}

async fn set(installation: &Installation, name: &str, url: &str) -> Result<(), Error> {
    let registry = &installation.registry;
    let options = check_administrator(url).await?;
    let (host, port) = (host_of(&options), options.get_port());
    let there = system_identifier(&options).await;
    if name == servers::PRIMARY {
        let here = servers::system_identifier(registry).await?;
        if here.zip(there).is_some_and(|(here, there)| here != there) {
            return Err(Error::Command(
                "this is not the PostgreSQL server of VESTRY_REGISTRY_URL: the primary server is the one that hosts \
                 the registry"
                    .into(),
            ));
        }
    } else if !servers::list(registry).await?.iter().any(|server| server.name == name) {
        return Err(unknown(name, registry::Error::NotFound));
    } else {
        let new = NewServer {
            name,
            region: None,
            host: &host,
            port,
            max_tenants: None,
            sealed_admin_url: &installation.secret.seal(name, url.as_bytes()),
        };
        match servers::add(registry, new).await {
            Err(registry::Error::AddressTaken) => return Err(taken(registry, &options).await?),
            added => drop(added?),
        }
    }
    match servers::set_address(registry, name, &host, port, there).await {
        Err(registry::Error::AddressTaken) => return Err(taken(registry, &options).await?),
        changed => changed.map_err(|error| unknown(name, error))?,
    }
    println!("{name} now has the address {host}:{port}.");
    Ok(())
}

async fn system_identifier(options: &PgConnectOptions) -> Option<i64> {
    let mut connection = PgConnection::connect_with(options).await.ok()?;
    let query = sqlx::query_scalar("select system_identifier from pg_control_system()");
    query.fetch_one(&mut connection).await.ok()?
}

fn unknown(name: &str, error: registry::Error) -> Error {
    match error {
        registry::Error::NotFound => {
            Error::Command(format!("no server is named {name}; see vestry servers list"))
        }
        error => error.into(),
    }
}

/// Two entries for one server would double its capacity.
async fn taken(registry: &Registry, options: &PgConnectOptions) -> Result<Error, Error> {
    let known = servers::at_address(registry, &host_of(options), options.get_port()).await?;
    let known = known.unwrap_or_else(|| "another server".into());
    Ok(Error::Command(format!("{known} already has this address")))
}

/// Parses the URL, and checks that the role may create databases and roles.
async fn check_administrator(url: &str) -> Result<PgConnectOptions, Error> {
    let options = tenant::connect_options(url).map_err(|_| {
        Error::Command("invalid URL: it must look like postgres://role:password@host/postgres".into())
    })?;
    let query = async {
        let mut connection = PgConnection::connect_with(&options).await?;
        sqlx::query_scalar(
            "select rolsuper or (rolcreatedb and rolcreaterole) from pg_roles where rolname = current_user",
        )
        .fetch_one(&mut connection)
        .await
    };
    match tokio::time::timeout(Duration::from_secs(10), query).await {
        Ok(Ok(true)) => Ok(options),
        Ok(Ok(false)) => Err(Error::Command(
            "this role may not create databases and roles: alter role … createdb createrole".into(),
        )),
        Ok(Err(error)) => Err(Error::Command(format!("cannot connect to the server ({error})"))),
        Err(_) => Err(Error::Command("the server does not respond".into())),
    }
}
