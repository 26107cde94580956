use super::islands::{DetectTimezone, PasswordHint};
use crate::{
    error::PageError,
    extract::{Form, PublicContext},
    forms::enhanced::{EnhancedForm, FormKind},
    page::{Layout, Page, Redirect},
    ui::{
        field::{ErrorSummary, FormField, placeholder_option},
        icon,
        locale::{country_options, timezone_options},
        pagination::address,
    },
};
use axum::{
    Extension,
    extract::RawQuery,
    response::{IntoResponse, Response},
};
use domain::{
    Errors, RawForm, locale,
    rules::GUESSABLE,
    signup::{NewChurch, NewOwner, parse_church, parse_owner},
};
use http::{HeaderMap, header};
use identity::IdempotencyKey;
use leptos::prelude::*;
use registry::{servers, tenants::Isolation};
use uuid::Uuid;

/// The first step. Its form leads to the second with what was typed in the address: a reload, Back and a second tab
/// find it there.
pub async fn church(
    Extension(context): Extension<PublicContext>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Page, PageError> {
    let form = RawForm::decode(&query.unwrap_or_default());
    church_page(&context, form, &headers, &Errors::default()).await
}

async fn church_page(
    context: &PublicContext,
    mut form: RawForm,
    headers: &HeaderMap,
    errors: &Errors,
) -> Result<Page, PageError> {
    let regions = servers::regions(&context.registry).await?;
    let languages = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    let proposed = locale::proposed(languages.unwrap_or_default())
        .filter(|_| form.get("country").is_empty() && errors.is_empty());
    if let Some((country, timezone)) = proposed {
        form.set("country", country);
        form.set("timezone", timezone);
    }
    let is_detectable =
        proposed.is_some() || (form.get("country").is_empty() && form.get("timezone").is_empty());
    let field = |name: &str, label: &str| FormField::new(name, label, form.get(name), errors);
    let region = (regions.len() > 1).then(|| {
        let anywhere = placeholder_option("No preference");
        let regions = regions.iter().map(|region| (region.clone(), region.clone()));
        field("region", "Where your data is kept").select(std::iter::once(anywhere).chain(regions))
    });
    let inputs = view! {
        <form class="stack" method="get" action="/signup/you" novalidate>
            <ErrorSummary errors=errors/>
            {field("church", "Church name").autocomplete("organization").max(120).input("text")}
            <div class="row">
                {country_field(form.get("country"), proposed.is_some(), errors)}
                {field("timezone", "Time zone").select_of(timezone_options(form.get("timezone")))}
            </div>
            {region}
            <div class="actions">
                <a href="/signin">"Already have an account? Sign in"</a>
                <button class="btn primary">"Continue"</button>
            </div>
        </form>
    }
    .into_any();
    let own = match context.identity.isolation() {
        Isolation::Database => "its own database",
        Isolation::Schema => "its own tables",
    };
    let body = view! {
        {steps(0, "/signup")}
        <div>
            <h1>"Create your church's account"</h1>
            <p class="lead">"Free for 14 days, no card needed. Your church gets "{own}", shared with nobody."</p>
        </div>
        <EnhancedForm kind=FormKind::Church>{inputs}</EnhancedForm>
        {is_detectable.then(|| view! { <DetectTimezone/> })}
    };
    Ok(Page::new("Your church", Layout::Public, body).with_errors(errors))
}

fn country_field(chosen: &str, is_proposed: bool, errors: &Errors) -> AnyView {
    let field = FormField::new("country", "Country", chosen, errors);
    let input = view! {
        <select class="input" id="country" name="country" autocomplete="country" aria-describedby=field.described_by()
                aria-invalid=field.aria_invalid() data-proposed=is_proposed.then_some("")>
            {country_options(chosen)}
        </select>
    };
    field.around(input.into_any())
}

/// The second step.
pub async fn owner(
    Extension(context): Extension<PublicContext>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Page, PageError> {
    let church = RawForm::decode(&query.unwrap_or_default());
    if let Err(errors) = check_church(&context, &church).await? {
        return church_page(&context, church, &headers, &errors).await;
    }
    let form = RawForm::default().with("key", context.identity.signup_key(&context.device));
    Ok(owner_page(&church, &form, &Errors::default()))
}

/// Signs the church up.
pub async fn sign_up(
    Extension(context): Extension<PublicContext>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    Form(form): Form,
) -> Result<Response, PageError> {
    let church_form = RawForm::decode(&query.unwrap_or_default());
    let church = match check_church(&context, &church_form).await? {
        Ok(church) => church,
        Err(errors) => {
            return Ok(church_page(&context, church_form, &headers, &errors).await?.into_response());
        }
    };
    let rejected = |form: &RawForm, errors: Errors| owner_page(&church_form, form, &errors);
    let owner = match check_owner(&church.name, &form).await {
        Ok(owner) => owner,
        Err(errors) => return Ok(rejected(&form, errors).into_response()),
    };
    match create(&context, church, owner, form.get("key")).await {
        Ok(run_id) => Ok(Redirect::to(format!("/signup/{run_id}")).into_response()),
        Err(identity::Error::TooManyAttempts { retry_after }) => {
            let error = PageError::TooManyAttempts { retry_after };
            let (_, message) = error.message();
            let errors = Errors::one("email", format!("Too many accounts were created from here. {message}"));
            Ok(rejected(&form, errors).with_error(&error).into_response())
        }
        Err(identity::Error::KeyReused) => {
            let form = form.with("key", context.identity.signup_key(&context.device));
            Ok(rejected(&form, Errors::one("email", ALREADY_SENT)).into_response())
        }
        Err(identity::Error::TooManyUnverified) => {
            Ok(rejected(&form, Errors::one("email", TOO_MANY_CHURCHES)).into_response())
        }
        Err(error) => Err(error.into()),
    }
}

const ALREADY_SENT: &str = "This form was sent before, and cannot be sent again with other details. To create another \
                            church's account, check your details, choose a password and send it now.";

pub const TOO_MANY_CHURCHES: &str = "Five churches have signed up with this email address, and it has not been \
                                     confirmed. Use another address, or ask your Vestry provider to confirm this one.";

/// Validates the church, including that the region is one of the operator's.
async fn check_church(
    context: &PublicContext,
    form: &RawForm,
) -> Result<Result<NewChurch, Errors>, PageError> {
    let church = match parse_church(form) {
        Ok(church) => church,
        Err(errors) => return Ok(Err(errors)),
    };
    if let Some(region) = &church.region
        && !servers::regions(&context.registry).await?.contains(region)
    {
        return Ok(Err(Errors::one("region", "Choose one of these places.")));
    }
    Ok(Ok(church))
}

/// Validates the owner, including that nobody who knows church and person guesses the password. What judges that is too
/// large for a browser.
pub async fn check_owner(church: &str, form: &RawForm) -> Result<NewOwner, Errors> {
    let owner = parse_owner(form)?;
    let known = [church, &owner.first_name, &owner.last_name, &owner.email];
    match identity::is_guessable(&owner.password, &known).await {
        true => Err(Errors::one("password", GUESSABLE)),
        false => Ok(owner),
    }
}

async fn create(
    context: &PublicContext,
    church: NewChurch,
    owner: NewOwner,
    key: &str,
) -> identity::Result<Uuid> {
    let new = identity::NewChurch {
        church: church.name,
        country: church.country,
        timezone: church.timezone,
        region: church.region,
        isolation: None,
        first_name: owner.first_name,
        last_name: owner.last_name,
        email: owner.email,
        password: owner.password,
        idempotency_key: None::<IdempotencyKey>,
    };
    let PublicContext { identity, session, device, address, .. } = context;
    Ok(identity.sign_up(session, device, *address, new, key).await?.run_id)
}

fn owner_page(church: &RawForm, form: &RawForm, errors: &Errors) -> Page {
    let query =
        ["church", "country", "timezone", "region"].map(|name| (name, church.get(name).to_owned()));
    let back = address("/signup", &query);
    let path = address("/signup/you", &query);
    let field = |name: &str, label: &str| FormField::new(name, label, form.get(name), errors);
    let password = FormField::new("password", "Password", "", errors).autocomplete("new-password").max(200);
    let inputs = view! {
        <form class="stack" method="post" action=path novalidate>
            <ErrorSummary errors=errors/>
            <input r#type="hidden" name="key" value=form.get("key").to_owned()/>
            <div class="row">
                {field("first_name", "First name").autocomplete("given-name").max(80).input("text")}
                {field("last_name", "Last name").autocomplete("family-name").max(80).input("text")}
            </div>
            {field("email", "Email").autocomplete("username").max(254).hint("You sign in with it.").input("email")}
            <div class="grid gap-2">{password.input("password")}<PasswordHint/></div>
            <div class="actions">
                <a href=back.clone()>"Back"</a>
                <button class="btn primary">"Create account"</button>
            </div>
        </form>
    }
    .into_any();
    let body = view! {
        {steps(1, &back)}
        <div>
            <h1>"Your details"</h1>
            <p class="lead">"You will be the owner of the account of "<strong>{church.get("church").to_owned()}</strong>"."</p>
        </div>
        <EnhancedForm kind=FormKind::Owner>{inputs}</EnhancedForm>
    };
    Page::new("Your details", Layout::Public, body).with_errors(errors)
}

/// Progress through the sign-up; the first step can be gone back to.
pub fn steps(at: usize, back: &str) -> impl IntoView + use<> {
    let steps = ["Your church", "Your details", "Ready"].into_iter().enumerate().map(|(n, label)| {
        let link = n == 0 && at == 1;
        let label = match link {
            true => view! { <a href=back.to_owned()>{label}</a> }.into_any(),
            false => label.into_any(),
        };
        let done = n < at;
        view! {
            <li class:done=done aria-current=(n == at).then_some("step")>
                {label}{done.then(|| view! { <span class="vh">" (done)"</span> })}
            </li>
        }
    });
    view! { <ol class="steps" aria-label="Steps">{steps.collect_view()}</ol> }
}

/// The home page of visitors who are not signed in.
pub fn welcome() -> Page {
    let body = view! {
        <div>
            <h1>"The office your church runs on"</h1>
            <p class="lead">"Keep the people of your church and its branches in one calm place. Your church gets its own database, shared with nobody."</p>
        </div>
        <div class="bar">
            <a class="btn primary" href="/signup">"Sign up"</a>
            <a class="btn" href="/signin">"Sign in"</a>
        </div>
        <ul class="todo-list">
            {["Your own database, ready in seconds", "Free for 14 days, no card needed", "Open source"]
                .map(|text| view! { <li><span class="dot ok">{icon::check()}</span><span>{text}</span></li> })}
        </ul>
    };
    Page::new("Welcome", Layout::Public, body)
}
