//! What proves that an email is its admin's own: anybody may type any at signup.

use crate::{Error, Identity, Result, Secret, SignedIn};
use registry::{TenantId, admin_emails, subjects};
use tenant::{Tenant, admins};
use uuid::Uuid;

impl Identity {
    /// Takes a token of the outside issuer as proof that the email is this person's, who has just shown the password.
    pub(crate) async fn verify_email_by_token(&self, user: &SignedIn, token: &str) -> Result<()> {
        let oidc = self.oidc.as_ref().ok_or(Error::EmailNotProven)?;
        let claims = match oidc.checked(token).await {
            Err(Error::Unauthenticated) => return Err(Error::EmailNotProven),
            claims => claims?,
        };
        let email = claims.email.filter(|_| claims.email_verified).ok_or(Error::EmailNotProven)?;
        let is_elsewhere = claims.tenant.as_deref().is_some_and(|tenant| tenant != user.tenant.id());
        if email != user.admin.email || is_elsewhere {
            return Err(Error::EmailNotProven);
        }
        subjects::link(&self.registry, &oidc.issuer, &claims.subject, &email).await?;
        self.record_verified(&user.tenant, &user.tenant.id().parse()?, email).await
    }

    /// Marks an admin's email as verified. Requires the installation's secret.
    pub async fn verify_email(&self, _: &Secret, tenant_id: &TenantId, email: &str) -> Result<()> {
        let tenant = self.tenant_or_suspended(tenant_id).await?;
        self.record_verified(&tenant, tenant_id, email.to_owned()).await
    }

    /// Returns an admin's email. Requires the installation's secret.
    pub async fn email_of_admin(
        &self,
        _: &Secret,
        tenant_id: &TenantId,
        admin_id: Uuid,
    ) -> Result<Option<String>> {
        Ok(admins::email_of(&self.tenant_or_suspended(tenant_id).await?, admin_id).await?)
    }

    async fn tenant_or_suspended(&self, tenant_id: &TenantId) -> Result<Tenant> {
        let known = self.tenant_record(tenant_id).await?;
        match self.open_tenant(&known).await {
            Err(Error::Suspended { .. }) => self.suspended_tenant(&known).await,
            open => open,
        }
    }

    /// First where it counts, then in the registry, which only counts churches by it.
    async fn record_verified(&self, tenant: &Tenant, tenant_id: &TenantId, email: String) -> Result<()> {
        if admins::verify(tenant, std::slice::from_ref(&email)).await? {
            tracing::info!(tenant = tenant.id(), "the email of an admin is verified");
        }
        Ok(admin_emails::verify(&self.registry, tenant_id, &email).await?)
    }
}
