use server::{
    commands::{admins, healthcheck, keys, servers, tenants},
    config::Command,
    installation::Installation,
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
                Some(Command::Tenants(command)) => {
                    let installation = Installation::open(&config).await?;
                    let done = tenants::run(command, &installation).await;
                    installation.close().await;
                    done
                }
                Some(Command::Admins(command)) => {
                    let installation = Installation::open(&config).await?;
                    let done = admins::run(command, &installation).await;
                    installation.close().await;
                    done
                }
                Some(Command::Keys(command)) => {
                    let installation = Installation::open(&config).await?;
                    let done = keys::run(command, &installation).await;
                    installation.close().await;
                    done
                }
                Some(Command::Servers(command)) => {
                    let installation = Installation::open(&config).await?;
                    let done = servers::run(command, &installation).await;
                    installation.close().await;
                    done
                }
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
