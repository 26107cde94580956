//! What proves that an email is its admin's own: anybody may type any at signup.

use crate::{Error, Identity, Result, Secret, CurrentUser};
use registry::{TenantId, subjects, tenants};
use tenant::{Tenant, admins};
use uuid::Uuid;

impl Identity {
    /// Takes a token of the outside issuer as proof that the email is this person's, who has just shown the password.
    pub(crate) async fn prove_email(&self, inside: &CurrentUser, token: &str) -> Result<()> {
        let oidc = self.oidc.as_ref().ok_or(Error::NotProved)?;
        let claims = match oidc.checked(token).await {
            Err(Error::Unauthenticated) => return Err(Error::NotProved),
            claims => claims?,
        };
        let email = claims.email.filter(|_| claims.email_verified).ok_or(Error::NotProved)?;
        let is_elsewhere = claims.tenant.as_deref().is_some_and(|tenant| tenant != inside.tenant.id());
        if email != inside.admin.email || is_elsewhere {
            return Err(Error::NotProved);
        }
        subjects::link(&self.registry, &oidc.issuer, &claims.subject, &email).await?;
        self.note_verified(&inside.tenant, &inside.tenant.id().parse()?, email).await
    }

    /// The email of a church's admin is that person's own, as whoever holds the installation's secret has found out.
    pub async fn verify_email(&self, _: &Secret, tenant_id: &TenantId, email: &str) -> Result<()> {
        let tenant = self.tenant_even_suspended(tenant_id).await?;
        self.note_verified(&tenant, tenant_id, email.to_owned()).await
    }

    /// The email of a church's admin, for whoever holds the installation's secret.
    pub async fn email_of_admin(
        &self,
        _: &Secret,
        tenant_id: &TenantId,
        admin_id: Uuid,
    ) -> Result<Option<String>> {
        Ok(admins::email_of(&self.tenant_even_suspended(tenant_id).await?, admin_id).await?)
    }

    async fn tenant_even_suspended(&self, tenant_id: &TenantId) -> Result<Tenant> {
        let known = self.known(tenant_id).await?;
        match self.open_tenant(&known).await {
            Err(Error::Suspended { .. }) => self.suspended_tenant(&known).await,
            open => open,
        }
    }

    /// First where it counts, then in the registry, which only counts churches by it.
    async fn note_verified(&self, tenant: &Tenant, tenant_id: &TenantId, email: String) -> Result<()> {
        if admins::verify(tenant, std::slice::from_ref(&email)).await? {
            tracing::info!(tenant = tenant.id(), "the email of an admin is verified");
        }
        Ok(tenants::verify_email(&self.registry, tenant_id, &email).await?)
    }
}
