//! `countries.tsv` is the table iso3166.tab of the IANA time zone database (public domain), without its comments and
//! with Kosovo: XK is not in ISO 3166, but is what telephone companies, banks and the European Union use.

use super::{pairs, zones::zone_of};
use std::sync::LazyLock;

/// ISO 3166 codes and English names, sorted by name.
pub static COUNTRIES: LazyLock<Vec<(&str, &str)>> = LazyLock::new(|| pairs(include_str!("countries.tsv")));

pub fn is_country(code: &str) -> bool {
    COUNTRIES.iter().any(|(known, _)| *known == code)
}

/// Returns the English name, or the code itself when it is unknown.
pub fn country_name(code: &str) -> &str {
    COUNTRIES.iter().find(|(known, _)| *known == code).map_or(code, |(_, name)| name)
}

/// Returns the first country in `Accept-Language`, and a time zone there.
pub fn proposed(accept_language: &str) -> Option<(&'static str, &'static str)> {
    let regions =
        accept_language.split(',').filter_map(|tag| tag.split(';').next()?.trim().split('-').next_back());
    let code = regions.map(str::to_ascii_uppercase).find(|region| is_country(region))?;
    zone_of(&code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_country_of_a_browser_is_proposed() {
        assert_eq!(proposed("en-KE,en;q=0.8"), Some(("KE", "Africa/Nairobi")));
        assert_eq!(proposed("sw,fr-FR;q=0.5"), Some(("FR", "Europe/Paris")));
        assert_eq!(proposed("*"), None);
    }
}
