//! Tokens of an outside OpenID Connect issuer, such as AWS Cognito.

mod authenticate;
mod claims;
mod jwks;

pub use jwks::Jwks;

use crate::{Error, Result, cache::CACHE_TTL, cache::Cache};
pub(crate) use claims::Claims;
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use registry::TenantId;
use serde_json::Value;
use std::{fmt::Display, sync::Arc};
use uuid::Uuid;

/// How far the issuer's clock may be from ours, in seconds.
const LEEWAY: u64 = 30;

/// An issuer whose tokens are believed, and what is kept of those it has vouched for.
pub struct Oidc {
    /// As it calls itself in its tokens.
    pub(crate) issuer: String,
    audience: String,
    tenant_claim: Option<String>,
    keys: Arc<Jwks>,
    /// The email that a subject is linked to.
    pub(crate) linked: Cache<String, String>,
    /// The church and admin that an email, and the church asked for, have led to.
    pub(crate) authenticated: Cache<(String, Option<String>), (TenantId, Uuid)>,
}

impl Oidc {
    /// With a tenant claim a token opens only the church the claim names, and its email counts without being
    /// verified: nobody but the issuer's administrators may be able to write that claim.
    pub fn new(issuer: String, audience: String, tenant_claim: Option<String>, keys: Jwks) -> Self {
        Self {
            issuer,
            audience,
            tenant_claim,
            keys: Arc::new(keys),
            linked: Cache::new(100_000, CACHE_TTL),
            authenticated: Cache::new(100_000, CACHE_TTL),
        }
    }

    /// What a token says, once signature, times, issuer, audience and use are in order.
    pub(crate) async fn checked(&self, token: &str) -> Result<Claims> {
        let header = decode_header(token).map_err(refused)?;
        // The token does not choose how it is checked.
        if header.alg != Algorithm::RS256 || header.crit.is_some() {
            return Err(refused("its algorithm is not RS256, or it asks for more than that"));
        }
        let kid = header.kid.ok_or_else(|| refused("it names no key"))?;
        let key = self.keys.get(&kid).await?.ok_or_else(|| refused("its key is not the issuer's"))?;
        let mut rules = Validation::new(Algorithm::RS256);
        rules.leeway = LEEWAY;
        rules.validate_nbf = true;
        // Where the audience stands depends on the use of the token.
        rules.validate_aud = false;
        let token = decode::<Value>(token, &key, &rules).map_err(refused)?;
        Claims::of(&token.claims, self).map_err(refused)
    }
}

/// Logs the reason at debug level. The client does not learn it, and the log does not contain the token.
fn refused(why: impl Display) -> Error {
    tracing::debug!(%why, "a token of the outside issuer is refused");
    Error::Unauthenticated
}
