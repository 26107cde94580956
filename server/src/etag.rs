//! Entity tags and the preconditions that name them (RFC 9110, sections 8.8.3, 13.1.1 and 13.1.2).

use axum::http::{HeaderMap, HeaderName};

/// The value of an `If-Match` or `If-None-Match`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// `*`: whatever version there is.
    Any,
    /// A list, also over several lines. What is no list of tags is an empty one, and names no version.
    Tags(Vec<Tag>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    weak: bool,
    opaque: String,
}

impl Condition {
    /// The condition in a header; `None` when the request has none.
    pub fn of(headers: &HeaderMap, name: HeaderName) -> Option<Self> {
        let mut lines = headers.get_all(name).iter().peekable();
        lines.peek()?;
        let lines: Option<Vec<_>> = lines.map(|line| line.to_str().ok()).collect();
        let value = lines.unwrap_or_default().join(",");
        match value.trim() {
            "*" => Some(Self::Any),
            list => Some(Self::Tags(parse(list).unwrap_or_default())),
        }
    }

    /// Strong comparison, as `If-Match` demands: a weak tag matches nothing.
    pub fn matches_strongly(&self, current: &str) -> bool {
        self.any(|tag| !tag.weak && tag.opaque == current)
    }

    /// Weak comparison, as `If-None-Match` demands: a cache that has compressed an answer may have weakened its tag.
    pub fn matches_weakly(&self, current: &str) -> bool {
        self.any(|tag| tag.opaque == current)
    }

    fn any(&self, matches: impl Fn(&Tag) -> bool) -> bool {
        match self {
            Self::Any => true,
            Self::Tags(tags) => tags.iter().any(matches),
        }
    }
}

/// Commas part the tags, and may also stand inside of their quotes.
fn parse(mut list: &str) -> Option<Vec<Tag>> {
    let mut tags = Vec::new();
    loop {
        list = list.trim_start_matches([' ', '\t', ',']);
        if list.is_empty() {
            return Some(tags);
        }
        let weak = list.strip_prefix("W/");
        let (opaque, rest) = weak.unwrap_or(list).strip_prefix('"')?.split_once('"')?;
        tags.push(Tag { weak: weak.is_some(), opaque: opaque.to_owned() });
        list = rest.trim_start_matches([' ', '\t']);
        if !list.is_empty() && !list.starts_with(',') {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::header::IF_MATCH;

    fn condition(lines: &[&str]) -> Option<Condition> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(IF_MATCH, line.parse().expect("a header"));
        }
        Condition::of(&headers, IF_MATCH)
    }

    #[test]
    fn lists_are_read_as_the_rfc_writes_them() {
        assert_eq!(condition(&[]), None);
        for (lines, strong, weak) in [
            (&["\"7\""][..], true, true),
            (&["\"x\", \"7\""], true, true),
            (&["\"x\",\"7\" ,\"y\""], true, true),
            (&[" , \"7\","], true, true),
            (&["\"x\"", "\"7\""], true, true),
            (&["\"a,b\", \"7\""], true, true),
            (&["W/\"7\""], false, true),
            (&["W/\"7\", \"7\""], true, true),
            (&["*"], true, true),
            (&["\"x\", \"*\""], false, false),
            (&["\"a,7\""], false, false),
            (&["w/\"7\""], false, false),
            (&["7"], false, false),
            (&["\"7"], false, false),
            (&["\"7\" \"x\""], false, false),
            (&["\"7\", nonsense"], false, false),
            (&[""], false, false),
        ] {
            let condition = condition(lines).expect("there is one");
            assert_eq!(condition.matches_strongly("7"), strong, "{lines:?}");
            assert_eq!(condition.matches_weakly("7"), weak, "{lines:?}");
        }
    }
}
