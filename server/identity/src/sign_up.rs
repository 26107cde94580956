use crate::{
    Device, Error, Identity, Owner, Result, crypto::constant_time_eq, identity::PendingSignup,
    log::record_tenant, sign_in::renew,
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::Utc;
use registry::{
    TenantId,
    ready::SchemaRevision,
    signups::{self, Accepted, Idempotency, Signup},
    tenants::Isolation,
};
use std::{net::IpAddr, time::Duration};
use tenant::schema;
use tower_sessions::Session;
use uuid::Uuid;

/// How long the browser that signed a church up may enter without a password, and resubmit the form.
const PENDING_SIGNUP_TTL: Duration = Duration::from_secs(3600);

/// Maximum churches with the same unverified email: anyone may type it.
const MAX_UNVERIFIED: i64 = 5;

/// Validated input of a signup: the church and its owner.
pub struct NewChurch {
    pub church: String,
    pub country: String,
    pub timezone: String,
    /// Where its data is to be kept; `None` for wherever there is room.
    pub region: Option<String>,
    /// How its data is to be kept apart; `None` for what the installation is configured for.
    pub isolation: Option<Isolation>,
    pub first_name: String,
    pub last_name: String,
    pub email: String,
    pub password: String,
    /// The same request sent twice makes one church.
    pub idempotency_key: Option<IdempotencyKey>,
}

/// What a signup is repeated under.
pub struct IdempotencyKey {
    pub key: String,
    /// For how long a repetition is answered like the first request.
    pub lifetime: Duration,
}

impl Identity {
    /// The hidden key of a form for signing up, which only this browser can send.
    pub fn signup_key(&self, device: &Device) -> String {
        let nonce = Uuid::new_v4();
        format!("{nonce}.{}", BASE64_URL_SAFE_NO_PAD.encode(self.form_mac(device.id_or_new(), nonce)))
    }

    /// Accepts a signup by a form with this key, and remembers in the browser's session what it waits for.
    pub async fn sign_up(
        &self,
        session: &Session,
        device: &Device,
        address: IpAddr,
        new: NewChurch,
        form_key: &str,
    ) -> Result<Accepted> {
        let idempotency_key = match form_key {
            "" => None,
            key => Some(IdempotencyKey {
                key: self.checked_form_key(device, key)?,
                lifetime: PENDING_SIGNUP_TTL,
            }),
        };
        let accepted = self.accept(Some(address), NewChurch { idempotency_key, ..new }).await?;
        renew(session).await?;
        let until = Utc::now().timestamp() + PENDING_SIGNUP_TTL.as_secs() as i64;
        session.insert(PendingSignup::KEY, PendingSignup { run_id: accepted.run_id, until }).await?;
        session.save().await?;
        Ok(accepted)
    }

    /// Accepts a signup of a program. Those of the operator come from no address, and may be many.
    pub async fn accept(&self, address: Option<IpAddr>, new: NewChurch) -> Result<Accepted> {
        if let Some(address) = address {
            self.limits.check_sign_up(address)?;
        }
        let key = new.idempotency_key.as_ref();
        let digest = |purpose, key: &IdempotencyKey| self.secret.digest(purpose, key.key.as_bytes());
        // The same key and password give the same hash, so that the digest of a request needs none of the password
        // that could be guessed faster.
        let salt = key.and_then(|key| digest("signup salt", key)[..16].try_into().ok());
        let password_hash = self.passwords.hash(new.password, salt).await;
        let isolation = new.isolation.unwrap_or(self.isolation);
        let request = [
            new.church.as_str(),
            &new.country,
            &new.timezone,
            new.region.as_deref().unwrap_or_default(),
            isolation.name(),
            &new.first_name,
            &new.last_name,
            &new.email,
            &password_hash,
        ];
        let request =
            self.secret.digest("signup request", &serde_json::to_vec(&request).expect("texts are JSON"));
        let key_digest = key.map(|key| crate::crypto::hex(&digest("signup key", key)));
        let owner =
            Owner { first_name: new.first_name, last_name: new.last_name, email: new.email, password_hash };
        let revision = schema::revision();
        let signup = Signup {
            church: &new.church,
            country: &new.country,
            timezone: &new.timezone,
            email: &owner.email,
            isolation,
            region: new.region.as_deref(),
            revision: SchemaRevision { name: &revision, schema_version: schema::version() },
            idempotency: key.zip(key_digest.as_deref()).map(|(key, digest)| Idempotency {
                key: digest,
                request: &request,
                lifetime: key.lifetime,
            }),
            unverified_limit: address.map(|_| MAX_UNVERIFIED),
        };
        let seal = |tenant_id: &TenantId| owner.seal(&self.secret, tenant_id.as_str());
        let accepted = signups::accept(&self.registry, signup, seal, &*self.inspect).await;
        let result = if accepted.is_ok() { "accepted" } else { "refused" };
        metrics::counter!("vestry_signups_total", "result" => result).increment(1);
        let accepted = accepted?;
        record_tenant(accepted.tenant_id.as_str());
        tracing::info!(run = %accepted.run_id, "signup accepted");
        Ok(accepted)
    }

    /// The key of a form that was made for this browser.
    fn checked_form_key(&self, device: &Device, key: &str) -> Result<String> {
        let checked = || {
            let (nonce, mac) = key.split_once('.')?;
            let nonce = nonce.parse().ok()?;
            let mac = BASE64_URL_SAFE_NO_PAD.decode(mac).ok()?;
            constant_time_eq(&mac, &self.form_mac(device.id()?, nonce)).then(|| format!("form {nonce}"))
        };
        checked().ok_or(Error::KeyReused)
    }

    fn form_mac(&self, device: [u8; 16], nonce: Uuid) -> Vec<u8> {
        self.secret.digest("signup form", &[&device[..], nonce.as_bytes()].concat())
    }
}
