use super::{Claims, Oidc};
use crate::{Choice, Error, Identity, Result, SignedIn, sign_in::require_active};
use registry::{TenantId, admin_emails, subjects};
use tenant::admins;

impl Identity {
    /// Who shows a token of the outside issuer: the admin with the email of its subject. `wanted` is one of the
    /// churches where there is such an admin, or nothing opens.
    pub(crate) async fn authenticate_oidc(&self, token: &str, wanted: Option<&str>) -> Result<SignedIn> {
        let oidc = self.oidc.as_ref().ok_or(Error::Unauthenticated)?;
        let claims = oidc.checked(token).await?;
        let email = self.email_of(oidc, &claims).await?;
        let only = match (claims.tenant.as_deref(), wanted) {
            (Some(named), Some(wanted)) if named != wanted => return Err(Error::WrongTenant),
            (named, wanted) => named.or(wanted),
        };
        let key = (email, only.map(str::to_owned));
        // Falls back to the databases if the cached result is stale.
        let reading = oidc.authenticated.begin(&key);
        if let Some((tenant_id, admin_id)) = oidc.authenticated.get(&key)
            && let Ok(Some(user)) = self.enter(&tenant_id, admin_id).await
            && user.admin.email == key.0
        {
            return Ok(user);
        }
        let choices = self.choices_of(&key.0, only).await?;
        let open: Vec<_> = choices.iter().filter(|choice| !choice.is_suspended).collect();
        let chosen = match open.as_slice() {
            [chosen] => chosen,
            [] if wanted.is_some() => return Err(Error::WrongTenant),
            [] => return Err(Error::Unauthenticated),
            _ => return Err(Error::ChooseTenant(choices)),
        };
        let found: (TenantId, _) = (chosen.tenant_id.parse()?, chosen.admin_id);
        let user = self.enter(&found.0, found.1).await?.ok_or(Error::Unauthenticated)?;
        oidc.authenticated.store(reading, &key, &found);
        Ok(user)
    }

    /// The email that a token proves, or that its subject has proved before: access tokens may carry none.
    async fn email_of(&self, oidc: &Oidc, claims: &Claims) -> Result<String> {
        let reading = oidc.linked.begin(&claims.subject);
        let known = oidc.linked.get(&claims.subject);
        let email = match &claims.email {
            Some(email) if claims.email_verified => {
                if known.as_ref() != Some(email) {
                    subjects::link(&self.registry, &oidc.issuer, &claims.subject, email).await?;
                }
                email.clone()
            }
            // Whoever may write the claim is believed about the email as well, for that church only.
            Some(email) if claims.tenant.is_some() => return Ok(email.clone()),
            Some(_) => return Err(Error::Unauthenticated),
            None => match known.clone() {
                Some(email) => email,
                None => subjects::email_of(&self.registry, &oidc.issuer, &claims.subject)
                    .await?
                    .ok_or(Error::Unauthenticated)?,
            },
        };
        if known.as_ref() != Some(&email) {
            oidc.linked.store(reading, &claims.subject, &email);
        }
        Ok(email)
    }

    /// The churches where this email is an active admin's, and verified: all, or the only one that is meant. Anybody
    /// may sign up with any email; what the issuer says of it does not make a stranger's church its owner's.
    async fn choices_of(&self, email: &str, only: Option<&str>) -> Result<Vec<Choice>> {
        let mut churches = admin_emails::tenants_of(&self.registry, email, only).await?;
        churches.retain(|id| only.is_none_or(|only| id.as_str() == only));
        let mut choices: Vec<Choice> = Vec::new();
        for tenant_id in churches {
            let known = self.tenant_record(&tenant_id).await?;
            // That a church is suspended is told to its admins only.
            let tenant = match self.open_tenant(&known).await {
                Err(Error::Suspended { .. }) => self.suspended_tenant(&known).await?,
                open => open?,
            };
            let account = admins::find_verified_account(&tenant, email).await?;
            choices.extend(account.map(|account| Choice::new(&known, &account)));
        }
        match choices.first() {
            Some(first) if choices.iter().all(|choice| choice.is_suspended) => {
                require_active(first).map(|_| choices.clone())
            }
            _ => Ok(choices),
        }
    }
}
