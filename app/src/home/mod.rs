//! The first page of an office.

use crate::{
    answer::{Answer, Reply},
    branches::edit::editor_of_all,
    names::{initials, listed},
    photo::avatar,
    places,
    ui::{frame::Door, icon, list::count},
    visit::{SignedIn, Visit},
};
use chrono::{Datelike, Timelike, Utc};
use leptos::prelude::*;
use tenant::{
    dashboard::{self, Figures},
    members::{self, Filter, Listed, Sort},
    pictures::PictureOwner,
};

const SECONDS_PER_DAY: i64 = 24 * 60 * 60;

/// How many of the newest members are shown.
const NEWEST: usize = 5;

pub async fn home(_visit: Visit, office: SignedIn) -> Answer {
    let viewer = office.admin.viewer();
    let newest = Filter { sort: Sort::Added, descending: true, ..Filter::default() };
    let figures = dashboard::figures(&office.tenant, viewer, &office.church.timezone).await?;
    let mut newest = members::list(&office.tenant, viewer, &newest).await?.items;
    newest.truncate(NEWEST);
    let may_edit = office.admin.editor().is_ok();
    let may_add_branches = editor_of_all(&office).is_ok();
    let body = view! {
        <div class="head">
            <div>
                <h1>{greeting(&office)}</h1>
                <p>{today(&office)}</p>
            </div>
            {may_edit.then(|| view! {
                <div class="bar"><a class="btn primary" href="/members/new">"Add a member"</a></div>
            })}
        </div>
        {tiles(&figures)}
        <div class="two">{newest_members(newest, may_edit)}{may_edit.then(|| settle_in(&figures, may_add_branches))}</div>
    };
    Ok(Reply::room("Home", Door::Home, body))
}

fn greeting(office: &SignedIn) -> String {
    let part = match places::now_in(&office.church.timezone).hour() {
        5..12 => "Good morning",
        12..18 => "Good afternoon",
        _ => "Good evening",
    };
    let admin = &office.admin;
    let called = if admin.first_name.is_empty() { &admin.last_name } else { &admin.first_name };
    format!("{part}, {called}")
}

/// "Saturday, 21 November · 13 days of your trial left"; the day alone once the trial is over or billing has begun.
fn today(office: &SignedIn) -> String {
    let church = &office.church;
    let now = places::now_in(&church.timezone);
    let today = format!("{}, {} {}", now.format("%A"), now.day(), now.format("%B"));
    let seconds = (church.trial_ends_at - Utc::now()).num_seconds();
    if church.subscription_status != "trialing" || seconds <= 0 {
        return today;
    }
    let days = (seconds + SECONDS_PER_DAY - 1) / SECONDS_PER_DAY;
    format!("{today} · {} of your trial left", count(days, "day", "days"))
}

fn tiles(figures: &Figures) -> impl IntoView + use<> {
    let words = |n: i64, one: &'static str, many: &'static str| if n == 1 { one } else { many };
    let members = match figures.new_this_month {
        0 => words(figures.members, "member", "members").to_owned(),
        new => format!("{} · {new} new this month", words(figures.members, "member", "members")),
    };
    view! {
        <div class="tiles">
            <a class="tile card" href="/members"><span class="figure">{figures.members}</span><small>{members}</small></a>
            <a class="tile card" href="/branches">
                <span class="figure">{figures.branches}</span><small>{words(figures.branches, "branch", "branches")}</small>
            </a>
            <div class="tile card">
                <span class="figure">{figures.visitors}</span><small>{words(figures.visitors, "visitor", "visitors")}</small>
            </div>
            <div class="tile card">
                <span class="figure">{figures.birthdays}</span>
                <small>{words(figures.birthdays, "birthday this week", "birthdays this week")}</small>
            </div>
        </div>
    }
}

fn newest_members(newest: Vec<Listed>, may_edit: bool) -> impl IntoView {
    let list = if newest.is_empty() {
        let words = match may_edit {
            true => "Nobody is here yet. Add the first member, and you will find them here.",
            false => "Nobody is here yet.",
        };
        view! { <p class="muted mt-3.5">{words}</p> }.into_any()
    } else {
        let rows = newest.into_iter().map(|member| {
            let (first, last) = (member.first_name.as_deref(), member.last_name.as_deref());
            let (name, letters) = (listed(last, first), initials([first, last]));
            view! {
                <li>
                    {avatar(PictureOwner::Member(member.id), member.photo_id, false, letters)}
                    <a class="clip" href=format!("/members/{}", member.id) title=name.clone()>{name.clone()}</a>
                    <span class="clip" title=member.branch_name.clone()>{member.branch_name.clone()}</span>
                </li>
            }
        });
        view! { <ul class="rows">{rows.collect_view()}</ul> }.into_any()
    };
    view! { <section class="card pad"><h2>"Newest members"</h2>{list}</section> }
}

/// What is left to do in a new church, of what this admin may do. Each item is done by itself when it is true, and
/// nothing is shown when all are.
fn settle_in(figures: &Figures, may_add_branches: bool) -> Option<impl IntoView + use<>> {
    let mut items =
        vec![(true, "Open your church", "/"), (figures.members > 0, "Add your first member", "/members/new")];
    if may_add_branches {
        items.push((figures.branches > 1, "Add a branch", "/branches/new"));
    }
    if items.iter().all(|(done, ..)| *done) {
        return None;
    }
    let items = items.into_iter().map(|(done, words, href)| match done {
        true => view! {
            <li class="done"><span class="dot ok">{icon::check()}</span><span>{words}<span class="vh">" (done)"</span></span></li>
        }
        .into_any(),
        false => view! { <li><span class="dot"></span><a href=href>{words}</a></li> }.into_any(),
    });
    let items = items.collect_view();
    Some(view! { <section class="card pad"><h2>"Settle in"</h2><ul class="todo-list">{items}</ul></section> })
}
