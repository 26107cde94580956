//! The sign-in form.

use crate::{
    Errors, RawForm,
    rules::{self, PASSWORD_MAX, email_key},
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignIn {
    pub email: String,
    pub password: String,
}

pub fn parse_sign_in(form: &RawForm) -> Result<SignIn, Errors> {
    let (email, password) = (form.get("email"), form.get("password"));
    let mut errors = Errors::default();
    errors.check("email", rules::required(email, "your email address", 254));
    errors.check("email", rules::email(email));
    errors.check("password", rules::required(password, "your password", PASSWORD_MAX));
    errors.into_result()?;
    Ok(SignIn { email: email_key(email), password: password.to_owned() })
}
