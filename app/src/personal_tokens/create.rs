use super::{
    islands::CopyButton,
    list::{day, scope_label},
};
use crate::{
    error::PageError,
    extract::Form,
    flash::Flash,
    forms::{
        context,
        enhanced::{EnhancedForm, FormKind},
        fields::{Choices, FormState, input},
        recover,
        submission::{Claim, Submission, key_field, new_key},
    },
    page::{Layout, NavItem, Page, Redirect},
    ui::{
        field::{ErrorSummary, FormField},
        page_header::PageHeader,
    },
};
use axum::{
    Extension,
    response::{IntoResponse, Response},
};
use chrono::{Duration, Utc};
use domain::{
    Errors, RawForm,
    personal_tokens::{PERSONAL_TOKEN, PersonalTokenInput, SCOPES},
};
use identity::{CurrentUser, PersonalToken};
use leptos::prelude::*;
use tenant::personal_tokens::{self, Details, Scope};

const LIST: &str = "/settings/tokens";

/// A new token has no more rights than it needs, and an end.
pub async fn new(Extension(user): Extension<CurrentUser>) -> Page {
    let form = RawForm::from([("scope", "read"), ("expires", "90"), ("key", &new_key())]);
    form_page(&user, &form, &Errors::default())
}

/// The response shows the token itself, this once; it is stored nowhere.
pub async fn create(
    Extension(user): Extension<CurrentUser>,
    Form(form): Form,
) -> Result<Response, PageError> {
    match created(&user, &form).await {
        Ok(response) => Ok(response),
        Err(error) => {
            let (form, errors) = recover(form, error)?;
            Ok(form_page(&user, &form, &errors).into_response())
        }
    }
}

async fn created(user: &CurrentUser, form: &RawForm) -> Result<Response, PageError> {
    let input = PERSONAL_TOKEN.parse(form, None, &context(user))?;
    let shown = || Ok(Redirect::to(LIST).with_flash(Flash::TokenShown).into_response());
    let submission = match Submission::claim(user, "/settings/tokens/new", form).await? {
        Claim::Proceed(submission) => submission,
        Claim::Repeated(_) => return shown(),
    };
    let details = details(input);
    let token = PersonalToken::generate(user.tenant.id())?;
    // The key is the token's id: also when its claim has been forgotten, it creates one token.
    let id = form.get("key").parse().unwrap_or(submission.id);
    match personal_tokens::add(&user.tenant, &user.admin, id, &details, &token.digest()).await {
        Ok(true) => {
            tracing::info!(token = %id, admin = %user.admin.id, "access token created");
            submission.remember(LIST).await?;
            Ok(created_page(user, &details, &token).into_response())
        }
        Ok(false) => shown(),
        Err(error) => {
            submission.release().await?;
            Err(error.into())
        }
    }
}

/// Days are counted from now.
fn details(input: PersonalTokenInput) -> Details {
    Details {
        name: input.name,
        scope: Scope::from_name(&input.scope).unwrap_or(Scope::Read),
        expires_at: input.expires.parse().ok().map(|days| Utc::now() + Duration::days(days)),
    }
}

fn form_page(user: &CurrentUser, form: &RawForm, errors: &Errors) -> Page {
    let state = FormState { form, errors };
    let may_edit = user.admin.editor().is_ok();
    let inputs: Vec<_> = PERSONAL_TOKEN
        .fields
        .iter()
        .map(|field| match &*field.name {
            "scope" => scope_input(state, may_edit),
            _ => input(field, state, &Choices::default()),
        })
        .collect();
    let inputs = view! {
        <form class="stack" method="post" action="/settings/tokens/new" novalidate>
            <ErrorSummary errors=errors/>
            {key_field(form.get("key"))}
            {inputs}
            <div class="actions">
                <a class="btn quiet" href=LIST>"Cancel"</a>
                <button class="btn primary">"Create token"</button>
            </div>
        </form>
    }
    .into_any();
    let body = view! {
        <PageHeader title="Create a token" back=(LIST.into(), "Access tokens".into())/>
        <EnhancedForm kind=FormKind::PersonalToken>{inputs}</EnhancedForm>
    };
    Page::new("Create a token", Layout::Narrow(NavItem::Settings), body).with_errors(errors)
}

/// Offers only what the user may do.
fn scope_input(state: FormState<'_>, may_edit: bool) -> AnyView {
    let (scopes, hint) = match may_edit {
        true => (&SCOPES[..], "It acts in your name, and can never do more than you."),
        false => (&SCOPES[..1], "Your account is view only, and so are your tokens."),
    };
    let scopes = scopes.iter().map(|(value, label)| ((*value).to_owned(), (*label).to_owned()));
    FormField::new("scope", "Access", state.form.get("scope"), state.errors).hint(hint).select(scopes)
}

fn created_page(user: &CurrentUser, details: &Details, token: &PersonalToken) -> Page {
    let until = match details.expires_at {
        Some(at) => format!("Expires on {}", day(at, &user.church.timezone)),
        None => "Does not expire".to_owned(),
    };
    let subtitle = format!("{} · {} · {until}", details.name, scope_label(details.scope)).into_any();
    let field = view! {
        <input class="input flex-1 basis-64 font-mono" id="token" readonly=true value=token.reveal()
               aria-label="The token" aria-describedby="token-once" autocomplete="off" spellcheck="false"/>
    }
    .into_any();
    let body = view! {
        <PageHeader title="Copy your token now" subtitle=subtitle back=(LIST.into(), "Access tokens".into())/>
        <div class="card pad grid gap-4">
            <p id="token-once">"This token is shown only once. Keep it like a password: anyone who has it can use it."</p>
            <CopyButton>{field}</CopyButton>
            <p class="muted">"Send it with each request as "<code>"Authorization: Bearer …"</code>". "
                <a href="/api/docs">"API documentation"</a></p>
            <div class="actions"><a class="btn" href=LIST>"I have copied it"</a></div>
        </div>
    };
    Page::new("Copy your token now", Layout::Narrow(NavItem::Settings), body)
}
