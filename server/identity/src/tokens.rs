//! Tokens of our own: an access token for fifteen minutes, and a refresh token that is used once.

use crate::{Choice, Error, Identity, Result, CurrentUser, sign_in::note};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::Utc;
use jsonwebtoken::{Algorithm, Header, Validation, decode, encode};
use registry::tokens::{self, Family, Kept, Rotated};
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use std::{net::IpAddr, time::Duration};
use uuid::Uuid;

/// How long an access token is good.
pub const ACCESS: Duration = Duration::from_secs(15 * 60);
/// How long a program stays signed in that does not refresh.
const REFRESH: Duration = Duration::from_secs(7 * 24 * 3600);

/// How far the clocks of two of our processes may be apart.
const LEEWAY: u64 = 30;

const ISSUER: &str = "vestry";

/// What a program signs in with.
pub struct Login {
    pub email: String,
    pub password: String,
    /// Which church to open, when the email belongs to several.
    pub tenant_id: Option<String>,
    /// A token of the outside issuer, to prove that the email is the person's own.
    pub id_token: Option<String>,
    pub idempotency_key: Option<String>,
}

/// A program that is signed in, with what it shows from now on.
pub struct LoggedIn {
    pub signed_in: CurrentUser,
    pub tokens: Tokens,
}

#[derive(Serialize, Deserialize)]
pub struct Tokens {
    pub access: String,
    pub refresh: String,
}

/// What an access token says. The church is in it, and nowhere else in a request.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Claims {
    iss: String,
    pub sub: Uuid,
    pub tenant_id: String,
    /// The sign-in that it came from, and ends with.
    pub sid: Uuid,
    /// The admin's, at the sign-in; see `admins.epoch`.
    #[serde(default)]
    epoch: i32,
    iat: i64,
    nbf: i64,
    exp: i64,
}

/// An answer, kept encrypted.
#[derive(Serialize, Deserialize)]
struct Answer {
    family: Uuid,
    tenant_id: String,
    admin_id: Uuid,
    #[serde(default)]
    epoch: i32,
    tokens: Tokens,
}

impl Identity {
    /// Signs a program in. An email of several churches opens none of them unless one is named.
    pub async fn log_in(&self, address: IpAddr, login: Login) -> Result<LoggedIn> {
        let wanted = login.tenant_id.as_deref();
        let asked = login.idempotency_key.as_deref().map(|key| {
            let id_token = login.id_token.as_deref().unwrap_or_default();
            self.asked(&["login", key, &login.email, &login.password, wanted.unwrap_or_default(), id_token])
        });
        if let Some(asked) = &asked
            && let Some(answer) = tokens::answer_to(&self.registry, asked).await?
        {
            return self.as_before(&answer).await;
        }
        let verified = self.verify(address, None, &login.email, login.password, wanted).await;
        let choices = verified.inspect_err(|error| self.log_refused(&login.email, error))?;
        let chosen = chosen(&choices, wanted)?;
        let (tenant_id, admin_id) = (chosen.tenant_id.parse()?, chosen.admin_id);
        let signed_in = self.enter_anew(&tenant_id, admin_id).await?.ok_or(Error::WrongCredentials)?;
        if let Some(token) = &login.id_token {
            self.prove_email(&signed_in, token).await?;
        }
        let family = Family { id: Uuid::now_v7(), tenant_id, admin_id, epoch: signed_in.admin.epoch };
        note(signed_in.tenant.clone(), family.admin_id);
        let tokens = self.new_tokens(&family, 0).await?;
        let kept = asked.map(|asked| self.keep(asked, &family, &tokens));
        let shown = digest_of(&tokens.refresh);
        match tokens::open(&self.registry, &family, &shown, REFRESH, kept).await? {
            Some(answer) => self.as_before(&answer).await,
            None => Ok(LoggedIn { signed_in, tokens }),
        }
    }

    /// A new pair for a refresh token, which is used up. One that was used before ends the sign-in, unless that was a
    /// moment ago, or it is the same request again under its Idempotency-Key.
    pub async fn refresh(&self, refresh: &str, idempotency_key: Option<&str>) -> Result<LoggedIn> {
        let shown = digest_of(refresh);
        let asked = idempotency_key.map(|key| self.asked(&["refresh", key, refresh]));
        let known = tokens::find(&self.registry, &shown, asked.as_deref()).await?;
        let known = known.ok_or(Error::Unauthenticated)?;
        if let Some(answer) = &known.answer {
            return self.as_before(answer).await;
        }
        let family = &known.family;
        let signed_in = self.of_family(family).await?;
        let tokens = self.new_tokens(family, known.counter + 1).await?;
        let kept = asked.map(|asked| self.keep(asked, family, &tokens));
        let next = digest_of(&tokens.refresh);
        match tokens::rotate(&self.registry, &known, &shown, &next, REFRESH, kept.as_ref()).await? {
            Rotated::Next | Rotated::Crossed => Ok(LoggedIn { signed_in, tokens }),
            Rotated::Repeated(answer) => self.as_before(&answer).await,
            Rotated::Reused => {
                tracing::warn!(tenant = %family.tenant_id, "a refresh token was shown twice; its sign-in has ended");
                Err(Error::Unauthenticated)
            }
        }
    }

    /// Ends the sign-in that a refresh token belongs to, and its access tokens, in every process at once.
    pub async fn log_out(&self, refresh: &str) -> Result<()> {
        tokens::end_of(&self.registry, &digest_of(refresh)).await?;
        tracing::info!("a program has signed out: its tokens are revoked");
        Ok(())
    }

    /// Who shows an access token of ours, which says that it is signed by this key.
    pub(crate) async fn admit_own(
        &self,
        token: &str,
        key: Option<&str>,
        wanted: Option<&str>,
    ) -> Result<CurrentUser> {
        let claims = self.checked(token, key.ok_or(Error::Unauthenticated)?).await?;
        let family = Family {
            id: claims.sid,
            tenant_id: claims.tenant_id.parse().map_err(|_| Error::Unauthenticated)?,
            admin_id: claims.sub,
            epoch: claims.epoch,
        };
        let lives = async {
            let lives = tokens::lives(&self.registry, family.id).await?;
            lives.then_some(()).ok_or(Error::Unauthenticated)
        };
        self.families.get_or_read(&family.id, lives).await?;
        if wanted.is_some_and(|wanted| wanted != claims.tenant_id) {
            return Err(Error::WrongTenant);
        }
        self.of_family(&family).await
    }

    async fn checked(&self, token: &str, key: &str) -> Result<Claims> {
        let key = self.token_key(key).await?.ok_or(Error::Unauthenticated)?;
        let mut rules = Validation::new(Algorithm::HS256);
        rules.set_issuer(&[ISSUER]);
        rules.set_required_spec_claims(&["exp", "nbf", "iss"]);
        rules.validate_nbf = true;
        rules.leeway = LEEWAY;
        let claims = decode::<Claims>(token, &key, &rules).map_err(|_| Error::Unauthenticated)?.claims;
        let is_of_the_future = claims.iat > Utc::now().timestamp() + LEEWAY as i64;
        if is_of_the_future { Err(Error::Unauthenticated) } else { Ok(claims) }
    }

    async fn of_family(&self, family: &Family) -> Result<CurrentUser> {
        let inside = self.enter_since(&family.tenant_id, family.admin_id, family.epoch).await?;
        inside.ok_or(Error::Unauthenticated)
    }

    /// An access token, and the refresh token of this place in the family.
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
            exp: now + ACCESS.as_secs() as i64,
        };
        let keys = self.token_keys().await?;
        let newest = keys.first().ok_or(registry::Error::NotFound)?;
        let header = Header { kid: Some(newest.id.clone()), ..Header::new(Algorithm::HS256) };
        let access = encode(&header, &claims, &newest.signs).expect("six claims are JSON");
        Ok(Tokens { access, refresh: self.refresh_token(family.id, counter) })
    }

    /// Nobody without the installation's secret can make it, and we can make it again: only its digest is kept.
    fn refresh_token(&self, family: Uuid, counter: i32) -> String {
        let place = [&family.as_bytes()[..], &counter.to_be_bytes()].concat();
        format!("vrt_{}", BASE64_URL_SAFE_NO_PAD.encode(self.secret.digest("refresh token", &place)))
    }

    fn asked(&self, words: &[&str]) -> Vec<u8> {
        self.secret.digest("asked", &serde_json::to_vec(words).expect("words are JSON"))
    }

    fn keep(&self, asked: Vec<u8>, family: &Family, tokens: &Tokens) -> Kept {
        let answer = Answer {
            family: family.id,
            tenant_id: family.tenant_id.to_string(),
            admin_id: family.admin_id,
            epoch: family.epoch,
            tokens: Tokens { access: tokens.access.clone(), refresh: tokens.refresh.clone() },
        };
        let answer = serde_json::to_vec(&answer).expect("an answer is JSON");
        Kept { asked, answer: self.secret.seal(KEPT, &answer) }
    }

    async fn as_before(&self, answer: &[u8]) -> Result<LoggedIn> {
        let opened = self.secret.open(KEPT, answer)?;
        let answer: Answer = serde_json::from_slice(&opened).map_err(|_| Error::Sealed)?;
        if !tokens::lives(&self.registry, answer.family).await? {
            return Err(Error::Unauthenticated);
        }
        let tenant_id = answer.tenant_id.parse()?;
        let inside = self.enter_since(&tenant_id, answer.admin_id, answer.epoch).await?;
        let signed_in = inside.ok_or(Error::Unauthenticated)?;
        Ok(LoggedIn { signed_in, tokens: answer.tokens })
    }
}

/// The church that is wanted, or the only one that is open.
fn chosen<'a>(choices: &'a [Choice], wanted: Option<&str>) -> Result<&'a Choice> {
    if let Some(wanted) = wanted {
        let named = choices.iter().find(|choice| choice.tenant_id == wanted);
        return named.ok_or(Error::WrongTenant)?.open();
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

/// What kept answers are sealed as.
const KEPT: &str = "answer";
