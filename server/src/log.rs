//! How the log is written: to standard error, for people or as JSON for programs.

use crate::config::Log;
use std::{
    backtrace::{Backtrace, BacktraceStatus},
    fmt,
    io::IsTerminal,
    net::SocketAddr,
    panic::PanicHookInfo,
};
use tracing::{
    field::{Field, Visit},
    span::Record,
};
use tracing_subscriber::{
    EnvFilter,
    field::RecordFields,
    fmt::{
        FormatFields, FormattedFields,
        format::{DefaultFields, Writer},
    },
};

/// What `RUST_LOG` is when it is not set.
const DEFAULT: &str = "info";

/// Holds whatever `RUST_LOG` says, unless it names these modules. PostgreSQL's notices are about `if exists`;
/// tower-sessions says at every level what a session holds.
const QUIET: &str = "sqlx::postgres::notice=off,tower_sessions=off";

/// Begins to log: events, and panics as events, so that each carries the request it happened in.
pub fn init(format: Log) {
    let asked = std::env::var("RUST_LOG").ok().filter(|asked| !asked.trim().is_empty());
    let (filter, error) = filter(asked.as_deref());
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none());
    match format {
        Log::Text => log.fmt_fields(SpanFields::default()).init(),
        Log::Json => log.json().flatten_event(true).with_span_list(false).init(),
    }
    std::panic::set_hook(Box::new(log_panic));
    if let Some(error) = error {
        tracing::warn!(error, "RUST_LOG cannot be read: {DEFAULT} is logged");
    }
}

/// Formats the fields of a span, each value once: several places of a request record the same tenant.
#[derive(Default)]
struct SpanFields(DefaultFields);

impl<'writer> FormatFields<'writer> for SpanFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        self.0.format_fields(writer, fields)
    }

    fn add_fields(&self, current: &'writer mut FormattedFields<Self>, fields: &Record<'_>) -> fmt::Result {
        let mut recorded = Recorded { text: &current.fields, is_new: false };
        fields.record(&mut recorded);
        if !recorded.is_new {
            return Ok(());
        }
        if !current.fields.is_empty() {
            current.fields.push(' ');
        }
        self.format_fields(current.as_writer(), fields)
    }
}

struct Recorded<'a> {
    text: &'a str,
    is_new: bool,
}

impl Visit for Recorded<'_> {
    fn record_debug(&mut self, _: &Field, value: &dyn fmt::Debug) {
        self.is_new |= !self.text.contains(&format!("{value:?}"));
    }
}

/// Says where the pages are: a plain line for people, who may click on it.
pub fn listening(format: Log, addr: SocketAddr) {
    match format {
        Log::Text => eprintln!("vestry: open http://{addr}"),
        Log::Json => tracing::info!(url = format!("http://{addr}"), "listening"),
    }
}

/// Says why the process ends.
pub fn fatal(format: Log, error: &crate::Error) {
    match format {
        Log::Text => eprintln!("vestry: {error}"),
        Log::Json => tracing::error!(%error, "vestry ends"),
    }
}

fn filter(asked: Option<&str>) -> (EnvFilter, Option<String>) {
    // Of two directives for one module the last one counts.
    let with = |asked: &str| EnvFilter::try_new(format!("{QUIET},{asked}"));
    match with(asked.unwrap_or(DEFAULT)) {
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

/// A formatted message may quote what people have typed: `byte index 2 is not a char boundary; it is inside 'ß'`.
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
