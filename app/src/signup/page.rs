use super::{
    form::{ChurchForm, FounderForm},
    islands::{PasswordHint, Propose},
};
use crate::{
    answer::{Answer, Failure, Reply},
    forms::{
        Errors, Form,
        fields::{Field, summary, unchosen},
        guard::{Guard, Kind},
        rules::{email_key, line},
    },
    places,
    ui::{icon, list::address},
    visit::{Doors, Visit},
};
use identity::NewChurch;
use leptos::prelude::*;
use registry::{servers, tenants::Isolation};
use uuid::Uuid;

/// The first step, "your church". Its form leads to the second with what was typed in the address:
/// a reload, the way back and a second tab find it there.
pub async fn church(visit: Visit, doors: Doors) -> Answer {
    let typed: ChurchForm = visit.query();
    let regions = servers::regions(&doors.registry).await?;
    Ok(church_page(&visit, &doors, typed, &regions, Errors::default()))
}

fn church_page(
    visit: &Visit,
    doors: &Doors,
    mut typed: ChurchForm,
    regions: &[String],
    errors: Errors,
) -> Reply {
    let proposed =
        places::proposed(&visit.accept_language).filter(|_| typed.country.is_empty() && errors.is_empty());
    if let Some((country, timezone)) = proposed {
        (typed.country, typed.timezone) = (country.into(), timezone.into());
    }
    let form = view! {
        <form class="stack" method="get" action="/signup/you" novalidate>
            {summary(&errors)}
            {Field::new("church", "Name of the church", &typed.church, &errors)
                .autocomplete("organization").max(120).input()}
            <div class="row">
                {country_field(&typed.country, proposed.is_some(), &errors)}
                {Field::new("timezone", "Time zone", "", &errors).select_of(places::timezone_options(&typed.timezone))}
            </div>
            {(regions.len() > 1).then(|| region_field(regions, &typed.region, &errors))}
            <div class="actions">
                <a href="/signin">"I already have one"</a>
                <button class="btn primary">"Continue"</button>
            </div>
        </form>

    }
    .into_any();
    let own = match doors.identity.isolation() {
        Isolation::Database => "a database of its own",
        Isolation::Schema => "tables of its own",
    };
    let body = view! {
        {steps(0, "/signup")}
        <div>
            <h1>"Open an office for your church"</h1>
            <p class="lead">"Fourteen days free, no card. Your church gets "{own}", shared with nobody."</p>
        </div>
        <Guard kind=Kind::Church>{form}</Guard>
        {proposable(&typed, proposed.is_some()).then(|| view! { <Propose/> })}
    };
    Reply::gate("Your church", body).unless_wrong(&errors)
}

/// Whether the browser may put its own time zone in place of what stands there.
fn proposable(typed: &ChurchForm, proposed: bool) -> bool {
    proposed || (typed.country.is_empty() && typed.timezone.is_empty())
}

fn region_field(regions: &[String], chosen: &str, errors: &Errors) -> AnyView {
    let anywhere = unchosen("Wherever there is room");
    let regions = regions.iter().map(|region| (region.clone(), region.clone()));
    Field::new("region", "Where your data is kept", chosen, errors)
        .select(std::iter::once(anywhere).chain(regions).collect())
}

fn country_field(chosen: &str, proposed: bool, errors: &Errors) -> AnyView {
    let field = Field::new("country", "Country", "", errors);
    let why = errors.of("country").map(|_| "true");
    let input = view! {
        <select class="input" id="country" name="country" autocomplete="country" aria-describedby="country-why"
                aria-invalid=why data-proposed=proposed.then_some("")>
            {places::country_options(chosen)}
        </select>
    };
    field.around(input.into_any())
}

/// The second step, "you". What it sends opens the office.
pub async fn founder(visit: Visit, doors: Doors) -> Answer {
    let church: ChurchForm = visit.query();
    let regions = servers::regions(&doors.registry).await?;
    let mut wrong = church.check();
    if !church.region.is_empty() && !regions.contains(&church.region) {
        wrong.note("region", Err("Choose one of these places.".into()));
    }
    if !wrong.is_empty() {
        return Ok(church_page(&visit, &doors, church, &regions, wrong));
    }
    let Some(typed) = visit.submitted::<FounderForm>() else {
        let key = doors.identity.signup_key(&doors.device);
        let fresh = FounderForm { key, ..FounderForm::default() };
        return Ok(founder_page(&church, fresh, Errors::default()));
    };
    let errors = typed.check_for(&church.church).await;
    if !errors.is_empty() {
        return Ok(founder_page(&church, typed, errors));
    }
    match sign_up(&doors, &church, &typed).await {
        Ok(run_id) => Ok(Reply::redirect(format!("/opening/{run_id}"))),
        Err(identity::Error::TooManyAttempts { retry_after }) => {
            let failure = Failure::TooManyAttempts { retry_after };
            let (_, words) = failure.words();
            let errors = Errors::one("email", format!("Too many offices were opened from here. {words}"));
            Ok(founder_page(&church, typed, errors).failed(&failure))
        }
        Err(identity::Error::KeyReused) => {
            let fresh = FounderForm { key: doors.identity.signup_key(&doors.device), ..typed };
            Ok(founder_page(&church, fresh, Errors::one("email", ALREADY_SENT)))
        }
        Err(identity::Error::TooManyUnverified) => {
            Ok(founder_page(&church, typed, Errors::one("email", TOO_MANY_CHURCHES)))
        }
        Err(error) => Err(error.into()),
    }
}

const ALREADY_SENT: &str = "This form was sent before, and cannot be sent again with other details. To create another \
                            church's account, check your details, choose a password and send it now.";

pub const TOO_MANY_CHURCHES: &str = "Five churches have signed up with this email address, and it has not been \
                                     confirmed. Use another address, or ask your Vestry provider to confirm this one.";

async fn sign_up(doors: &Doors, church: &ChurchForm, typed: &FounderForm) -> identity::Result<Uuid> {
    let new = NewChurch {
        church: line(&church.church).unwrap_or_default(),
        country: church.country.clone(),
        timezone: church.timezone.clone(),
        region: line(&church.region),
        isolation: None,
        first_name: line(&typed.first_name).unwrap_or_default(),
        last_name: line(&typed.last_name).unwrap_or_default(),
        email: email_key(&typed.email),
        password: typed.password.clone(),
        idempotency_key: None,
    };
    let (identity, session) = (&doors.identity, &doors.session);
    Ok(identity.sign_up(session, &doors.device, doors.address, new, &typed.key).await?.run_id)
}

fn founder_page(church: &ChurchForm, typed: FounderForm, errors: Errors) -> Reply {
    let query = [
        ("church", church.church.clone()),
        ("country", church.country.clone()),
        ("timezone", church.timezone.clone()),
        ("region", church.region.clone()),
    ];
    let back = address("/signup", &query);
    let here = address("/signup/you", &query);
    let password = Field::new("password", "Password", "", &errors)
        .kind("password")
        .autocomplete("new-password")
        .max(200);
    let form = view! {
        <form class="stack" method="post" action=here novalidate>
            {summary(&errors)}
            <input r#type="hidden" name="key" value=typed.key.clone()/>
            <div class="row">
                {Field::new("first_name", "First name", &typed.first_name, &errors)
                    .autocomplete("given-name").max(80).input()}
                {Field::new("last_name", "Last name", &typed.last_name, &errors)
                    .autocomplete("family-name").max(80).input()}
            </div>
            {Field::new("email", "Email", &typed.email, &errors).kind("email")
                .autocomplete("username").max(254).hint("You sign in with it.").input()}
            <div class="grid gap-2">{password.input()}<PasswordHint/></div>
            <div class="actions">
                <a href=back.clone()>"Back"</a>
                <button class="btn primary">"Open the office"</button>
            </div>
        </form>

    }
    .into_any();
    let body = view! {
        {steps(1, &back)}
        <div>
            <h1>"And who are you?"</h1>
            <p class="lead">"You will be the owner of the office of "<strong>{church.church.clone()}</strong>"."</p>
        </div>
        <Guard kind=Kind::Founder>{form}</Guard>
    };
    Reply::gate("You", body).unless_wrong(&errors)
}

/// Where one is on the way to an office; what is done can be gone back to.
pub fn steps(at: usize, back: &str) -> impl IntoView + use<> {
    let steps = ["Your church", "You", "Ready"].into_iter().enumerate().map(|(n, words)| {
        let link = n == 0 && at == 1;
        let words = match link {
            true => view! { <a href=back.to_owned()>{words}</a> }.into_any(),
            false => words.into_any(),
        };
        let done = n < at;
        view! {
            <li class:done=done aria-current=(n == at).then_some("step")>
                {words}{done.then(|| view! { <span class="vh">" (done)"</span> })}
            </li>
        }
    });
    view! { <ol class="steps" aria-label="Steps">{steps.collect_view()}</ol> }
}

/// What somebody sees who comes for the first time.
pub async fn welcome() -> Answer {
    let body = view! {
        <div>
            <h1>"The office your church runs on"</h1>
            <p class="lead">"Members and branches in one calm place. Your church gets a database of its own, shared with nobody."</p>
        </div>
        <div class="bar">
            <a class="btn primary" href="/signup">"Open an office"</a>
            <a class="btn" href="/signin">"Sign in"</a>
        </div>
        <ul class="todo-list">
            {["A database of your own, made while you watch", "Fourteen days free, no card", "Open source"]
                .map(|words| view! { <li><span class="dot ok">{icon::check()}</span><span>{words}</span></li> })}
        </ul>
    };
    Ok(Reply::gate("Welcome", body))
}
