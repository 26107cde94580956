//! State shared by all request handlers.

use crate::{address::TrustedProxies, api::Limits, files::Files, streams::Streams};
use identity::Identity;
use leptos::prelude::LeptosOptions;
use registry::{Registry, notifications::Notifications};
use std::{ops::Deref, sync::Arc};
use tokio_util::sync::CancellationToken;

/// State of the router. Cheap to clone: axum clones it in every layer.
#[derive(Clone)]
pub struct AppState(Arc<Inner>);

pub struct Inner {
    pub registry: Registry,
    pub notifications: Notifications,
    pub identity: Identity,
    pub leptos: LeptosOptions,
    pub operator_token: Option<Arc<str>>,
    /// URL of the source code, linked on every page.
    pub source_url: Option<Arc<str>>,
    pub trusted_proxies: TrustedProxies,
    /// Whether browsers reach the server over https.
    pub https: bool,
    pub files: Files,
    pub limits: Arc<Limits>,
    pub streams: Streams,
    /// Cancelled when the process begins to drain; `/readyz` then answers 503.
    pub draining: CancellationToken,
}

impl From<Inner> for AppState {
    fn from(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }
}

impl Deref for AppState {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}
