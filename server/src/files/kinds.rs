//! Which files are taken, and whether one is what it says it is. Nothing that a browser would run is among them.

/// So many bytes tell what a file is.
pub const LOOKED_AT: u64 = 8 * 1024;

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

const KINDS: [(&str, Kind); 15] = [
    ("image/jpeg", Kind::Marked),
    ("image/png", Kind::Marked),
    ("image/webp", Kind::Marked),
    ("image/gif", Kind::Marked),
    ("application/pdf", Kind::Marked),
    ("audio/mpeg", Kind::Marked),
    ("video/mp4", Kind::Marked),
    ("application/zip", Kind::Archive),
    ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", Kind::Archive),
    ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", Kind::Archive),
    ("application/vnd.openxmlformats-officedocument.presentationml.presentation", Kind::Archive),
    ("application/vnd.oasis.opendocument.text", Kind::Archive),
    ("text/plain", Kind::Text),
    ("text/csv", Kind::Text),
    ("text/vcard", Kind::Text),
];

fn kind(content_type: &str) -> Option<Kind> {
    KINDS.iter().find(|(known, _)| *known == content_type).map(|(_, kind)| *kind)
}

pub fn is_known(content_type: &str) -> bool {
    kind(content_type).is_some()
}

pub fn listed() -> String {
    KINDS.map(|(known, _)| known).join(", ")
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

/// A name without folders and signs that no file can have; `None` when nothing is left of it.
pub fn safe_name(name: &str) -> Option<String> {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let hidden =
        |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let plain: String = last
        .chars()
        .filter(|c| !c.is_control() && !hidden(*c))
        .map(|c| if "<>:\"|?*".contains(c) { '_' } else { c })
        .collect();
    let plain = plain.trim().trim_start_matches('.').trim();
    if plain.is_empty() {
        return None;
    }
    // What is too long keeps its ending.
    let ending =
        plain.rsplit_once('.').map(|(_, ending)| ending).filter(|ending| ending.chars().count() <= 10);
    let ending = ending.map(|ending| format!(".{ending}")).unwrap_or_default();
    let stem = plain.strip_suffix(ending.as_str()).unwrap_or(plain);
    let stem: String = stem.chars().take(NAME - ending.chars().count()).collect();
    Some(format!("{stem}{ending}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_safe() {
        for (given, safe) in [
            ("Minutes 2026.pdf", Some("Minutes 2026.pdf")),
            ("../../etc/passwd", Some("passwd")),
            ("C:\\Users\\ruth\\a.txt", Some("a.txt")),
            ("a\r\nSet-Cookie: x\0.txt", Some("aSet-Cookie_ x.txt")),
            ("\u{202e}gpj.exe", Some("gpj.exe")),
            (".htaccess", Some("htaccess")),
            ("..", None),
            (" / ", None),
            ("Mañana – план.pdf", Some("Mañana – план.pdf")),
        ] {
            assert_eq!(safe_name(given).as_deref(), safe, "{given}");
        }
        let long = safe_name(&format!("{}.pdf", "x".repeat(500))).expect("a name");
        assert_eq!((long.len(), long.ends_with(".pdf")), (NAME, true));
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
