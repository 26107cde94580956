//! The rules that need no database; the same code runs in the browser and on the server.

use crate::errors::ValidationResult;
use chrono::{Datelike, NaiveDate};
use email_address::{EmailAddress, Options};
use std::str::FromStr;

/// Rejects a text that is empty or longer than `max` characters.
pub fn required(text: &str, what: &str, max: usize) -> ValidationResult {
    if line(text).is_none() {
        return Err(format!("Enter {what}."));
    }
    optional(text, max)
}

/// Rejects a text longer than `max` characters.
pub fn optional(text: &str, max: usize) -> ValidationResult {
    at_most(line(text), max)
}

/// Rejects a text of several lines longer than `max` characters.
pub fn optional_lines(text: &str, max: usize) -> ValidationResult {
    at_most(lines(text), max)
}

/// Counts what will be stored, not what was typed: NFC can be longer or shorter than what it is made from.
fn at_most(text: Option<String>, max: usize) -> ValidationResult {
    match text.map_or(0, |text| text.chars().count()) {
        length if length > max => Err(format!("Use at most {max} characters; this has {length}.")),
        _ => Ok(()),
    }
}

const NOT_AN_EMAIL: &str = "Enter an email address like name@example.org.";
pub const NO_SUCH_DATE: &str = "Enter a real date.";

/// Rejects what is no email address; empty is allowed.
pub fn email(text: &str) -> ValidationResult {
    optional(text, 254)?;
    let Some(text) = line(text) else { return Ok(()) };
    let text = text.as_str();
    if !text.contains('@') {
        return Err(NOT_AN_EMAIL.into());
    }
    let options = Options::default().without_display_text().without_domain_literal().with_required_tld();
    EmailAddress::parse_with_options(text, options)
        .map(drop)
        .map_err(|_| NOT_AN_EMAIL.into())
}

/// Rejects what is no phone number as people write it; empty is allowed. Only the server knows whether the number exists.
pub fn phone(text: &str) -> ValidationResult {
    let text = numeric(text);
    if text.is_empty() {
        return Ok(());
    }
    optional(&text, 40)?;
    if text.chars().any(|c| !c.is_ascii_digit() && !"+-./() ".contains(c)) {
        return Err("Use digits and spaces only, with + in front of the country code.".into());
    }
    match text.chars().filter(char::is_ascii_digit).count() {
        0..6 => Err("This number is too short.".into()),
        6..16 => Ok(()),
        _ => Err("This number is too long.".into()),
    }
}

/// Rejects what is no date as a date input posts it, `2026-11-21`; empty is allowed.
pub fn date(text: &str) -> ValidationResult {
    let text = numeric(text);
    if text.is_empty() {
        return Ok(());
    }
    let parts: Vec<_> = text.split('-').map(u32::from_str).collect();
    // Digits only: `from_str` also accepts a plus and parts of another length, which chrono refuses later.
    let is_written_out = text.bytes().enumerate().all(|(at, byte)| match at {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    match parts.as_slice() {
        [Ok(year), Ok(month), Ok(day)] if text.len() == 10 && is_written_out => {
            if !(1850..=2200).contains(year) {
                return Err("Use a year between 1850 and 2200.".into());
            }
            if !(1..=12).contains(month) || !(1..=days_in(*year, *month)).contains(day) {
                return Err(NO_SUCH_DATE.into());
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

/// Returns year, month and day, to compare with a partial date.
pub fn year_month_day(date: NaiveDate) -> (i16, i16, i16) {
    (date.year() as i16, date.month() as i16, date.day() as i16)
}

/// Rejects what is no whole number between two others; empty is allowed.
pub fn number(text: &str, from: i32, to: i32) -> ValidationResult {
    let text = numeric(text);
    match text.parse::<i32>() {
        _ if text.is_empty() => Ok(()),
        Ok(number) if (from..=to).contains(&number) => Ok(()),
        _ => Err(format!("Enter a number from {from} to {to}.")),
    }
}

/// Rejects what is no web address; empty is allowed, and the scheme may be left out.
pub fn website(text: &str) -> ValidationResult {
    // Stored with its scheme.
    optional(text, if text.contains("://") { 300 } else { 300 - "https://".len() })?;
    let Some(text) = line(text) else { return Ok(()) };
    let text = text.as_str();
    let address = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or(text);
    let host = address.split(['/', '?', '#']).next().unwrap_or_default();
    let plain = host.chars().all(|c| c.is_alphanumeric() || ".-:".contains(c));
    let dotted = host.contains('.') && !host.starts_with('.') && !host.ends_with('.');
    if !plain || !dotted || text.contains(char::is_whitespace) {
        return Err("Enter a web address like www.example.org.".into());
    }
    Ok(())
}

/// Adds https:// to a web address without a scheme.
pub fn with_scheme(website: String) -> String {
    if website.contains("://") { website } else { format!("https://{website}") }
}

pub const PASSWORD_MIN: usize = 10;
pub const PASSWORD_MAX: usize = 200;

pub const GUESSABLE: &str = "This password is easy to guess. A few unrelated words make a good one.";

/// Rejects passwords that are short or easy to guess. There is no rule about kinds of characters.
pub fn password(password: &str, email: &str) -> ValidationResult {
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

/// Estimated strength of a password, as a hint while it is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strength {
    Empty,
    Weak,
    Fair,
    Good,
    Strong,
}

impl Strength {
    pub fn label(self) -> &'static str {
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

/// Normalises a text of one line: NFC, trimmed, white space folded, without control and formatting characters. `None`
/// when nothing visible is left. Every text of a form or of the API passes here or through [`lines`] before it is
/// compared or stored.
pub fn line(text: &str) -> Option<String> {
    let words: Vec<String> = text.split(is_blank).map(visible).filter(|word| !word.is_empty()).collect();
    let text = nfc(&words.join(" "));
    has_ink(&text).then_some(text)
}

/// A word without what cannot be seen in it: two texts that look the same become one.
fn visible(word: &str) -> String {
    let mut kept = String::with_capacity(word.len());
    for c in word.chars().filter(|c| !c.is_control() && !is_formatting(*c)) {
        let before = kept.chars().next_back();
        let means_nothing = match c {
            c if is_joiner(c) => before.is_none_or(|before| is_joiner(before) || is_never_joined(before)),
            c if is_selector(c) => {
                before.is_some_and(|before| before.is_alphabetic() && is_never_joined(before))
            }
            _ => false,
        };
        if !means_nothing {
            kept.push(c);
        }
    }
    kept.trim_end_matches(is_joiner).to_owned()
}

/// Latin, Greek, Cyrillic and Armenian letters, with their marks: drawn the same beside a joiner or a selector.
fn is_never_joined(c: char) -> bool {
    matches!(c, '\0'..='\u{58F}' | '\u{1E00}'..='\u{1FFF}')
}

/// Normalises a text of several lines: NFC, trimmed, line ends made one kind. `None` when nothing visible is left.
pub fn lines(text: &str) -> Option<String> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let text: String = text.chars().filter(|c| !c.is_control() || "\n\t".contains(*c)).collect();
    let text = nfc(text.trim());
    has_ink(&text).then_some(text)
}

/// Normalises an email address for storing and comparing.
pub fn email_key(text: &str) -> String {
    line(text).unwrap_or_default().to_lowercase()
}

/// Normalises a number, date or phone number: digits of any script and full-width signs become ASCII, every dash a
/// hyphen. Direction marks, which telephones add to copied numbers, are dropped.
pub fn numeric(text: &str) -> String {
    let ascii = |c: char| match c {
        '\u{FF01}'..='\u{FF5E}' => char::from_u32(c as u32 - 0xFEE0).unwrap_or(c),
        '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
        c if is_blank(c) => ' ',
        c => decimal_digit(c).unwrap_or(c),
    };
    let text: String = text.chars().filter(|c| !is_formatting(*c) && !is_joiner(*c)).map(ascii).collect();
    text.trim().to_owned()
}

fn decimal_digit(c: char) -> Option<char> {
    // The zeros of the scripts that write numbers with digits of their own.
    const ZEROS: [u32; 18] = [
        0x660, 0x6F0, 0x7C0, 0x966, 0x9E6, 0xA66, 0xAE6, 0xB66, 0xBE6, 0xC66, 0xCE6, 0xD66, 0xE50, 0xED0,
        0xF20, 0x1040, 0x17E0, 0x1810,
    ];
    let value = ZEROS.iter().find_map(|zero| (c as u32).checked_sub(*zero).filter(|value| *value < 10));
    value.and_then(|value| char::from_digit(value, 10))
}

/// White space, and letters that are drawn as nothing (Hangul fillers, the empty Braille cell).
fn is_blank(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{115F}' | '\u{1160}' | '\u{2800}' | '\u{3164}' | '\u{FFA0}')
}

/// Invisible characters without meaning in a name: two names that differ by them look the same.
fn is_formatting(c: char) -> bool {
    matches!(c, '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{17B4}' | '\u{17B5}' | '\u{180B}'..='\u{180F}' | '\u{200B}'
        | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}'
        | '\u{FFF0}'..='\u{FFFB}' | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}')
}

/// Zero-width (non-)joiners mean something inside a word of many scripts, and nothing at its ends.
fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200C}' | '\u{200D}')
}

/// Chooses how the character before it is drawn.
fn is_selector(c: char) -> bool {
    matches!(c, '\u{FE00}'..='\u{FE0F}' | '\u{E0000}'..='\u{E0FFF}')
}

/// Whether anything of a text can be seen.
fn has_ink(text: &str) -> bool {
    text.chars()
        .any(|c| !(is_blank(c) || is_formatting(c) || is_joiner(c) || c.is_control() || is_selector(c)))
}

#[cfg(feature = "ssr")]
pub fn nfc(text: &str) -> String {
    use unicode_normalization::UnicodeNormalization;
    text.nfc().collect()
}

/// The browser's own tables: ours would be a large part of the program that it loads.
#[cfg(all(feature = "hydrate", not(feature = "ssr")))]
pub fn nfc(text: &str) -> String {
    js_sys::JsString::from(text).normalize("NFC").into()
}

#[cfg(not(any(feature = "ssr", feature = "hydrate")))]
pub fn nfc(text: &str) -> String {
    text.to_owned()
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
        for bad in [
            "2023-02-29",
            "1900-02-29",
            "2026-13-01",
            "2026-1-1",
            "0001-01-01",
            "01.02.2026",
            "2026-11-21'",
            "2026-+1-01",
            "2026-1-001",
        ] {
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
        for invisible in ["\u{200B}", " \u{FEFF}\u{200D}", "\u{3164}", "\u{2800}\u{FE0F}", "\u{AD}\u{202E}"] {
            assert_eq!((line(invisible), lines(invisible)), (None, None), "{invisible:?}");
        }
        assert_eq!(line("Cho\u{200B}ir\u{200D}\u{3164}"), Some("Choir".into()));
        for same in ["Cho\u{200D}ir", "Cho\u{200C}\u{200D}ir", "Choir\u{FE0F}", "Cho\u{E0041}ir"] {
            assert_eq!(line(same), Some("Choir".into()), "{same:?}");
        }
        for needed in
            ["क्\u{200D}ष", "👨\u{200D}👩\u{200D}👧", "❤\u{FE0F}", "1\u{FE0F}\u{20E3}", "葛\u{E0100}"]
        {
            assert_eq!(line(needed), Some(needed.into()), "{needed:?}");
        }
        assert_eq!(
            line("نمی\u{200C}دانم"),
            Some("نمی\u{200C}دانم".into()),
            "inside a word a joiner is a letter"
        );
        #[cfg(feature = "ssr")]
        assert_eq!((line("Cafe\u{301}"), lines("Cafe\u{301}")), (Some("Café".into()), Some("Café".into())));
        assert_eq!(lines("\r\none\r\ntwo\u{7}\r\n"), Some("one\ntwo".into()));
    }

    #[test]
    fn numbers_of_any_keyboard() {
        assert_eq!(numeric("＋２５４　７１２–３４５−６７８"), "+254 712-345-678");
        assert_eq!(numeric("\u{202A}+254 712\u{A0}345\u{202C}"), "+254 712 345");
        assert_eq!(numeric("٠٧١٢ ۳۴۵ ६७८"), "0712 345 678");
        assert_eq!(phone("０７１２　３４５　６７８"), Ok(()));
        assert_eq!(number("２９", 1, 31), Ok(()));
        assert_eq!(date("２０２４-０２-２９"), Ok(()));
    }
}
