use super::badge;
use crate::{
    error::PageError,
    extract::Path,
    forms::enhanced::{EnhancedForm, FormKind},
    names::{full, initials},
    page::{Layout, NavItem, Page},
    pictures::avatar,
    ui::{
        confirmation::{ConfirmButton, Confirmation},
        facts::record_cards,
        icon,
        page_header::PageHeader,
    },
};
use axum::Extension;
use domain::members::MEMBER;
use identity::CurrentUser;
use leptos::prelude::*;
use tenant::{
    members::{self, Member},
    photos::Whose,
};
use uuid::Uuid;

pub async fn detail(
    Extension(user): Extension<CurrentUser>,
    Path(id): Path<Uuid>,
) -> Result<Page, PageError> {
    let member = members::find(&user.tenant, user.admin.viewer(), id).await?;
    let title = title(&member);
    let fields = &member.fields;
    let letters = initials([fields.first_name.as_deref(), fields.last_name.as_deref()]);
    let picture = avatar(Whose::Member(member.id), member.photo_id, true, letters).into_any();
    let subtitle =
        view! { {badge(&member.status_kind, member.status_name.clone())}" · "{member.branch_name.clone()} };
    let actions = user.admin.editor().is_ok().then(|| actions(&member));
    let body = view! {
        <PageHeader title=title.clone() subtitle=subtitle.into_any() back=("/members".into(), "Members".into())
                    picture=picture actions=actions.unwrap_or_else(|| ().into_any())/>
        {member.archived_at.map(|_| view! {
            <div class="notice warn">{icon::archive()}<div><strong>"This person is archived."</strong>
                <p>"They are hidden from lists and totals. Nothing was deleted."</p></div></div>
        })}
        {record_cards(&MEMBER, fields, &user.church.country)}
    };
    Ok(Page::new(title, Layout::App(NavItem::Members), body))
}

fn actions(member: &Member) -> AnyView {
    let id = member.id;
    let archive = match member.archived_at {
        Some(_) => {
            let form = view! {
                <form method="post" action=format!("/members/{id}/restore")>
                    <button class="btn">{icon::restore()}"Restore"</button>
                </form>
            }
            .into_any();
            view! { <EnhancedForm kind=FormKind::RestoreMember(id)>{form}</EnhancedForm> }.into_any()
        }
        None => {
            let confirmation = archive_confirmation(member);
            view! {
                <ConfirmButton confirmation=confirmation class="btn quiet danger">{icon::archive()}"Archive"</ConfirmButton>
            }
            .into_any()
        }
    };
    view! {
        {archive}
        <a class="btn" href=format!("/members/{id}/photo")>"Photo"</a>
        <a class="btn primary" href=format!("/members/{id}/edit")>{icon::edit()}"Edit"</a>
    }
    .into_any()
}

pub fn archive_confirmation(member: &Member) -> Confirmation {
    let id = member.id;
    let fields = &member.fields;
    let name = full([fields.first_name.as_deref(), fields.last_name.as_deref()]);
    Confirmation {
        id: "archive".into(),
        title: format!("Archive {name}?"),
        text: "They are hidden from lists and totals. Nothing is deleted, and you can restore them at any time."
            .into(),
        path: format!("/members/{id}/archive"),
        action: FormKind::ArchiveMember(id),
        confirm: "Archive",
        cancel: "Cancel",
        cancel_path: format!("/members/{id}"),
    }
}

/// The whole name, with title and suffix.
fn title(member: &Member) -> String {
    let fields = &member.fields;
    full([
        fields.prefix.as_deref(),
        fields.first_name.as_deref(),
        fields.middle_name.as_deref(),
        fields.last_name.as_deref(),
        fields.suffix.as_deref(),
    ])
}
