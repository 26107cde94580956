use super::form::SignInForm;
use crate::{
    answer::{Answer, Failure, Flash, Reply},
    forms::{
        Errors, Form,
        fields::{Field, summary},
        guard::{Guard, Kind},
        rules::email_key,
    },
    names::initials,
    places,
    ui::{icon, list::address},
    visit::{Doors, Visit, local_path},
};
use identity::Choice;
use leptos::prelude::*;
use serde::Deserialize;

/// Where somebody was going when they had to sign in.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Next {
    next: String,
}

impl Next {
    /// A path of this site, or the first page.
    fn path(&self) -> String {
        // Only paths are given out as `next`, so this is nobody's host.
        local_path(&self.next, "vestry.invalid").unwrap_or_else(|| "/".into())
    }
}

/// Where to sign in, and come back from.
pub fn sign_in_address(next: &str) -> String {
    let next = if next == "/" { String::new() } else { next.to_owned() };
    address("/signin", &[("next", next)])
}

pub async fn sign_in(visit: Visit, doors: Doors) -> Answer {
    let next: Next = visit.query();
    let Some(typed) = visit.submitted::<SignInForm>() else {
        if doors.identity.resolve(&doors.session).await.ok().flatten().is_some() {
            return Ok(Reply::redirect(next.path()));
        }
        return Ok(sign_in_page(&next, SignInForm::default(), Errors::default()));
    };
    let errors = typed.check();
    if !errors.is_empty() {
        return Ok(sign_in_page(&next, typed, errors));
    }
    let email = email_key(&typed.email);
    let (identity, password) = (&doors.identity, typed.password.clone());
    match identity.sign_in(&doors.session, &doors.device, doors.address, &email, password).await {
        Ok(choices) if choices.len() == 1 => Ok(Reply::redirect(next.path())),
        Ok(_) => Ok(Reply::redirect(address("/choose", &[("next", next.next)]))),
        Err(identity::Error::WrongCredentials) => {
            let errors = Errors::one("email", "The email or the password is not right.");
            Ok(sign_in_page(&next, typed, errors))
        }
        Err(identity::Error::TooManyAttempts { retry_after }) => {
            let failure = Failure::TooManyAttempts { retry_after };
            let (_, words) = failure.words();
            let errors = Errors::one("email", format!("Too many attempts. {words}"));
            Ok(sign_in_page(&next, typed, errors).failed(&failure))
        }
        Err(error) => Err(error.into()),
    }
}

fn sign_in_page(next: &Next, typed: SignInForm, errors: Errors) -> Reply {
    let form = view! {
        <form class="stack" method="post" action=sign_in_address(&next.next) novalidate>
            {summary(&errors)}
            {Field::new("email", "Email", &typed.email, &errors).kind("email").autocomplete("username").max(254).input()}
            {Field::new("password", "Password", "", &errors).kind("password").autocomplete("current-password").max(200).input()}
            <button class="btn primary wide">"Sign in"</button>
        </form>

    }
    .into_any();
    let body = view! {
        <div>
            <h1>"Welcome back"</h1>
            <p class="lead">"Sign in to your church's office."</p>
        </div>
        <Guard kind=Kind::SignIn>{form}</Guard>
        <p class="muted">"New here? "<a href="/signup">"Open an office for your church"</a></p>
    };
    Reply::gate("Sign in", body).unless_wrong(&errors)
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Chosen {
    tenant_id: String,
}

impl Form for Chosen {
    fn check(&self) -> Errors {
        Errors::default()
    }
}

/// For an email that several churches know: which of them to open.
pub async fn choose(visit: Visit, doors: Doors) -> Answer {
    let next: Next = visit.query();
    if let Some(chosen) = visit.submitted::<Chosen>() {
        return match doors.identity.choose(&doors.session, &chosen.tenant_id).await {
            Ok(()) => Ok(Reply::redirect(next.path())),
            Err(identity::Error::WrongCredentials) => Ok(Reply::redirect(sign_in_address(&next.next))),
            Err(error) => Err(error.into()),
        };
    }
    let choices = doors.identity.choices(&doors.session).await?;
    if choices.is_empty() {
        return Ok(Reply::redirect(sign_in_address(&next.next)));
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
    Ok(Reply::gate("Choose a church", body))
}

/// "Nairobi, Kenya · signed up 3 June 2026 · Owner": what tells churches of one name apart.
fn about(choice: &Choice) -> String {
    let country = places::country_name(&choice.country);
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

pub async fn sign_out(visit: Visit, doors: Doors) -> Answer {
    if visit.body.is_some() {
        doors.identity.sign_out(&doors.session).await?;
        return Ok(Reply::redirect("/signin").saying(Flash::SignedOut));
    }
    Ok(Reply::redirect("/"))
}
