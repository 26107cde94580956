use super::{
    form::{GENDERS, HOUSEHOLD_ROLES, MARITAL_STATUSES, MONTHS},
    list::badge,
};
use crate::{
    answer::{Answer, Flash, Reply},
    branches::detail::fact,
    names::{full, initials},
    photo::avatar,
    places,
    ui::{behaviour::Confirm, frame::Door, icon, list::address},
    visit::{SignedIn, Visit},
};
use chrono::{Datelike, NaiveDate};
use leptos::prelude::*;
use tenant::{
    members::{self, Member},
    pictures::PictureOwner,
};

pub async fn detail(visit: Visit, office: SignedIn) -> Answer {
    let member = members::find(&office.tenant, office.admin.viewer(), visit.record()?).await?;
    let title = full_name(&member);
    let details = &member.details;
    let country = &office.church.country;
    let phone = |e164: &str, words: String| view! { <a href=format!("tel:{e164}")>{words}</a> }.into_any();
    let mobile = details.mobile_e164.as_ref().map(|number| phone(number, places::readable(number, country)));
    let home = details.home_phone.as_ref().map(|number| phone(number, number.clone()));
    let email = details
        .email
        .as_ref()
        .map(|email| view! { <a href=format!("mailto:{email}")>{email.clone()}</a> }.into_any());
    let words = |text: Option<String>| text.map(IntoAny::into_any);
    let date = |date: Option<NaiveDate>| words(date.map(day));
    let of = |value: &str, list: &[(&str, &'static str)]| {
        list.iter().find(|(known, _)| *known == value).map(|(_, words)| words.into_any())
    };
    let body = view! {
        <div class="head">
            <div>
                <a class="back" href="/members">{icon::back()}"Members"</a>
                <div class="titled">
                    {avatar(PictureOwner::Member(member.id), member.photo_id, true, initials([details.first_name.as_deref(), details.last_name.as_deref()]))}
                    <div>
                        <h1>{title.clone()}</h1>
                        <p>{badge(&member.status_kind, member.status_name.clone())}" of "{member.branch_name.clone()}</p>
                    </div>
                </div>
            </div>
            {office.admin.editor().is_ok().then(|| actions(&member))}
        </div>
        {member.archived_at.map(|_| view! {
            <div class="notice warn">{icon::archive()}<div><strong>"This member is archived."</strong>
                <p>"They are in no list and no figure. Nothing was deleted."</p></div></div>
        })}
        <div class="two even">
            <section class="card pad">
                <h2>"Contact"</h2>
                <dl class="facts mt-3.5">
                    {fact("Mobile", mobile)}
                    {fact("Email", email)}
                    {fact("Home phone", home)}
                </dl>
            </section>
            <section class="card pad">
                <h2>"In the church"</h2>
                <dl class="facts mt-3.5">
                    {fact("First contact", date(details.first_contact_on))}
                    {fact("Joined", date(details.joined_on))}
                    {fact("Baptised", date(details.baptised_on))}
                    {(!details.tags.is_empty()).then(|| fact("Tags", Some(tags(&details.tags))))}
                </dl>
            </section>
            <section class="card pad">
                <h2>"Person"</h2>
                <dl class="facts mt-3.5">
                    {fact("Called", words(details.preferred_name.clone()))}
                    {fact("Birthday", words(birthday(&member)))}
                    {fact("Gender", of(&details.gender, &GENDERS[1..]))}
                    {fact("Marital status", of(&details.marital_status, &MARITAL_STATUSES[1..]))}
                    {fact("Anniversary", date(details.anniversary))}
                    {fact("Household", details.household_role.as_deref().and_then(|role| of(role, &HOUSEHOLD_ROLES)))}
                </dl>
            </section>
            <section class="card pad">
                <h2>"Notes"</h2>
                <p class="mt-3.5 whitespace-pre-wrap break-words">
                    {details.notes.clone().map_or_else(
                        || view! { <span class="muted">"Nothing is written down."</span> }.into_any(), IntoAny::into_any)}
                </p>
            </section>
        </div>
    };
    Ok(Reply::room(&title, Door::Members, body))
}

/// Asks before archiving, where no dialog can; what it sends archives.
pub async fn archive(visit: Visit, office: SignedIn) -> Answer {
    let id = visit.record()?;
    let editor = office.admin.editor()?;
    if visit.body.is_some() {
        members::archive(&office.tenant, &editor, id, None).await?;
        return Ok(Reply::redirect(format!("/members/{id}")).saying(Flash::MemberArchived));
    }
    let member = members::find(&office.tenant, editor.viewer(), id).await?;
    let name = full_name(&member);
    let body = view! {
        <a class="back" href=format!("/members/{id}")>{icon::back()}{name.clone()}</a>
        <div class="card pad grid gap-4">{question(&member, false)}</div>
    };
    Ok(Reply::desk(&format!("Archive {name}"), Door::Members, body))
}

pub async fn restore(visit: Visit, office: SignedIn) -> Answer {
    let id = visit.record()?;
    if visit.body.is_some() {
        members::restore(&office.tenant, &office.admin.editor()?, id).await?;
        return Ok(Reply::redirect(format!("/members/{id}")).saying(Flash::MemberRestored));
    }
    Ok(Reply::redirect(format!("/members/{id}")))
}

fn actions(member: &Member) -> impl IntoView + use<> {
    let id = member.id;
    let put_away = match member.archived_at {
        Some(_) => view! {
            <form method="post" action=format!("/members/{id}/restore")>
                <button class="btn">{icon::restore()}"Bring them back"</button>
            </form>
        }
        .into_any(),
        None => {
            let question = question(member, true).into_any();
            let content = view! {
                <a class="btn quiet danger" href=format!("/members/{id}/archive")>{icon::archive()}"Archive"</a>
                <dialog class="confirm" aria-labelledby="question">{question}</dialog>
            }
            .into_any();
            view! { <Confirm>{content}</Confirm> }.into_any()
        }
    };
    view! { <div class="bar">{put_away}<a class="btn" href=format!("/members/{id}/photo")>"Photo"</a><a class="btn primary" href=format!("/members/{id}/edit")>{icon::edit()}"Edit"</a></div> }
}

fn question(member: &Member, dialog: bool) -> impl IntoView + use<> {
    let id = member.id;
    let details = &member.details;
    let name = full([details.first_name.as_deref(), details.last_name.as_deref()]);
    let heading = format!("Archive {name}?");
    let heading = match dialog {
        true => view! { <h2 id="question">{heading}</h2> }.into_any(),
        false => view! { <h1 id="question">{heading}</h1> }.into_any(),
    };
    view! {
        {heading}
        <p>"They leave every list and figure. Nothing is deleted, and you can bring them back at any time."</p>
        <form method="post" action=format!("/members/{id}/archive") class="actions">
            <a class="btn quiet" href=format!("/members/{id}") data-keep="">"Keep them"</a>
            <button class="btn danger primary">"Archive"</button>
        </form>
    }
}

fn full_name(member: &Member) -> String {
    let details = &member.details;
    full([
        details.prefix.as_deref(),
        details.first_name.as_deref(),
        details.middle_name.as_deref(),
        details.last_name.as_deref(),
        details.suffix.as_deref(),
    ])
}

/// Each leads to all who bear it.
fn tags(names: &[String]) -> AnyView {
    let chips = names.iter().map(|name| {
        let to = address("/members", &[("tag", name.clone())]);
        view! { <li class="contents"><a class="chip" href=to title=name.clone()><span>{name.clone()}</span></a></li> }
    });
    view! { <ul class="flex flex-wrap gap-1.5">{chips.collect_view()}</ul> }.into_any()
}

/// "3 May 2019".
fn day(date: NaiveDate) -> String {
    format!("{} {} {}", date.day(), MONTHS[date.month0() as usize], date.year())
}

/// Whatever parts of it are known.
fn birthday(member: &Member) -> Option<String> {
    let details = &member.details;
    let month =
        details.birth_month.and_then(|month| MONTHS.get(month as usize - 1)).map(|month| (*month).to_owned());
    let parts = [
        details.birth_day.map(|day| day.to_string()),
        month,
        details.birth_year.map(|year| year.to_string()),
    ];
    let known = parts.into_iter().flatten().collect::<Vec<_>>().join(" ");
    (!known.is_empty()).then_some(known)
}
