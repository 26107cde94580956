use crate::{
    Choice, Device, Error, Identity, Result,
    identity::PendingSignup,
    log::record_tenant,
    session_store::{SESSION_EPOCH, SESSION_USER},
};
use base64::{Engine, prelude::BASE64_STANDARD_NO_PAD};
use chrono::Utc;
use registry::{TenantId, admin_emails, progress, progress::RunStatus, sessions, signups};
use std::{net::IpAddr, time::Duration};
use tenant::{Tenant, admins};
use tokio::time::Instant;
use tower_sessions::Session;
use uuid::Uuid;

/// Minimum duration of a failed sign-in, so that timing does not reveal which accounts exist.
const MIN_FAILURE_LATENCY: Duration = Duration::from_millis(400);

/// How long after the password somebody may choose. What happens later, such as another password or an admin who was
/// disabled for a while, is not looked at again.
const CHOICE_TTL: Duration = Duration::from_secs(10 * 60);

impl Identity {
    /// Checks an email and password. Opens the only church; with several, stores them in the session for
    /// [`Identity::choose`] and returns them.
    pub async fn sign_in(
        &self,
        session: &Session,
        device: &Device,
        address: IpAddr,
        email: &str,
        password: String,
    ) -> Result<Vec<Choice>> {
        let verified = self.verify(address, Some(device), email, password, None).await;
        let choices = verified.inspect_err(|error| self.log_failure(email, error))?;
        for choice in choices.iter().rev() {
            device.remember(&self.secret, email, &choice.tenant_id);
        }
        match choices.as_slice() {
            [only] => self.open(session, only).await?,
            _ => {
                renew(session).await?;
                let until = Utc::now().timestamp() + CHOICE_TTL.as_secs() as i64;
                let kept = serde_json::to_vec(&(until, &choices)).expect("JSON");
                let sealed = self.secret.seal(Choice::KEY, &kept);
                session.insert(Choice::KEY, BASE64_STANDARD_NO_PAD.encode(sealed)).await?;
                session.save().await?;
            }
        }
        Ok(choices)
    }

    /// Returns the churches this session may choose from.
    pub async fn choices(&self, session: &Session) -> Result<Vec<Choice>> {
        let Some(sealed) = session.get_value(Choice::KEY).await? else { return Ok(Vec::new()) };
        let sealed = sealed.as_str().and_then(|sealed| BASE64_STANDARD_NO_PAD.decode(sealed).ok());
        let choices = sealed.and_then(|sealed| self.secret.open(Choice::KEY, &sealed).ok());
        // Choices stored by an older release are ignored.
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

    /// Deletes the session; notifies every process.
    pub async fn sign_out(&self, session: &Session) -> Result<()> {
        Ok(session.flush().await?)
    }

    /// Ends all sessions and tokens of an admin who may no longer enter, in every process at once.
    pub async fn end_sessions(&self, tenant_id: &str, admin_id: Uuid) -> Result<()> {
        Ok(sessions::delete_of_admin(&self.registry, tenant_id, admin_id).await?)
    }

    /// Returns whether this browser signed up for the run, and may enter without a password.
    pub async fn has_pending_signup(&self, session: &Session, run_id: Uuid) -> Result<bool> {
        let pending = session.get::<PendingSignup>(PendingSignup::KEY).await?;
        Ok(pending.is_some_and(|pending| pending.run_id == run_id && Utc::now().timestamp() < pending.until))
    }

    /// Signs in the browser that signed the church up, once it is active.
    pub async fn enter_after_signup(&self, session: &Session, device: &Device, run_id: Uuid) -> Result<bool> {
        if !self.has_pending_signup(session, run_id).await? {
            return Ok(false);
        }
        let run = progress::find(&self.registry, run_id).await?;
        if run.status != RunStatus::Succeeded {
            return Ok(false);
        }
        let tenant = self.tenant_of(&run.tenant_id).await?;
        let admin_id = admins::find_owner(&tenant).await?;
        self.enter_session(session, &run.tenant_id, admin_id).await?;
        session.remove::<PendingSignup>(PendingSignup::KEY).await?;
        signups::expire_key(&self.registry, run_id).await?;
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
        self.limits.check_sign_in(address)?;
        let no_sooner = Instant::now() + MIN_FAILURE_LATENCY;
        let mut choices = Vec::new();
        let mut unavailable = None;
        let churches = admin_emails::tenants_of(&self.registry, email, wanted).await?;
        let is_known = |id: &TenantId| device.is_some_and(|it| it.knows(&self.secret, email, id.as_str()));
        let (mut churches, others): (Vec<_>, Vec<_>) = churches.into_iter().partition(is_known);
        let mut attempts = Vec::new();
        if let Some(id) = device.and_then(Device::id).filter(|_| !churches.is_empty()) {
            attempts.push(self.limits.check_device(id, email)?);
        }
        if attempts.is_empty() {
            attempts.push(self.limits.check_unknown_device(address, email)?);
            churches = others;
        } else if !others.is_empty()
            && let Ok(attempt) = self.limits.check_unknown_device(address, email)
        {
            // Otherwise only the churches that the browser knows are looked into.
            attempts.push(attempt);
            churches.extend(others);
        }
        // An outage does not count as a failed attempt, so retries do not lock the user out.
        let mut judged = churches.is_empty();
        if churches.is_empty() {
            self.passwords.verify(password, None).await;
        } else {
            for tenant_id in churches {
                match self.check_password(&tenant_id, email, password.clone()).await {
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

    async fn check_password(
        &self,
        tenant_id: &TenantId,
        email: &str,
        password: String,
    ) -> Result<Option<Choice>> {
        let known = self.tenant_record(tenant_id).await?;
        // That a church is suspended is told to those who know its password.
        let tenant = match self.open_tenant(&known).await {
            Err(Error::Suspended { .. }) => self.suspended_tenant(&known).await?,
            open => open?,
        };
        let account = admins::find_account(&tenant, email).await?;
        let hash = account.as_ref().and_then(|account| account.password_hash.clone());
        let right = self.passwords.verify(password, hash).await;
        Ok(account.filter(|_| right).map(|account| Choice::new(&known, &account)))
    }

    /// Logs a failed sign-in. `account` is a keyed digest, which distinguishes attempts at one email from attempts at many.
    pub(crate) fn log_failure(&self, email: &str, error: &Error) {
        let reason = match error {
            Error::WrongCredentials => "wrong-credentials",
            Error::TooManyAttempts { .. } => "too-many-attempts",
            Error::Suspended { .. } => "suspended",
            Error::WrongTenant => "wrong-tenant",
            // Logged with its cause by the handler.
            _ => return,
        };
        metrics::counter!("vestry_sign_ins_total", "result" => reason).increment(1);
        let digest = self.secret.digest("sign-in log", email.as_bytes());
        let account = crate::crypto::hex(&digest[..6]);
        tracing::info!(reason, account, "sign-in failed");
    }

    async fn open(&self, session: &Session, choice: &Choice) -> Result<()> {
        let choice = require_active(choice)?;
        self.enter_session(session, &choice.tenant_id.parse()?, choice.admin_id).await
    }

    async fn enter_session(&self, session: &Session, tenant_id: &TenantId, admin_id: Uuid) -> Result<()> {
        let user = self.enter_uncached(tenant_id, admin_id).await?.ok_or(Error::WrongCredentials)?;
        renew(session).await?;
        session.remove_value(Choice::KEY).await?;
        session.insert(SESSION_USER, (tenant_id.as_str(), admin_id)).await?;
        session.insert(SESSION_EPOCH, user.admin.epoch).await?;
        // Here, where a registry that takes no writes can still be answered with a page. The session layer would
        // answer with an empty body.
        session.save().await?;
        record_sign_in(user.tenant, admin_id);
        Ok(())
    }
}

/// Fails unless the chosen church is active.
pub(crate) fn require_active(choice: &Choice) -> Result<&Choice> {
    match choice.is_suspended {
        true => Err(Error::Suspended { church: choice.church.clone() }),
        false => Ok(choice),
    }
}

/// Changes the session id, against session fixation.
pub(crate) async fn renew(session: &Session) -> Result<()> {
    if session.id().is_some() {
        session.cycle_id().await?;
    }
    Ok(())
}

/// Notes that an admin has signed in, while the answer is on its way.
pub(crate) fn record_sign_in(tenant: Tenant, admin_id: Uuid) {
    record_tenant(tenant.id());
    metrics::counter!("vestry_sign_ins_total", "result" => "succeeded").increment(1);
    tracing::info!(admin = %admin_id, "signed in");
    tokio::spawn(async move {
        if let Err(error) = admins::record_sign_in(&tenant, admin_id).await {
            tracing::warn!(tenant = tenant.id(), error = %registry::chain(&error), "a sign-in was not noted");
        }
    });
}
