use crate::{
    answer::{Failure, Flash},
    forms::Form,
};
use http::Uri;
use identity::{Device, Identity};
use registry::Registry;
use serde::de::DeserializeOwned;
use std::{net::IpAddr, sync::Arc};
use tower_sessions::Session;
use url::{Position, Url};
use uuid::Uuid;

pub use identity::SignedIn;

/// What the pages in front of the offices need: signing up, watching, signing in. A page inside an
/// office is not handed this, so that it has no way to another one.
#[derive(Clone)]
pub struct Doors {
    pub identity: Identity,
    pub registry: Registry,
    pub session: Session,
    /// The visitor's browser, as its cookie says.
    pub device: Device,
    /// The visitor's address, or its network, as limits count them.
    pub address: IpAddr,
}

/// One request for a page.
#[derive(Clone)]
pub struct Visit {
    pub uri: Uri,
    /// What a form sent, if one was.
    pub body: Option<Arc<str>>,
    /// What `{id}` stands for in the page's address.
    pub id: Option<String>,
    pub accept_language: String,
    pub look: Look,
}

/// What the visitor's cookies say of how pages look.
#[derive(Clone, Copy, Debug, Default)]
pub struct Look {
    pub theme: Theme,
    pub flash: Option<Flash>,
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

impl Visit {
    /// What the address says behind its question mark; anything unknown is passed over.
    pub fn query<T: DeserializeOwned + Default>(&self) -> T {
        serde_urlencoded::from_str(self.uri.query().unwrap_or_default()).unwrap_or_default()
    }

    /// The form that was sent to this page, if one was.
    pub fn submitted<F: Form>(&self) -> Option<F> {
        self.body.as_deref().map(F::decode)
    }

    /// The record that the address names.
    pub fn record(&self) -> Result<Uuid, Failure> {
        self.id.as_deref().and_then(|id| id.parse().ok()).ok_or(Failure::NotFound)
    }

    pub fn path(&self) -> &str {
        self.uri.path()
    }
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
