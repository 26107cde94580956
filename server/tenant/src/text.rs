//! The folding by which names are searched and sorted. The same function makes what is stored and what is searched.

use unicode_normalization::{
    UnicodeNormalization,
    char::{canonical_combining_class, is_combining_mark},
};

/// Version of the folding. Raise it with every change of what is stored, together with a migration: rows that an older
/// release has folded are then folded again when their church is upgraded.
pub(crate) const VERSION: i32 = 3;

/// Folds what people cannot type, or type in many ways: case, marks, letters with strokes, ligatures, digits of other
/// scripts. Apostrophes and invisible characters are dropped.
pub(crate) fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    let kept = |c: &char| !is_apostrophe(*c) && !is_invisible(*c);
    let decomposed = text.chars().filter(kept).nfkd().filter(|c| !is_mark(*c) && kept(c));
    for c in decomposed.flat_map(char::to_lowercase) {
        match plain(c) {
            Some(letters) => folded.push_str(letters),
            None => folded.push(c),
        }
    }
    folded
}

/// A mark above, below or through a letter, a point of Hebrew or Arabic, a nukta or a voicing mark. The vowel signs of
/// Indic and other scripts are letters: without them "राम" and "रमा" were one name.
fn is_mark(c: char) -> bool {
    is_combining_mark(c) && matches!(canonical_combining_class(c), 1 | 6..=8 | 10..=36 | 200..=240)
}

/// Letters that Unicode does not decompose.
fn plain(c: char) -> Option<&'static str> {
    Some(match c {
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        'þ' => "th",
        'ł' | 'ƚ' => "l",
        'ø' | 'ɔ' => "o",
        'đ' | 'ð' | 'ɖ' | 'ɗ' => "d",
        'ħ' => "h",
        'ŧ' => "t",
        'ŋ' | 'ɲ' => "n",
        'ı' | 'ɨ' => "i",
        'ɓ' => "b",
        'ƙ' | 'ĸ' => "k",
        'ƴ' => "y",
        'ƒ' => "f",
        'ɣ' => "g",
        'ʋ' => "v",
        'ə' | 'ǝ' | 'ɛ' => "e",
        'ʉ' => "u",
        'ς' => "σ",
        'ґ' => "г",
        // A combining mark that lower-casing leaves behind.
        '\u{307}' => "",
        '٠' | '۰' | '०' => "0",
        '١' | '۱' | '१' => "1",
        '٢' | '۲' | '२' => "2",
        '٣' | '۳' | '३' => "3",
        '٤' | '۴' | '४' => "4",
        '٥' | '۵' | '५' => "5",
        '٦' | '۶' | '६' => "6",
        '٧' | '۷' | '७' => "7",
        '٨' | '۸' | '८' => "8",
        '٩' | '۹' | '९' => "9",
        _ => return None,
    })
}

fn is_apostrophe(c: char) -> bool {
    matches!(
        c,
        '\'' | '`' | '´' | '‘' | '’' | '‚' | '‛' | '′' | '‵' | '＇' | '\u{2B9}'..='\u{2BF}' | '\u{2C8}' | 'ꞌ'
    )
}

fn is_invisible(c: char) -> bool {
    c.is_control() && !c.is_whitespace()
        || matches!(c, '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}'
            | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}'
            | '\u{E0000}'..='\u{E0FFF}')
}

/// Punctuation that joins or parts words, and that nobody searches for.
fn is_punctuation(c: char) -> bool {
    matches!(
        c,
        ',' | ';'
            | ':'
            | '.'
            | '-'
            | '/'
            | '('
            | ')'
            | '['
            | ']'
            | '"'
            | '!'
            | '?'
            | '+'
            | '·'
            | '«'
            | '»'
            | '¡'
            | '¿'
            | '\u{2010}'
            ..='\u{2015}'
                | '\u{2212}'
                | '“'
                | '”'
                | '„'
                | '‟'
                | '‹'
                | '›'
                | '、'
                | '。'
                | '،'
                | '؛'
                | '\u{30FB}'
    )
}

/// The folded pieces of each word: "Anne-Marie O'Neill" is `[[anne, marie], [oneill]]`.
fn words(text: &str) -> Vec<Vec<String>> {
    let pieces = |word: &str| -> Vec<String> {
        word.split(is_punctuation).filter(|piece| !piece.is_empty()).map(str::to_owned).collect()
    };
    fold(text).split_whitespace().map(pieces).filter(|pieces| !pieces.is_empty()).collect()
}

/// What texts are searched in. A word with punctuation is also found without: "Anne-Marie" by "annemarie".
pub(crate) fn search_key<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let mut key = Vec::new();
    for mut word in texts.into_iter().flat_map(words) {
        if word.len() > 1 {
            word.push(word.concat());
        }
        key.append(&mut word);
    }
    key.join(" ")
}

/// What names are sorted by; it does not depend on the operating system's locale.
pub(crate) fn sort_key<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    texts.into_iter().flat_map(words).flatten().collect::<Vec<_>>().join(" ")
}

/// The words of what was typed into a search box, all of which must be found in a [`search_key`].
pub(crate) fn terms(search: &str) -> Vec<String> {
    const MAX_TERMS: usize = 32;
    let mut terms = Vec::new();
    for word in words(&search.replace(char::is_control, " ")) {
        let is_number = word.iter().all(|piece| piece.bytes().all(|byte| byte.is_ascii_digit()));
        // A number is stored as digits alone, and with the code of its country in the place of the first zero.
        match is_number {
            true => {
                let digits = word.concat();
                let short = digits.trim_start_matches('0');
                // Zeros alone are looked for as they are: nothing would find everybody.
                terms.push(if short.is_empty() { digits } else { short.to_owned() });
            }
            false => terms.extend(word),
        }
    }
    terms.retain(|term| !term.is_empty());
    terms.truncate(MAX_TERMS);
    terms
}

/// Returns the `like` pattern of texts that contain a term.
pub(crate) fn pattern(term: &str) -> String {
    format!("%{}%", term.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_"))
}

/// Whether every term of a search is found in these texts.
pub(crate) fn matches<'a>(terms: &[String], texts: impl IntoIterator<Item = &'a str>) -> bool {
    let key = search_key(texts);
    terms.iter().all(|term| key.contains(term))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_what_people_cannot_type() {
        for (text, folded) in [
            ("Léa ÅNGSTRÖM", "lea angstrom"),
            ("Le\u{301}a", "lea"),
            ("Łukasz Søren Đorđe Þór Æsa Œuvre", "lukasz soren dorde thor aesa oeuvre"),
            ("Groß GROẞ GROSS", "gross gross gross"),
            ("Işık IŞIK İpek", "isik isik ipek"),
            ("Γιώργος ΓΙΏΡΓΟΣ", "γιωργοσ γιωργοσ"),
            ("Ɓala Ƙofar Ŋutɔ", "bala kofar nuto"),
            ("０７１２ ٣٤٥", "0712 345"),
            ("O'T O’T O‘T OʼT O`T O´T O′T", "ot ot ot ot ot ot ot"),
            ("Na\u{200B}o\u{AD}mi", "naomi"),
            ("राम रमा रीम", "राम रमा रीम"),
            ("Ґанна מֹ مُحَمَّد", "ганна מ محمد"),
        ] {
            assert_eq!(fold(text), folded, "{text}");
        }
    }

    #[test]
    fn a_name_is_found_as_it_is_shown_and_as_it_is_typed() {
        let key =
            search_key(["Anne-Marie", "O’Tester", "naomi.a@example.org", "+254712345678", "0205550199"]);
        for found in [
            "O'T",
            "O’T",
            "otester",
            "o'tester, anne-marie",
            "annemarie",
            "Anne Marie",
            "0712-345-678",
            "(0712) 345678",
            "0712.345.678",
            "+254 712 345 678",
            "+254-712-345-678",
            "00254712345678",
            "020-555-0199",
            "naomi.a@example.org",
            "a@example",
            " ; , . - / ( ) ' ",
        ] {
            assert!(
                terms(found).iter().all(|term| key.contains(term)),
                "{found}: {:?} in {key}",
                terms(found)
            );
        }
        for missed in ["otto", "0713-345-678", "naomi.b@example.org"] {
            assert!(!terms(missed).iter().all(|term| key.contains(term)), "{missed}");
        }
    }

    #[test]
    fn a_number_is_found_without_the_code_of_its_country() {
        assert_eq!(terms("0712 345"), ["712", "345"]);
        assert_eq!(terms("(0712) 345-678"), ["712", "345678"]);
        assert_eq!(terms("00"), ["00"]);
    }

    #[test]
    fn a_search_takes_wildcards_literally() {
        let patterns = terms(r" 50%  a_b\ ").iter().map(|term| pattern(term)).collect::<Vec<_>>();
        assert_eq!(patterns, [r"%50\%%", r"%a\_b\\%"]);
    }

    #[test]
    fn one_name_is_sorted_without_a_space() {
        assert_eq!(sort_key(["", "Naomi"]), "naomi");
        assert_eq!(sort_key(["van der Berg", "Ruth"]), "van der berg ruth");
    }
}
