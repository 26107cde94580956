//! Countries, time zones and phone numbers.

mod countries;
mod phones;
mod zones;

pub use countries::{COUNTRIES, country_name, is_country, proposed};
pub use phones::{e164, readable};
pub use zones::{Zone, continents, is_timezone, local, now_in, today_in, with_defaults};

/// Parses the lines of a table, each two columns.
fn pairs(table: &'static str) -> Vec<(&'static str, &'static str)> {
    table.lines().filter_map(|line| line.split_once('\t')).collect()
}
