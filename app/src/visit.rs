use crate::{
    answer::{Failure, Flash},
    forms::Form,
};
use http::Uri;
use identity::Identity;
use registry::Registry;
use serde::de::DeserializeOwned;
use std::{net::IpAddr, sync::Arc};
use tower_sessions::Session;
use uuid::Uuid;

pub use identity::SignedIn;

/// What the pages in front of the offices need: signing up, watching, signing in. A page inside an
/// office is not handed this, so that it has no way to another one.
#[derive(Clone)]
pub struct Doors {
    pub identity: Identity,
    pub registry: Registry,
    pub session: Session,
    /// Where the visitor is, for rate limits.
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
