//! Reads the command line and the environment. A blank setting counts as unset.

use super::{Cli, env_file};
use crate::Error;
use clap::{Command, CommandFactory, FromArgMatches};
use std::ffi::{OsStr, OsString};

/// Parses the configuration, or exits with usage. Call it first in `main`: it changes the environment, which is sound
/// only while no other thread runs.
pub fn parse() -> Result<Cli, Error> {
    // Once before `.env` is read, so that a blank variable leaves room for its value there, and once after.
    unset_blank_variables();
    env_file::load()?;
    unset_blank_variables();
    let command = Cli::command();
    let arguments = without_blank_options(&command, std::env::args_os());
    let matches = command.get_matches_from(arguments);
    Ok(Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit()))
}

#[allow(unsafe_code)]
fn unset_blank_variables() {
    let blank: Vec<_> = std::env::vars_os().filter(|(_, value)| is_blank(value)).collect();
    for (name, _) in blank {
        // SAFETY: the process has one thread, so nothing reads the environment now.
        unsafe { std::env::remove_var(name) };
    }
}

fn is_blank(value: &OsStr) -> bool {
    value.to_str().is_some_and(|value| value.trim().is_empty())
}

/// Drops `--option=` and `--option ''`, for every option that takes a value.
fn without_blank_options(command: &Command, arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut options = Vec::new();
    value_options(command, &mut options);
    let takes_value =
        |option: &str| options.iter().any(|name| Some(name.as_str()) == option.strip_prefix("--"));
    let mut kept: Vec<OsString> = Vec::new();
    for argument in arguments {
        let option = kept.last().and_then(|last| last.to_str());
        if is_blank(&argument) && option.is_some_and(takes_value) {
            kept.pop();
            continue;
        }
        let inline = argument.to_str().and_then(|text| text.split_once('='));
        if inline.is_some_and(|(option, value)| value.trim().is_empty() && takes_value(option)) {
            continue;
        }
        kept.push(argument);
    }
    kept
}

fn value_options(command: &Command, found: &mut Vec<String>) {
    let options = command.get_arguments().filter(|argument| argument.get_action().takes_values());
    found.extend(options.filter_map(|argument| argument.get_long().map(str::to_owned)));
    command.get_subcommands().for_each(|inner| value_options(inner, found));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_options_are_dropped_and_everything_else_stays() {
        let cases: [(&[&str], &[&str]); 5] = [
            (&["vestry", "--operator-token", "", "work"], &["vestry", "work"]),
            (&["vestry", "--operator-token= ", "--log", "json"], &["vestry", "--log", "json"]),
            (&["vestry", "servers", "add", "north", "--url", " "], &["vestry", "servers", "add", "north"]),
            (&["vestry", "tenants", "show", "", "--json"], &["vestry", "tenants", "show", "", "--json"]),
            (&["vestry", "tenants", "list", "--json", ""], &["vestry", "tenants", "list", "--json", ""]),
        ];
        for (given, expected) in cases {
            let kept = without_blank_options(&Cli::command(), given.iter().map(OsString::from));
            assert_eq!(kept, expected, "{given:?}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let cli = Cli::try_parse_from([
            "vestry",
            "--registry-url=postgres://vestry:hunter2@db/registry",
            "--secret-key=hunter2hunter2hunter2hunter2hunter2",
            "--operator-token=hunter2hunter2hunter2",
            "--stripe-secret-key=sk_hunter2",
            "--s3-access-key-id=hunter2",
            "--s3-secret-access-key=hunter2",
            "servers",
            "add",
            "north",
            "--url=postgres://admin:hunter2@db/postgres",
        ])
        .expect("it parses");
        let shown = format!("{cli:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    use clap::Parser;
}
