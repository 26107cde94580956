use crate::{
    Device, Error, Identity, Result,
    events::in_tenant,
    identity::Opening,
    session_store::{EPOCH, WHO},
};
use base64::{Engine, prelude::BASE64_STANDARD_NO_PAD};
use chrono::{DateTime, Utc};
use registry::{TenantId, runs, runs::RunStatus, sessions, signups, tenants};
use serde::{Deserialize, Serialize};
use std::{net::IpAddr, time::Duration};
use tenant::{
    Tenant,
    admins::{self, Account},
};
use tokio::time::Instant;
use tower_sessions::Session;
use uuid::Uuid;

/// A sign-in that fails is answered no sooner than this, whether it had to look into no church or
/// into several: the time tells nothing about who exists.
const REFUSAL: Duration = Duration::from_millis(400);

/// How long after the password somebody may choose. What happens later, such as another password or an admin who was
/// disabled for a while, is not looked at again.
const CHOOSING: Duration = Duration::from_secs(10 * 60);

/// A church that an email and password open, with what tells it from another of the same name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    pub tenant_id: String,
    pub church: String,
    pub town: Option<String>,
    /// ISO 3166, two letters.
    pub country: String,
    /// When it was signed up.
    pub created_at: DateTime<Utc>,
    /// What the person is there; see [`tenant::Role::name`].
    pub role: String,
    /// It is there, and opens to nobody now.
    pub is_suspended: bool,
    pub(crate) admin_id: Uuid,
}

impl Choice {
    /// The key under which a session keeps the churches it may choose from, sealed: the registry holds no church data.
    const KEY: &str = "choices";

    pub(crate) fn new(church: &tenants::Tenant, account: &Account) -> Self {
        Self {
            tenant_id: church.id.to_string(),
            church: church.name.clone(),
            town: account.town.clone(),
            country: church.country.clone(),
            created_at: church.created_at,
            role: account.role.name().to_owned(),
            is_suspended: church.status == tenants::Status::Suspended,
            admin_id: account.id,
        }
    }

    /// Only churches that are open can be entered.
    pub(crate) fn open(&self) -> Result<&Self> {
        match self.is_suspended {
            true => Err(Error::Suspended { church: self.church.clone() }),
            false => Ok(self),
        }
    }
}

impl Identity {
    /// Checks an email and password. Opens the church it belongs to; if there are several, the
    /// session keeps them for [`Identity::choose`], and they are returned.
    pub async fn sign_in(
        &self,
        session: &Session,
        device: &Device,
        address: IpAddr,
        email: &str,
        password: String,
    ) -> Result<Vec<Choice>> {
        let verified = self.verify(address, Some(device), email, password, None).await;
        let choices = verified.inspect_err(|error| self.log_refused(email, error))?;
        for choice in choices.iter().rev() {
            device.remember(&self.secret, email, &choice.tenant_id);
        }
        match choices.as_slice() {
            [only] => self.open(session, only).await?,
            _ => {
                renew(session).await?;
                let until = Utc::now().timestamp() + CHOOSING.as_secs() as i64;
                let kept = serde_json::to_vec(&(until, &choices)).expect("JSON");
                let sealed = self.secret.seal(Choice::KEY, &kept);
                session.insert(Choice::KEY, BASE64_STANDARD_NO_PAD.encode(sealed)).await?;
                session.save().await?;
            }
        }
        Ok(choices)
    }

    /// The churches this session may choose from, because its password was right for them.
    pub async fn choices(&self, session: &Session) -> Result<Vec<Choice>> {
        let Some(sealed) = session.get_value(Choice::KEY).await? else { return Ok(Vec::new()) };
        let sealed = sealed.as_str().and_then(|sealed| BASE64_STANDARD_NO_PAD.decode(sealed).ok());
        let choices = sealed.and_then(|sealed| self.secret.open(Choice::KEY, &sealed).ok());
        // What an earlier version has kept is chosen anew.
        let kept: Option<(i64, Vec<Choice>)> = choices.and_then(|kept| serde_json::from_slice(&kept).ok());
        let in_time = kept.filter(|(until, _)| Utc::now().timestamp() < *until);
        Ok(in_time.map(|(_, choices)| choices).unwrap_or_default())
    }

    /// Opens one of [`Identity::choices`].
    pub async fn choose(&self, session: &Session, tenant_id: &str) -> Result<()> {
        let choices = self.choices(session).await?;
        let chosen =
            choices.iter().find(|choice| choice.tenant_id == tenant_id).ok_or(Error::WrongCredentials)?;
        self.open(session, chosen).await
    }

    /// Ends the session, in every process at once.
    pub async fn sign_out(&self, session: &Session) -> Result<()> {
        Ok(session.flush().await?)
    }

    /// Ends all sessions and tokens of an admin who may no longer enter, in every process at once.
    pub async fn end_sessions(&self, tenant_id: &str, admin_id: Uuid) -> Result<()> {
        Ok(sessions::delete_of_admin(&self.registry, tenant_id, admin_id).await?)
    }

    /// Whether this browser signed up for that run, and may enter without a password.
    pub async fn waits_for(&self, session: &Session, run_id: Uuid) -> Result<bool> {
        let opening = session.get::<Opening>(Opening::KEY).await?;
        Ok(opening.is_some_and(|opening| opening.run_id == run_id && Utc::now().timestamp() < opening.until))
    }

    /// Lets the browser that signed a church up enter it, once it is open.
    pub async fn enter_opened(&self, session: &Session, device: &Device, run_id: Uuid) -> Result<bool> {
        if !self.waits_for(session, run_id).await? {
            return Ok(false);
        }
        let run = runs::progress(&self.registry, run_id).await?;
        if run.status != RunStatus::Succeeded {
            return Ok(false);
        }
        let tenant = self.tenant_of(&run.tenant_id).await?;
        let admin_id = admins::founder(&tenant).await?;
        self.enter_session(session, &run.tenant_id, admin_id).await?;
        session.remove::<Opening>(Opening::KEY).await?;
        signups::end_key(&self.registry, run_id).await?;
        if let Some(email) = admins::email_of(&tenant, admin_id).await? {
            device.remember(&self.secret, &email, run.tenant_id.as_str());
        }
        Ok(true)
    }

    /// The churches that an email and password open, `wanted` among the first. Those that `device` has signed in to
    /// before have a limit of their own; in all others it is a stranger.
    pub(crate) async fn verify(
        &self,
        address: IpAddr,
        device: Option<&Device>,
        email: &str,
        password: String,
        wanted: Option<&str>,
    ) -> Result<Vec<Choice>> {
        self.limits.sign_in_from(address)?;
        let no_sooner = Instant::now() + REFUSAL;
        let mut choices = Vec::new();
        let mut unavailable = None;
        let churches = tenants::of_email(&self.registry, email, wanted).await?;
        let is_known = |id: &TenantId| device.is_some_and(|it| it.knows(&self.secret, email, id.as_str()));
        let (mut churches, others): (Vec<_>, Vec<_>) = churches.into_iter().partition(is_known);
        let mut attempts = Vec::new();
        if let Some(id) = device.and_then(Device::id).filter(|_| !churches.is_empty()) {
            attempts.push(self.limits.by_device(id, email)?);
        }
        if attempts.is_empty() {
            attempts.push(self.limits.by_stranger(address, email)?);
            churches = others;
        } else if !others.is_empty()
            && let Ok(attempt) = self.limits.by_stranger(address, email)
        {
            // Otherwise only the churches that the browser knows are looked into.
            attempts.push(attempt);
            churches.extend(others);
        }
        // What could not be looked at is no wrong guess: whoever tries again during an outage is not locked out by it.
        let mut judged = churches.is_empty();
        if churches.is_empty() {
            self.passwords.verify(password, None).await;
        } else {
            for tenant_id in churches {
                match self.verify_in(&tenant_id, email, password.clone()).await {
                    Ok(choice) => {
                        judged = true;
                        choices.extend(choice);
                    }
                    // One church that is out of reach does not lock people out of another.
                    Err(error) => {
                        if !matches!(error, Error::Suspended { .. }) {
                            let cause = registry::chain(&error);
                            tracing::warn!(tenant = %tenant_id, error = %cause, "a church could not be asked about a sign-in");
                        }
                        unavailable = Some(error);
                    }
                }
            }
        }
        if choices.is_empty() {
            if !judged {
                attempts.iter().for_each(|attempt| self.limits.succeeded(attempt));
            }
            tokio::time::sleep_until(no_sooner).await;
            return Err(unavailable.unwrap_or(Error::WrongCredentials));
        }
        attempts.iter().for_each(|attempt| self.limits.succeeded(attempt));
        match choices.iter().all(|choice| choice.is_suspended) {
            true => Err(Error::Suspended { church: choices.swap_remove(0).church }),
            false => Ok(choices),
        }
    }

    async fn verify_in(&self, tenant_id: &TenantId, email: &str, password: String) -> Result<Option<Choice>> {
        let known = self.known(tenant_id).await?;
        // That a church is suspended is told to those who know its password.
        let tenant = match self.open_tenant(&known).await {
            Err(Error::Suspended { .. }) => self.suspended_tenant(&known).await?,
            open => open?,
        };
        let account = admins::with_email(&tenant, email).await?;
        let hash = account.as_ref().and_then(|account| account.password_hash.clone());
        let right = self.passwords.verify(password, hash).await;
        Ok(account.filter(|_| right).map(|account| Choice::new(&known, &account)))
    }

    async fn open(&self, session: &Session, choice: &Choice) -> Result<()> {
        let choice = choice.open()?;
        self.enter_session(session, &choice.tenant_id.parse()?, choice.admin_id).await
    }

    async fn enter_session(&self, session: &Session, tenant_id: &TenantId, admin_id: Uuid) -> Result<()> {
        let inside = self.enter_anew(tenant_id, admin_id).await?.ok_or(Error::WrongCredentials)?;
        renew(session).await?;
        session.remove_value(Choice::KEY).await?;
        session.insert(WHO, (tenant_id.as_str(), admin_id)).await?;
        session.insert(EPOCH, inside.admin.epoch).await?;
        // Here, where a registry that takes no writes can still be answered with a page. The session layer would
        // answer with an empty body.
        session.save().await?;
        note(inside.tenant, admin_id);
        Ok(())
    }
}

/// The session gets a new id, so that one planted before is worth nothing.
pub(crate) async fn renew(session: &Session) -> Result<()> {
    if session.id().is_some() {
        session.cycle_id().await?;
    }
    Ok(())
}

/// Notes that an admin has signed in, while the answer is on its way.
pub(crate) fn note(tenant: Tenant, admin_id: Uuid) {
    in_tenant(tenant.id());
    metrics::counter!("vestry_sign_ins_total", "result" => "succeeded").increment(1);
    tracing::info!(admin = %admin_id, "signed in");
    tokio::spawn(async move {
        if let Err(error) = admins::signed_in(&tenant, admin_id).await {
            tracing::warn!(tenant = tenant.id(), error = %registry::chain(&error), "a sign-in was not noted");
        }
    });
}
