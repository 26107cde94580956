use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// Lower case without marks, so that "lea" finds "Léa" and "Ångström" stands among the A.
pub(crate) fn fold(text: &str) -> String {
    text.nfkd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase).collect()
}

/// A `like` pattern for each word of what was typed into a search box.
pub(crate) fn patterns(search: &str) -> Vec<String> {
    const WORDS: usize = 8;
    fold(search)
        .split_whitespace()
        .take(WORDS)
        .map(|word| {
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
    fn a_search_takes_wildcards_literally() {
        assert_eq!(patterns(r" 50%  a_b\ "), [r"%50\%%", r"%a\_b\\%"]);
    }
}
