use super::print;
use crate::{Error, installation::Installation, sensitive::Sensitive};
use clap::Subcommand;
use registry::servers::{self, NewServer};
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use std::time::Duration;

#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Add a database server on which churches may be placed, or change one of that name
    Add {
        /// What it is called here
        name: String,
        /// postgres://role:password@host/postgres; the role must be allowed to create databases and roles
        #[arg(long, env = "VESTRY_SERVER_URL", hide_env_values = true)]
        url: Sensitive,
        /// Where it stands; a church that signs up may choose among the regions
        #[arg(long, default_value = "local")]
        region: String,
        /// How many churches it takes
        #[arg(long, default_value_t = 5000, value_parser = clap::value_parser!(i32).range(1..))]
        max_tenants: i32,
    },
    /// List the database servers
    List {
        #[arg(long)]
        json: bool,
    },
    /// Place no more churches on a server; those that live there stay
    Drain { name: String },
}

pub async fn run(command: Command, installation: &Installation) -> Result<(), Error> {
    let registry = &installation.registry;
    match command {
        Command::Add { name, url, region, max_tenants } => {
            if name == servers::PRIMARY {
                return Err(Error::Command(format!(
                    "{name} is the server of the registry: it is known already"
                )));
            }
            let options = administrator(&url).await?;
            let host =
                options.get_socket().map_or(options.get_host().to_owned(), |s| s.display().to_string());
            let new = NewServer {
                name: &name,
                region: &region,
                host: &host,
                port: options.get_port(),
                max_tenants,
                administrator: &installation.secret.seal(&name, url.as_bytes()),
            };
            servers::add(registry, new).await?;
            println!("{name} takes churches now, in the region {region}.");
        }
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
        Command::Drain { name } => match servers::drain(registry, &name).await {
            Err(registry::Error::NotFound) => {
                return Err(Error::Command(format!(
                    "{name} is no server here: vestry servers list shows them"
                )));
            }
            drained => {
                drained?;
                println!("{name} takes no more churches.");
            }
        },
    }
    Ok(())
}

/// The way in, if it leads to somebody who may do what is needed.
async fn administrator(url: &str) -> Result<PgConnectOptions, Error> {
    let options: PgConnectOptions = url.parse().map_err(|_| {
        Error::Command("this is no address: it looks like postgres://role:password@host/postgres".into())
    })?;
    let asked = async {
        let mut connection = PgConnection::connect_with(&options).await?;
        sqlx::query_scalar(
            "select rolsuper or (rolcreatedb and rolcreaterole) from pg_roles where rolname = current_user",
        )
        .fetch_one(&mut connection)
        .await
    };
    match tokio::time::timeout(Duration::from_secs(10), asked).await {
        Ok(Ok(true)) => Ok(options),
        Ok(Ok(false)) => Err(Error::Command(
            "this role may not create databases and roles: alter role … createdb createrole".into(),
        )),
        Ok(Err(error)) => Err(Error::Command(format!("the server cannot be entered ({error})"))),
        Err(_) => Err(Error::Command("the server does not answer".into())),
    }
}
