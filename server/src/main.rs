use server::{
    Error,
    cli::{self, settings},
    log,
};
use std::process::ExitCode;

fn main() -> ExitCode {
    // Before anything that could start a thread.
    let cli = match settings::parse() {
        Ok(cli) => cli,
        Err(error) => {
            eprintln!("vestry: {error}");
            return ExitCode::FAILURE;
        }
    };
    // Several crates use rustls; all of them with ring.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let format = cli.config.log;
    log::init(format);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let done = runtime.map_err(Error::Runtime).and_then(|runtime| runtime.block_on(cli::run(cli)));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::fatal(format, &error);
            ExitCode::FAILURE
        }
    }
}
