//! The picture of a member or of a branch, as a part of changing it.

use super::problem::Problem;
use crate::files::{Error, Files, Result};
use tenant::{Editor, Tenant, pictures::PictureUpdate};
use uuid::Uuid;

const NOT_THERE: &str = "There is no such file here. Use the fileId of a file that you have uploaded.";

/// What a change says of a picture, at the field that holds the file's id.
pub struct Wanted {
    field: &'static str,
    /// `None`: it stays as it is. `Some(None)`: it is removed.
    file: Option<Option<Uuid>>,
}

impl Wanted {
    pub fn at(field: &'static str, file: Option<Option<String>>) -> std::result::Result<Self, Problem> {
        let file = match file {
            Some(Some(id)) => Some(Some(id.parse().map_err(|_| Problem::invalid(field, NOT_THERE))?)),
            Some(None) => Some(None),
            None => None,
        };
        Ok(Self { field, file })
    }

    /// What is only being added has no picture.
    pub fn not_yet(self) -> std::result::Result<(), Problem> {
        let message = "Add it first; its picture is given by PATCH.";
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
        change: impl Fn(PictureUpdate) -> F,
    ) -> Result<()>
    where
        F: Future<Output = tenant::Result<Option<Uuid>>>,
    {
        let Some(file) = self.file.filter(|file| *file != now) else {
            change(PictureUpdate::Keep).await?;
            return Ok(());
        };
        let new = match file {
            Some(id) => {
                change(PictureUpdate::DryRun).await?;
                Some(files.picture_of(tenant, editor, id).await.map_err(|error| self.explained(error))?)
            }
            None => None,
        };
        files.put_picture(tenant, now, new, |made| change(PictureUpdate::Set(made))).await
    }

    /// What is wrong with the file is said at the field.
    fn explained(&self, error: Error) -> Error {
        let message = match error {
            Error::Tenant(tenant::Error::NotFound) => NOT_THERE.to_owned(),
            Error::NotUploaded => {
                "This file was not uploaded yet. Send it to its uploadUrl first.".to_owned()
            }
            Error::Refused { message, .. } => message,
            error => return error,
        };
        Error::Refused { field: self.field, message }
    }
}
