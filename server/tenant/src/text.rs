use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// Lower case without marks, so that "lea" finds "Léa" and "Ångström" stands among the A.
pub(crate) fn fold(text: &str) -> String {
    text.nfkd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase).collect()
}

/// A `like` pattern for each word of what was typed into a search box.
pub(crate) fn patterns(search: &str) -> Vec<String> {
    const WORDS: usize = 8;
    fold(&search.replace(char::is_control, " "))
        .split_whitespace()
        .take(WORDS)
        .map(|word| {
            // Numbers are kept with the code of their country, which takes the place of the zero.
            let digits = word.bytes().all(|byte| byte.is_ascii_digit());
            let word = if digits { word.trim_start_matches('0') } else { word };
            let literal = word.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_");
            format!("%{literal}%")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_marks_and_case() {
        assert_eq!(fold("Léa ÅNGSTRÖM"), "lea angstrom");
    }

    #[test]
    fn a_number_is_found_without_the_code_of_its_country() {
        assert_eq!(patterns("0712 345"), ["%712%", "%345%"]);
    }

    #[test]
    fn a_search_takes_wildcards_literally() {
        assert_eq!(patterns(r" 50%  a_b\ "), [r"%50\%%", r"%a\_b\\%"]);
    }
}
