//! What is done to members, by pages and by server functions.

use crate::action::{ActionError, Saved};
use domain::RawForm;
use leptos::{prelude::*, server_fn::codec::Json};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

#[cfg(feature = "ssr")]
pub(super) use server::{archive, restore, save};

/// Saves the form of a member; `None` adds one.
#[server(endpoint = "members/save", input = Json)]
pub async fn save_member(id: Option<Uuid>, form: RawForm) -> Result<Saved, ActionError> {
    crate::action::respond_saved(async |user| save(&user, id, &form).await).await
}

#[server(endpoint = "members/archive", input = Json)]
pub async fn archive_member(id: Uuid) -> Result<Saved, ActionError> {
    crate::action::respond_saved(async |user| archive(&user, id).await).await
}

#[server(endpoint = "members/restore", input = Json)]
pub async fn restore_member(id: Uuid) -> Result<Saved, ActionError> {
    crate::action::respond_saved(async |user| restore(&user, id).await).await
}

/// A member who may be the person that is being typed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SimilarMember {
    pub id: Uuid,
    pub name: String,
    /// What tells people of one name apart: phone or email, and the branch.
    pub details: String,
}

/// Finds members who may be the same person as the one in the form, of those that the user may see; at most three.
#[server(endpoint = "members/similar", input = Json)]
pub async fn similar_members(form: RawForm) -> Result<Vec<SimilarMember>, ActionError> {
    crate::action::respond(async |user| server::similar(&user, &form).await).await
}

#[cfg(feature = "ssr")]
mod server {
    use super::SimilarMember;
    use crate::{
        action::Saved,
        error::PageError,
        flash::Flash,
        forms::{
            conflict, context,
            submission::{Claim, Submission},
            version,
        },
        names::full,
    };
    use domain::{RawForm, locale, members::MEMBER, rules::line};
    use identity::CurrentUser;
    use tenant::members::{self, Similar};
    use uuid::Uuid;

    pub async fn save(user: &CurrentUser, id: Option<Uuid>, form: &RawForm) -> Result<Saved, PageError> {
        match id {
            Some(id) => update(user, id, form).await,
            None => create(user, form).await,
        }
    }

    async fn create(user: &CurrentUser, form: &RawForm) -> Result<Saved, PageError> {
        let editor = user.admin.editor()?;
        let input = MEMBER.parse(form, None, &context(user))?;
        let submission = match Submission::claim(user, "/members/new", form).await? {
            Claim::Proceed(submission) => submission,
            Claim::Repeated(location) => return Ok(Saved::new(location, Flash::MemberAdded)),
        };
        let id = submission.id;
        let added = members::add(&user.tenant, &editor, id, &input).await;
        submission.settle(added, format!("/members/{id}"), Flash::MemberAdded).await
    }

    async fn update(user: &CurrentUser, id: Uuid, form: &RawForm) -> Result<Saved, PageError> {
        let editor = user.admin.editor()?;
        let member = members::find(&user.tenant, editor.viewer(), id).await?;
        let input = MEMBER.parse(form, Some(&member.fields), &context(user))?;
        match members::update(&user.tenant, &editor, id, &input, version(form)).await {
            Err(tenant::Error::Changed) => {
                let now = members::find(&user.tenant, editor.viewer(), id).await?;
                Err(conflict(now.updated_at))
            }
            updated => {
                updated?;
                Ok(Saved::new(format!("/members/{id}"), Flash::MemberSaved))
            }
        }
    }

    pub async fn archive(user: &CurrentUser, id: Uuid) -> Result<Saved, PageError> {
        members::archive(&user.tenant, &user.admin.editor()?, id, None).await?;
        Ok(Saved::new(format!("/members/{id}"), Flash::MemberArchived))
    }

    pub async fn restore(user: &CurrentUser, id: Uuid) -> Result<Saved, PageError> {
        members::restore(&user.tenant, &user.admin.editor()?, id).await?;
        Ok(Saved::new(format!("/members/{id}"), Flash::MemberRestored))
    }

    pub async fn similar(user: &CurrentUser, form: &RawForm) -> Result<Vec<SimilarMember>, PageError> {
        let country = &user.church.country;
        let similar = Similar {
            first_name: line(form.get("first_name")),
            last_name: line(form.get("last_name")),
            mobile: line(form.get("mobile")).and_then(|mobile| locale::e164(&mobile, country).ok()),
            email: line(form.get("email")),
        };
        let found = members::similar(&user.tenant, user.admin.viewer(), &similar).await?;
        let found = found.into_iter().map(|member| {
            let contact = match (member.mobile, member.email) {
                (Some(mobile), _) => Some(locale::readable(&mobile, country)),
                (None, email) => email,
            };
            let details: Vec<_> = contact.into_iter().chain([member.branch_name]).collect();
            let name = full([member.first_name.as_deref(), member.last_name.as_deref()]);
            SimilarMember { id: member.id, name, details: details.join(" · ") }
        });
        Ok(found.collect())
    }
}
