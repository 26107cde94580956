use crate::{Founder, Identity, Result, events::in_tenant, identity::Opening};
use registry::{
    TenantId,
    ready::Edition,
    signups::{self, Accepted, Signup},
    tenants::Isolation,
};
use std::net::IpAddr;
use tenant::schema;
use tower_sessions::Session;

/// A church and the person who opens its office; every field already checked.
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
    /// Sent twice, it makes one church.
    pub idempotency_key: Option<String>,
}

impl Identity {
    /// Accepts a signup, and remembers in the browser's session what it waits for.
    pub async fn sign_up(&self, session: &Session, address: IpAddr, new: NewChurch) -> Result<Accepted> {
        let accepted = self.accept(Some(address), new).await?;
        session.insert(Opening::KEY, Opening { run_id: accepted.run_id }).await?;
        session.save().await?;
        Ok(accepted)
    }

    /// Accepts a signup of a program. Those of the operator come from no address, and may be many.
    pub async fn accept(&self, address: Option<IpAddr>, new: NewChurch) -> Result<Accepted> {
        if let Some(address) = address {
            self.limits.sign_up(address)?;
        }
        let founder = Founder {
            first_name: new.first_name,
            last_name: new.last_name,
            email: new.email,
            password_hash: self.passwords.hash(new.password).await,
        };
        let edition = schema::edition();
        let signup = Signup {
            church: &new.church,
            country: &new.country,
            timezone: &new.timezone,
            email: &founder.email,
            isolation: new.isolation.unwrap_or(self.isolation),
            region: new.region.as_deref(),
            edition: Edition { name: &edition, schema_version: schema::version() },
            idempotency_key: new.idempotency_key.as_deref(),
        };
        let seal = |tenant_id: &TenantId| founder.seal(&self.secret, tenant_id.as_str());
        let accepted = signups::accept(&self.registry, signup, seal, &*self.inspect).await;
        let result = if accepted.is_ok() { "accepted" } else { "refused" };
        metrics::counter!("vestry_signups_total", "result" => result).increment(1);
        let accepted = accepted?;
        in_tenant(accepted.tenant_id.as_str());
        tracing::info!(run = %accepted.run_id, "signup accepted");
        Ok(accepted)
    }
}
