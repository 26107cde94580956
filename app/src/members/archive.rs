use super::{actions, detail::archive_confirmation};
use crate::{
    error::PageError,
    extract::Path,
    names::full,
    page::{Layout, NavItem, Page, Redirect},
    ui::icon,
};
use axum::Extension;
use identity::CurrentUser;
use leptos::prelude::*;
use tenant::members;
use uuid::Uuid;

/// Asks before archiving, where there is no JavaScript for a dialog.
pub async fn confirm(
    Extension(user): Extension<CurrentUser>,
    Path(id): Path<Uuid>,
) -> Result<Page, PageError> {
    let editor = user.admin.editor()?;
    let member = members::find(&user.tenant, editor.viewer(), id).await?;
    let name = full([member.fields.first_name.as_deref(), member.fields.last_name.as_deref()]);
    let body = view! {
        <a class="back" href=format!("/members/{id}")>{icon::back()}{name.clone()}</a>
        {archive_confirmation(&member).page()}
    };
    Ok(Page::new(format!("Archive {name}"), Layout::Narrow(NavItem::Members), body))
}

pub async fn archive(
    Extension(user): Extension<CurrentUser>,
    Path(id): Path<Uuid>,
) -> Result<Redirect, PageError> {
    Ok(actions::archive(&user, id).await?.into())
}

pub async fn restore(
    Extension(user): Extension<CurrentUser>,
    Path(id): Path<Uuid>,
) -> Result<Redirect, PageError> {
    Ok(actions::restore(&user, id).await?.into())
}

/// The address of a button leads back, for whoever comes from the sign-in.
pub async fn back(Path(id): Path<Uuid>) -> Redirect {
    Redirect::to(format!("/members/{id}"))
}
