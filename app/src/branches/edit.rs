use super::form::BranchForm;
use crate::{
    answer::{Answer, Failure, Flash, Reply},
    forms::{
        Errors,
        fields::{Field, summary, tick, unchosen},
        guard::{Guard, Kind},
        once::{Claim, Submission, already_sent, key_field, new_key},
    },
    places,
    ui::{frame::Door, icon},
    visit::{SignedIn, Visit},
};
use leptos::prelude::*;
use tenant::{Editor, Version, branches};
use uuid::Uuid;

pub async fn add(visit: Visit, office: SignedIn) -> Answer {
    let editor = editor_of_all(&office)?;
    let Some(typed) = visit.submitted::<BranchForm>() else {
        let blank = BranchForm::blank(&office.church.country, &office.church.timezone);
        let blank = BranchForm { key: new_key(), ..blank };
        return form_page(&office, &editor, None, blank, Errors::default()).await;
    };
    let details = match typed.details(&office.church, None) {
        Ok(details) => details,
        Err(errors) => return form_page(&office, &editor, None, typed, errors).await,
    };
    let submission = match Submission::claim(&office, &visit).await? {
        Claim::Proceed(submission) => submission,
        Claim::Repeated(location) => return Ok(Reply::redirect(location).saying(Flash::BranchAdded)),
        Claim::Reused => {
            let typed = BranchForm { key: new_key(), ..typed };
            return form_page(&office, &editor, None, typed, already_sent("name")).await;
        }
    };
    let id = submission.id;
    match branches::add(&office.tenant, &editor, id, &details).await {
        Ok(()) => Ok(submission.finish(format!("/branches/{id}"), Flash::BranchAdded).await?),
        Err(error) => {
            submission.release().await?;
            form_page(&office, &editor, None, typed, rejected(error)?).await
        }
    }
}

pub async fn change(visit: Visit, office: SignedIn) -> Answer {
    let id = visit.record()?;
    let editor = editor_of_all(&office)?;
    let branch = branches::find(&office.tenant, editor.viewer(), id).await?;
    let Some(typed) = visit.submitted::<BranchForm>() else {
        return form_page(&office, &editor, Some(id), BranchForm::of(&branch), Errors::default()).await;
    };
    let done = match typed.details(&office.church, Some(&branch.details)) {
        Ok(details) => branches::change(&office.tenant, &editor, id, &details, typed.seen()).await,
        Err(errors) => return form_page(&office, &editor, Some(id), typed, errors).await,
    };
    match done {
        Ok(()) => Ok(Reply::redirect(format!("/branches/{id}")).saying(Flash::BranchChanged)),
        Err(tenant::Error::Changed) => {
            // Sent once more, it is meant.
            let now = branches::find(&office.tenant, editor.viewer(), id).await?;
            let typed = BranchForm { version: Version::from(now.updated_at).to_string(), ..typed };
            form_page(&office, &editor, Some(id), typed, changed("name", "branch")).await
        }
        Err(error) => form_page(&office, &editor, Some(id), typed, rejected(error)?).await,
    }
}

/// Branches and tags are of the whole church: changing them needs an editor of all branches.
pub fn editor_of_all(office: &SignedIn) -> Result<Editor, Failure> {
    let editor = office.admin.editor()?;
    if editor.covers_all_branches() { Ok(editor) } else { Err(Failure::Forbidden) }
}

/// What the database would not take, at the field it concerns; any other error goes on.
pub fn rejected(error: tenant::Error) -> Result<Errors, tenant::Error> {
    match error {
        tenant::Error::Rejected { field, message } => {
            // The form calls the telephone by its plain name.
            let field = field.trim_end_matches("_e164");
            Ok(Errors::one(field, message))
        }
        error => Err(error),
    }
}

/// What is said to whoever writes over what somebody else has written meanwhile.
pub fn changed(field: &str, who: &str) -> Errors {
    Errors::one(
        field,
        format!(
            "Somebody else has changed this {who} since you opened it. Look at it in another window; what you \
             typed is still here, and Save puts it in the place of theirs."
        ),
    )
}

async fn form_page(
    office: &SignedIn,
    editor: &Editor,
    id: Option<Uuid>,
    typed: BranchForm,
    errors: Errors,
) -> Answer {
    let choices = branches::choices(&office.tenant, editor.viewer()).await?;
    let others = choices.into_iter().filter(|choice| Some(choice.id) != id);
    let parents =
        std::iter::once(unchosen("None")).chain(others.map(|choice| (choice.id.to_string(), choice.name)));
    let parents = parents.collect();
    let (title, back, here) = match id {
        Some(id) => ("Edit the branch", format!("/branches/{id}"), format!("/branches/{id}/edit")),
        None => ("Add a branch", "/branches".to_owned(), "/branches/new".to_owned()),
    };
    let text = |name, label, value: &str| Field::new(name, label, value, &errors).optional();
    let form = view! {
        <form class="stack" method="post" action=here novalidate>
            {summary(&errors)}
            <input type="hidden" name="version" value=typed.version.clone()/>
            {(!typed.key.is_empty()).then(|| key_field(&typed.key))}
            <fieldset class="section">
                <legend>"The branch"</legend>
                {Field::new("name", "Name", &typed.name, &errors).max(120).input()}
                <div class="row">
                    {text("short_code", "Short code", &typed.short_code).max(12).hint("For lists and figures: WL").input()}
                    {text("parent_id", "Belongs to", &typed.parent_id).select(parents)}
                </div>
                {text("service_times", "Services", &typed.service_times).max(1000).hint("As you would write them on the door.").textarea(3)}
                {tick("is_main", "This is the main branch", "A church has one. Choosing this one takes the place of the other.",
                    !typed.is_main.is_empty(), &errors)}
            </fieldset>
            <fieldset class="section">
                <legend>"Contact"</legend>
                <div class="row">
                    {text("phone", "Phone", &typed.phone).kind("tel").max(40).input()}
                    {text("email", "Email", &typed.email).kind("email").max(254).input()}
                </div>
                {text("website", "Website", &typed.website).kind("url").max(300).input()}
            </fieldset>
            <fieldset class="section">
                <legend>"Where it is"</legend>
                {text("address1", "Address", &typed.address1).max(200).input()}
                {text("address2", "Second line", &typed.address2).max(200).input()}
                <div class="row">
                    {text("city", "City", &typed.city).max(120).input()}
                    {text("postal_code", "Postal code", &typed.postal_code).max(20).input()}
                </div>
                <div class="row">
                    {text("region", "County or region", &typed.region).max(120).input()}
                    {text("country", "Country", "").select_of(places::country_options(&typed.country))}
                </div>
                {Field::new("timezone", "Time zone", "", &errors).select_of(places::timezone_options(&typed.timezone))}
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
                <a class="back" href=back.clone()>{icon::back()}{if id.is_some() { "Back to the branch" } else { "Branches" }}</a>
                <h1>{title}</h1>
            </div>
        </div>
        <Guard kind=Kind::Branch>{form}</Guard>
    };
    Ok(Reply::desk(title, Door::Branches, body).unless_wrong(&errors))
}
