//! Countries, time zones and telephone numbers.
//!
//! `countries.tsv` and `zones.tsv` are the tables iso3166.tab and zone.tab of the IANA time zone
//! database (public domain), without their comments and coordinates, and with Kosovo: XK is not in ISO 3166, but is
//! what telephone companies, banks and the European Union use.

use crate::forms::rules::{line, numeric};
use chrono::{DateTime, NaiveDate, Offset, TimeZone, Utc};
use chrono_tz::Tz;
use leptos::prelude::*;
use phonenumber::Mode;
use std::{str::FromStr, sync::LazyLock};

/// ISO 3166 code and English name, by name.
pub static COUNTRIES: LazyLock<Vec<(&str, &str)>> = LazyLock::new(|| pairs(include_str!("countries.tsv")));

/// Country and IANA name of every time zone people live in, by name.
static ZONES: LazyLock<Vec<(&str, &str)>> = LazyLock::new(|| {
    pairs(include_str!("zones.tsv")).into_iter().filter(|(_, zone)| Tz::from_str(zone).is_ok()).collect()
});

fn pairs(table: &'static str) -> Vec<(&'static str, &'static str)> {
    table.lines().filter_map(|line| line.split_once('\t')).collect()
}

pub fn is_country(code: &str) -> bool {
    COUNTRIES.iter().any(|(known, _)| *known == code)
}

pub fn country_name(code: &str) -> &str {
    COUNTRIES.iter().find(|(known, _)| *known == code).map_or(code, |(_, name)| name)
}

pub fn is_timezone(name: &str) -> bool {
    Tz::from_str(name).is_ok()
}

/// Now, where the church is.
pub fn now_in(timezone: &str) -> DateTime<Tz> {
    local(Utc::now(), timezone)
}

/// The day it is where the church is.
pub fn today_in(timezone: &str) -> NaiveDate {
    now_in(timezone).date_naive()
}

/// A moment, as the clocks of the church show it.
pub fn local(at: DateTime<Utc>, timezone: &str) -> DateTime<Tz> {
    at.with_timezone(&Tz::from_str(timezone).unwrap_or(Tz::UTC))
}

/// The country that a browser's languages speak of, and a time zone there.
pub fn proposed(accept_language: &str) -> Option<(&'static str, &'static str)> {
    let regions =
        accept_language.split(',').filter_map(|tag| tag.split(';').next()?.trim().split('-').next_back());
    let code = regions.map(str::to_ascii_uppercase).find(|region| is_country(region))?;
    ZONES.iter().find(|(country, _)| *country == code).copied()
}

/// Country and time zone of a church that has said only some of it, or nothing.
pub fn settled(country: Option<&str>, timezone: Option<&str>, accept_language: &str) -> (String, String) {
    let of_country = |code| ZONES.iter().find(|(country, _)| *country == code).map(|(_, zone)| *zone);
    let of_zone = |name| ZONES.iter().find(|(_, zone)| *zone == name).map(|(country, _)| *country);
    let (country, timezone) = match (country, timezone) {
        (Some(country), Some(timezone)) => (country, timezone),
        (Some(country), None) => (country, of_country(country).unwrap_or("UTC")),
        (None, Some(timezone)) => (of_zone(timezone).unwrap_or("US"), timezone),
        (None, None) => proposed(accept_language).unwrap_or(("US", "UTC")),
    };
    (country.to_owned(), timezone.to_owned())
}

pub fn country_options(chosen: &str) -> AnyView {
    let options = COUNTRIES.iter().map(|(code, name)| {
        view! { <option value=*code selected=*code == chosen>{*name}</option> }
    });
    view! { <option value="" selected=chosen.is_empty()>"Choose…"</option>{options.collect_view()} }
        .into_any()
}

/// Time zones by continent, each with its country, so that the browser's own zone can propose both.
pub fn timezone_options(chosen: &str) -> AnyView {
    let now = Utc::now().naive_utc();
    let mut groups: Vec<(&str, Vec<AnyView>)> = Vec::new();
    let mut known = chosen.is_empty();
    let mut last = "";
    for (country, zone) in ZONES.iter().copied() {
        // Two countries may keep one zone; it is proposed once.
        if std::mem::replace(&mut last, zone) == zone {
            continue;
        }
        let Ok(tz) = Tz::from_str(zone) else { continue };
        let continent = zone.split('/').next().unwrap_or_default();
        known |= zone == chosen;
        let option = view! {
            <option value=zone data-country=country selected=zone == chosen>{words_of(zone, tz, now)}</option>
        };
        match groups.last_mut() {
            Some((name, options)) if *name == continent => options.push(option.into_any()),
            _ => groups.push((continent, vec![option.into_any()])),
        }
    }
    // One that is valid, and not among those proposed: an older name of a zone, or UTC.
    let other = (!known)
        .then(|| view! { <option value=chosen.to_owned() selected=true>{chosen.to_owned()}</option> });
    let groups =
        groups.into_iter().map(|(name, options)| view! { <optgroup label=name>{options}</optgroup> });
    view! { <option value="" selected=chosen.is_empty()>"Choose…"</option>{other}{groups.collect_view()} }
        .into_any()
}

/// "Nairobi (UTC+3)".
fn words_of(zone: &str, tz: Tz, now: chrono::NaiveDateTime) -> String {
    let minutes = tz.offset_from_utc_datetime(&now).fix().local_minus_utc() / 60;
    let city = zone.split_once('/').map_or(zone, |(_, city)| city).replace('_', " ").replace('/', ", ");
    let sign = if minutes < 0 { '−' } else { '+' };
    match (minutes.abs() / 60, minutes.abs() % 60) {
        (0, 0) => format!("{city} (UTC)"),
        (hours, 0) => format!("{city} (UTC{sign}{hours})"),
        (hours, rest) => format!("{city} (UTC{sign}{hours}:{rest:02})"),
    }
}

/// A number as typed by somebody in `country`, in E.164.
pub fn e164(typed: &str, country: &str) -> Result<String, String> {
    let home = phonenumber::country::Id::from_str(country).ok();
    let number = phonenumber::parse(home, numeric(typed)).ok().filter(phonenumber::is_valid);
    number.map(|number| number.format().mode(Mode::E164).to_string()).ok_or_else(|| {
        format!(
            "This is not a telephone number in {}. For one elsewhere, begin with + and the country's code.",
            country_name(country)
        )
    })
}

/// The number in a form, in E.164. `known` is what is stored already, which the form has shown as people in `shown_in`
/// read it: a number that was left alone stays, also when its country is changed beside it.
pub fn phone(
    typed: &str,
    country: &str,
    known: Option<&str>,
    shown_in: &str,
) -> Result<Option<String>, String> {
    let Some(typed) = line(&numeric(typed)) else { return Ok(None) };
    match known {
        Some(known) if typed == readable(known, shown_in) => Ok(Some(known.to_owned())),
        _ => e164(&typed, country).map(Some),
    }
}

/// A number as people in `country` read it.
pub fn readable(e164: &str, country: &str) -> String {
    let Ok(number) = phonenumber::parse(None, e164) else { return e164.to_owned() };
    let at_home = number.country().id().is_some_and(|id| id.as_ref() == country);
    let mode = if at_home { Mode::National } else { Mode::International };
    number.format().mode(mode).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_understood_where_they_are_typed() {
        assert_eq!(e164("0712 345 678", "KE").as_deref(), Ok("+254712345678"));
        assert_eq!(e164("+44 20 7946 0958", "KE").as_deref(), Ok("+442079460958"));
        assert!(e164("07 12 34", "KE").is_err());
        assert_eq!(e164("０７１２　３４５　６７８", "KE").as_deref(), Ok("+254712345678"));
        assert_eq!(e164("044 123 456", "XK").as_deref(), Ok("+38344123456"));
        assert_eq!(e164("+383 44 123 456", "KE").as_deref(), Ok("+38344123456"));
        assert_eq!(readable("+38344123456", "XK"), "044 123 456");
        assert_eq!(readable("+254712345678", "KE"), "0712 345678");
        assert_eq!(readable("+254712345678", "GB"), "+254 712 345678");
    }

    #[test]
    fn a_browser_speaks_of_its_country() {
        assert_eq!(proposed("en-KE,en;q=0.8"), Some(("KE", "Africa/Nairobi")));
        assert_eq!(proposed("sw,fr-FR;q=0.5"), Some(("FR", "Europe/Paris")));
        assert_eq!(proposed("*"), None);
    }
}
