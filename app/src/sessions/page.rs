use crate::{
    error::PageError,
    extract::{Form, PublicContext, Query},
    flash::Flash,
    forms::enhanced::{EnhancedForm, FormKind},
    names::initials,
    page::{Layout, Page, Redirect},
    preferences::local_path,
    ui::{
        field::{ErrorSummary, FormField},
        icon,
        pagination::address,
    },
};
use axum::{
    Extension,
    response::{IntoResponse, Response},
};
use domain::{Errors, RawForm, locale, sessions::parse_sign_in};
use identity::Choice;
use leptos::prelude::*;
use serde::Deserialize;

/// Where to go after signing in.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Next {
    next: String,
}

impl Next {
    /// A path of this site, or the home page.
    fn path(&self) -> String {
        // Only paths are given out as `next`, so this is nobody's host.
        local_path(&self.next, "vestry.invalid").unwrap_or_else(|| "/".into())
    }
}

/// Path of the sign-in page, which leads to `next` afterwards.
pub fn sign_in_address(next: &str) -> String {
    let next = if next == "/" { String::new() } else { next.to_owned() };
    address("/signin", &[("next", next)])
}

pub async fn sign_in_page(
    Extension(context): Extension<PublicContext>,
    Query(next): Query<Next>,
) -> Response {
    if context.identity.resolve(&context.session).await.ok().flatten().is_some() {
        return Redirect::to(next.path()).into_response();
    }
    form_page(&next, &RawForm::default(), &Errors::default()).into_response()
}

pub async fn sign_in(
    Extension(context): Extension<PublicContext>,
    Query(next): Query<Next>,
    Form(form): Form,
) -> Result<Response, PageError> {
    let wrong = |errors: &Errors| form_page(&next, &form, errors);
    let input = match parse_sign_in(&form) {
        Ok(input) => input,
        Err(errors) => return Ok(wrong(&errors).into_response()),
    };
    let PublicContext { identity, session, device, address: client, .. } = &context;
    match identity.sign_in(session, device, *client, &input.email, input.password).await {
        Ok(choices) if choices.len() == 1 => Ok(Redirect::to(next.path()).into_response()),
        Ok(_) => Ok(Redirect::to(address("/choose", &[("next", next.next)])).into_response()),
        Err(identity::Error::WrongCredentials) => {
            let errors = Errors::one("email", "Email or password is incorrect.");
            Ok(wrong(&errors).into_response())
        }
        Err(identity::Error::TooManyAttempts { retry_after }) => {
            let error = PageError::TooManyAttempts { retry_after };
            let (heading, message) = error.message();
            let errors = Errors::one("email", format!("{heading}. {message}"));
            Ok(wrong(&errors).with_error(&error).into_response())
        }
        Err(error) => Err(error.into()),
    }
}

fn form_page(next: &Next, form: &RawForm, errors: &Errors) -> Page {
    let email = FormField::new("email", "Email", form.get("email"), errors).autocomplete("username").max(254);
    let password =
        FormField::new("password", "Password", "", errors).autocomplete("current-password").max(200);
    let inputs = view! {
        <form class="stack" method="post" action=sign_in_address(&next.next) novalidate>
            <ErrorSummary errors=errors/>
            {email.input("email")}
            {password.input("password")}
            <button class="btn primary wide">"Sign in"</button>
        </form>
    }
    .into_any();
    let body = view! {
        <div>
            <h1>"Welcome back"</h1>
            <p class="lead">"Sign in to your church's account."</p>
        </div>
        <EnhancedForm kind=FormKind::SignIn>{inputs}</EnhancedForm>
        <p class="muted">"New here? "<a href="/signup">"Create your church's account"</a></p>
    };
    Page::new("Sign in", Layout::Public, body).with_errors(errors)
}

/// For an email that several churches know: which of them to open.
pub async fn choices(
    Extension(context): Extension<PublicContext>,
    Query(next): Query<Next>,
) -> Result<Response, PageError> {
    let choices = context.identity.choices(&context.session).await?;
    if choices.is_empty() {
        return Ok(Redirect::to(sign_in_address(&next.next)).into_response());
    }
    let items = choices.into_iter().map(|choice| {
        let (first, second) = choice.church.split_once(' ').unwrap_or((&choice.church, ""));
        let letters = initials([Some(first), Some(second)]);
        view! {
            <li>
                <button name="tenant_id" value=choice.tenant_id.clone()>
                    <span class="avatar" aria-hidden="true">{letters}</span>
                    <span>{choice.church.clone()}</span>
                    <small class="muted basis-1/2">{about(&choice)}</small>
                    {icon::forward()}
                </button>
            </li>
        }
    });
    let body = view! {
        <div>
            <h1>"Which church?"</h1>
            <p class="lead">"Your email belongs to several. Choose the one to open."</p>
        </div>
        <form method="post" action=address("/choose", &[("next", next.next)])>
            <ul class="choices">{items.collect_view()}</ul>
        </form>
    };
    Ok(Page::new("Choose a church", Layout::Public, body).into_response())
}

pub async fn choose(
    Extension(context): Extension<PublicContext>,
    Query(next): Query<Next>,
    Form(form): Form,
) -> Result<Redirect, PageError> {
    match context.identity.choose(&context.session, form.get("tenant_id")).await {
        Ok(()) => Ok(Redirect::to(next.path())),
        Err(identity::Error::WrongCredentials) => Ok(Redirect::to(sign_in_address(&next.next))),
        Err(error) => Err(error.into()),
    }
}

/// "Nairobi, Kenya · signed up 3 June 2026 · Owner": what tells churches of the same name apart.
fn about(choice: &Choice) -> String {
    let country = locale::country_name(&choice.country);
    let place = match &choice.town {
        Some(town) => format!("{town}, {country}"),
        None => country.to_owned(),
    };
    let since = choice.created_at.format("signed up %-d %B %Y").to_string();
    let role = match choice.role.as_str() {
        "owner" => "Owner",
        "admin" => "Administrator",
        _ => "View only",
    };
    let mut about = vec![place.as_str(), &since, role];
    about.extend(choice.is_suspended.then_some("Suspended"));
    about.join(" · ")
}

pub async fn sign_out(Extension(context): Extension<PublicContext>) -> Result<Redirect, PageError> {
    context.identity.sign_out(&context.session).await?;
    Ok(Redirect::to("/signin").with_flash(Flash::SignedOut))
}

/// The address of a button leads to the home page.
pub async fn sign_out_link() -> Redirect {
    Redirect::to("/")
}
