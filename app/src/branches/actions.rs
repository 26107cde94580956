//! What is done to branches, by pages and by server functions.

use crate::action::{ActionError, Saved};
use domain::RawForm;
use leptos::{prelude::*, server_fn::codec::Json};
use uuid::Uuid;

#[cfg(feature = "ssr")]
pub(super) use server::{archive, restore, save};

/// Saves the form of a branch; `None` adds one.
#[server(endpoint = "branches/save", input = Json)]
pub async fn save_branch(id: Option<Uuid>, form: RawForm) -> Result<Saved, ActionError> {
    crate::action::respond_saved(async |user| save(&user, id, &form).await).await
}

#[server(endpoint = "branches/archive", input = Json)]
pub async fn archive_branch(id: Uuid) -> Result<Saved, ActionError> {
    crate::action::respond_saved(async |user| archive(&user, id).await).await
}

#[server(endpoint = "branches/restore", input = Json)]
pub async fn restore_branch(id: Uuid) -> Result<Saved, ActionError> {
    crate::action::respond_saved(async |user| restore(&user, id).await).await
}

/// Names of branches that the user may see and that contain a text; at most ten.
#[server(endpoint = "branches/suggest", input = Json)]
pub async fn suggest_branches(text: String) -> Result<Vec<String>, ActionError> {
    crate::action::respond(async |user| {
        Ok(tenant::branches::suggest(&user.tenant, user.admin.viewer(), &text).await?)
    })
    .await
}

#[cfg(feature = "ssr")]
mod server {
    use crate::{
        action::Saved,
        error::PageError,
        flash::Flash,
        forms::{
            conflict, context,
            submission::{Claim, Submission},
            version,
        },
    };
    use domain::{RawForm, branches::BRANCH};
    use identity::CurrentUser;
    use tenant::branches;
    use uuid::Uuid;

    pub async fn save(user: &CurrentUser, id: Option<Uuid>, form: &RawForm) -> Result<Saved, PageError> {
        match id {
            Some(id) => update(user, id, form).await,
            None => create(user, form).await,
        }
    }

    async fn create(user: &CurrentUser, form: &RawForm) -> Result<Saved, PageError> {
        let editor = user.admin.editor_of_all_branches()?;
        let input = BRANCH.parse(form, None, &context(user))?;
        let submission = match Submission::claim(user, "/branches/new", form).await? {
            Claim::Proceed(submission) => submission,
            Claim::Repeated(location) => return Ok(Saved::new(location, Flash::BranchAdded)),
        };
        let id = submission.id;
        let added = branches::add(&user.tenant, &editor, id, &input).await;
        submission.settle(added, format!("/branches/{id}"), Flash::BranchAdded).await
    }

    async fn update(user: &CurrentUser, id: Uuid, form: &RawForm) -> Result<Saved, PageError> {
        let editor = user.admin.editor_of_all_branches()?;
        let branch = branches::find(&user.tenant, editor.viewer(), id).await?;
        let input = BRANCH.parse(form, Some(&branch.fields), &context(user))?;
        match branches::update(&user.tenant, &editor, id, &input, version(form)).await {
            Err(tenant::Error::Changed) => {
                let now = branches::find(&user.tenant, editor.viewer(), id).await?;
                Err(conflict(now.updated_at))
            }
            updated => {
                updated?;
                Ok(Saved::new(format!("/branches/{id}"), Flash::BranchSaved))
            }
        }
    }

    pub async fn archive(user: &CurrentUser, id: Uuid) -> Result<Saved, PageError> {
        branches::archive(&user.tenant, &user.admin.editor_of_all_branches()?, id, None).await?;
        Ok(Saved::new(format!("/branches/{id}"), Flash::BranchArchived))
    }

    pub async fn restore(user: &CurrentUser, id: Uuid) -> Result<Saved, PageError> {
        branches::restore(&user.tenant, &user.admin.editor_of_all_branches()?, id).await?;
        Ok(Saved::new(format!("/branches/{id}"), Flash::BranchRestored))
    }
}
