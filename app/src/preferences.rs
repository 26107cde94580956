//! Preferences kept in cookies, and redirect targets taken from input.

use crate::flash::Flash;
use axum::http::HeaderMap;
use http::header;
use url::{Position, Url};

/// What the browser's cookies say about the look of pages.
#[derive(Clone, Copy, Debug, Default)]
pub struct Preferences {
    pub theme: Theme,
    pub flash: Option<Flash>,
}

impl From<&HeaderMap> for Preferences {
    fn from(headers: &HeaderMap) -> Self {
        let cookies =
            headers.get(header::COOKIE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let cookie = |wanted: &str| {
            let mut pairs = cookies.split(';').filter_map(|cookie| cookie.trim().split_once('='));
            pairs.find(|(name, _)| *name == wanted).map(|(_, value)| value)
        };
        Self {
            theme: cookie("theme").map(Theme::from_name).unwrap_or_default(),
            flash: cookie("flash").and_then(Flash::from_name),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    #[default]
    System,
    Light,
    Dark,
}

impl Theme {
    pub const ALL: [Self; 3] = [Self::System, Self::Light, Self::Dark];

    pub fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    pub fn from_name(name: &str) -> Self {
        Self::ALL.into_iter().find(|theme| theme.name() == name).unwrap_or_default()
    }
}

/// Returns path and query of a redirect target that was taken from input, if it leads to this site at `host`.
///
/// It is parsed as browsers do, which drop tabs, read `\` as `/` and take `//host` for another site.
pub fn local_path(target: &str, host: &str) -> Option<String> {
    let is_whole = ["/", "http://", "https://"].iter().any(|start| target.starts_with(start));
    if !is_whole || !target.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    let here = Url::parse(&format!("http://{host}/")).ok()?;
    let there = here.join(target).ok()?;
    let is_http = matches!(there.scheme(), "http" | "https");
    let is_here = there.host() == here.host() && there.port() == here.port();
    let is_anonymous = there.username().is_empty() && there.password().is_none();
    let path = &there[Position::BeforePath..Position::AfterQuery];
    // `/..//evil.example` is resolved to `//evil.example`, which names another site when it is sent.
    let stays = path.starts_with('/') && !path.starts_with("//");
    (is_http && is_here && is_anonymous && stays).then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::local_path;

    #[test]
    fn a_redirect_stays_on_this_site() {
        let host = "office.example.org";
        for (target, expected) in [
            ("/", "/"),
            ("/members?search=naomi&sort=-name", "/members?search=naomi&sort=-name"),
            ("/members?search=Jos%C3%A9", "/members?search=Jos%C3%A9"),
            ("/a/../members", "/members"),
            ("https://office.example.org/branches?page=2#top", "/branches?page=2"),
        ] {
            assert_eq!(local_path(target, host).as_deref(), Some(expected), "{target}");
        }
        for target in [
            "https://evil.example/",
            "https://office.example.org:8443/",
            "https://office.example.org@evil.example/",
            "https://me@office.example.org/",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/\t/evil.example",
            "\t//evil.example",
            "/\n/evil.example",
            " //evil.example",
            "/..//evil.example",
            "/.//evil.example",
            "/%2e%2e//evil.example",
            "/a/..//evil.example",
            "/a/..\\\\evil.example",
            "",
            "members",
            "javascript:alert(1)",
            "data:text/html,x",
            "http:/\\evil.example",
            "/caf\u{e9}",
            "/\u{2028}/evil.example",
        ] {
            assert_eq!(local_path(target, host), None, "{target}");
        }
    }
}
