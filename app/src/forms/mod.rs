//! Forms: how a record's fields become inputs, how a form is checked and saved, and that it is saved once.

pub mod enhanced;
#[cfg(feature = "ssr")]
pub mod fields;
#[cfg(feature = "ssr")]
pub mod submission;

#[cfg(feature = "ssr")]
mod server {
    use crate::error::PageError;
    use chrono::{DateTime, Utc};
    use domain::{Context, Errors, RawForm, locale};
    use identity::CurrentUser;
    use tenant::Version;

    /// What validation needs to know of the user's church.
    pub fn context(user: &CurrentUser) -> Context<'_> {
        Context { country: &user.church.country, today: Some(locale::today_in(&user.church.timezone)) }
    }

    /// The version of the record that the form was opened with.
    pub fn version(form: &RawForm) -> Option<Version> {
        form.get("version").parse().ok()
    }

    /// Optimistic lock: somebody else has saved the record since the form was opened. Sent again, it replaces theirs.
    pub fn conflict(updated_at: DateTime<Utc>) -> PageError {
        let message = "Someone else changed this while you were editing. Open it in a new tab to see their changes. \
                       If you save now, yours replace them.";
        let replace = RawForm::default().with("version", Version::from(updated_at).to_string());
        PageError::Conflict { errors: Errors::form(message), replace }
    }

    /// The form to show again after an error; any other error goes on.
    pub fn recover(mut form: RawForm, error: PageError) -> Result<(RawForm, Errors), PageError> {
        match error {
            PageError::Invalid(errors) => Ok((form, errors)),
            PageError::Conflict { errors, replace } => {
                for (name, value) in replace.0 {
                    form.set(&name, value);
                }
                Ok((form, errors))
            }
            error => Err(error),
        }
    }
}

#[cfg(feature = "ssr")]
pub use server::{conflict, context, recover, version};
