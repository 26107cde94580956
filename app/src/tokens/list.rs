use super::form::SCOPES;
use crate::{
    answer::{Answer, Reply},
    places,
    ui::{
        behaviour::Confirm,
        frame::{Door, settings},
        icon,
        list::count,
    },
    visit::{SignedIn, Visit},
};
use chrono::{DateTime, Utc};
use leptos::prelude::*;
use tenant::personal_tokens::{self, PersonalToken, Scope};

pub async fn list(_visit: Visit, office: SignedIn) -> Answer {
    let tokens = personal_tokens::list(&office.tenant, office.admin.viewer()).await?;
    let none = tokens.is_empty();
    let sentence = count(tokens.len() as i64, "token acts in your name", "tokens act in your name");
    let tokens = if none { nothing() } else { table(tokens, &office.church.timezone) };
    let body = view! {
        <div class="head">
            <div><h1>"Access tokens"</h1>{(!none).then(|| view! { <p>{sentence}</p> })}</div>
            <div class="bar">
                {settings("/settings/tokens")}
                {(!none).then(|| view! { <a class="btn primary" href="/settings/tokens/new">"Make a token"</a> })}
            </div>
        </div>
        {tokens}
        {(!none).then(|| view! {
            <p class="muted">"Whoever has a token can use it. "<a href="/api/docs">"How programs use one"</a></p>
        })}
    };
    Ok(Reply::room("Access tokens", Door::Settings, body))
}

fn nothing() -> AnyView {
    view! {
        <div class="card empty">
            {icon::arch()}
            <h2>"No program has a token"</h2>
            <p>"A token lets a program of yours, such as your website, work with your church's data in your name. "
                <a href="/api/docs">"How programs use one"</a></p>
            <a class="btn primary" href="/settings/tokens/new">"Make the first token"</a>
        </div>
    }
    .into_any()
}

fn table(tokens: Vec<PersonalToken>, timezone: &str) -> AnyView {
    let rows = tokens.into_iter().map(|token| row(token, timezone)).collect_view();
    view! {
        <div class="card">
            <table class="list" role="table">
                <caption class="vh">"Access tokens, the newest first"</caption>
                <thead role="rowgroup">
                    <tr role="row">
                        <th role="columnheader" scope="col">"Name"</th>
                        <th role="columnheader" scope="col">"May"</th>
                        <th role="columnheader" scope="col" class="only-large">"Made"</th>
                        <th role="columnheader" scope="col">"Last used"</th>
                        <th role="columnheader" scope="col">"Expires"</th>
                        <th role="columnheader" scope="col"><span class="vh">"Revoke"</span></th>
                    </tr>
                </thead>
                <tbody role="rowgroup">{rows}</tbody>
            </table>
        </div>
    }
    .into_any()
}

fn row(token: PersonalToken, timezone: &str) -> impl IntoView + use<> {
    let PersonalToken { id, ref details, created_at, last_used_at } = token;
    let name = details.name.clone();
    let expired = details.expires_at.is_some_and(|at| at <= Utc::now());
    let expires = details.expires_at.map_or_else(|| "Never".to_owned(), |at| day(at, timezone));
    let used = match last_used_at {
        Some(at) => view! { <span class="only-phone">"Used "</span>{moment(at, timezone)} }.into_any(),
        None => view! {
            <span class="only-wide"><span class="muted" aria-hidden="true">"–"</span><span class="vh">"never"</span></span>
            <span class="only-phone">"Never used"</span>
        }
        .into_any(),
    };
    let question = question(&token, true).into_any();
    let revoke = view! {
        <a class="btn quiet danger small" href=format!("/settings/tokens/{id}/revoke")>"Revoke"<span class="vh">" "{name.clone()}</span></a>
        <dialog class="confirm" aria-labelledby=format!("revoke-{id}")>{question}</dialog>
    }
    .into_any();
    view! {
        <tr role="row" class="plain">
            <td role="cell">
                <span class="name">
                    <span class="line-clamp-2 min-w-0" title=name.clone()>{name.clone()}</span>
                    {expired.then(|| view! { <span class="badge warn shrink-0">"Expired"</span> })}
                </span>
            </td>
            <td role="cell" class="fact">{scope_words(token.details.scope)}</td>
            <td role="cell" class="tight only-large">{day(created_at, timezone)}</td>
            <td role="cell" class="fact tight">{used}</td>
            <td role="cell" class="tight">{expires}</td>
            <td role="cell" class="fact action"><Confirm>{revoke}</Confirm></td>
        </tr>
    }
}

/// What is asked before a token is revoked, in a dialog or on a page of its own.
pub fn question(token: &PersonalToken, dialog: bool) -> impl IntoView + use<> {
    let id = token.id;
    let heading = format!("Revoke {}?", token.details.name);
    let heading = match dialog {
        true => view! { <h2 id=format!("revoke-{id}")>{heading}</h2> }.into_any(),
        false => view! { <h1>{heading}</h1> }.into_any(),
    };
    view! {
        {heading}
        <p>"Whatever uses this token is refused from now on. It cannot be brought back, but you can make another."</p>
        <form method="post" action=format!("/settings/tokens/{id}/revoke") class="actions">
            <a class="btn quiet" href="/settings/tokens" data-keep="">"Keep it"</a>
            <button class="btn danger primary">"Revoke"</button>
        </form>
    }
}

pub fn scope_words(scope: Scope) -> &'static str {
    SCOPES.iter().find(|(value, _)| *value == scope.name()).map_or("", |(_, words)| words)
}

/// "3 May 2026", where the church is.
pub fn day(at: DateTime<Utc>, timezone: &str) -> String {
    places::local(at, timezone).format("%-d %B %Y").to_string()
}

/// "Today, 14:05"; of an earlier day, the day.
fn moment(at: DateTime<Utc>, timezone: &str) -> String {
    let (then, now) = (places::local(at, timezone), places::now_in(timezone));
    match then.date_naive() == now.date_naive() {
        true => then.format("Today, %H:%M").to_string(),
        false => day(at, timezone),
    }
}
