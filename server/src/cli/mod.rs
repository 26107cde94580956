//! The command line. Commands print tables for people, `--json` for programs.

/// Replaces std's macro, which panics when the reader closes the pipe, as in `vestry tenants list | head`.
macro_rules! println {
    ($($what:tt)*) => {{
        use ::std::io::Write;
        let _ = ::std::writeln!(::std::io::stdout(), $($what)*);
    }};
}

mod admins;
mod doctor;
mod env_file;
mod healthcheck;
mod keys;
mod servers;
pub mod settings;
mod tenants;

use crate::{
    Error,
    config::Config,
    installation::{Access, Installation},
    serve,
};
use clap::{Parser, Subcommand};
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

/// The office that churches run on: every church has its own database.
#[derive(Clone, Debug, Parser)]
#[command(name = "vestry", version)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,

    #[command(flatten)]
    pub config: Config,
}

#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Serve pages and the API, and provision churches (the default)
    Serve,
    /// Provision churches only, beside serving processes
    Work,
    /// Exit with 0 if the server on VESTRY_ADDR is healthy, for container engines
    Healthcheck,
    /// Migrate the registry to this release, as `serve` and `work` do at startup
    Migrate,
    /// Compare the registry with the database servers, and report mismatches with advice
    Doctor(doctor::Options),
    /// Manage the churches of this installation
    #[command(subcommand)]
    Tenants(tenants::Command),
    /// Manage the people who sign in to churches
    #[command(subcommand)]
    Admins(admins::Command),
    /// Manage the signing keys of the API's access tokens
    #[command(subcommand)]
    Keys(keys::Command),
    /// Manage the database servers
    #[command(subcommand)]
    Servers(servers::Command),
}

/// Runs a command to its end.
pub async fn run(Cli { command, config }: Cli) -> Result<(), Error> {
    match command {
        None | Some(Command::Serve) => serve::serve(config).await,
        Some(Command::Work) => serve::work(config).await,
        Some(Command::Healthcheck) => healthcheck::run(config.addr),
        Some(Command::Migrate) => migrate(&config).await,
        Some(Command::Doctor(options)) => {
            let installation = Installation::open(&config, Access::Read).await?;
            let done = doctor::run(options, config.connection_budget, &installation).await;
            installation.close().await;
            done
        }
        Some(Command::Tenants(command)) => {
            let installation = Installation::open(&config, command.access()).await?;
            let done = tenants::run(command, &installation).await;
            installation.close().await;
            done
        }
        Some(Command::Admins(command)) => {
            let installation = Installation::open(&config, Access::Write).await?;
            let done = admins::run(command, &installation).await;
            installation.close().await;
            done
        }
        Some(Command::Keys(command)) => {
            let installation = Installation::open(&config, Access::Write).await?;
            let done = keys::run(command, &installation).await;
            installation.close().await;
            done
        }
        Some(Command::Servers(command)) => {
            let installation = Installation::open(&config, command.access()).await?;
            let done = servers::run(command, &installation).await;
            installation.close().await;
            done
        }
    }
}

async fn migrate(config: &Config) -> Result<(), Error> {
    let versions = Installation::migrate(config).await?;
    match (versions.first(), versions.last()) {
        (Some(first), Some(last)) if first == last => {
            println!("migrated the registry to version {last:04}.")
        }
        (Some(first), Some(last)) => println!("migrated the registry from {first:04} to {last:04}."),
        _ => println!("the registry is up to date."),
    }
    Ok(())
}

/// Prints a table, or JSON.
fn print<T: Serialize>(items: &[T], json: bool, headings: &[&str], row: impl Fn(&T) -> Vec<String>) {
    if json {
        return print_json(items);
    }
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(headings)
        .add_rows(items.iter().map(row));
    println!("{table}");
}

fn print_json<T: Serialize + ?Sized>(value: &T) {
    println!("{}", serde_json::to_string_pretty(value).expect("serialises to JSON"));
}
