use crate::{
    error::PageError,
    extract::Query,
    page::{Layout, NavItem, Page, Redirect},
    ui::{
        empty_state::EmptyState,
        islands::LiveList,
        page_header::PageHeader,
        pagination::{address, count, no_value, pagination},
        table::{Column, Table},
    },
};
use axum::{
    Extension,
    response::{IntoResponse, Response},
};
use domain::locale;
use identity::CurrentUser;
use leptos::prelude::*;
use serde::Deserialize;
use tenant::branches::{self, Branch, Filter, PAGE};

/// State of the list, as the address holds it.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct ListQuery {
    search: String,
    show: String,
    page: String,
}

impl ListQuery {
    fn archived(&self) -> bool {
        self.show == "archived"
    }

    fn filter(&self) -> Filter {
        let page = self.page.parse::<u32>().unwrap_or(1).clamp(1, 10_000) - 1;
        Filter { search: self.search.clone(), archived: self.archived(), page }
    }

    fn address(&self, page: u32) -> String {
        let page = if page == 0 { String::new() } else { (page + 1).to_string() };
        address("/branches", &[("search", self.search.clone()), ("show", self.show.clone()), ("page", page)])
    }
}

pub async fn list(
    Extension(user): Extension<CurrentUser>,
    Query(query): Query<ListQuery>,
) -> Result<Response, PageError> {
    let filter = query.filter();
    let found = branches::list(&user.tenant, user.admin.viewer(), &filter).await?;
    // A page past the end leads to the last one.
    if found.items.is_empty() && found.total > 0 && filter.page > 0 {
        return Ok(Redirect::to(query.address(((found.total - 1) / PAGE) as u32)).into_response());
    }
    let may_edit = user.admin.editor_of_all_branches().is_ok();
    let is_search = !query.search.trim().is_empty();
    let summary = match (query.archived(), is_search) {
        (true, _) => count(found.total, "archived branch", "archived branches"),
        (false, false) => count(found.total, "branch", "branches"),
        (false, true) => count(found.total, "branch found", "branches found"),
    };
    let shown = found.items.len();
    let only_main = found.total == 1 && !is_search && !query.archived();
    let table = if shown == 0 { empty_state(is_search) } else { table(found.items, &user.church.country) };
    let pages = pagination(filter.page, PAGE, shown, found.total, |page| query.address(page));
    let add = may_edit
        .then(|| view! { <a class="btn primary" href="/branches/new">"Add a branch"</a> }.into_any());
    let subtitle = view! { <span data-count="">{summary.clone()}</span> }.into_any();
    let list = view! {
        <PageHeader title="Branches" subtitle=subtitle actions=add.unwrap_or_else(|| ().into_any())/>
        <form class="bar" role="search" autocomplete="off" aria-label="Branches" method="get" action="/branches">
            <input class="input search" r#type="search" name="search" aria-label="Search branches"
                   placeholder="Name, code or city" value=query.search.clone() maxlength="200"/>
            <select class="input" name="show" aria-label="Which branches">
                <option value="" selected=!query.archived()>"Current"</option>
                <option value="archived" selected=query.archived()>"Archived"</option>
            </select>
            <button class="btn search-button">"Search"</button>
        </form>
        <div class="contents" data-results=summary>{table}{pages}</div>
        {(only_main && may_edit).then(|| view! {
            <p class="muted">"A branch is a place where your church meets. Each person belongs to one."</p>
        })}
    }
    .into_any();
    let body = view! { <LiveList>{list}</LiveList> };
    Ok(Page::new("Branches", Layout::App(NavItem::Branches), body).into_response())
}

fn empty_state(is_search: bool) -> AnyView {
    if is_search {
        let text = "Try a different search or clear the filters.".into_any();
        return view! { <EmptyState title="No branches found" text=text action=("/branches", "Clear the filters")/> }
            .into_any();
    }
    let text = "When you archive a branch it is hidden from lists and choices. You can restore it here.".into_any();
    view! { <EmptyState title="No archived branches" text=text action=("/branches", "Show current branches") is_first=true/> }
        .into_any()
}

fn table(items: Vec<Branch>, country: &str) -> AnyView {
    let columns = vec![
        Column::new("Name"),
        Column::new("City"),
        Column::new("Phone").class("only-large"),
        Column::new("People").class("num"),
    ];
    let rows = items.into_iter().map(|branch| row(branch, country)).collect_view();
    view! { <Table caption="Branches, the main one first, then by name" columns=columns rows=rows.into_any()/> }
        .into_any()
}

fn row(branch: Branch, country: &str) -> impl IntoView + use<> {
    let Branch { id, fields, archived_at, members, .. } = branch;
    let phone = fields.phone.map(|phone| locale::readable(&phone, country));
    view! {
        <tr role="row" class="plain" class:archived=archived_at.is_some()>
            <td role="cell">
                <span class="name">
                    <a href=format!("/branches/{id}") title=fields.name.clone()>{fields.name.clone()}</a>
                    {fields.is_main.then(|| view! { <span class="badge good">"Main"</span> })}
                </span>
            </td>
            <td role="cell" class="fact">{fields.city.map_or_else(no_value, IntoAny::into_any)}</td>
            <td role="cell" class="tight only-large">{phone.map_or_else(no_value, IntoAny::into_any)}</td>
            <td role="cell" class="fact num">{members}<span class="only-phone">{if members == 1 { " person" } else { " people" }}</span></td>
        </tr>
    }
}
