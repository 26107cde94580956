use super::form::{GENDERS, HOUSEHOLD_ROLES, MARITAL_STATUSES, MONTHS, MemberForm};
use crate::{
    answer::{Answer, Flash, Reply},
    branches::edit::{changed, rejected},
    forms::{
        Errors,
        fields::{Field, summary, unchosen, why},
        guard::{Guard, Kind},
        once::{Claim, Submission, already_sent, key_field, new_key},
    },
    ui::{frame::Door, icon},
    visit::{SignedIn, Visit},
};
use leptos::prelude::*;
use serde::Deserialize;
use tenant::{Editor, Version, branches, members, statuses, tags};
use uuid::Uuid;

/// A form may be opened for a branch.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Query {
    branch: String,
}

pub async fn add(visit: Visit, office: SignedIn) -> Answer {
    let editor = office.admin.editor()?;
    let Some(typed) = visit.submitted::<MemberForm>() else {
        let branch_id = visit.query::<Query>().branch;
        let blank = MemberForm { branch_id, key: new_key(), ..MemberForm::default() };
        return form_page(&office, &editor, None, blank, Errors::default()).await;
    };
    let details = match typed.details(&office.church, None) {
        Ok(details) => details,
        Err(errors) => return form_page(&office, &editor, None, typed, errors).await,
    };
    let submission = match Submission::claim(&office, &visit).await? {
        Claim::Proceed(submission) => submission,
        Claim::Repeated(location) => return Ok(Reply::redirect(location).saying(Flash::MemberAdded)),
        Claim::Reused => {
            let typed = MemberForm { key: new_key(), ..typed };
            return form_page(&office, &editor, None, typed, already_sent("first_name")).await;
        }
    };
    let id = submission.id;
    match members::add(&office.tenant, &editor, id, &details).await {
        Ok(()) => Ok(submission.finish(format!("/members/{id}"), Flash::MemberAdded).await?),
        Err(error) => {
            submission.release().await?;
            form_page(&office, &editor, None, typed, rejected(error)?).await
        }
    }
}

pub async fn change(visit: Visit, office: SignedIn) -> Answer {
    let id = visit.record()?;
    let editor = office.admin.editor()?;
    let member = members::find(&office.tenant, editor.viewer(), id).await?;
    let Some(typed) = visit.submitted::<MemberForm>() else {
        let typed = MemberForm::of(&member, &office.church.country);
        return form_page(&office, &editor, Some(id), typed, Errors::default()).await;
    };
    let done = match typed.details(&office.church, Some(&member.details)) {
        Ok(details) => members::change(&office.tenant, &editor, id, &details, typed.seen()).await,
        Err(errors) => return form_page(&office, &editor, Some(id), typed, errors).await,
    };
    match done {
        Ok(()) => Ok(Reply::redirect(format!("/members/{id}")).saying(Flash::MemberChanged)),
        Err(tenant::Error::Changed) => {
            // Sent once more, it is meant.
            let now = members::find(&office.tenant, editor.viewer(), id).await?;
            let typed = MemberForm { version: Version::from(now.updated_at).to_string(), ..typed };
            form_page(&office, &editor, Some(id), typed, changed("first_name", "member")).await
        }
        Err(error) => form_page(&office, &editor, Some(id), typed, rejected(error)?).await,
    }
}

async fn form_page(
    office: &SignedIn,
    editor: &Editor,
    id: Option<Uuid>,
    mut typed: MemberForm,
    errors: Errors,
) -> Answer {
    let branches = branches::choices(&office.tenant, editor.viewer()).await?;
    let statuses = statuses::list(&office.tenant, editor.viewer()).await?;
    let tags = tags::names(&office.tenant, editor.viewer()).await?;
    // Where there is one branch, nobody has to choose it.
    if let [only] = branches.as_slice()
        && typed.branch_id.is_empty()
    {
        typed.branch_id = only.id.to_string();
    }
    let own = |list: Vec<(String, String)>, chosen: &str| {
        let missing = !list.iter().any(|(value, _)| value == chosen);
        missing.then(|| unchosen("Choose…")).into_iter().chain(list).collect()
    };
    let branches = own(branches.into_iter().map(|b| (b.id.to_string(), b.name)).collect(), &typed.branch_id);
    let statuses = own(statuses.into_iter().map(|s| (s.id.to_string(), s.name)).collect(), &typed.status_id);
    let (title, back, here) = match id {
        Some(id) => ("Edit the member", format!("/members/{id}"), format!("/members/{id}/edit")),
        None => ("Add a member", "/members".to_owned(), "/members/new".to_owned()),
    };
    let form = view! {
        <form class="stack" method="post" action=here novalidate>
            {summary(&errors)}
            <input type="hidden" name="version" value=typed.version.clone()/>
            {(!typed.key.is_empty()).then(|| key_field(&typed.key))}
            {person(&typed, &errors)}
            {church(&typed, &errors, branches, statuses)}
            {tagged(&typed, &errors, tags)}
            {contact(&typed, &errors)}
            {family(&typed, &errors)}
            <fieldset class="section">
                <legend>"Notes"</legend>
                {Field::new("notes", "Notes", &typed.notes, &errors).optional().max(10_000)
                    .hint("Everybody who may see this member can read them.").textarea(4)}
            </fieldset>
            <div class="actions sticky">
                <a class="btn quiet" href=back.clone()>"Cancel"</a>
                <button class="btn primary">"Save"</button>
            </div>
        </form>

    }
    .into_any();
    let body = view! {
        <div class="head">
            <div>
                <a class="back" href=back.clone()>{icon::back()}{if id.is_some() { "Back to the member" } else { "Members" }}</a>
                <h1>{title}</h1>
            </div>
        </div>
        <Guard kind=Kind::Member>{form}</Guard>
    };
    Ok(Reply::desk(title, Door::Members, body).unless_wrong(&errors))
}

fn person(typed: &MemberForm, errors: &Errors) -> impl IntoView + use<> {
    let text = |name, label, value: &str| Field::new(name, label, value, errors).optional();
    let more = [&typed.prefix, &typed.middle_name, &typed.suffix, &typed.preferred_name];
    let open = more.iter().any(|value| !value.is_empty());
    view! {
        <fieldset class="section">
            <legend>"Name"</legend>
            <div class="row">
                {Field::new("first_name", "First name", &typed.first_name, errors).within().max(80).input()}
                {Field::new("last_name", "Last name", &typed.last_name, errors).within().max(80).input()}
            </div>
            <details class="more" open=open>
                <summary>"More of the name "<small>"title, middle name, called by"</small></summary>
                <div class="stack">
                    <div class="row">
                        {text("preferred_name", "Called by", &typed.preferred_name).max(80).input()}
                        {text("middle_name", "Middle name", &typed.middle_name).max(80).input()}
                    </div>
                    <div class="row">
                        {text("prefix", "Title before", &typed.prefix).max(20).input()}
                        {text("suffix", "Title after", &typed.suffix).max(20).input()}
                    </div>
                </div>
            </details>
        </fieldset>
    }
}

fn church(
    typed: &MemberForm,
    errors: &Errors,
    branches: Vec<(String, String)>,
    statuses: Vec<(String, String)>,
) -> impl IntoView + use<> {
    let date =
        |name, label, value: &str| Field::new(name, label, value, errors).optional().kind("date").input();
    view! {
        <fieldset class="section">
            <legend>"In the church"</legend>
            <div class="row">
                {Field::new("branch_id", "Branch", &typed.branch_id, errors).select(branches)}
                {Field::new("status_id", "Status", &typed.status_id, errors).select(statuses)}
            </div>
            <div class="row">
                {date("first_contact_on", "First contact", &typed.first_contact_on)}
                {date("joined_on", "Joined", &typed.joined_on)}
            </div>
            <div class="row">
                {date("baptised_on", "Baptised", &typed.baptised_on)}
                <div></div>
            </div>
        </fieldset>
    }
}

/// The church's tags to tick, and room for others.
fn tagged(typed: &MemberForm, errors: &Errors, known: Vec<String>) -> impl IntoView + use<> {
    // What was ticked stays, also if somebody has renamed or removed it meanwhile.
    let gone: Vec<_> = typed.tags.iter().filter(|tag| !known.contains(tag)).cloned().collect();
    let boxes: Vec<_> = known
        .into_iter()
        .chain(gone)
        .map(|tag| {
            let ticked = typed.tags.contains(&tag);
            view! {
                <label class="check">
                    <input r#type="checkbox" name="tags" value=tag.clone() checked=ticked/>
                    <span class="clip" title=tag.clone()>{tag.clone()}</span>
                </label>
            }
        })
        .collect();
    let message = errors.of("tags");
    view! {
        <fieldset class="section">
            <legend>"Tags"</legend>
            <div class="field" class:wrong=message.is_some() data-field="tags">
                {(!boxes.is_empty()).then(|| view! { <div class="ticks">{boxes}</div> })}
                <label for="tags">"New tags "<small>"(optional)"</small></label>
                <p class="hint" id="tags-hint">"What members have in common, separated by commas: Choir, Needs a lift."</p>
                <input class="input" id="tags" name="new_tags" value=typed.new_tags.clone() autocomplete="off" maxlength="2000"
                       aria-describedby="tags-hint tags-why" aria-invalid=message.map(|_| "true")/>
                {why("tags", message)}
            </div>
        </fieldset>
    }
}

fn contact(typed: &MemberForm, errors: &Errors) -> impl IntoView + use<> {
    let text = |name, label, value: &str| Field::new(name, label, value, errors).optional();
    view! {
        <fieldset class="section">
            <legend>"Contact"</legend>
            <div class="row">
                {text("mobile", "Mobile phone", &typed.mobile).kind("tel").max(40).input()}
                {text("home_phone", "Home phone", &typed.home_phone).kind("tel").max(40).input()}
            </div>
            {text("email", "Email", &typed.email).kind("email").max(254).input()}
        </fieldset>
    }
}

fn family(typed: &MemberForm, errors: &Errors) -> impl IntoView + use<> {
    let own = |list: &[(&str, &str)]| -> Vec<_> {
        list.iter().map(|(value, words)| ((*value).to_owned(), (*words).to_owned())).collect()
    };
    let months = MONTHS.iter().enumerate().map(|(n, month)| ((n + 1).to_string(), (*month).to_owned()));
    let months = std::iter::once(unchosen("–")).chain(months).collect();
    let roles = std::iter::once(unchosen("–")).chain(own(&HOUSEHOLD_ROLES)).collect();
    let number = |name, label, value: &str| Field::new(name, label, value, errors).within().max(4).input();
    view! {
        <fieldset class="section">
            <legend>"Family"</legend>
            <div class="row">
                {Field::new("household_role", "Role in the household", &typed.household_role, errors).optional().select(roles)}
                {Field::new("marital_status", "Marital status", &typed.marital_status, errors).optional().select(own(&MARITAL_STATUSES))}
            </div>
            <div class="row">
                {Field::new("gender", "Gender", &typed.gender, errors).optional().select(own(&GENDERS))}
                {Field::new("anniversary", "Wedding anniversary", &typed.anniversary, errors).optional().kind("date").input()}
            </div>
            <fieldset class="field">
                <legend class="label">"Birthday "<small>"(fill in what you know)"</small></legend>
                <div class="row three">
                    {number("birth_day", "Day", &typed.birth_day)}
                    {Field::new("birth_month", "Month", &typed.birth_month, errors).within().select(months)}
                    {number("birth_year", "Year", &typed.birth_year)}
                </div>
            </fieldset>
        </fieldset>
    }
}
