use server::{
    Error,
    commands::{admins, doctor, healthcheck, keys, servers, tenants},
    config::{Command, Config},
    installation::{Access, Installation},
    log, serve, settings,
};
use std::process::ExitCode;

fn main() -> ExitCode {
    // Before anything that could start a thread.
    let config = match settings::parse() {
        Ok(config) => config,
        Err(error) => {
            eprintln!("vestry: {error}");
            return ExitCode::FAILURE;
        }
    };
    // Several crates speak TLS; all of them by ring.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let format = config.log;
    log::init(format);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let done = runtime.map_err(server::Error::Runtime).and_then(|runtime| {
        runtime.block_on(async {
            match config.command.clone() {
                None | Some(Command::Serve) => serve::serve(config).await,
                Some(Command::Work) => serve::work(config).await,
                Some(Command::Healthcheck) => healthcheck::run(config.addr),
                Some(Command::Migrate) => migrate(&config).await,
                Some(command) => run(command, &config).await,
            }
        })
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::fatal(format, &error);
            ExitCode::FAILURE
        }
    }
}

/// An operator's command on an installation.
async fn run(command: Command, config: &Config) -> Result<(), Error> {
    let access = match &command {
        Command::Tenants(command) => command.access(),
        Command::Admins(_) | Command::Keys(_) => Access::Write,
        Command::Servers(command) => command.access(),
        Command::Doctor(_) | Command::Healthcheck | Command::Serve | Command::Work | Command::Migrate => {
            Access::Read
        }
    };
    let installation = Installation::open_for(config, access).await?;
    let done = match command {
        Command::Tenants(command) => tenants::run(command, &installation).await,
        Command::Admins(command) => admins::run(command, &installation).await,
        Command::Keys(command) => keys::run(command, &installation).await,
        Command::Servers(command) => servers::run(command, &installation).await,
        Command::Doctor(options) => doctor::run(options, &installation).await,
        Command::Healthcheck | Command::Serve | Command::Work | Command::Migrate => Ok(()),
    };
    installation.close().await;
    done
}

async fn migrate(config: &Config) -> Result<(), Error> {
    let versions = Installation::migrate(config).await?;
    match (versions.first(), versions.last()) {
        (Some(first), Some(last)) if first == last => {
            println!("the registry is brought to version {last:04}.")
        }
        (Some(first), Some(last)) => println!("the registry is brought from {first:04} to {last:04}."),
        _ => println!("the registry is up to date."),
    }
    Ok(())
}
