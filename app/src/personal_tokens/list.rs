use crate::{
    error::PageError,
    forms::enhanced::FormKind,
    page::{Layout, NavItem, Page},
    ui::{
        confirmation::{ConfirmButton, Confirmation},
        empty_state::EmptyState,
        page_header::PageHeader,
        pagination::count,
        settings_nav,
        table::{Column, Table},
    },
};
use axum::Extension;
use chrono::{DateTime, Utc};
use domain::{locale, personal_tokens::SCOPES};
use identity::CurrentUser;
use leptos::prelude::*;
use tenant::personal_tokens::{self, PersonalToken, Scope};

pub async fn list(Extension(user): Extension<CurrentUser>) -> Result<Page, PageError> {
    let tokens = personal_tokens::list(&user.tenant, user.admin.viewer()).await?;
    let has_none = tokens.is_empty();
    let subtitle = (!has_none).then(|| count(tokens.len() as i64, "token", "tokens").into_any());
    let tokens = if has_none { empty_state() } else { table(tokens, &user.church.timezone) };
    let actions = view! {
        {settings_nav("/settings/tokens")}
        {(!has_none).then(|| view! { <a class="btn primary" href="/settings/tokens/new">"Create a token"</a> })}
    };
    let body = view! {
        <PageHeader title="Access tokens" subtitle=subtitle.unwrap_or_else(|| ().into_any()) actions=actions.into_any()/>
        {tokens}
        {(!has_none).then(|| view! {
            <p class="muted">"Anyone who has a token can use it. "<a href="/api/docs">"API documentation"</a></p>
        })}
    };
    Ok(Page::new("Access tokens", Layout::App(NavItem::Settings), body))
}

fn empty_state() -> AnyView {
    let text = view! {
        "A token lets a program, such as your church's website, work with your data in your name. "
        <a href="/api/docs">"API documentation"</a>
    };
    view! {
        <EmptyState title="No access tokens" text=text.into_any() action=("/settings/tokens/new", "Create a token") is_first=true/>
    }
    .into_any()
}

fn table(tokens: Vec<PersonalToken>, timezone: &str) -> AnyView {
    let columns = vec![
        Column::new("Name"),
        Column::new("Access"),
        Column::new("Created").class("only-large"),
        Column::new("Last used"),
        Column::new("Expires"),
        Column::hidden("Actions"),
    ];
    let rows = tokens.into_iter().map(|token| row(token, timezone)).collect_view();
    view! { <Table caption="Access tokens, newest first" columns=columns rows=rows.into_any()/> }.into_any()
}

fn row(token: PersonalToken, timezone: &str) -> impl IntoView + use<> {
    let PersonalToken { ref details, created_at, last_used_at, .. } = token;
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
    let confirmation = revoke_confirmation(&token);
    view! {
        <tr role="row" class="plain">
            <td role="cell">
                <span class="name">
                    <span class="line-clamp-2 min-w-0" title=name.clone()>{name.clone()}</span>
                    {expired.then(|| view! { <span class="badge warn shrink-0">"Expired"</span> })}
                </span>
            </td>
            <td role="cell" class="fact">{scope_label(token.details.scope)}</td>
            <td role="cell" class="tight only-large">{day(created_at, timezone)}</td>
            <td role="cell" class="fact tight">{used}</td>
            <td role="cell" class="tight">{expires}</td>
            <td role="cell" class="fact action">
                <ConfirmButton confirmation=confirmation class="btn quiet small">"Revoke"<span class="vh">" "{name}</span></ConfirmButton>
            </td>
        </tr>
    }
}

pub fn revoke_confirmation(token: &PersonalToken) -> Confirmation {
    let id = token.id;
    Confirmation {
        id: format!("revoke-{id}"),
        title: format!("Revoke {}?", token.details.name),
        text: "Anything using this token stops working. It cannot be undone, but you can create another one.".into(),
        path: format!("/settings/tokens/{id}/revoke"),
        action: FormKind::RevokePersonalToken(id),
        confirm: "Revoke",
        cancel: "Cancel",
        cancel_path: "/settings/tokens".into(),
    }
}

pub fn scope_label(scope: Scope) -> &'static str {
    SCOPES.iter().find(|(value, _)| *value == scope.name()).map_or("", |(_, label)| label)
}

/// "3 May 2026", where the church is.
pub fn day(at: DateTime<Utc>, timezone: &str) -> String {
    locale::local(at, timezone).format("%-d %B %Y").to_string()
}

/// "Today, 14:05"; of an earlier day, the day.
fn moment(at: DateTime<Utc>, timezone: &str) -> String {
    let (then, now) = (locale::local(at, timezone), locale::now_in(timezone));
    match then.date_naive() == now.date_naive() {
        true => then.format("Today, %H:%M").to_string(),
        false => day(at, timezone),
    }
}
