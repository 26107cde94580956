use super::edit::editor_of_all;
use crate::{
    answer::{Answer, Reply},
    places,
    ui::{
        behaviour::Filters,
        frame::Door,
        icon,
        list::{address, count, none, pages},
    },
    visit::{SignedIn, Visit},
};
use leptos::prelude::*;
use serde::Deserialize;
use tenant::branches::{self, Branch, Filter, PAGE};

/// The state of the list, as the address holds it.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Query {
    search: String,
    show: String,
    page: String,
}

impl Query {
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

pub async fn list(visit: Visit, office: SignedIn) -> Answer {
    let query: Query = visit.query();
    let filter = query.filter();
    let found = branches::list(&office.tenant, office.admin.viewer(), &filter).await?;
    // The page is gone, because its branches are: the last one there is.
    if found.items.is_empty() && found.total > 0 && filter.page > 0 {
        return Ok(Reply::redirect(query.address(((found.total - 1) / PAGE) as u32)));
    }
    let may_edit = editor_of_all(&office).is_ok();
    let sentence = match (query.archived(), query.search.trim().is_empty()) {
        (true, _) => count(found.total, "archived branch", "archived branches"),
        (false, true) => {
            count(found.total, "place where your church meets", "places where your church meets")
        }
        (false, false) => count(found.total, "branch found", "branches found"),
    };
    let shown = found.items.len();
    let only_main = found.total == 1 && query.search.is_empty() && !query.archived();
    let table = if shown == 0 { nothing(&query) } else { table(found.items, &office.church.country) };
    let filters = view! {
        <form class="bar" role="search" autocomplete="off" aria-label="Branches" method="get" action="/branches">
            <input class="input search" r#type="search" name="search" aria-label="Search branches"
                   placeholder="Name, code or city" value=query.search.clone() maxlength="200"/>
            <select class="input" name="show" aria-label="Which branches">
                <option value="" selected=!query.archived()>"Open branches"</option>
                <option value="archived" selected=query.archived()>"Archived"</option>
            </select>
            <button class="btn">"Search"</button>
        </form>

    }
    .into_any();
    let pages = pages(filter.page, PAGE, shown, found.total, |page| query.address(page));
    let body = view! {
        <div class="head">
            <div><h1>"Branches"</h1><p>{sentence}</p></div>
            {may_edit.then(|| view! { <div class="bar"><a class="btn primary" href="/branches/new">"Add a branch"</a></div> })}
        </div>
        <Filters>{filters}</Filters>
        {table}
        {pages}
        {(only_main && may_edit).then(|| view! {
            <p class="muted">"A branch is a place where your church meets. Each member belongs to one."</p>
        })}
    };
    Ok(Reply::room("Branches", Door::Branches, body))
}

fn nothing(query: &Query) -> AnyView {
    if query.search.trim().is_empty() {
        view! {
            <div class="card empty">
                {icon::arch()}
                <h2>"Nothing is archived"</h2>
                <p>"A branch you archive leaves the lists and waits here until you bring it back."</p>
                <a class="btn" href="/branches">"Show open branches"</a>
            </div>
        }
        .into_any()
    } else {
        view! {
            <div class="card empty">
                <h2>"No branch fits"</h2>
                <p>"Nothing was found for “"{query.search.clone()}"”."</p>
                <a class="btn" href="/branches">"Clear the search"</a>
            </div>
        }
        .into_any()
    }
}

fn table(items: Vec<Branch>, country: &str) -> AnyView {
    let rows = items.into_iter().map(|branch| row(branch, country)).collect_view();
    view! {
        <div class="card">
            <table class="list" role="table">
                <caption class="vh">"Branches, the main one first, then by name"</caption>
                <thead role="rowgroup">
                    <tr role="row">
                        <th role="columnheader" scope="col">"Name"</th>
                        <th role="columnheader" scope="col">"City"</th>
                        <th role="columnheader" scope="col" class="only-large">"Phone"</th>
                        <th role="columnheader" scope="col" class="num">"Members"</th>
                    </tr>
                </thead>
                <tbody role="rowgroup">{rows}</tbody>
            </table>
        </div>
    }
    .into_any()
}

fn row(branch: Branch, country: &str) -> impl IntoView + use<> {
    let Branch { id, details, archived_at, members, .. } = branch;
    let phone = details.phone_e164.map(|phone| places::readable(&phone, country));
    view! {
        <tr role="row" class="plain" class:archived=archived_at.is_some()>
            <td role="cell">
                <span class="name">
                    <a href=format!("/branches/{id}") title=details.name.clone()>{details.name.clone()}</a>
                    {details.is_main.then(|| view! { <span class="badge good">"Main"</span> })}
                </span>
            </td>
            <td role="cell" class="fact">{details.city.map_or_else(none, IntoAny::into_any)}</td>
            <td role="cell" class="tight only-large">{phone.map_or_else(none, IntoAny::into_any)}</td>
            <td role="cell" class="fact num">{members}<span class="only-phone">{if members == 1 { " member" } else { " members" }}</span></td>
        </tr>
    }
}
