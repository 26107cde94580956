use crate::{
    error::PageError,
    extract::Path,
    forms::enhanced::{EnhancedForm, FormKind},
    page::{Layout, NavItem, Page},
    pictures::avatar,
    ui::{
        confirmation::{ConfirmButton, Confirmation},
        facts::record_cards,
        field::ErrorSummary,
        icon,
        page_header::PageHeader,
        pagination::count,
    },
};
use axum::Extension;
use domain::{Errors, branches::BRANCH};
use identity::CurrentUser;
use leptos::prelude::*;
use tenant::{
    branches::{self, Branch},
    photos::Whose,
};
use uuid::Uuid;

pub async fn detail(
    Extension(user): Extension<CurrentUser>,
    Path(id): Path<Uuid>,
) -> Result<Page, PageError> {
    page(&user, id, &Errors::default()).await
}

/// The page of a branch, with the errors of what was done on it.
pub async fn page(user: &CurrentUser, id: Uuid, errors: &Errors) -> Result<Page, PageError> {
    let branch = branches::find(&user.tenant, user.admin.viewer(), id).await?;
    let fields = &branch.fields;
    let people = count(branch.members, "person", "people");
    let people = view! { <a href=format!("/members?branch={id}")>{people}</a> };
    let place = match (fields.is_main, &branch.parent_name) {
        (true, _) => Some("Main branch · ".to_owned()),
        (false, Some(parent)) => Some(format!("Part of {parent} · ")),
        (false, None) => None,
    };
    let picture =
        branch.picture_id.map(|_| avatar(Whose::Branch(id), branch.picture_id, true, String::new()));
    let actions = user.admin.editor_of_all_branches().is_ok().then(|| actions(&branch));
    let body = view! {
        <PageHeader title=fields.name.clone() subtitle=view! { {place}{people} }.into_any()
                    back=("/branches".into(), "Branches".into()) picture=picture.into_any()
                    actions=actions.unwrap_or_else(|| ().into_any())/>
        {(!errors.is_empty()).then(|| view! { <ErrorSummary errors=errors/> })}
        {branch.archived_at.map(|_| view! {
            <div class="notice warn">{icon::archive()}<div><strong>"This branch is archived."</strong>
                <p>"It is hidden from lists and choices. Nothing was deleted."</p></div></div>
        })}
        {record_cards(&BRANCH, fields, &user.church.country)}
    };
    Ok(Page::new(fields.name.clone(), Layout::App(NavItem::Branches), body).with_errors(errors))
}

fn actions(branch: &Branch) -> AnyView {
    let id = branch.id;
    let archive = match (branch.archived_at, branch.fields.is_main) {
        (Some(_), _) => {
            let form = view! {
                <form method="post" action=format!("/branches/{id}/restore")>
                    <button class="btn">{icon::restore()}"Restore"</button>
                </form>
            }
            .into_any();
            view! { <EnhancedForm kind=FormKind::RestoreBranch(id)>{form}</EnhancedForm> }.into_any()
        }
        // The main branch cannot be archived.
        (None, true) => ().into_any(),
        (None, false) => {
            let confirmation = archive_confirmation(branch);
            view! {
                <ConfirmButton confirmation=confirmation class="btn quiet danger">{icon::archive()}"Archive"</ConfirmButton>
            }
            .into_any()
        }
    };
    view! {
        {archive}
        <a class="btn" href=format!("/branches/{id}/picture")>"Photo"</a>
        <a class="btn primary" href=format!("/branches/{id}/edit")>{icon::edit()}"Edit"</a>
    }
    .into_any()
}

pub fn archive_confirmation(branch: &Branch) -> Confirmation {
    let id = branch.id;
    let people = match branch.members {
        0 => "It has no people.".to_owned(),
        1 => "Its one person stays in it.".to_owned(),
        n => format!("Its {} stay in it.", count(n, "person", "people")),
    };
    Confirmation {
        id: "archive".into(),
        title: format!("Archive {}?", branch.fields.name),
        text: format!("It is hidden from lists and choices. {people} Nothing is deleted, and you can restore it at any time."),
        path: format!("/branches/{id}/archive"),
        action: FormKind::ArchiveBranch(id),
        confirm: "Archive",
        cancel: "Cancel",
        cancel_path: format!("/branches/{id}"),
    }
}
