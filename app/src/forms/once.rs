//! One-time keys of forms that create a record: the same form posted again, also at the same moment, creates nothing
//! new and leads to the same place.

use super::Errors;
use crate::{
    answer::{Flash, Reply},
    visit::{SignedIn, Visit},
};
use leptos::prelude::*;
use tenant::idempotency::{self, FORM_PREFIX, StoredResponse};
use uuid::Uuid;

/// A post of a form that creates a record.
pub struct Submission<'a> {
    office: &'a SignedIn,
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
    /// Other content was posted with this key: somebody went back and changed the form.
    Reused,
}

/// A new key, for a form that is shown.
pub fn new_key() -> String {
    Uuid::new_v4().to_string()
}

/// The hidden field of a form.
pub fn key_field(key: &str) -> impl IntoView + use<> {
    view! { <input r#type="hidden" name="key" value=key.to_owned()/> }
}

/// Error message shown with a new key when the old one was used for other content.
pub fn already_sent(field: &str) -> Errors {
    Errors::one(
        field,
        "This form was sent before, with other details, and those are saved. Save again only if you want to add \
         another one.",
    )
}

impl<'a> Submission<'a> {
    /// Claims the key of the posted form for its content.
    pub async fn claim(office: &'a SignedIn, visit: &Visit) -> Result<Claim<'a>, tenant::Error> {
        let fields: Vec<(String, String)> =
            serde_urlencoded::from_str(visit.body.as_deref().unwrap_or_default()).unwrap_or_default();
        let key = fields.iter().find(|(name, _)| name == "key").and_then(|(_, key)| key.parse::<Uuid>().ok());
        let Some(key) = key else {
            return Ok(Claim::Proceed(Self { office, key: None, id: Uuid::now_v7() }));
        };
        let key = format!("{FORM_PREFIX}{key}");
        let mut parts = vec![visit.path().as_bytes()];
        for (name, value) in fields.iter().filter(|(name, _)| name != "key") {
            parts.extend([name.as_bytes(), value.as_bytes()]);
        }
        let repeat =
            idempotency::begin(&office.tenant, office.admin.viewer(), &key, &idempotency::digest(&parts))
                .await?;
        Ok(match repeat.response.and_then(|response| response.location) {
            _ if !repeat.is_same => Claim::Reused,
            Some(location) => Claim::Repeated(location),
            None => Claim::Proceed(Self { office, key: Some(key), id: repeat.record_id }),
        })
    }

    /// Remembers where the post led, and leads there.
    pub async fn finish(self, location: String, flash: Flash) -> Result<Reply, tenant::Error> {
        self.remember(&location).await?;
        Ok(Reply::redirect(location).saying(flash))
    }

    /// Remembers where a repetition leads.
    pub async fn remember(&self, location: &str) -> Result<(), tenant::Error> {
        let Some(key) = &self.key else { return Ok(()) };
        let response = StoredResponse {
            status: 303,
            body: String::new(),
            location: Some(location.to_owned()),
            etag: None,
        };
        idempotency::store(&self.office.tenant, self.office.admin.viewer(), key, &response).await
    }

    /// Frees the key: nothing was created, and the corrected form may be posted with it.
    pub async fn release(&self) -> Result<(), tenant::Error> {
        let Some(key) = &self.key else { return Ok(()) };
        idempotency::release(&self.office.tenant, self.office.admin.viewer(), key).await
    }
}
