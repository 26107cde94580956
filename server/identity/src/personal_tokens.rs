use crate::{Error, Identity, Result, SignedIn, crypto::random, identity::ChurchProfile};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use registry::TenantId;
use ring::digest::{SHA256, digest};
use tenant::personal_tokens;

/// Prefix of personal access tokens, recognised by people and secret scanners.
pub(crate) const PREFIX: &str = "vst_";

/// `vst_<tenant>_<secret>`. The tenant in it only says where to look: what admits is that this tenant's database knows
/// the secret's digest, so that a token of one church opens no other. Its `Debug` does not show it.
pub struct PersonalToken {
    tenant_id: TenantId,
    secret: [u8; 32],
}

impl std::fmt::Debug for PersonalToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PersonalToken")
    }
}

impl PersonalToken {
    /// Generates a token for a tenant.
    pub fn generate(tenant_id: &str) -> Result<Self> {
        Ok(Self { tenant_id: tenant_id.parse()?, secret: random() })
    }

    fn parse(text: &str) -> Option<Self> {
        let (tenant_id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
        let secret = BASE64_URL_SAFE_NO_PAD.decode(secret).ok()?;
        Some(Self { tenant_id: tenant_id.parse().ok()?, secret: secret.try_into().ok()? })
    }

    /// Returns the token's text, which is shown to its owner once.
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}_{}", self.tenant_id, BASE64_URL_SAFE_NO_PAD.encode(self.secret))
    }

    /// What its church knows it by. The secret is 256 random bits, so that one round of SHA-256 protects it.
    pub fn digest(&self) -> [u8; 32] {
        digest(&SHA256, &self.secret).as_ref().try_into().expect("SHA-256 has 32 bytes")
    }
}

impl Identity {
    /// Authenticates a personal token. Never cached: each use queries the tenant's database, so that a revocation takes
    /// effect at once in every process.
    pub(crate) async fn authenticate_personal(&self, token: &str, wanted: Option<&str>) -> Result<SignedIn> {
        let token = PersonalToken::parse(token).ok_or(Error::Unauthenticated)?;
        let known = self.tenant_record(&token.tenant_id).await.map_err(nobodys)?;
        let open = self.open_tenant(&known).await;
        // Only holders of a valid token learn of a suspension.
        let suspended = matches!(open, Err(Error::Suspended { .. }));
        let tenant = if suspended { self.suspended_tenant(&known).await? } else { open.map_err(nobodys)? };
        let admin = match personal_tokens::authenticate(&tenant, &token.digest()).await {
            Err(tenant::Error::NotFound) => return Err(Error::Unauthenticated),
            admin => admin?,
        };
        if wanted.is_some_and(|wanted| wanted != tenant.id()) {
            return Err(Error::WrongTenant);
        }
        if suspended {
            return Err(Error::Suspended { church: known.name.clone() });
        }
        Ok(SignedIn { tenant, admin, church: ChurchProfile::from(&*known) })
    }
}

/// Maps an unknown tenant to an invalid token.
fn nobodys(error: Error) -> Error {
    match error {
        Error::Registry(registry::Error::NotFound) => Error::Unauthenticated,
        error => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_written_and_in_no_other_way() {
        let tenant = "a23456789012345678901234";
        let made = PersonalToken::generate(tenant).unwrap();
        let text = made.reveal();
        assert_eq!(text.len(), PREFIX.len() + 24 + 1 + 43);
        let read = PersonalToken::parse(&text).unwrap();
        assert_eq!((read.tenant_id.as_str(), read.digest()), (tenant, made.digest()));
        assert!(!format!("{made:?}").contains(&text[30..]));
        let secret = text.rsplit_once(&format!("{tenant}_")).unwrap().1;
        for bad in [
            String::new(),
            "vst_".into(),
            text.replace("vst_", "VST_"),
            format!("{text} "),
            format!("{text}="),
            format!("{text}A"),
            text[..text.len() - 1].to_owned(),
            format!("vst_{}_{secret}", tenant.to_uppercase()),
            format!("vst_{tenant}{secret}"),
        ] {
            assert!(PersonalToken::parse(&bad).is_none(), "{bad}");
        }
    }
}
