use crate::{Error, Identity, Result, events::in_tenant, identity::Opening, session_store::WHO};
use registry::{TenantId, runs, runs::RunStatus, sessions, tenants};
use serde::{Deserialize, Serialize};
use std::{net::IpAddr, time::Duration};
use tenant::{Tenant, admins};
use tokio::time::Instant;
use tower_sessions::Session;
use uuid::Uuid;

/// A sign-in that fails is answered no sooner than this, whether it had to look into no church or
/// into several: the time tells nothing about who exists.
const REFUSAL: Duration = Duration::from_millis(400);

/// A church that an email and password open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    pub tenant_id: String,
    pub church: String,
    pub(crate) admin_id: Uuid,
}

impl Choice {
    /// The key under which a session keeps the churches it may choose from.
    const KEY: &str = "choices";
}

impl Identity {
    /// Checks an email and password. Opens the church it belongs to; if there are several, the
    /// session keeps them for [`Identity::choose`], and they are returned.
    pub async fn sign_in(
        &self,
        session: &Session,
        address: IpAddr,
        email: &str,
        password: String,
    ) -> Result<Vec<Choice>> {
        let verified = self.verify(address, email, password).await;
        let choices = verified.inspect_err(|error| self.log_refused(email, error))?;
        match choices.as_slice() {
            [only] => self.open(session, only).await?,
            _ => {
                renew(session).await?;
                session.insert(Choice::KEY, &choices).await?;
                session.save().await?;
            }
        }
        Ok(choices)
    }

    /// The churches this session may choose from, because its password was right for them.
    pub async fn choices(&self, session: &Session) -> Result<Vec<Choice>> {
        Ok(session.get(Choice::KEY).await?.unwrap_or_default())
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

    /// Whether this browser signed up for that run.
    pub async fn waits_for(&self, session: &Session, run_id: Uuid) -> Result<bool> {
        Ok(session.get::<Opening>(Opening::KEY).await?.is_some_and(|opening| opening.run_id == run_id))
    }

    /// Lets the browser that signed a church up enter it, once it is open.
    pub async fn enter_opened(&self, session: &Session, run_id: Uuid) -> Result<bool> {
        if !self.waits_for(session, run_id).await? {
            return Ok(false);
        }
        let run = runs::progress(&self.registry, run_id).await?;
        if run.status != RunStatus::Succeeded {
            return Ok(false);
        }
        let tenant = self.tenant_of(&run.tenant_id).await?;
        let admin_id = admins::founder(&tenant).await?;
        let choice = Choice { tenant_id: run.tenant_id.to_string(), church: run.church, admin_id };
        session.remove::<Opening>(Opening::KEY).await?;
        self.open(session, &choice).await?;
        Ok(true)
    }

    pub(crate) async fn verify(&self, address: IpAddr, email: &str, password: String) -> Result<Vec<Choice>> {
        self.limits.sign_in(address, email)?;
        let no_sooner = Instant::now() + REFUSAL;
        let mut choices = Vec::new();
        let mut unavailable = None;
        let churches = tenants::of_email(&self.registry, email).await?;
        if churches.is_empty() {
            self.passwords.verify(password, None).await;
        } else {
            for tenant_id in churches {
                match self.verify_in(&tenant_id, email, password.clone()).await {
                    Ok(choice) => choices.extend(choice),
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
            tokio::time::sleep_until(no_sooner).await;
            return Err(unavailable.unwrap_or(Error::WrongCredentials));
        }
        Ok(choices)
    }

    async fn verify_in(&self, tenant_id: &TenantId, email: &str, password: String) -> Result<Option<Choice>> {
        let known = self.known(tenant_id).await?;
        let open = self.open_tenant(&known).await;
        // That a church is suspended is told to those who know its password.
        let suspended = matches!(open, Err(Error::Suspended { .. }));
        let tenant = if suspended { self.suspended_tenant(&known).await? } else { open? };
        let (admin_id, hash) = admins::credential(&tenant, email).await?.unzip();
        let right = self.passwords.verify(password, hash).await;
        if suspended && right {
            return Err(Error::Suspended { church: known.name.clone() });
        }
        Ok(admin_id.filter(|_| right).map(|admin_id| Choice {
            tenant_id: tenant_id.to_string(),
            church: known.name.clone(),
            admin_id,
        }))
    }

    async fn open(&self, session: &Session, choice: &Choice) -> Result<()> {
        renew(session).await?;
        session.remove::<Vec<Choice>>(Choice::KEY).await?;
        session.insert(WHO, (&choice.tenant_id, choice.admin_id)).await?;
        // Here, where a registry that takes no writes can still be answered with a page. The session layer would
        // answer with an empty body.
        session.save().await?;
        note(self.tenant_of(&choice.tenant_id.parse()?).await?, choice.admin_id);
        Ok(())
    }
}

/// The session gets a new id, so that one planted before the sign-in is worth nothing.
async fn renew(session: &Session) -> Result<()> {
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
