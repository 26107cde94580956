//! The home page.

use crate::{
    error::PageError,
    names::{initials, listed},
    page::{Layout, NavItem, Page},
    pictures::avatar,
    signup,
    ui::{facts::Card, icon, page_header::PageHeader, pagination::count},
};
use axum::Extension;
use chrono::{Datelike, Timelike, Utc};
use domain::locale;
use identity::CurrentUser;
use leptos::prelude::*;
use tenant::{
    dashboard::{self, Figures},
    members::{self, Filter, Listed, Sort},
    photos::Whose,
};

pub fn routes<S: Clone + Send + Sync + 'static>() -> axum::Router<S> {
    axum::Router::new().route("/", axum::routing::get(home))
}

const SECONDS_PER_DAY: i64 = 24 * 60 * 60;

/// How many of the newest members are shown.
const NEWEST: usize = 5;

/// The church of the user who is signed in; a welcome for visitors.
async fn home(user: Option<Extension<CurrentUser>>) -> Result<Page, PageError> {
    match user {
        Some(Extension(user)) => dashboard(&user).await,
        None => Ok(signup::welcome()),
    }
}

async fn dashboard(user: &CurrentUser) -> Result<Page, PageError> {
    let viewer = user.admin.viewer();
    let figures = dashboard::figures(&user.tenant, viewer, &user.church.timezone).await?;
    let newest = Filter { sort: Sort::Added, descending: true, ..Filter::default() };
    let mut newest = members::list(&user.tenant, viewer, &newest).await?.items;
    newest.truncate(NEWEST);
    let may_edit = user.admin.editor().is_ok();
    let may_add_branches = user.admin.editor_of_all_branches().is_ok();
    let add = may_edit
        .then(|| view! { <a class="btn primary" href="/members/new">"Add a member"</a> }.into_any());
    let body = view! {
        <PageHeader title=greeting(user) subtitle=today(user).into_any() actions=add.unwrap_or_else(|| ().into_any())/>
        {tiles(&figures)}
        <div class="two">
            {newest_members(newest, may_edit)}
            {may_edit.then(|| getting_started(&figures, may_add_branches))}
        </div>
    };
    Ok(Page::new("Home", Layout::App(NavItem::Home), body))
}

fn greeting(user: &CurrentUser) -> String {
    let part = match locale::now_in(&user.church.timezone).hour() {
        5..12 => "Good morning",
        12..18 => "Good afternoon",
        _ => "Good evening",
    };
    let admin = &user.admin;
    let name = if admin.first_name.is_empty() { &admin.last_name } else { &admin.first_name };
    format!("{part}, {name}")
}

/// "Saturday, 21 November · 13 days of your trial left"; the day alone once the trial is over or billing has begun.
fn today(user: &CurrentUser) -> String {
    let church = &user.church;
    let now = locale::now_in(&church.timezone);
    let today = format!("{}, {} {}", now.format("%A"), now.day(), now.format("%B"));
    let seconds = (church.trial_ends_at - Utc::now()).num_seconds();
    if church.subscription_status != "trialing" || seconds <= 0 {
        return today;
    }
    let days = (seconds + SECONDS_PER_DAY - 1) / SECONDS_PER_DAY;
    format!("{today} · {} of your trial left", count(days, "day", "days"))
}

fn tiles(figures: &Figures) -> impl IntoView + use<> {
    let noun = |n: i64, one: &'static str, many: &'static str| if n == 1 { one } else { many };
    let people = noun(figures.members, "person", "people");
    let members = match figures.new_this_month {
        0 => people.to_owned(),
        new => format!("{people} · {new} new this month"),
    };
    view! {
        <div class="tiles">
            <a class="tile card" href="/members"><span class="figure">{figures.members}</span><small>{members}</small></a>
            <a class="tile card" href="/branches">
                <span class="figure">{figures.branches}</span><small>{noun(figures.branches, "branch", "branches")}</small>
            </a>
            <div class="tile card">
                <span class="figure">{figures.visitors}</span><small>{noun(figures.visitors, "visitor", "visitors")}</small>
            </div>
            <div class="tile card">
                <span class="figure">{figures.birthdays}</span>
                <small>{noun(figures.birthdays, "birthday this week", "birthdays this week")}</small>
            </div>
        </div>
    }
}

fn newest_members(newest: Vec<Listed>, may_edit: bool) -> impl IntoView {
    let list = if newest.is_empty() {
        let text = match may_edit {
            true => "No people yet. Add the first one, and they appear here.",
            false => "No people yet.",
        };
        view! { <p class="muted mt-3.5">{text}</p> }.into_any()
    } else {
        let rows = newest.into_iter().map(|member| {
            let (first, last) = (member.first_name.as_deref(), member.last_name.as_deref());
            let (name, letters) = (listed(last, first), initials([first, last]));
            view! {
                <li>
                    {avatar(Whose::Member(member.id), member.photo_id, false, letters)}
                    <a class="clip" href=format!("/members/{}", member.id) title=name.clone()>{name.clone()}</a>
                    <span class="clip" title=member.branch_name.clone()>{member.branch_name.clone()}</span>
                </li>
            }
        });
        view! { <ul class="rows">{rows.collect_view()}</ul> }.into_any()
    };
    view! { <Card title="Newest people">{list}</Card> }
}

/// Checklist of a new church, of what the user may do. Items tick themselves; a finished list is not shown.
fn getting_started(figures: &Figures, may_add_branches: bool) -> Option<impl IntoView + use<>> {
    let mut items =
        vec![
            (true, "Create your church's account", "/"),
            (figures.members > 0, "Add your first person", "/members/new"),
        ];
    if may_add_branches {
        items.push((figures.branches > 1, "Add a branch", "/branches/new"));
    }
    if items.iter().all(|(done, ..)| *done) {
        return None;
    }
    let items = items.into_iter().map(|(done, label, href)| match done {
        true => view! {
            <li class="done"><span class="dot ok">{icon::check()}</span><span>{label}<span class="vh">" (done)"</span></span></li>
        }
        .into_any(),
        false => view! { <li><span class="dot"></span><a href=href>{label}</a></li> }.into_any(),
    });
    let items = items.collect_view();
    Some(view! { <Card title="Getting started"><ul class="todo-list">{items}</ul></Card> })
}
