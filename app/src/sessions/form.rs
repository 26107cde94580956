use crate::forms::{Errors, Form, rules};
use serde::Deserialize;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct SignInForm {
    pub email: String,
    pub password: String,
}

impl Form for SignInForm {
    fn check(&self) -> Errors {
        let mut errors = Errors::default();
        errors.note("email", rules::required(&self.email, "your email address", 254));
        errors.note("email", rules::email(&self.email));
        errors.note("password", rules::required(&self.password, "your password", rules::PASSWORD_MAX));
        errors
    }
}
