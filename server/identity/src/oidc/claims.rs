use super::{LEEWAY, Oidc};
use jsonwebtoken::get_current_timestamp;
use serde_json::Value;

/// Claims of a token whose signature and expiry are verified.
#[derive(Debug)]
pub struct Claims {
    pub subject: String,
    /// In lower case.
    pub email: Option<String>,
    /// The issuer says that the email is the subject's own.
    pub email_verified: bool,
    /// The only church that is meant, where the operator has configured a claim that says so.
    pub tenant: Option<String>,
}

impl Claims {
    pub fn of(said: &Value, oidc: &Oidc) -> Result<Self, &'static str> {
        if said["iss"] != oidc.issuer.as_str() {
            return Err("it is of another issuer");
        }
        if !is_for(said, &oidc.audience) {
            return Err("it is for another audience or use");
        }
        let latest = (get_current_timestamp() + LEEWAY) as f64;
        if !said["iat"].is_null() && said["iat"].as_f64().is_none_or(|at| at > latest) {
            return Err("it is of the future");
        }
        let subject =
            said["sub"].as_str().filter(|subject| !subject.is_empty()).ok_or("it names no subject")?;
        // Letters beyond ASCII stay as they are: some of them become ASCII in lower case, and another's address.
        let email = said["email"].as_str().map(|email| email.trim().to_ascii_lowercase());
        // A claim that is no text names a church that does not exist, not all of them.
        let named = oidc.tenant_claim.as_deref().map(|claim| &said[claim]).filter(|named| !named.is_null());
        Ok(Self {
            subject: subject.to_owned(),
            email,
            email_verified: is_true(&said["email_verified"]),
            tenant: named.map(|named| named.as_str().unwrap_or_default().to_owned()),
        })
    }
}

/// Cognito says what its tokens are for, and names the audience of access tokens elsewhere; other issuers have `aud`.
fn is_for(said: &Value, audience: &str) -> bool {
    let aud = &said["aud"];
    match &said["token_use"] {
        Value::String(token_use) if token_use == "access" => said["client_id"] == audience,
        Value::String(token_use) if token_use != "id" => false,
        Value::String(_) | Value::Null => {
            *aud == audience || aud.as_array().is_some_and(|all| all.iter().any(|one| *one == audience))
        }
        _ => false,
    }
}

/// Cognito writes it as a text at times.
fn is_true(value: &Value) -> bool {
    *value == true || *value == "true"
}
