//! Which files are taken, and whether one is what it says it is. Nothing that a browser would run is among them.

/// So many bytes tell what a file is.
pub const SNIFF_BYTES: u64 = 8 * 1024;

/// The longest name, in characters.
const NAME: usize = 200;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Known by how it begins.
    Marked,
    /// An archive of documents, which begins like any other.
    Archive,
    Text,
}

/// A type, how a file of it is recognised, and the endings that a name of it may have: the first where it has none.
const KINDS: [(&str, Kind, &[&str]); 15] = [
    ("image/jpeg", Kind::Marked, &["jpg", "jpeg"]),
    ("image/png", Kind::Marked, &["png"]),
    ("image/webp", Kind::Marked, &["webp"]),
    ("image/gif", Kind::Marked, &["gif"]),
    ("application/pdf", Kind::Marked, &["pdf"]),
    ("audio/mpeg", Kind::Marked, &["mp3"]),
    ("video/mp4", Kind::Marked, &["mp4", "m4v"]),
    ("application/zip", Kind::Archive, &["zip"]),
    ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", Kind::Archive, &["docx"]),
    ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", Kind::Archive, &["xlsx"]),
    ("application/vnd.openxmlformats-officedocument.presentationml.presentation", Kind::Archive, &["pptx"]),
    ("application/vnd.oasis.opendocument.text", Kind::Archive, &["odt"]),
    ("text/plain", Kind::Text, &["txt", "text", "md"]),
    ("text/csv", Kind::Text, &["csv"]),
    ("text/vcard", Kind::Text, &["vcf", "vcard"]),
];

fn find(content_type: &str) -> Option<(Kind, &'static [&'static str])> {
    let found = KINDS.iter().find(|(known, ..)| *known == content_type);
    found.map(|(_, kind, endings)| (*kind, *endings))
}

fn kind(content_type: &str) -> Option<Kind> {
    find(content_type).map(|(kind, _)| kind)
}

/// The endings that fit a type.
pub fn endings(content_type: &str) -> &'static [&'static str] {
    find(content_type).map_or(&[], |(_, endings)| endings)
}

pub fn is_known(content_type: &str) -> bool {
    kind(content_type).is_some()
}

pub fn listed() -> String {
    KINDS.map(|(known, ..)| known).join(", ")
}

/// Whether a file that begins like this can be of that type.
pub fn is_plausible(content_type: &str, beginning: &[u8]) -> bool {
    match kind(content_type) {
        Some(Kind::Marked) => infer::get(beginning).is_some_and(|found| found.mime_type() == content_type),
        Some(Kind::Archive) => beginning.starts_with(b"PK"),
        Some(Kind::Text) => infer::get(beginning).is_none() && is_text(beginning),
        None => false,
    }
}

/// The last letter may be cut off in the middle.
fn is_text(beginning: &[u8]) -> bool {
    let readable = match std::str::from_utf8(beginning) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    };
    readable && !beginning.contains(&0)
}

/// Why a name is not taken.
#[derive(Debug, PartialEq, Eq)]
pub enum BadName {
    /// Nothing is left of it.
    Empty,
    /// Its ending is that of another type, or the type is unknown.
    Ending,
}

/// A name without folders and characters that no file can have, with an ending that fits the type: a computer opens a
/// file by its ending, whatever is in it.
pub fn safe_name(name: &str, content_type: &str) -> Result<String, BadName> {
    let name = app::forms::rules::nfc(name);
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let plain: String = last
        .chars()
        .filter(|c| !c.is_control() && !is_invisible(*c))
        .map(|c| if "<>:\"|?*".contains(c) { '_' } else { c })
        .collect();
    // Windows takes no notice of points and spaces at the end.
    let is_point = |c: char| c == '.' || c.is_whitespace();
    let plain = plain.trim_start_matches(is_point).trim_end_matches(is_point);
    if plain.is_empty() {
        return Err(BadName::Empty);
    }
    let endings = endings(content_type);
    let first = endings.first().ok_or(BadName::Ending)?;
    let (stem, ending) = match plain.rsplit_once('.') {
        Some((stem, ending)) if is_ending(ending) => match endings.contains(&&*ending.to_ascii_lowercase()) {
            true => (stem, ending),
            false => return Err(BadName::Ending),
        },
        _ => (plain, *first),
    };
    // What is too long keeps its ending.
    let stem: String = stem.chars().take(NAME - 1 - ending.len()).collect();
    Ok(format!("{stem}.{ending}"))
}

/// Of letters and digits, as types have them: in "Minutes 3. May" there is none.
fn is_ending(ending: &str) -> bool {
    (1..=10).contains(&ending.len()) && ending.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Characters that take no room or turn the direction, by which a name could look like another.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_safe() {
        let text = "text/plain";
        for (given, kind, safe) in [
            ("Minutes 2026.pdf", "application/pdf", "Minutes 2026.pdf"),
            ("../../etc/passwd", text, "passwd.txt"),
            ("C:\\Users\\ruth\\a.txt", text, "a.txt"),
            ("a\r\nSet-Cookie: x\0.txt", text, "aSet-Cookie_ x.txt"),
            (".htaccess", text, "htaccess.txt"),
            ("Mañana – план.PDF", "application/pdf", "Mañana – план.PDF"),
            ("Minutes 3. May", "application/pdf", "Minutes 3. May.pdf"),
            ("a.e\u{ff58}e", "image/png", "a.e\u{ff58}e.png"),
            ("me.jpeg", "image/jpeg", "me.jpeg"),
            ("Cafe\u{301}.txt", text, "Caf\u{e9}.txt"),
        ] {
            assert_eq!(safe_name(given, kind).as_deref(), Ok(safe), "{given}");
        }
        for (given, kind) in [("..", text), (" / ", text), ("\u{200b}", text), (". .", text)] {
            assert_eq!(safe_name(given, kind), Err(BadName::Empty), "{given}");
        }
        let long = safe_name(&format!("{}.pdf", "x".repeat(500)), "application/pdf").expect("a name");
        assert_eq!((long.len(), long.ends_with(".pdf")), (NAME, true));
    }

    #[test]
    fn an_ending_fits_the_type() {
        for name in [
            "a.exe",
            "a.EXE",
            "a.png.exe",
            "a.exe.",
            "a.exe ",
            "a.exe . ",
            "a.e\u{200b}xe",
            "a.html",
            "a.svg",
            "\u{202e}gnp.exe",
            "a.jpg",
            "a.exe\u{a0}",
        ] {
            assert_eq!(safe_name(name, "image/png"), Err(BadName::Ending), "{name:?}");
        }
    }

    #[test]
    fn a_file_is_known_by_how_it_begins() {
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
        assert!(is_plausible("image/png", png));
        assert!(!is_plausible("image/jpeg", png));
        assert!(!is_plausible("text/plain", png));
        assert!(!is_plausible("image/png", b"<script>"));
        assert!(is_plausible("text/csv", "name,born\nLéa,1984".as_bytes()));
        assert!(!is_plausible("text/plain", b"a\0b"));
        assert!(!is_plausible("text/html", b"<html>"), "never");
        assert!(!is_plausible("text/plain", b"<!doctype html><html>"), "a page is no plain text");
    }
}
