//! `zones.tsv` is the table zone.tab of the IANA time zone database (public domain), without comments and coordinates.

use super::{countries::proposed, pairs};
use chrono::{DateTime, NaiveDate, NaiveDateTime, Offset, TimeZone, Utc};
use chrono_tz::Tz;
use std::{str::FromStr, sync::LazyLock};

/// Country code and IANA name of every time zone people live in, sorted by name.
static ZONES: LazyLock<Vec<(&str, &str)>> = LazyLock::new(|| {
    pairs(include_str!("zones.tsv")).into_iter().filter(|(_, zone)| Tz::from_str(zone).is_ok()).collect()
});

pub fn is_timezone(name: &str) -> bool {
    Tz::from_str(name).is_ok()
}

/// Returns the current time where the church is.
pub fn now_in(timezone: &str) -> DateTime<Tz> {
    local(Utc::now(), timezone)
}

/// Returns today's date where the church is.
pub fn today_in(timezone: &str) -> NaiveDate {
    now_in(timezone).date_naive()
}

/// Converts to the church's time; UTC when the zone is unknown.
pub fn local(at: DateTime<Utc>, timezone: &str) -> DateTime<Tz> {
    at.with_timezone(&Tz::from_str(timezone).unwrap_or(Tz::UTC))
}

/// Returns the country and its first time zone.
pub(super) fn zone_of(country: &str) -> Option<(&'static str, &'static str)> {
    ZONES.iter().find(|(known, _)| *known == country).copied()
}

/// Completes country and time zone of a church that gave only one of them, or none.
pub fn with_defaults(
    country: Option<&str>,
    timezone: Option<&str>,
    accept_language: &str,
) -> (String, String) {
    let country_of = |name| ZONES.iter().find(|(_, zone)| *zone == name).map(|(country, _)| *country);
    let (country, timezone) = match (country, timezone) {
        (Some(country), Some(timezone)) => (country, timezone),
        (Some(country), None) => (country, zone_of(country).map_or("UTC", |(_, zone)| zone)),
        (None, Some(timezone)) => (country_of(timezone).unwrap_or("US"), timezone),
        (None, None) => proposed(accept_language).unwrap_or(("US", "UTC")),
    };
    (country.to_owned(), timezone.to_owned())
}

/// A time zone as a choice.
pub struct Zone {
    pub name: &'static str,
    pub country: &'static str,
    /// "Nairobi (UTC+3)".
    pub label: String,
}

/// Returns the time zones by continent, each once.
pub fn continents() -> Vec<(&'static str, Vec<Zone>)> {
    let now = Utc::now().naive_utc();
    let mut continents: Vec<(&str, Vec<Zone>)> = Vec::new();
    let mut last = "";
    for (country, name) in ZONES.iter().copied() {
        // Several countries may share a zone.
        if std::mem::replace(&mut last, name) == name {
            continue;
        }
        let Ok(tz) = Tz::from_str(name) else { continue };
        let continent = name.split('/').next().unwrap_or_default();
        let zone = Zone { name, country, label: label(name, tz, now) };
        match continents.last_mut() {
            Some((known, zones)) if *known == continent => zones.push(zone),
            _ => continents.push((continent, vec![zone])),
        }
    }
    continents
}

fn label(zone: &str, tz: Tz, now: NaiveDateTime) -> String {
    let minutes = tz.offset_from_utc_datetime(&now).fix().local_minus_utc() / 60;
    let city = zone.split_once('/').map_or(zone, |(_, city)| city).replace('_', " ").replace('/', ", ");
    let sign = if minutes < 0 { '−' } else { '+' };
    match (minutes.abs() / 60, minutes.abs() % 60) {
        (0, 0) => format!("{city} (UTC)"),
        (hours, 0) => format!("{city} (UTC{sign}{hours})"),
        (hours, rest) => format!("{city} (UTC{sign}{hours}:{rest:02})"),
    }
}
