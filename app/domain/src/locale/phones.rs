//! Phone numbers, by the tables of libphonenumber.

use super::countries::country_name;
use crate::rules::numeric;
use phonenumber::{Mode, country::Id};
use std::str::FromStr;

/// Parses a number as typed by somebody in `country` (ISO 3166), into E.164.
pub fn e164(typed: &str, country: &str) -> Result<String, String> {
    let home = Id::from_str(country).ok();
    let number = phonenumber::parse(home, numeric(typed)).ok().filter(phonenumber::is_valid);
    number.map(|number| number.format().mode(Mode::E164).to_string()).ok_or_else(|| {
        format!(
            "This is not a phone number in {}. For another country, begin with + and its country code.",
            country_name(country)
        )
    })
}

/// Formats a number as people in `country` read it.
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
}
