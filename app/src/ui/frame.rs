//! The frames of pages: with the church's navigation, or without.

use super::{icon, islands::Dropdown, layout::LayoutContext};
use crate::{flash::Flash, names::initials, page::NavItem, preferences::Theme};
use identity::CurrentUser;
use leptos::prelude::*;

/// The frame of a church's pages: its name, navigation, the account menu, and the page.
pub(super) fn app(
    user: &CurrentUser,
    item: NavItem,
    is_narrow: bool,
    context: &LayoutContext<'_>,
    content: AnyView,
) -> AnyView {
    let admin = &user.admin;
    let names = [Some(admin.first_name.as_str()), Some(admin.last_name.as_str())];
    let name = admin.name();
    let role = match admin.role {
        tenant::Role::Owner => "Owner",
        tenant::Role::Admin => "Administrator",
        tenant::Role::Member => "View only",
    };
    let is_section_root = context.is_section_root;
    let nav_link = |to: NavItem, href: &'static str, icon: AnyView, label: &'static str| {
        let current = (to == item).then_some(if is_section_root { "page" } else { "true" });
        view! { <a href=href aria-current=current>{icon}{label}</a> }
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
                {themes(context.preferences.theme)}
                <hr/>
                {nav_link(NavItem::Settings, "/settings/tokens", icon::settings().into_any(), "Settings")}
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
                <a class="mark" href="/" title=user.church.name.clone()>
                    {icon::arch()}<span>{user.church.name.clone()}</span>
                </a>
                <nav aria-label="Main">
                    {nav_link(NavItem::Home, "/", icon::home().into_any(), "Home")}
                    {nav_link(NavItem::Members, "/members", icon::members().into_any(), "Members")}
                    {nav_link(NavItem::Branches, "/branches", icon::branches().into_any(), "Branches")}
                </nav>
                <Dropdown>{account}</Dropdown>
            </header>
            <main id="main" class="body" class:narrow=is_narrow tabindex="-1">{content}</main>
            {source_link(context.settings.source_url.as_deref())}
            <div class="toasts" role="status">{context.preferences.flash.map(toast)}</div>
        </div>
    }
    .into_any()
}

/// Navigation between the pages of the settings.
pub fn settings_nav(here: &'static str) -> impl IntoView {
    let link = |to: &'static str, label: &'static str| {
        view! { <a href=to aria-current=(to == here).then_some("page")>{label}</a> }
    };
    view! {
        <nav class="segmented" aria-label="Settings">
            {link("/settings/tokens", "Access tokens")}
            {link("/settings/tags", "Tags")}
        </nav>
    }
}

/// The frame of pages in front of the sign-in: one column.
pub(super) fn public(context: &LayoutContext<'_>, content: AnyView) -> AnyView {
    view! {
        <a class="skip" href="#main">"Skip to content"</a>
        <div class="gate">
            <header><a class="mark" href="/">{icon::arch()}<span>"Vestry"</span></a></header>
            <main id="main" tabindex="-1">
                {context.preferences.flash.map(toast)}
                {content}
            </main>
            {source_link(context.settings.source_url.as_deref())}
        </div>
    }
    .into_any()
}

/// Offers the source code to every user, as section 13 of the AGPL asks of a modified version.
fn source_link(url: Option<&str>) -> impl IntoView {
    let link = match url {
        Some(url) => view! { <a href=url.to_owned()>"Get the source code"</a> }.into_any(),
        None => "Ask your Vestry provider for the source code.".into_any(),
    };
    view! { <footer class="source">"Vestry is open-source software. "{link}</footer> }
}

fn themes(chosen: Theme) -> impl IntoView {
    view! {
        <form method="post" action="/theme" class="segmented" aria-label="Colours">
            {Theme::ALL.map(|theme| {
                let label = match theme {
                    Theme::System => "System",
                    Theme::Light => "Light",
                    Theme::Dark => "Dark",
                };
                let pressed = if theme == chosen { "true" } else { "false" };
                view! { <button name="theme" value=theme.name() aria-pressed=pressed>{label}</button> }
            })}
        </form>
    }
}

fn toast(flash: Flash) -> impl IntoView {
    view! { <div class="notice good" role="status">{icon::done()}<div><strong>{flash.message()}</strong></div></div> }
}
