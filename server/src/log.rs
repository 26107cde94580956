//! Logging to stderr, as text or JSON.

use crate::config::Log;
use std::{
    backtrace::{Backtrace, BacktraceStatus},
    io::IsTerminal,
    net::SocketAddr,
    panic::PanicHookInfo,
};
use tracing_subscriber::EnvFilter;

/// Default of `RUST_LOG`.
const DEFAULT: &str = "info";

/// Modules silenced unless `RUST_LOG` names them. PostgreSQL's notices are about `if exists`; tower-sessions logs session
/// contents at every level.
const QUIET: &str = "sqlx::postgres::notice=off,tower_sessions=off";

/// Initialises logging. Panics become events, so that they carry their request's span.
pub fn init(format: Log) {
    let directives = std::env::var("RUST_LOG").ok().filter(|text| !text.trim().is_empty());
    let (filter, error) = filter(directives.as_deref());
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none());
    match format {
        Log::Text => log.init(),
        Log::Json => log.json().flatten_event(true).with_span_list(false).init(),
    }
    std::panic::set_hook(Box::new(log_panic));
    if let Some(error) = error {
        tracing::warn!(error, "invalid RUST_LOG; using {DEFAULT}");
    }
}

/// Announces the URL of the pages, as a clickable line in text mode.
pub fn listening(format: Log, addr: SocketAddr) {
    match format {
        Log::Text => eprintln!("vestry: open http://{addr}"),
        Log::Json => tracing::info!(url = format!("http://{addr}"), "listening"),
    }
}

/// Reports the error that ends the process.
pub fn fatal(format: Log, error: &crate::Error) {
    match format {
        Log::Text => eprintln!("vestry: {error}"),
        Log::Json => tracing::error!(%error, "vestry failed"),
    }
}

fn filter(directives: Option<&str>) -> (EnvFilter, Option<String>) {
    // The last directive for a module wins.
    let with = |text: &str| EnvFilter::try_new(format!("{QUIET},{text}"));
    match with(directives.unwrap_or(DEFAULT)) {
        Ok(filter) => (filter, None),
        Err(error) => (EnvFilter::new(format!("{QUIET},{DEFAULT}")), Some(error.to_string())),
    }
}

pub(crate) fn log_panic(panic: &PanicHookInfo<'_>) {
    let location = panic.location().map(ToString::to_string).unwrap_or_default();
    let message = match panic.payload().downcast_ref::<&'static str>() {
        Some(literal) => literal,
        None => panic.payload_as_str().map(without_values).unwrap_or_default(),
    };
    let backtrace = Backtrace::capture();
    match backtrace.status() {
        BacktraceStatus::Captured => tracing::error!(location, %backtrace, "panicked: {message}"),
        _ => tracing::error!(location, "panicked: {message}"),
    }
}

/// Cuts values off a formatted message, which may quote user input: `byte index 2 is not a char boundary; it is inside
/// 'ß'`.
fn without_values(message: &str) -> &str {
    message.split([':', ';', '`', '"', '\'', '\n']).next().unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_typed_is_left_out_of_a_panic() {
        let typed = "Straße".to_owned();
        let sliced = std::panic::catch_unwind(|| typed[..5].len());
        let message = sliced.expect_err("no boundary of a letter").downcast::<String>().expect("formatted");
        assert!(message.contains("Stra"), "{message}");
        assert!(!without_values(&message).contains("Stra"), "{}", without_values(&message));
        assert_eq!(without_values("index out of bounds: the len is 3"), "index out of bounds");
    }

    #[test]
    fn the_default_is_what_the_readme_says() {
        let (unset, _) = filter(None);
        let (info, error) = filter(Some("info"));
        assert_eq!(unset.to_string(), info.to_string());
        assert_eq!(error, None);
        assert!(filter(Some("info,=")).1.is_some(), "what cannot be read is said");
    }
}
