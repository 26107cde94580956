use super::{actions, detail};
use crate::{
    error::PageError,
    extract::Path,
    page::{Layout, NavItem, Page, Redirect},
    ui::icon,
};
use axum::{
    Extension,
    response::{IntoResponse, Response},
};
use identity::CurrentUser;
use leptos::prelude::*;
use tenant::branches;
use uuid::Uuid;

/// Asks before archiving, where there is no JavaScript for a dialog.
pub async fn confirm(
    Extension(user): Extension<CurrentUser>,
    Path(id): Path<Uuid>,
) -> Result<Page, PageError> {
    let branch = branches::find(&user.tenant, user.admin.viewer(), id).await?;
    user.admin.editor_of_all_branches()?;
    let name = branch.fields.name.clone();
    let body = view! {
        <a class="back" href=format!("/branches/{id}")>{icon::back()}{name.clone()}</a>
        {detail::archive_confirmation(&branch).page()}
    };
    Ok(Page::new(format!("Archive {name}"), Layout::Narrow(NavItem::Branches), body))
}

pub async fn archive(
    Extension(user): Extension<CurrentUser>,
    Path(id): Path<Uuid>,
) -> Result<Response, PageError> {
    match actions::archive(&user, id).await {
        Ok(saved) => Ok(Redirect::from(saved).into_response()),
        Err(PageError::Invalid(errors)) => Ok(detail::page(&user, id, &errors).await?.into_response()),
        Err(error) => Err(error),
    }
}

pub async fn restore(
    Extension(user): Extension<CurrentUser>,
    Path(id): Path<Uuid>,
) -> Result<Redirect, PageError> {
    Ok(actions::restore(&user, id).await?.into())
}

/// The address of a button leads back, for whoever comes from the sign-in.
pub async fn back(Path(id): Path<Uuid>) -> Redirect {
    Redirect::to(format!("/branches/{id}"))
}
