use crate::{Error, Result};
use jsonwebtoken::DecodingKey;
use reqwest::{Client, Url, redirect::Policy};
use serde::Deserialize;
use serde_json::Value;
use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};
use tokio::sync::Mutex;

/// How long keys are believed before the issuer is asked again.
const REFRESH_INTERVAL: Duration = Duration::from_secs(3600);

/// How long the issuer is waited for.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Issuers have a handful of keys, with certificates perhaps.
const MAX_JWKS_BYTES: usize = 256 * 1024;

/// The keys an issuer signs with. It is asked when a token names a key that is not known, and never again before
/// `pause` is over: strangers may name as many keys as they like.
pub struct Jwks {
    http: Client,
    url: Url,
    pause: Duration,
    known: RwLock<Known>,
    /// Serialises fetches; other requests wait for the result.
    asking: Mutex<()>,
}

#[derive(Default)]
struct Known {
    keys: HashMap<String, DecodingKey>,
    fetched: Option<Instant>,
    asked: Option<Instant>,
}

impl Jwks {
    pub fn new(url: Url, pause: Duration) -> reqwest::Result<Self> {
        let http = Client::builder().timeout(TIMEOUT).redirect(Policy::none()).build()?;
        Ok(Self { http, url, pause, known: RwLock::default(), asking: Mutex::default() })
    }

    /// The key of this name, if the issuer has it.
    pub(super) async fn get(self: &Arc<Self>, kid: &str) -> Result<Option<DecodingKey>> {
        if let Some(key) = self.read(|known| known.keys.get(kid).filter(|_| !self.asks_again(known)).cloned())
        {
            return Ok(Some(key));
        }
        // Whoever asks may hang up: what was begun is finished for the others.
        let jwks = self.clone();
        let _ = tokio::spawn(async move { jwks.refresh().await }).await;
        self.read(|known| match known.keys.is_empty() {
            true => Err(Error::IssuerUnavailable),
            false => Ok(known.keys.get(kid).cloned()),
        })
    }

    /// Whether keys that are known are old, and the issuer may be asked.
    fn asks_again(&self, known: &Known) -> bool {
        known.fetched.is_none_or(|at| at.elapsed() >= REFRESH_INTERVAL) && self.may_ask(known)
    }

    fn may_ask(&self, known: &Known) -> bool {
        known.asked.is_none_or(|at| at.elapsed() >= self.pause)
    }

    /// Keys are kept when the issuer does not answer.
    async fn refresh(&self) {
        let _turn = self.asking.lock().await;
        if !self.read(|known| self.may_ask(known)) {
            return;
        }
        self.write(|known| known.asked = Some(Instant::now()));
        match self.fetch().await {
            Ok(keys) => self.write(|known| (known.keys, known.fetched) = (keys, Some(Instant::now()))),
            Err(reason) => tracing::warn!(reason, "the keys at OIDC_JWKS_URL could not be read"),
        }
    }

    async fn fetch(&self) -> std::result::Result<HashMap<String, DecodingKey>, String> {
        let mut answer = self.http.get(self.url.clone()).send().await.map_err(|error| root(&error))?;
        if !answer.status().is_success() {
            return Err(format!("the answer is {}", answer.status()));
        }
        let mut body = Vec::new();
        while let Some(more) = answer.chunk().await.map_err(|error| root(&error))? {
            body.extend_from_slice(&more);
            if body.len() > MAX_JWKS_BYTES {
                return Err("the answer is too long".to_owned());
            }
        }
        let set: Set = serde_json::from_slice(&body).map_err(|_| "the answer is no set of keys")?;
        let keys: HashMap<_, _> = set.keys.into_iter().filter_map(usable).collect();
        if keys.is_empty() { Err("there is no RSA key for signatures".to_owned()) } else { Ok(keys) }
    }

    fn read<T>(&self, look: impl FnOnce(&Known) -> T) -> T {
        look(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write(&self, change: impl FnOnce(&mut Known)) {
        change(&mut self.known.write().unwrap_or_else(PoisonError::into_inner));
    }
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct Key {
    kid: String,
    kty: String,
    #[serde(rename = "use")]
    usage: Option<String>,
    alg: Option<String>,
    n: String,
    e: String,
}

/// Other kinds of keys may stand beside ours.
fn usable(key: Value) -> Option<(String, DecodingKey)> {
    let key: Key = serde_json::from_value(key).ok()?;
    let signs = key.usage.is_none_or(|usage| usage == "sig") && key.alg.is_none_or(|alg| alg == "RS256");
    if key.kty != "RSA" || !signs {
        return None;
    }
    Some((key.kid, DecodingKey::from_rsa_components(&key.n, &key.e).ok()?))
}

/// The cause at the bottom; what lies above repeats addresses.
fn root(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.last().map(ToString::to_string).unwrap_or_default()
}
