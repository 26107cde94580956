//! What is done to tags, by pages and by server functions.

use crate::action::{ActionError, Saved};
use domain::RawForm;
use leptos::{prelude::*, server_fn::codec::Json};
use uuid::Uuid;

#[cfg(feature = "ssr")]
pub(super) use server::{delete, rename};

#[server(endpoint = "tags/rename", input = Json)]
pub async fn rename_tag(id: Uuid, form: RawForm) -> Result<Saved, ActionError> {
    crate::action::respond_saved(async |user| rename(&user, id, &form).await).await
}

#[server(endpoint = "tags/delete", input = Json)]
pub async fn delete_tag(id: Uuid) -> Result<Saved, ActionError> {
    crate::action::respond_saved(async |user| delete(&user, id).await).await
}

/// Names of tags that contain a text; at most ten.
#[server(endpoint = "tags/suggest", input = Json)]
pub async fn suggest_tags(text: String) -> Result<Vec<String>, ActionError> {
    crate::action::respond(async |user| {
        Ok(tenant::tags::suggest(&user.tenant, user.admin.viewer(), &text).await?)
    })
    .await
}

#[cfg(feature = "ssr")]
mod server {
    use crate::{
        action::Saved,
        error::PageError,
        flash::Flash,
        forms::{conflict, context, version},
    };
    use domain::{
        RawForm,
        tags::{TAG, TagInput},
    };
    use identity::CurrentUser;
    use tenant::tags;
    use uuid::Uuid;

    const LIST: &str = "/settings/tags";

    pub async fn rename(user: &CurrentUser, id: Uuid, form: &RawForm) -> Result<Saved, PageError> {
        let editor = user.admin.editor_of_all_branches()?;
        let tag = tags::find(&user.tenant, editor.viewer(), id).await?;
        let current = TagInput { name: tag.name };
        let input = TAG.parse(form, Some(&current), &context(user))?;
        match tags::rename(&user.tenant, &editor, id, &input.name, version(form)).await {
            Err(tenant::Error::Changed) => {
                let now = tags::find(&user.tenant, editor.viewer(), id).await?;
                Err(conflict(now.updated_at))
            }
            renamed => {
                renamed?;
                Ok(Saved::new(LIST, Flash::TagSaved))
            }
        }
    }

    pub async fn delete(user: &CurrentUser, id: Uuid) -> Result<Saved, PageError> {
        let editor = user.admin.editor_of_all_branches()?;
        match tags::delete(&user.tenant, &editor, id, None).await {
            // The button was pressed twice: the list shows that the tag is gone.
            Ok(()) | Err(tenant::Error::NotFound) => Ok(Saved::new(LIST, Flash::TagDeleted)),
            Err(error) => Err(error.into()),
        }
    }
}
