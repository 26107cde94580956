use super::edit::editor_of_all;
use crate::{
    answer::{Answer, Flash, Reply},
    forms::{Errors, fields::summary},
    photo::avatar,
    places,
    ui::{
        behaviour::Confirm,
        frame::Door,
        icon,
        list::{count, none},
    },
    visit::{SignedIn, Visit},
};
use leptos::prelude::*;
use tenant::{
    branches::{self, Branch},
    pictures::PictureOwner,
};

pub async fn detail(visit: Visit, office: SignedIn) -> Answer {
    let id = visit.record()?;
    let branch = branches::find(&office.tenant, office.admin.viewer(), id).await?;
    page(&office, &branch, Errors::default()).await
}

/// Asks before archiving, where no dialog can; what it sends archives.
pub async fn archive(visit: Visit, office: SignedIn) -> Answer {
    let id = visit.record()?;
    let branch = branches::find(&office.tenant, office.admin.viewer(), id).await?;
    let editor = editor_of_all(&office)?;
    if visit.body.is_none() {
        let name = branch.details.name.clone();
        let body = view! {
            <a class="back" href=format!("/branches/{id}")>{icon::back()}{name.clone()}</a>
            <div class="card pad grid gap-4">{question(&branch, false)}</div>
        };
        return Ok(Reply::desk(&format!("Archive {name}"), Door::Branches, body));
    }
    match branches::archive(&office.tenant, &editor, id, None).await {
        Ok(()) => Ok(Reply::redirect(format!("/branches/{id}")).saying(Flash::BranchArchived)),
        Err(tenant::Error::Rejected { field, message }) => {
            let errors = Errors::one(field, message);
            Ok(page(&office, &branch, errors.clone()).await?.unless_wrong(&errors))
        }
        Err(error) => Err(error.into()),
    }
}

pub async fn restore(visit: Visit, office: SignedIn) -> Answer {
    let id = visit.record()?;
    if visit.body.is_some() {
        branches::restore(&office.tenant, &office.admin.editor()?, id).await?;
        return Ok(Reply::redirect(format!("/branches/{id}")).saying(Flash::BranchRestored));
    }
    Ok(Reply::redirect(format!("/branches/{id}")))
}

async fn page(office: &SignedIn, branch: &Branch, errors: Errors) -> Answer {
    let details = &branch.details;
    let id = branch.id;
    let country = &office.church.country;
    let phone = details.phone_e164.as_ref().map(|phone| {
        let words = places::readable(phone, country);
        view! { <a href=format!("tel:{phone}")>{words}</a> }.into_any()
    });
    let email = details
        .email
        .as_ref()
        .map(|email| view! { <a href=format!("mailto:{email}")>{email.clone()}</a> }.into_any());
    let website = details.website.as_ref().map(|site| {
        let words = site.trim_start_matches("https://").trim_start_matches("http://").to_owned();
        view! { <a href=site.clone() rel="noopener noreferrer">{words}</a> }.into_any()
    });
    let place =
        [&details.postal_code, &details.city].into_iter().flatten().cloned().collect::<Vec<_>>().join(" ");
    let country_name = details.country.as_deref().map(|code| places::country_name(code).to_owned());
    let lines = [
        details.address1.clone(),
        details.address2.clone(),
        Some(place),
        details.region.clone(),
        country_name,
    ];
    let address = lines.into_iter().flatten().filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n");
    let sentence = match (details.is_main, &branch.parent_name) {
        (true, _) => format!("The main branch · {}", count(branch.members, "member", "members")),
        (false, Some(parent)) => {
            format!("Belongs to {parent} · {}", count(branch.members, "member", "members"))
        }
        (false, None) => count(branch.members, "member", "members"),
    };
    let wrong = (!errors.is_empty()).then(|| summary(&errors));
    let body = view! {
        <div class="head">
            <div>
                <a class="back" href="/branches">{icon::back()}"Branches"</a>
                <div class="titled">
                    {branch.picture_id.map(|_| avatar(PictureOwner::Branch(id), branch.picture_id, true, String::new()))}
                    <div><h1>{details.name.clone()}</h1><p>{sentence}</p></div>
                </div>
            </div>
            {editor_of_all(office).is_ok().then(|| actions(branch))}
        </div>
        {wrong}
        {branch.archived_at.map(|_| view! {
            <div class="notice warn">{icon::archive()}<div><strong>"This branch is archived."</strong>
                <p>"It is in no list and no figure. Nothing was deleted."</p></div></div>
        })}
        <div class="two even">
            <section class="card pad">
                <h2>"Contact"</h2>
                <dl class="facts mt-3.5">
                    {fact("Phone", phone)}
                    {fact("Email", email)}
                    {fact("Website", website)}
                    {fact("Address", Some(address).filter(|address| !address.is_empty()).map(IntoAny::into_any))}
                </dl>
            </section>
            <section class="card pad">
                <h2>"About"</h2>
                <dl class="facts mt-3.5">
                    {fact("Services", details.service_times.clone().map(IntoAny::into_any))}
                    {fact("Time zone", Some(details.timezone.replace('_', " ").into_any()))}
                    {fact("Short code", details.short_code.clone().map(IntoAny::into_any))}
                    {fact("Members", Some(view! { <a href=format!("/members?branch={id}")>{branch.members}</a> }.into_any()))}
                </dl>
            </section>
        </div>
    };
    Ok(Reply::room(&details.name, Door::Branches, body))
}

fn actions(branch: &Branch) -> impl IntoView + use<> {
    let id = branch.id;
    let put_away = match (branch.archived_at, branch.details.is_main) {
        (Some(_), _) => view! {
            <form method="post" action=format!("/branches/{id}/restore")>
                <button class="btn">{icon::restore()}"Bring it back"</button>
            </form>
        }
        .into_any(),
        (None, true) => ().into_any(),
        (None, false) => {
            let question = question(branch, true).into_any();
            let content = view! {
                <a class="btn quiet danger" href=format!("/branches/{id}/archive")>{icon::archive()}"Archive"</a>
                <dialog class="confirm" aria-labelledby="question">{question}</dialog>
            }
            .into_any();
            view! { <Confirm>{content}</Confirm> }.into_any()
        }
    };
    view! { <div class="bar">{put_away}<a class="btn" href=format!("/branches/{id}/picture")>"Picture"</a><a class="btn primary" href=format!("/branches/{id}/edit")>{icon::edit()}"Edit"</a></div> }
}

fn question(branch: &Branch, dialog: bool) -> impl IntoView + use<> {
    let id = branch.id;
    let stay = match branch.members {
        0 => "It leaves the lists and choices.".to_owned(),
        n => format!("It leaves the lists and choices; its {} stay with it.", count(n, "member", "members")),
    };
    let heading = format!("Archive {}?", branch.details.name);
    let heading = match dialog {
        true => view! { <h2 id="question">{heading}</h2> }.into_any(),
        false => view! { <h1 id="question">{heading}</h1> }.into_any(),
    };
    view! {
        {heading}
        <p>{stay}" Nothing is deleted, and you can bring it back at any time."</p>
        <form method="post" action=format!("/branches/{id}/archive") class="actions">
            <a class="btn quiet" href=format!("/branches/{id}") data-keep="">"Keep it"</a>
            <button class="btn danger primary">"Archive"</button>
        </form>
    }
}

/// One fact of a detail page; an unknown one is a quiet dash.
pub fn fact(label: &'static str, value: Option<AnyView>) -> impl IntoView {
    view! { <div><dt>{label}</dt><dd>{value.unwrap_or_else(none)}</dd></div> }
}
