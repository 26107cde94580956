//! The first page of an office.

use crate::{
    answer::{Answer, Reply},
    photo::avatar,
    places,
    ui::{
        frame::{Door, initials},
        icon,
        list::count,
    },
    visit::{SignedIn, Visit},
};
use chrono::{Datelike, Timelike, Utc};
use leptos::prelude::*;
use tenant::{
    dashboard::{self, Figures},
    members::{self, Filter, Listed, Sort},
    photos::Whose,
};

/// How many of the newest members are shown.
const NEWEST: usize = 5;

pub async fn home(_visit: Visit, office: SignedIn) -> Answer {
    let viewer = office.admin.viewer();
    let newest = Filter { sort: Sort::Added, descending: true, ..Filter::default() };
    let figures = dashboard::figures(&office.tenant, viewer, &office.church.timezone).await?;
    let mut newest = members::list(&office.tenant, viewer, &newest).await?.items;
    newest.truncate(NEWEST);
    let body = view! {
        <div class="head">
            <div>
                <h1>{greeting(&office)}</h1>
                <p>{today(&office)}</p>
            </div>
            <div class="bar"><a class="btn primary" href="/members/new">"Add a member"</a></div>
        </div>
        {tiles(&figures)}
        <div class="two">{newest_members(newest)}{settle_in(&figures)}</div>
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
    format!("{part}, {}", if admin.first_name.is_empty() { &admin.last_name } else { &admin.first_name })
}

/// "Saturday, 21 November · 13 days of your trial left".
fn today(office: &SignedIn) -> String {
    let now = places::now_in(&office.church.timezone);
    let left = ((office.church.trial_ends_at - Utc::now()).num_hours() + 23).max(0) / 24;
    format!(
        "{}, {} {} · {} of your trial left",
        now.format("%A"),
        now.day(),
        now.format("%B"),
        count(left, "day", "days")
    )
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

fn newest_members(newest: Vec<Listed>) -> impl IntoView {
    let list = if newest.is_empty() {
        view! { <p class="muted mt-3.5">"Nobody is here yet. Add the first member, and you will find them here."</p> }.into_any()
    } else {
        let rows = newest.into_iter().map(|member| {
            let name = format!("{}, {}", member.last_name, member.first_name);
            view! {
                <li>
                    {avatar(Whose::Member(member.id), member.photo_id, false, initials(&member.first_name, &member.last_name))}
                    <a class="clip" href=format!("/members/{}", member.id) title=name.clone()>{name.clone()}</a>
                    <span class="clip" title=member.branch_name.clone()>{member.branch_name.clone()}</span>
                </li>
            }
        });
        view! { <ul class="rows">{rows.collect_view()}</ul> }.into_any()
    };
    view! { <section class="card pad"><h2>"Newest members"</h2>{list}</section> }
}

/// What is left to do in a new office; each item is done by itself when it is true, and nothing is shown
/// when all are.
fn settle_in(figures: &Figures) -> Option<impl IntoView + use<>> {
    let items = [
        (true, "Open your church", "/"),
        (figures.members > 0, "Add your first member", "/members/new"),
        (figures.branches > 1, "Add a branch", "/branches/new"),
    ];
    if items.iter().all(|(done, ..)| *done) {
        return None;
    }
    let items = items.map(|(done, words, href)| match done {
        true => view! {
            <li class="done"><span class="dot ok">{icon::check()}</span><span>{words}<span class="vh">" (done)"</span></span></li>
        }
        .into_any(),
        false => view! { <li><span class="dot"></span><a href=href>{words}</a></li> }.into_any(),
    });
    Some(view! { <section class="card pad"><h2>"Settle in"</h2><ul class="todo-list">{items}</ul></section> })
}
