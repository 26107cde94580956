//! What an operator does from the command line. Tables for people, `--json` for programs.

/// Whoever has read enough closes the pipe: `vestry tenants list | head` is no reason to panic.
macro_rules! println {
    ($($what:tt)*) => {{
        use ::std::io::Write;
        let _ = ::std::writeln!(::std::io::stdout(), $($what)*);
    }};
}

pub mod admins;
pub mod doctor;
pub mod healthcheck;
pub mod keys;
pub mod servers;
pub mod tenants;

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

/// Prints rows under their headings, or the same as JSON.
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
    println!("{}", serde_json::to_string_pretty(value).expect("what is listed is JSON"));
}
