//! The picture of a member or branch, as a part of a PATCH.

use super::problem::Problem;
use crate::files::{Error, Files, Result};
use serde_json::{Map, Value as Json};
use tenant::{Editor, Tenant, photos::Change};
use uuid::Uuid;

const UNKNOWN_FILE: &str = "Unknown file. Use the fileId of an uploaded file.";

/// What a body says about a picture, by the id of a file.
pub struct PicturePatch {
    field: &'static str,
    /// `None`: it stays as it is. `Some(None)`: it is removed.
    file: Option<Option<Uuid>>,
}

impl PicturePatch {
    /// Takes the picture out of a body.
    pub fn take(
        body: &mut Map<String, Json>,
        field: &'static str,
    ) -> std::result::Result<Self, Problem> {
        let file = match body.remove(field) {
            None => None,
            Some(Json::Null) => Some(None),
            Some(Json::String(id)) => {
                Some(Some(id.parse().map_err(|_| Problem::invalid(field, UNKNOWN_FILE))?))
            }
            Some(_) => return Err(Problem::invalid(field, "Must be a string.")),
        };
        Ok(Self { field, file })
    }

    /// Rejects a picture in the body of a POST.
    pub fn forbid_on_create(self) -> std::result::Result<(), Problem> {
        let message = "Create the record first, then set its picture by PATCH.";
        self.file.is_none().then_some(()).ok_or_else(|| Problem::invalid(self.field, message))
    }

    /// Changes the record by `change`, which is given what becomes of its picture. All that may be wrong is looked at
    /// before anything is written; the record and its picture are then written together, or not at all.
    pub async fn write<F>(
        &self,
        files: &Files,
        tenant: &Tenant,
        editor: &Editor,
        now: Option<Uuid>,
        change: impl Fn(Change) -> F,
    ) -> Result<()>
    where
        F: Future<Output = tenant::Result<Option<Uuid>>>,
    {
        let Some(file) = self.file.filter(|file| *file != now) else {
            change(Change::Stays).await?;
            return Ok(());
        };
        let new = match file {
            Some(id) => {
                change(Change::Awaited).await?;
                Some(files.picture_of(tenant, editor, id).await.map_err(|error| self.with_field(error))?)
            }
            None => None,
        };
        files.put_picture(tenant, now, new, |made| change(Change::Becomes(made))).await
    }

    /// Errors of the file stand at the field.
    fn with_field(&self, error: Error) -> Error {
        let message = match error {
            Error::Tenant(tenant::Error::NotFound) => UNKNOWN_FILE.to_owned(),
            Error::NotUploaded => {
                "This file was not uploaded yet. PUT it to its uploadUrl first.".to_owned()
            }
            Error::Refused { message, .. } => message,
            error => return error,
        };
        Error::Refused { field: self.field, message }
    }
}
