use super::badge;
use crate::{
    error::PageError,
    extract::Query,
    names::{initials, listed},
    page::{Layout, NavItem, Page, Redirect},
    pictures::avatar,
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
use domain::{locale, rules::line};
use identity::CurrentUser;
use leptos::prelude::*;
use serde::Deserialize;
use tenant::{
    branches::{self, Choice},
    members::{self, Filter, Listed, PAGE, Sort},
    photos::Whose,
    statuses::{self, Status},
    tags,
};

/// State of the list, as the address holds it.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct ListQuery {
    search: String,
    branch: String,
    status: String,
    /// Name of a tag.
    tag: String,
    show: String,
    /// Name of a column, with `-` in front when descending.
    sort: String,
    page: String,
}

impl ListQuery {
    fn archived(&self) -> bool {
        self.show == "archived"
    }

    fn sorted(&self) -> (Sort, bool) {
        let descending = self.sort.starts_with('-');
        (Sort::from_name(self.sort.trim_start_matches('-')).unwrap_or_default(), descending)
    }

    fn filter(&self) -> Filter {
        let (sort, descending) = self.sorted();
        Filter {
            search: self.search.clone(),
            branch: self.branch.parse().ok(),
            status: self.status.parse().ok(),
            tag: line(&self.tag),
            archived: self.archived(),
            sort,
            descending,
            page: self.page.parse::<u32>().unwrap_or(1).clamp(1, 100_000) - 1,
        }
    }

    fn is_filtered(&self) -> bool {
        [self.search.trim(), &self.branch, &self.status, &self.tag].iter().any(|part| !part.is_empty())
    }

    fn address(&self) -> String {
        let parts = [
            ("search", self.search.clone()),
            ("branch", self.branch.clone()),
            ("status", self.status.clone()),
            ("tag", self.tag.clone()),
            ("show", self.show.clone()),
            ("sort", self.sort.clone()),
            ("page", self.page.clone()),
        ];
        address("/members", &parts)
    }

    fn at_page(&self, page: u32) -> String {
        let page = if page == 0 { String::new() } else { (page + 1).to_string() };
        Self { page, ..self.clone() }.address()
    }

    fn sorted_by(&self, sort: String) -> String {
        Self { sort, page: String::new(), ..self.clone() }.address()
    }
}

pub async fn list(
    Extension(user): Extension<CurrentUser>,
    Query(query): Query<ListQuery>,
) -> Result<Response, PageError> {
    let filter = query.filter();
    let viewer = user.admin.viewer();
    let found = members::list(&user.tenant, viewer, &filter).await?;
    // A page past the end leads to the last one.
    if found.items.is_empty() && found.total > 0 && filter.page > 0 {
        return Ok(Redirect::to(query.at_page(((found.total - 1) / PAGE) as u32)).into_response());
    }
    let branches = branches::choices(&user.tenant, viewer).await?;
    let statuses = statuses::list(&user.tenant, viewer).await?;
    let tags = tags::names(&user.tenant, viewer).await?;
    let may_edit = user.admin.editor().is_ok();
    let summary = match (query.is_filtered(), query.archived()) {
        (true, _) => count(found.total, "person found", "people found"),
        (false, true) => count(found.total, "archived person", "archived people"),
        (false, false) => format!(
            "{} in {}",
            count(found.total, "person", "people"),
            count(branches.len() as i64, "branch", "branches")
        ),
    };
    let shown = found.items.len();
    let is_new_church = shown == 0 && !query.is_filtered() && !query.archived();
    let rows = match shown {
        0 => empty_state(&query, may_edit),
        _ => table(found.items, &query, &user.church.country),
    };
    let pages = pagination(filter.page, PAGE, shown, found.total, |page| query.at_page(page));
    let add = (may_edit && !is_new_church)
        .then(|| view! { <a class="btn primary" href="/members/new">"Add a member"</a> }.into_any());
    let subtitle = (!is_new_church)
        .then(|| view! { <span data-count="">{summary.clone()}</span> }.into_any());
    let list = view! {
        <PageHeader title="Members" subtitle=subtitle.unwrap_or_else(|| ().into_any())
                    actions=add.unwrap_or_else(|| ().into_any())/>
        {(!is_new_church).then(|| filters(&query, branches, statuses, tags))}
        <div class="contents" data-results=summary>{rows}{pages}</div>
    }
    .into_any();
    let body = view! { <LiveList>{list}</LiveList> };
    Ok(Page::new("Members", Layout::App(NavItem::Members), body).into_response())
}

fn filters(
    query: &ListQuery,
    branches: Vec<Choice>,
    statuses: Vec<Status>,
    tags: Vec<String>,
) -> impl IntoView + use<> {
    let option = |value: String, label: String, chosen: &str| {
        let selected = value == chosen;
        view! { <option value=value selected=selected>{label}</option> }
    };
    let branches =
        branches.into_iter().map(|b| option(b.id.to_string(), b.name, &query.branch)).collect_view();
    let statuses =
        statuses.into_iter().map(|s| option(s.id.to_string(), s.name, &query.status)).collect_view();
    let tag = query.tag.to_lowercase();
    let tags = (!tags.is_empty()).then(|| {
        let tags = tags.into_iter().map(|name| {
            let selected = name.to_lowercase() == tag;
            view! { <option value=name.clone() selected=selected>{name.clone()}</option> }
        });
        view! { <select class="input" name="tag" aria-label="Tag"><option value="">"Any tag"</option>{tags.collect_view()}</select> }
    });
    view! {
        <form class="bar" role="search" autocomplete="off" aria-label="Members" method="get" action="/members">
            <input class="input search" r#type="search" name="search" aria-label="Search members"
                   placeholder="Name, email or phone" value=query.search.clone() maxlength="200"/>
            <select class="input" name="branch" aria-label="Branch"><option value="">"All branches"</option>{branches}</select>
            <select class="input" name="status" aria-label="Status"><option value="">"Any status"</option>{statuses}</select>
            {tags}
            <select class="input" name="show" aria-label="Which members">
                <option value="" selected=!query.archived()>"Current"</option>
                <option value="archived" selected=query.archived()>"Archived"</option>
            </select>
            {(!query.sort.is_empty()).then(|| view! { <input r#type="hidden" name="sort" value=query.sort.clone()/> })}
            <button class="btn search-button">"Search"</button>
            {query.is_filtered().then(|| view! { <a class="btn quiet" href="/members">"Clear"</a> })}
        </form>
    }
}

fn empty_state(query: &ListQuery, may_edit: bool) -> AnyView {
    if query.is_filtered() {
        let text = "Try a different search or clear the filters.".into_any();
        return view! { <EmptyState title="No people found" text=text action=("/members", "Clear the filters")/> }
            .into_any();
    }
    if query.archived() {
        let text = "When you archive someone they are hidden from lists and totals. You can restore them here.".into_any();
        return view! { <EmptyState title="No archived people" text=text action=("/members", "Show current people") is_first=true/> }
            .into_any();
    }
    let text = "Add your members, regular attenders and visitors.".into_any();
    match may_edit {
        true => view! { <EmptyState title="No people yet" text=text action=("/members/new", "Add the first person") is_first=true/> }.into_any(),
        false => view! { <EmptyState title="No people yet" text="They appear here once they are added.".into_any()/> }.into_any(),
    }
}

fn table(items: Vec<Listed>, query: &ListQuery, country: &str) -> AnyView {
    let (sort, descending) = query.sorted();
    let column = |column: Sort, label: &'static str| {
        let (direction, next) = match (sort == column, descending) {
            (true, false) => (Some("ascending"), format!("-{}", column.name())),
            (true, true) => (Some("descending"), column.name().to_owned()),
            (false, _) => (None, column.name().to_owned()),
        };
        Column::sortable(label, query.sorted_by(next), direction)
    };
    let columns = vec![
        column(Sort::Name, "Name"),
        column(Sort::Branch, "Branch"),
        column(Sort::Status, "Status"),
        Column::new("Email").class("only-large"),
        Column::new("Phone"),
    ];
    let order = if descending { ", descending" } else { "" };
    let caption = format!("Members, sorted by {}{order}", sort.name());
    let rows = items.into_iter().map(|member| row(member, query.archived(), country)).collect_view();
    view! { <Table caption=caption columns=columns rows=rows.into_any()/> }.into_any()
}

fn row(member: Listed, archived: bool, country: &str) -> impl IntoView + use<> {
    let (first, last) = (member.first_name.as_deref(), member.last_name.as_deref());
    let name = listed(last, first);
    let letters = initials([first, last]);
    let email =
        member.email.map(|email| view! { <span class="clip" title=email.clone()>{email.clone()}</span> });
    let phone = member.mobile.map(|phone| locale::readable(&phone, country));
    view! {
        <tr role="row" class:archived=archived>
            <td role="cell">
                <span class="name">
                    {avatar(Whose::Member(member.id), member.photo_id, false, letters)}
                    <span class="min-w-0">
                        <a href=format!("/members/{}", member.id) title=name.clone()>{name.clone()}</a>
                        {badges(&member.tags)}
                    </span>
                </span>
            </td>
            <td role="cell" class="fact"><span class="line-clamp-2" title=member.branch_name.clone()>{member.branch_name.clone()}</span></td>
            <td role="cell" class="fact">{badge(&member.status_kind, member.status_name)}</td>
            <td role="cell" class="only-large">{email.map_or_else(no_value, IntoAny::into_any)}</td>
            <td role="cell" class="tight">{phone.map_or_else(no_value, IntoAny::into_any)}</td>
        </tr>
    }
}

/// The first tags, where there is room for them.
fn badges(tags: &[String]) -> Option<AnyView> {
    const SHOWN: usize = 3;
    let (first, more) = tags.split_at(tags.len().min(SHOWN));
    let badge = |words: String, title: String| view! { <span class="badge" title=title>{words}</span> };
    let more = (!more.is_empty()).then(|| badge(format!("+{}", more.len()), more.join(", ")));
    let first: Vec<_> = first.iter().map(|tag| badge(tag.clone(), tag.clone())).collect();
    (!first.is_empty()).then(|| {
        view! { <span class="only-large"><span class="vh">"Tags: "</span><span class="tags">{first}{more}</span></span> }
            .into_any()
    })
}
