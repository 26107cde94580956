use crate::{Error, Identity, Result, CurrentUser, personal};
use jsonwebtoken::{Algorithm, decode_header};

impl Identity {
    /// Who shows this bearer token, and the church that opens. `wanted` is the church the request names: one that
    /// the token is good for, or nothing opens.
    pub async fn authenticate(&self, bearer: &str, wanted: Option<&str>) -> Result<CurrentUser> {
        if bearer.starts_with(personal::PREFIX) {
            return self.admit_personal(bearer, wanted).await;
        }
        match decode_header(bearer) {
            Ok(header) if header.alg == Algorithm::HS256 => {
                self.admit_own(bearer, header.kid.as_deref(), wanted).await
            }
            Ok(_) => self.admit_outside(bearer, wanted).await,
            Err(_) => Err(Error::Unauthenticated),
        }
    }
}
