//! The two steps of signing up: the church, then its owner.

use crate::{
    Errors, RawForm,
    errors::ValidationResult,
    rules::{self, email_key, line},
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewChurch {
    pub name: String,
    pub country: String,
    pub timezone: String,
    /// Where the data is to be kept, if the operator offers several regions.
    pub region: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewOwner {
    pub first_name: String,
    pub last_name: String,
    pub email: String,
    pub password: String,
}

pub fn parse_church(form: &RawForm) -> Result<NewChurch, Errors> {
    let (name, country, timezone) = (form.get("church"), form.get("country"), form.get("timezone"));
    let mut errors = Errors::default();
    errors.check("church", rules::required(name, "the name of your church", 120));
    errors.check("country", known_country(country));
    errors.check("timezone", known_timezone(timezone));
    errors.into_result()?;
    Ok(NewChurch {
        name: line(name).unwrap_or_default(),
        country: country.to_owned(),
        timezone: timezone.to_owned(),
        region: line(form.get("region")),
    })
}

/// Validates all but what takes time: whether somebody who knows the church and the person guesses the password.
pub fn parse_owner(form: &RawForm) -> Result<NewOwner, Errors> {
    let (first_name, last_name) = (form.get("first_name"), form.get("last_name"));
    let (email, password) = (form.get("email"), form.get("password"));
    let mut errors = Errors::default();
    // One name is enough, in either field.
    if line(first_name).is_none() && line(last_name).is_none() {
        errors.add("first_name", "Enter your name.");
    }
    errors.check("first_name", rules::optional(first_name, 80));
    errors.check("last_name", rules::optional(last_name, 80));
    errors.check("email", rules::required(email, "your email address", 254));
    errors.check("email", rules::email(email));
    errors.check("password", rules::password(password, email));
    errors.into_result()?;
    Ok(NewOwner {
        first_name: line(first_name).unwrap_or_default(),
        last_name: line(last_name).unwrap_or_default(),
        email: email_key(email),
        password: password.to_owned(),
    })
}

fn known_country(code: &str) -> ValidationResult {
    #[cfg(feature = "ssr")]
    let is_known = crate::locale::is_country(code);
    #[cfg(not(feature = "ssr"))]
    let is_known = !code.is_empty();
    if is_known { Ok(()) } else { Err("Choose your country.".into()) }
}

fn known_timezone(name: &str) -> ValidationResult {
    #[cfg(feature = "ssr")]
    let is_known = crate::locale::is_timezone(name);
    #[cfg(not(feature = "ssr"))]
    let is_known = !name.is_empty();
    if is_known { Ok(()) } else { Err("Choose your time zone.".into()) }
}
