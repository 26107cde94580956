//! Names of people as they are shown. First or last name may be missing, without a stray comma or space.

/// "Naomi Achieng": the names there are, in this order.
pub fn full<'a>(names: impl IntoIterator<Item = Option<&'a str>>) -> String {
    names.into_iter().flatten().filter(|name| !name.is_empty()).collect::<Vec<_>>().join(" ")
}

/// "Achieng, Naomi", as lists are sorted.
pub fn listed(last: Option<&str>, first: Option<&str>) -> String {
    let names = [last, first].into_iter().flatten().filter(|name| !name.is_empty());
    names.collect::<Vec<_>>().join(", ")
}

/// The first letters of names.
pub fn initials<'a>(names: impl IntoIterator<Item = Option<&'a str>>) -> String {
    let first = |name: &str| name.chars().find(|c| c.is_alphanumeric()).or_else(|| name.chars().next());
    names.into_iter().flatten().filter_map(first).flat_map(char::to_uppercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_name_stands_alone() {
        for (first, last) in [(Some("Naomi"), None), (None, Some("Naomi")), (Some(""), Some("Naomi"))] {
            assert_eq!(full([first, last]), "Naomi");
            assert_eq!(listed(last, first), "Naomi");
            assert_eq!(initials([first, last]), "N");
        }
        assert_eq!(listed(Some("Achieng"), Some("Naomi")), "Achieng, Naomi");
        assert_eq!(initials([Some("'álvaro"), Some("de Souza")]), "ÁD");
    }
}
