use super::{actions, list::delete_confirmation};
use crate::{
    error::PageError,
    extract::{Form, Path},
    forms::{
        context,
        enhanced::{EnhancedForm, FormKind},
        fields::{Choices, FormState, input},
        recover,
    },
    page::{Layout, NavItem, Page, Redirect},
    ui::{field::ErrorSummary, icon, page_header::PageHeader},
};
use axum::{
    Extension,
    response::{IntoResponse, Response},
};
use domain::{
    Errors, RawForm,
    tags::{TAG, TagInput},
};
use identity::CurrentUser;
use leptos::prelude::*;
use tenant::{Version, tags};
use uuid::Uuid;

pub async fn edit(Extension(user): Extension<CurrentUser>, Path(id): Path<Uuid>) -> Result<Page, PageError> {
    let editor = user.admin.editor_of_all_branches()?;
    let tag = tags::find(&user.tenant, editor.viewer(), id).await?;
    let form = TAG.fill(&TagInput { name: tag.name }, &context(&user));
    let form = form.with("version", Version::from(tag.updated_at).to_string());
    Ok(form_page(id, &form, &Errors::default()))
}

pub async fn rename(
    Extension(user): Extension<CurrentUser>,
    Path(id): Path<Uuid>,
    Form(form): Form,
) -> Result<Response, PageError> {
    match actions::rename(&user, id, &form).await {
        Ok(saved) => Ok(Redirect::from(saved).into_response()),
        Err(error) => {
            let (form, errors) = recover(form, error)?;
            Ok(form_page(id, &form, &errors).into_response())
        }
    }
}

/// Asks before deleting, where there is no JavaScript for a dialog.
pub async fn confirm(
    Extension(user): Extension<CurrentUser>,
    Path(id): Path<Uuid>,
) -> Result<Page, PageError> {
    let editor = user.admin.editor_of_all_branches()?;
    let tag = tags::find(&user.tenant, editor.viewer(), id).await?;
    let body = view! {
        <a class="back" href="/settings/tags">{icon::back()}"Tags"</a>
        {delete_confirmation(&tag).page()}
    };
    Ok(Page::new(format!("Delete {}", tag.name), Layout::Narrow(NavItem::Settings), body))
}

pub async fn delete(
    Extension(user): Extension<CurrentUser>,
    Path(id): Path<Uuid>,
) -> Result<Redirect, PageError> {
    Ok(actions::delete(&user, id).await?.into())
}

fn form_page(id: Uuid, form: &RawForm, errors: &Errors) -> Page {
    let inputs: Vec<_> = TAG
        .fields
        .iter()
        .map(|field| input(field, FormState { form, errors }, &Choices::default()))
        .collect();
    let inputs = view! {
        <form class="stack" method="post" action=format!("/settings/tags/{id}/edit") novalidate>
            <ErrorSummary errors=errors/>
            <input r#type="hidden" name="version" value=form.get("version").to_owned()/>
            {inputs}
            <div class="actions">
                <a class="btn quiet" href="/settings/tags">"Cancel"</a>
                <button class="btn primary">"Save"</button>
            </div>
        </form>
    }
    .into_any();
    let body = view! {
        <PageHeader title="Rename tag" back=("/settings/tags".into(), "Tags".into())/>
        <EnhancedForm kind=FormKind::Tag(id)>{inputs}</EnhancedForm>
    };
    Page::new("Rename tag", Layout::Narrow(NavItem::Settings), body).with_errors(errors)
}
