use super::{behaviour::Menu, icon};
use crate::{
    answer::Flash,
    names::initials,
    visit::{SignedIn, Theme},
};
use leptos::prelude::*;

/// The rooms of an office, as the navigation shows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    Home,
    Members,
    Branches,
    Settings,
}

/// The church's own room: its name, the doors, the account, and a page in the middle.
pub fn room(
    office: &SignedIn,
    look: crate::visit::Look,
    door: Door,
    exact: bool,
    narrow: bool,
    source_url: Option<&str>,
    body: AnyView,
) -> AnyView {
    let admin = &office.admin;
    let names = [Some(admin.first_name.as_str()), Some(admin.last_name.as_str())];
    let name = admin.name();
    let role = match admin.role {
        tenant::Role::Owner => "Owner",
        tenant::Role::Admin => "Administrator",
        tenant::Role::Viewer => "Staff",
    };
    let door_link = |to: Door, href: &'static str, icon: AnyView, words: &'static str| {
        let current = (to == door).then_some(if exact { "page" } else { "true" });
        view! { <a href=href aria-current=current>{icon}{words}</a> }
    };
    let account = view! {
        <details class="menu who">
            <summary>
                <span class="avatar" aria-hidden="true">{initials(names)}</span>
                <span><strong>{name.clone()}</strong><small>{role}</small></span>
                {icon::updown()}
            </summary>
            <div class="menu-panel">
                <div class="menu-head"><strong>{name}</strong><small>{admin.email.clone()}</small></div>
                <hr/>
                {themes(look.theme)}
                <hr/>
                {door_link(Door::Settings, "/settings/tokens", icon::settings().into_any(), "Settings")}
                <form method="post" action="/signout">
                    <button>{icon::signout()}"Sign out"</button>
                </form>
            </div>
        </details>
    }
    .into_any();
    view! {
        <a class="skip" href="#main">"Skip to content"</a>
        <div class="frame">
            <header class="side">
                <a class="mark" href="/" title=office.church.name.clone()>
                    {icon::arch()}<span>{office.church.name.clone()}</span>
                </a>
                <nav aria-label="Main">
                    {door_link(Door::Home, "/", icon::home().into_any(), "Home")}
                    {door_link(Door::Members, "/members", icon::members().into_any(), "Members")}
                    {door_link(Door::Branches, "/branches", icon::branches().into_any(), "Branches")}
                </nav>
                <Menu>{account}</Menu>
            </header>
            <main id="main" class="body" class:narrow=narrow tabindex="-1">{body}</main>
            {offer_source(source_url)}
            <div class="toasts" role="status">{look.flash.map(toast)}</div>
        </div>
    }
    .into_any()
}

/// The rooms behind the door to the settings.
pub fn settings(here: &'static str) -> impl IntoView {
    let link = |to: &'static str, words: &'static str| {
        view! { <a href=to aria-current=(to == here).then_some("page")>{words}</a> }
    };
    view! {
        <nav class="segmented" aria-label="Settings">
            {link("/settings/tokens", "Access tokens")}
            {link("/settings/tags", "Tags")}
        </nav>
    }
}

/// Before anybody is signed in: one quiet column.
pub fn gate(look: crate::visit::Look, source_url: Option<&str>, body: AnyView) -> AnyView {
    view! {
        <a class="skip" href="#main">"Skip to content"</a>
        <div class="gate">
            <header><a class="mark" href="/">{icon::arch()}<span>"Vestry"</span></a></header>
            <main id="main" tabindex="-1">
                {look.flash.map(toast)}
                {body}
            </main>
            {offer_source(source_url)}
        </div>
    }
    .into_any()
}

/// Offers the source code to every user, as section 13 of the AGPL asks of a modified version.
fn offer_source(url: Option<&str>) -> impl IntoView {
    let how = match url {
        Some(url) => view! { <a href=url.to_owned()>"Get the source code"</a> }.into_any(),
        None => "Ask your Vestry provider for the source code.".into_any(),
    };
    view! { <footer class="source">"Vestry is open-source software. "{how}</footer> }
}

fn themes(chosen: Theme) -> impl IntoView {
    view! {
        <form method="post" action="/theme" class="segmented" aria-label="Colours">
            {Theme::ALL.map(|theme| {
                let words = match theme {
                    Theme::System => "System",
                    Theme::Light => "Light",
                    Theme::Dark => "Dark",
                };
                let pressed = if theme == chosen { "true" } else { "false" };
                view! { <button name="theme" value=theme.name() aria-pressed=pressed>{words}</button> }
            })}
        </form>
    }
}

fn toast(flash: Flash) -> impl IntoView {
    view! { <div class="notice good" role="status">{icon::done()}<div><strong>{flash.words()}</strong></div></div> }
}
