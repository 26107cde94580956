//! One-time keys of forms that create a record: the same form posted again, also at the same moment, creates nothing
//! new and leads to the same place.

use crate::{action::Saved, error::PageError, flash::Flash};
use domain::{Errors, RawForm};
use identity::CurrentUser;
use leptos::prelude::*;
use tenant::repeats::{self, Answer, FORM_PREFIX};
use uuid::Uuid;

/// A post of a form that creates a record.
pub struct Submission<'a> {
    user: &'a CurrentUser,
    /// `None` for a post without a key of ours: it is no form that a browser has shown.
    key: Option<String>,
    /// The id for the record; the same whenever the post is repeated.
    pub id: Uuid,
}

/// State of the one-time key that a form was posted with.
pub enum Claim<'a> {
    /// The first post, or a repetition of one whose outcome is not known.
    Proceed(Submission<'a>),
    /// The same content was posted before, and led here.
    Repeated(String),
}

/// A new key, for a form that is shown.
pub fn new_key() -> String {
    Uuid::new_v4().to_string()
}

/// The hidden field of a form.
pub fn key_field(key: &str) -> impl IntoView + use<> {
    view! { <input r#type="hidden" name="key" value=key.to_owned()/> }
}

/// Somebody went back and changed a form that was sent: it may be sent again, with a new key.
fn key_reused() -> PageError {
    let message = "This form was sent before, with other details, and those are saved. Save again only if you want to \
                   add another one.";
    PageError::Conflict { errors: Errors::form(message), replace: RawForm::default().with("key", new_key()) }
}

impl<'a> Submission<'a> {
    /// Claims the key of a form that was posted to `path`, for its content.
    pub async fn claim(user: &'a CurrentUser, path: &str, form: &RawForm) -> Result<Claim<'a>, PageError> {
        let Ok(key) = form.get("key").parse::<Uuid>() else {
            return Ok(Claim::Proceed(Self { user, key: None, id: Uuid::now_v7() }));
        };
        let key = format!("{FORM_PREFIX}{key}");
        let mut parts = vec![path.as_bytes()];
        for (name, value) in form.0.iter().filter(|(name, _)| name != "key") {
            parts.extend([name.as_bytes(), value.as_bytes()]);
        }
        let digest = repeats::digest(&parts);
        let repeat = repeats::begin(&user.tenant, user.admin.viewer(), &key, &digest).await?;
        if !repeat.is_same {
            return Err(key_reused());
        }
        Ok(match repeat.answer.and_then(|answer| answer.location) {
            Some(location) => Claim::Repeated(location),
            None => Claim::Proceed(Self { user, key: Some(key), id: repeat.record_id }),
        })
    }

    /// Remembers where the post led after it was carried out. After an error the key is free again: nothing was created,
    /// and the corrected form may be posted with it.
    pub async fn settle(
        self,
        created: Result<(), tenant::Error>,
        location: String,
        flash: Flash,
    ) -> Result<Saved, PageError> {
        if let Err(error) = created {
            self.release().await?;
            return Err(error.into());
        }
        self.remember(&location).await?;
        Ok(Saved::new(location, flash))
    }

    /// Remembers where a repetition leads.
    pub async fn remember(&self, location: &str) -> Result<(), tenant::Error> {
        let Some(key) = &self.key else { return Ok(()) };
        let answer =
            Answer { status: 303, body: String::new(), location: Some(location.to_owned()), etag: None };
        repeats::keep(&self.user.tenant, self.user.admin.viewer(), key, &answer).await
    }

    /// Frees the key: nothing was created, and the corrected form may be posted with it.
    pub async fn release(&self) -> Result<(), tenant::Error> {
        let Some(key) = &self.key else { return Ok(()) };
        repeats::forget(&self.user.tenant, self.user.admin.viewer(), key).await
    }
}
