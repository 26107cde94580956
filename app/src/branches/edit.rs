use super::actions;
use crate::{
    error::PageError,
    extract::{Form, Path},
    forms::{
        context,
        enhanced::{EnhancedForm, FormKind},
        fields::{Choices, FormState, sections},
        recover,
        submission::{key_field, new_key},
    },
    page::{Layout, NavItem, Page, Redirect},
    ui::{field::ErrorSummary, page_header::PageHeader},
};
use axum::{
    Extension,
    response::{IntoResponse, Response},
};
use domain::{Errors, RawForm, branches::BRANCH};
use identity::CurrentUser;
use leptos::prelude::*;
use tenant::{Version, branches};
use uuid::Uuid;

/// A new branch is where the church is, until something else is chosen.
pub async fn new(Extension(user): Extension<CurrentUser>) -> Result<Page, PageError> {
    let church = &user.church;
    let form = RawForm::from([
        ("country", church.country.as_str()),
        ("timezone", &church.timezone),
        ("key", &new_key()),
    ]);
    form_page(&user, None, form, Errors::default()).await
}

pub async fn create(
    Extension(user): Extension<CurrentUser>,
    Form(form): Form,
) -> Result<Response, PageError> {
    submit(&user, None, form).await
}

pub async fn edit(Extension(user): Extension<CurrentUser>, Path(id): Path<Uuid>) -> Result<Page, PageError> {
    let editor = user.admin.editor_of_all_branches()?;
    let branch = branches::find(&user.tenant, editor.viewer(), id).await?;
    let form = BRANCH.fill(&branch.fields, &context(&user));
    let form = form.with("version", Version::from(branch.updated_at).to_string());
    form_page(&user, Some(id), form, Errors::default()).await
}

pub async fn update(
    Extension(user): Extension<CurrentUser>,
    Path(id): Path<Uuid>,
    Form(form): Form,
) -> Result<Response, PageError> {
    submit(&user, Some(id), form).await
}

async fn submit(user: &CurrentUser, id: Option<Uuid>, form: RawForm) -> Result<Response, PageError> {
    match actions::save(user, id, &form).await {
        Ok(saved) => Ok(Redirect::from(saved).into_response()),
        Err(error) => {
            let (form, errors) = recover(form, error)?;
            Ok(form_page(user, id, form, errors).await?.into_response())
        }
    }
}

async fn form_page(
    user: &CurrentUser,
    id: Option<Uuid>,
    form: RawForm,
    errors: Errors,
) -> Result<Page, PageError> {
    let editor = user.admin.editor_of_all_branches()?;
    let others = branches::choices(&user.tenant, editor.viewer()).await?;
    let others = others.into_iter().filter(|branch| Some(branch.id) != id);
    let choices = Choices {
        branches: others.map(|branch| (branch.id.to_string(), branch.name)).collect(),
        ..Choices::default()
    };
    let (title, back, path) = match id {
        Some(id) => (
            format!("Edit {}", form.get("name")),
            (format!("/branches/{id}"), "Back".into()),
            format!("/branches/{id}/edit"),
        ),
        None => ("Add a branch".into(), ("/branches".into(), "Branches".into()), "/branches/new".into()),
    };
    let inputs = view! {
        <form class="stack" method="post" action=path novalidate>
            <ErrorSummary errors=&errors/>
            <input r#type="hidden" name="version" value=form.get("version").to_owned()/>
            {id.is_none().then(|| key_field(form.get("key")))}
            {sections(&BRANCH, FormState { form: &form, errors: &errors }, &choices)}
            <div class="actions sticky">
                <a class="btn quiet" href=back.0.clone()>"Cancel"</a>
                <button class="btn primary">"Save"</button>
            </div>
        </form>
    }
    .into_any();
    let body = view! {
        <PageHeader title=title.clone() back=back/>
        <EnhancedForm kind=FormKind::Branch(id)>{inputs}</EnhancedForm>
    };
    Ok(Page::new(title, Layout::Narrow(NavItem::Branches), body).with_errors(&errors))
}
