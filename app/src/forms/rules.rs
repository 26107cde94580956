//! The rules that need no database; the same code runs in the browser and on the server.

use email_address::{EmailAddress, Options};
use std::str::FromStr;

type Said = Result<(), String>;

/// A text that must be there, of at most `max` characters.
pub fn required(text: &str, what: &str, max: usize) -> Said {
    if line(text).is_none() {
        return Err(format!("Enter {what}."));
    }
    optional(text, max)
}

/// A text that may be missing, of at most `max` characters.
pub fn optional(text: &str, max: usize) -> Said {
    match text.trim().chars().count() {
        length if length > max => Err(format!("Use at most {max} characters; this has {length}.")),
        _ => Ok(()),
    }
}

pub fn email(text: &str) -> Said {
    let text = text.trim();
    optional(text, 254)?;
    if text.is_empty() {
        return Ok(());
    }
    if !text.contains('@') {
        return Err("An email address has an @, like name@example.org.".into());
    }
    let options = Options::default().without_display_text().without_domain_literal().with_required_tld();
    EmailAddress::parse_with_options(text, options)
        .map(drop)
        .map_err(|_| "This is not an email address. It looks like name@example.org.".into())
}

/// A telephone number as people write it. Whether it exists in its country is known on the server.
pub fn phone(text: &str) -> Said {
    let text = text.trim();
    if text.is_empty() {
        return Ok(());
    }
    if text.chars().any(|c| !c.is_ascii_digit() && !"+-./() ".contains(c)) {
        return Err("Use digits and spaces only, with + in front of a country's code.".into());
    }
    match text.chars().filter(char::is_ascii_digit).count() {
        0..6 => Err("This number is too short.".into()),
        6..16 => Ok(()),
        _ => Err("This number is too long.".into()),
    }
}

/// A day as a date field sends it, `2026-11-21`, or nothing.
pub fn date(text: &str) -> Said {
    let text = text.trim();
    if text.is_empty() {
        return Ok(());
    }
    let parts: Vec<_> = text.split('-').map(u32::from_str).collect();
    match parts.as_slice() {
        [Ok(year), Ok(month), Ok(day)] if text.len() == 10 => {
            if !(1850..=2200).contains(year) {
                return Err("Use a year between 1850 and 2200.".into());
            }
            if !(1..=12).contains(month) || !(1..=days_in(*year, *month)).contains(day) {
                return Err("There is no such day in the calendar.".into());
            }
            Ok(())
        }
        _ => Err("Write the date as year-month-day, like 2026-11-21.".into()),
    }
}

pub fn days_in(year: u32, month: u32) -> u32 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// A number between two others, or nothing.
pub fn number(text: &str, from: i32, to: i32) -> Said {
    let text = text.trim();
    match text.parse::<i32>() {
        _ if text.is_empty() => Ok(()),
        Ok(number) if (from..=to).contains(&number) => Ok(()),
        _ => Err(format!("Enter a number from {from} to {to}.")),
    }
}

pub fn website(text: &str) -> Said {
    let text = text.trim();
    optional(text, 300)?;
    if text.is_empty() {
        return Ok(());
    }
    let address = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or(text);
    let host = address.split(['/', '?', '#']).next().unwrap_or_default();
    let plain = host.chars().all(|c| c.is_alphanumeric() || ".-:".contains(c));
    let dotted = host.contains('.') && !host.starts_with('.') && !host.ends_with('.');
    if !plain || !dotted || text.contains(char::is_whitespace) {
        return Err("This is not a web address. It looks like www.example.org.".into());
    }
    Ok(())
}

/// One of a short list; what a browser offers nobody else can make up.
pub fn one_of(text: &str, what: &str, choices: &[&str]) -> Said {
    match choices.contains(&text) {
        true => Ok(()),
        false => Err(format!("Choose {what}.")),
    }
}

pub const PASSWORD_MIN: usize = 10;
pub const PASSWORD_MAX: usize = 200;

pub const GUESSABLE: &str = "This password is easy to guess. A few unrelated words make a good one.";

/// Long enough, and not what everybody would try first. No rule about kinds of characters.
pub fn password(password: &str, email: &str) -> Said {
    let length = password.chars().count();
    if password.is_empty() {
        return Err("Choose a password.".into());
    }
    if length < PASSWORD_MIN {
        return Err(format!(
            "Use at least {PASSWORD_MIN} characters; this has {length}. A few words are easy to remember."
        ));
    }
    if length > PASSWORD_MAX {
        return Err(format!("Use at most {PASSWORD_MAX} characters."));
    }
    if strength(password, email) == Strength::Weak {
        return Err(GUESSABLE.into());
    }
    Ok(())
}

/// How hard a password is to guess; a hint, not a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strength {
    Empty,
    Weak,
    Fair,
    Good,
    Strong,
}

impl Strength {
    pub fn words(self) -> &'static str {
        match self {
            Self::Empty => "At least 10 characters. A few words are easy to remember.",
            Self::Weak => "Weak: easy to guess.",
            Self::Fair => "Fair. Another word would make it good.",
            Self::Good => "Good.",
            Self::Strong => "Strong.",
        }
    }
}

pub fn strength(password: &str, email: &str) -> Strength {
    /// What people choose when they must choose ten characters.
    const COMMON: [&str; 12] = [
        "password",
        "passwort",
        "1234567890",
        "0123456789",
        "qwertyuiop",
        "iloveyou",
        "welcome",
        "letmein",
        "jesuschrist",
        "abcdefghij",
        "administrator",
        "hallelujah",
    ];
    if password.is_empty() {
        return Strength::Empty;
    }
    let lower = password.to_lowercase();
    let length = lower.chars().count();
    let mut letters: Vec<char> = lower.chars().collect();
    letters.sort_unstable();
    letters.dedup();
    let name = email.split('@').next().unwrap_or_default().to_lowercase();
    let mine = name.len() > 3 && lower.contains(&name);
    // What is left when the guessable part is taken out.
    let rest = COMMON.iter().fold(lower, |rest, common| rest.replace(common, ""));
    if length < PASSWORD_MIN || letters.len() < 5 || rest.chars().count() < 5 || (mine && length < 20) {
        return Strength::Weak;
    }
    match (length, letters.len()) {
        (20.., 10..) => Strength::Strong,
        (14.., 8..) => Strength::Good,
        _ => Strength::Fair,
    }
}

/// A text on one line: trimmed, without control characters, white space folded. Empty is `None`.
pub fn line(text: &str) -> Option<String> {
    let words: Vec<String> = text
        .split_whitespace()
        .map(|word| word.chars().filter(|c| !c.is_control()).collect::<String>())
        .filter(|word| !word.is_empty())
        .collect();
    (!words.is_empty()).then(|| words.join(" "))
}

/// A text of several lines: trimmed, line ends made one kind. Empty is `None`.
pub fn lines(text: &str) -> Option<String> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let text: String = text.chars().filter(|c| !c.is_control() || "\n\t".contains(*c)).collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emails() {
        for good in ["ruth@example.org", " o'neil+x@sub.example.co.ke ", "müller@exämple.de", ""] {
            assert_eq!(email(good), Ok(()), "{good}");
        }
        for bad in [
            "ruth",
            "ruth@",
            "@example.org",
            "a b@example.org",
            "ruth@example",
            "<ruth@example.org>",
            "a@b@c.org",
        ] {
            assert!(email(bad).is_err(), "{bad}");
        }
        assert!(email(&format!("{}@example.org", "a".repeat(250))).is_err());
    }

    #[test]
    fn dates() {
        for good in ["", "2024-02-29", "1900-01-31"] {
            assert_eq!(date(good), Ok(()), "{good}");
        }
        for bad in
            ["2023-02-29", "1900-02-29", "2026-13-01", "2026-1-1", "0001-01-01", "01.02.2026", "2026-11-21'"]
        {
            assert!(date(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn passwords() {
        assert!(password("short", "").is_err());
        assert!(password("aaaaaaaaaaaaaaa", "").is_err());
        assert!(password("password1234", "").is_err());
        assert!(password("ruth.okafor1", "ruth.okafor@example.org").is_err());
        assert_eq!(password("river candle mango", "ruth@example.org"), Ok(()));
        assert!(password(&"long words ".repeat(40), "").is_err());
    }

    #[test]
    fn websites() {
        for good in ["www.example.org", "https://example.org/visit?x=1", "exämple.de", ""] {
            assert_eq!(website(good), Ok(()), "{good}");
        }
        for bad in ["example", "javascript:alert(1)", "https://", "a b.org", ".org", "http://ex<ample.org"] {
            assert!(website(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn texts_are_cleaned() {
        assert_eq!(line("  Grace \t Chapel\u{0}\n"), Some("Grace Chapel".into()));
        assert_eq!(line(" \u{0} "), None);
        assert_eq!(lines("\r\none\r\ntwo\u{7}\r\n"), Some("one\ntwo".into()));
    }
}
