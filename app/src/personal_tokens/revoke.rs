use super::{actions, list::revoke_confirmation};
use crate::{
    error::PageError,
    extract::Path,
    page::{Layout, NavItem, Page, Redirect},
    ui::icon,
};
use axum::Extension;
use identity::CurrentUser;
use leptos::prelude::*;
use tenant::personal_tokens;
use uuid::Uuid;

/// Asks before revoking, where there is no JavaScript for a dialog.
pub async fn confirm(
    Extension(user): Extension<CurrentUser>,
    Path(id): Path<Uuid>,
) -> Result<Page, PageError> {
    let token = personal_tokens::find(&user.tenant, user.admin.viewer(), id).await?;
    let body = view! {
        <a class="back" href="/settings/tokens">{icon::back()}"Access tokens"</a>
        {revoke_confirmation(&token).page()}
    };
    Ok(Page::new(format!("Revoke {}", token.details.name), Layout::Narrow(NavItem::Settings), body))
}

pub async fn revoke(
    Extension(user): Extension<CurrentUser>,
    Path(id): Path<Uuid>,
) -> Result<Redirect, PageError> {
    Ok(actions::revoke(&user, id).await?.into())
}
