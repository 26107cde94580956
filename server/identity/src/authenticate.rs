use crate::{Error, Identity, Result, SignedIn, personal_tokens};
use jsonwebtoken::{Algorithm, decode_header};

impl Identity {
    /// Authenticates a bearer token and opens its tenant. `wanted` is the tenant the request names; a token that does
    /// not open it is rejected.
    pub async fn authenticate(&self, bearer: &str, wanted: Option<&str>) -> Result<SignedIn> {
        if bearer.starts_with(personal_tokens::PREFIX) {
            return self.authenticate_personal(bearer, wanted).await;
        }
        match decode_header(bearer) {
            Ok(header) if header.alg == Algorithm::HS256 => {
                self.authenticate_access_token(bearer, header.kid.as_deref(), wanted).await
            }
            Ok(_) => self.authenticate_oidc(bearer, wanted).await,
            Err(_) => Err(Error::Unauthenticated),
        }
    }
}
