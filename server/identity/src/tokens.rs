//! Tokens of our own: an access token for fifteen minutes, and a refresh token that is used once.

use crate::{
    Choice, Error, Identity, Result, SignedIn,
    sign_in::{record_sign_in, require_active},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::Utc;
use jsonwebtoken::{Algorithm, Header, Validation, decode, encode};
use registry::tokens::{self, Family, Rotation, StoredResponse};
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use std::{net::IpAddr, time::Duration};
use uuid::Uuid;

/// TTL of an access token.
pub const ACCESS_TOKEN_TTL: Duration = Duration::from_secs(15 * 60);
/// TTL of a refresh token; each refresh extends it.
const REFRESH_TOKEN_TTL: Duration = Duration::from_secs(7 * 24 * 3600);

/// Tolerated clock skew between processes, in seconds.
const LEEWAY: u64 = 30;

const ISSUER: &str = "vestry";

/// Credentials of an API client.
pub struct Credentials {
    pub email: String,
    pub password: String,
    /// Tenant to open, if the email belongs to several.
    pub tenant_id: Option<String>,
    /// OIDC token that proves the email.
    pub id_token: Option<String>,
    pub idempotency_key: Option<String>,
}

/// A signed-in API client and its tokens.
pub struct Login {
    pub signed_in: SignedIn,
    pub tokens: Tokens,
}

#[derive(Serialize, Deserialize)]
pub struct Tokens {
    pub access: String,
    pub refresh: String,
}

/// Claims of an access token; the only source of the tenant in a request.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Claims {
    iss: String,
    pub sub: Uuid,
    pub tenant_id: String,
    /// Token family that issued it; revoking the family invalidates it.
    pub sid: Uuid,
    /// The admin's, at the sign-in; see `admins.epoch`.
    #[serde(default)]
    epoch: i32,
    iat: i64,
    nbf: i64,
    exp: i64,
}

/// A login, sealed for replay to a repeated request.
#[derive(Serialize, Deserialize)]
struct SealedLogin {
    family: Uuid,
    tenant_id: String,
    admin_id: Uuid,
    #[serde(default)]
    epoch: i32,
    tokens: Tokens,
}

impl Identity {
    /// Signs an API client in. An email of several churches requires a tenant id.
    pub async fn log_in(&self, address: IpAddr, credentials: Credentials) -> Result<Login> {
        let wanted = credentials.tenant_id.as_deref();
        let request = credentials.idempotency_key.as_deref().map(|key| {
            let id_token = credentials.id_token.as_deref().unwrap_or_default();
            self.request_digest(&[
                "login",
                key,
                &credentials.email,
                &credentials.password,
                wanted.unwrap_or_default(),
                id_token,
            ])
        });
        if let Some(request) = &request
            && let Some(response) = tokens::find_response(&self.registry, request).await?
        {
            return self.replay(&response).await;
        }
        let verified = self.verify(address, None, &credentials.email, credentials.password, wanted).await;
        let choices = verified.inspect_err(|error| self.log_failure(&credentials.email, error))?;
        let chosen = chosen(&choices, wanted)?;
        let (tenant_id, admin_id) = (chosen.tenant_id.parse()?, chosen.admin_id);
        let signed_in = self.enter_uncached(&tenant_id, admin_id).await?.ok_or(Error::WrongCredentials)?;
        if let Some(token) = &credentials.id_token {
            self.verify_email_by_token(&signed_in, token).await?;
        }
        let family = Family { id: Uuid::now_v7(), tenant_id, admin_id, epoch: signed_in.admin.epoch };
        record_sign_in(signed_in.tenant.clone(), family.admin_id);
        let tokens = self.new_tokens(&family, 0).await?;
        let response = request.map(|request| self.stored_response(request, &family, &tokens));
        let digest = digest_of(&tokens.refresh);
        match tokens::create(&self.registry, &family, &digest, REFRESH_TOKEN_TTL, response).await? {
            Some(answer) => self.replay(&answer).await,
            None => Ok(Login { signed_in, tokens }),
        }
    }

    /// Exchanges a refresh token for a new pair. Reuse revokes the family, except within a short grace or for a repeated
    /// request with its Idempotency-Key.
    pub async fn refresh(&self, refresh: &str, idempotency_key: Option<&str>) -> Result<Login> {
        let digest = digest_of(refresh);
        let request = idempotency_key.map(|key| self.request_digest(&["refresh", key, refresh]));
        let presented = tokens::find(&self.registry, &digest, request.as_deref()).await?;
        let presented = presented.ok_or(Error::Unauthenticated)?;
        if let Some(response) = &presented.stored_response {
            return self.replay(response).await;
        }
        let family = &presented.family;
        let signed_in = self.enter_family(family).await?;
        let tokens = self.new_tokens(family, presented.counter + 1).await?;
        let response = request.map(|request| self.stored_response(request, family, &tokens));
        let next = digest_of(&tokens.refresh);
        match tokens::rotate(&self.registry, &presented, &digest, &next, REFRESH_TOKEN_TTL, response.as_ref())
            .await?
        {
            Rotation::Rotated | Rotation::Raced => Ok(Login { signed_in, tokens }),
            Rotation::Repeated(answer) => self.replay(&answer).await,
            Rotation::Reused => {
                tracing::warn!(tenant = %family.tenant_id, "a refresh token was shown twice; its sign-in has ended");
                Err(Error::Unauthenticated)
            }
        }
    }

    /// Revokes the family of a refresh token; notifies every process.
    pub async fn log_out(&self, refresh: &str) -> Result<()> {
        tokens::revoke_by_token(&self.registry, &digest_of(refresh)).await?;
        tracing::info!("a program has signed out: its tokens are revoked");
        Ok(())
    }

    /// Authenticates an access token that names this signing key.
    pub(crate) async fn authenticate_access_token(
        &self,
        token: &str,
        key: Option<&str>,
        wanted: Option<&str>,
    ) -> Result<SignedIn> {
        let claims = self.verify_access_token(token, key.ok_or(Error::Unauthenticated)?).await?;
        let family = Family {
            id: claims.sid,
            tenant_id: claims.tenant_id.parse().map_err(|_| Error::Unauthenticated)?,
            admin_id: claims.sub,
            epoch: claims.epoch,
        };
        let is_active = async {
            let is_active = tokens::is_active(&self.registry, family.id).await?;
            is_active.then_some(()).ok_or(Error::Unauthenticated)
        };
        self.families.get_or_read(&family.id, is_active).await?;
        if wanted.is_some_and(|wanted| wanted != claims.tenant_id) {
            return Err(Error::WrongTenant);
        }
        self.enter_family(&family).await
    }

    async fn verify_access_token(&self, token: &str, key: &str) -> Result<Claims> {
        let key = self.decoding_key(key).await?.ok_or(Error::Unauthenticated)?;
        let mut rules = Validation::new(Algorithm::HS256);
        rules.set_issuer(&[ISSUER]);
        rules.set_required_spec_claims(&["exp", "nbf", "iss"]);
        rules.validate_nbf = true;
        rules.leeway = LEEWAY;
        let claims = decode::<Claims>(token, &key, &rules).map_err(|_| Error::Unauthenticated)?.claims;
        let is_of_the_future = claims.iat > Utc::now().timestamp() + LEEWAY as i64;
        if is_of_the_future { Err(Error::Unauthenticated) } else { Ok(claims) }
    }

    async fn enter_family(&self, family: &Family) -> Result<SignedIn> {
        let user = self.enter_in_epoch(&family.tenant_id, family.admin_id, family.epoch).await?;
        user.ok_or(Error::Unauthenticated)
    }

    /// Creates an access token, and the refresh token at this position of the family.
    async fn new_tokens(&self, family: &Family, counter: i32) -> Result<Tokens> {
        let now = Utc::now().timestamp();
        let claims = Claims {
            iss: ISSUER.to_owned(),
            sub: family.admin_id,
            tenant_id: family.tenant_id.to_string(),
            sid: family.id,
            epoch: family.epoch,
            iat: now,
            nbf: now,
            exp: now + ACCESS_TOKEN_TTL.as_secs() as i64,
        };
        let keys = self.signing_keys().await?;
        let newest = keys.first().ok_or(registry::Error::NotFound)?;
        let header = Header { kid: Some(newest.id.clone()), ..Header::new(Algorithm::HS256) };
        let access = encode(&header, &claims, &newest.encoding).expect("six claims are JSON");
        Ok(Tokens { access, refresh: self.refresh_token(family.id, counter) })
    }

    /// Derives a refresh token from the secret. Reproducible, so only its digest is stored.
    fn refresh_token(&self, family: Uuid, counter: i32) -> String {
        let place = [&family.as_bytes()[..], &counter.to_be_bytes()].concat();
        format!("vrt_{}", BASE64_URL_SAFE_NO_PAD.encode(self.secret.digest("refresh token", &place)))
    }

    fn request_digest(&self, parts: &[&str]) -> Vec<u8> {
        self.secret.digest("asked", &serde_json::to_vec(parts).expect("strings are JSON"))
    }

    fn stored_response(&self, request: Vec<u8>, family: &Family, tokens: &Tokens) -> StoredResponse {
        let login = SealedLogin {
            family: family.id,
            tenant_id: family.tenant_id.to_string(),
            admin_id: family.admin_id,
            epoch: family.epoch,
            tokens: Tokens { access: tokens.access.clone(), refresh: tokens.refresh.clone() },
        };
        let login = serde_json::to_vec(&login).expect("a login is JSON");
        StoredResponse { request, sealed: self.secret.seal(SEALED_LOGIN, &login) }
    }

    async fn replay(&self, sealed: &[u8]) -> Result<Login> {
        let opened = self.secret.open(SEALED_LOGIN, sealed)?;
        let login: SealedLogin = serde_json::from_slice(&opened).map_err(|_| Error::Sealed)?;
        if !tokens::is_active(&self.registry, login.family).await? {
            return Err(Error::Unauthenticated);
        }
        let tenant_id = login.tenant_id.parse()?;
        let user = self.enter_in_epoch(&tenant_id, login.admin_id, login.epoch).await?;
        let signed_in = user.ok_or(Error::Unauthenticated)?;
        Ok(Login { signed_in, tokens: login.tokens })
    }
}

/// Returns the requested choice, or the only active one.
fn chosen<'a>(choices: &'a [Choice], wanted: Option<&str>) -> Result<&'a Choice> {
    if let Some(wanted) = wanted {
        let named = choices.iter().find(|choice| choice.tenant_id == wanted);
        return require_active(named.ok_or(Error::WrongTenant)?);
    }
    let mut open = choices.iter().filter(|choice| !choice.is_suspended);
    match (open.next(), open.next()) {
        (Some(only), None) => Ok(only),
        _ => Err(Error::ChooseTenant(choices.to_vec())),
    }
}

fn digest_of(token: &str) -> Vec<u8> {
    digest(&SHA256, token.as_bytes()).as_ref().to_vec()
}

/// Name under which logins are sealed.
const SEALED_LOGIN: &str = "answer";
