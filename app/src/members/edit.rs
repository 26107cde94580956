use super::{actions, same_person::SamePerson};
use crate::{
    error::PageError,
    extract::{Form, Path, Query},
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
use domain::{Errors, RawForm, members::MEMBER};
use identity::CurrentUser;
use leptos::prelude::*;
use serde::Deserialize;
use tenant::{Version, branches, members, statuses, tags};
use uuid::Uuid;

/// A form may be opened for a branch.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct NewMemberQuery {
    branch: String,
}

pub async fn new(
    Extension(user): Extension<CurrentUser>,
    Query(query): Query<NewMemberQuery>,
) -> Result<Page, PageError> {
    let form = RawForm::from([("branch_id", query.branch.as_str()), ("key", &new_key())]);
    form_page(&user, None, form, Errors::default()).await
}

pub async fn create(
    Extension(user): Extension<CurrentUser>,
    Form(form): Form,
) -> Result<Response, PageError> {
    submit(&user, None, form).await
}

pub async fn edit(Extension(user): Extension<CurrentUser>, Path(id): Path<Uuid>) -> Result<Page, PageError> {
    let member = members::find(&user.tenant, user.admin.editor()?.viewer(), id).await?;
    let form = MEMBER.fill(&member.fields, &context(&user));
    let form = form.with("version", Version::from(member.updated_at).to_string());
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
    mut form: RawForm,
    errors: Errors,
) -> Result<Page, PageError> {
    let editor = user.admin.editor()?;
    let viewer = editor.viewer();
    let branches = branches::choices(&user.tenant, viewer).await?;
    // Where there is one branch, nobody has to choose it.
    if let [only] = branches.as_slice()
        && form.get("branch_id").is_empty()
    {
        form.set("branch_id", only.id.to_string());
    }
    let statuses = statuses::list(&user.tenant, viewer).await?;
    let choices = Choices {
        branches: branches.into_iter().map(|branch| (branch.id.to_string(), branch.name)).collect(),
        statuses: statuses.into_iter().map(|status| (status.id.to_string(), status.name)).collect(),
        tags: tags::names(&user.tenant, viewer).await?,
    };
    let name = crate::names::full([Some(form.get("first_name")), Some(form.get("last_name"))]);
    let (title, back, path) = match id {
        Some(id) => {
            (format!("Edit {name}"), (format!("/members/{id}"), "Back".into()), format!("/members/{id}/edit"))
        }
        None => ("Add a member".into(), ("/members".into(), "Members".into()), "/members/new".into()),
    };
    let inputs = view! {
        <form class="stack" method="post" action=path novalidate>
            <ErrorSummary errors=&errors/>
            <input r#type="hidden" name="version" value=form.get("version").to_owned()/>
            {id.is_none().then(|| key_field(form.get("key")))}
            {id.is_none().then(|| view! { <SamePerson/> }.into_any())}
            {sections(&MEMBER, FormState { form: &form, errors: &errors }, &choices)}
            <div class="actions sticky">
                <a class="btn quiet" href=back.0.clone()>"Cancel"</a>
                <button class="btn primary">"Save"</button>
            </div>
        </form>
    }
    .into_any();
    let body = view! {
        <PageHeader title=title.clone() back=back/>
        <EnhancedForm kind=FormKind::Member(id)>{inputs}</EnhancedForm>
    };
    Ok(Page::new(title, Layout::Narrow(NavItem::Members), body).with_errors(&errors))
}
