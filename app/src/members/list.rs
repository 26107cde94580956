use crate::{
    answer::{Answer, Reply},
    forms::rules::line,
    names::{initials, listed},
    photo::avatar,
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
use tenant::{
    branches::{self, Choice},
    members::{self, Filter, Listed, PAGE, Sort},
    photos::Whose,
    statuses::{self, Status},
    tags,
};

/// The state of the list, as the address holds it.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Query {
    search: String,
    branch: String,
    status: String,
    /// The name of one.
    tag: String,
    show: String,
    /// A column, with `-` in front for the other way round.
    sort: String,
    page: String,
}

impl Query {
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

    fn is_narrow(&self) -> bool {
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

pub async fn list(visit: Visit, office: SignedIn) -> Answer {
    let query: Query = visit.query();
    let filter = query.filter();
    let viewer = office.admin.viewer();
    let found = members::list(&office.tenant, viewer, &filter).await?;
    // The page is gone, because its members are: the last one there is.
    if found.items.is_empty() && found.total.count > 0 && filter.page > 0 {
        return Ok(Reply::redirect(query.at_page(((found.total.count - 1) / PAGE) as u32)));
    }
    let branches = branches::choices(&office.tenant, viewer).await?;
    let statuses = statuses::list(&office.tenant, viewer).await?;
    let tags = tags::names(&office.tenant, viewer).await?;
    let may_edit = office.admin.editor().is_ok();
    let sentence = match (query.is_narrow(), query.archived()) {
        _ if !found.total.is_exact => format!("More than {} people found", found.total.count),
        (true, _) => count(found.total.count, "person found", "people found"),
        (false, true) => count(found.total.count, "archived person", "archived people"),
        (false, false) => format!(
            "{} in {}",
            count(found.total.count, "person", "people"),
            count(branches.len() as i64, "branch", "branches")
        ),
    };
    let shown = found.items.len();
    let nobody = shown == 0;
    let empty_church = nobody && !query.is_narrow() && !query.archived();
    let rows = match nobody {
        true => nothing(&query, may_edit),
        false => table(found.items, &query, &office.church.country),
    };
    let pages = pages(filter.page, PAGE, shown, found.total.count, |page| query.at_page(page));
    let body = view! {
        <div class="head">
            <div><h1>"Members"</h1>{(!empty_church).then(|| view! { <p>{sentence}</p> })}</div>
            {(may_edit && !empty_church).then(|| view! {
                <div class="bar"><a class="btn primary" href="/members/new">"Add a member"</a></div>
            })}
        </div>
        {(!empty_church).then(|| filters(&query, branches, statuses, tags))}
        {rows}
        {pages}
    };
    Ok(Reply::room("Members", Door::Members, body))
}

fn filters(
    query: &Query,
    branches: Vec<Choice>,
    statuses: Vec<Status>,
    tags: Vec<String>,
) -> impl IntoView + use<> {
    let option = |value: String, words: String, chosen: &str| {
        let selected = value == chosen;
        view! { <option value=value selected=selected>{words}</option> }
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
    let form = view! {
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
            <button class="btn">"Search"</button>
            {query.is_narrow().then(|| view! { <a class="btn quiet" href="/members">"Clear"</a> })}
        </form>
    };
    let form = form.into_any();
    view! { <Filters>{form}</Filters> }
}

fn nothing(query: &Query, may_edit: bool) -> AnyView {
    if query.is_narrow() {
        view! {
            <div class="card empty">
                <h2>"Nobody fits"</h2>
                <p>"No member was found with this search and these filters."</p>
                <a class="btn" href="/members">"Clear the search"</a>
            </div>
        }
        .into_any()
    } else if query.archived() {
        view! {
            <div class="card empty">
                {icon::arch()}
                <h2>"Nobody is archived"</h2>
                <p>"A member you archive leaves the lists and figures, and waits here until you bring them back."</p>
                <a class="btn" href="/members">"Show current members"</a>
            </div>
        }
        .into_any()
    } else {
        view! {
            <div class="card empty">
                {icon::arch()}
                <h2>"Nobody is here yet"</h2>
                <p>"Your members are the people of your church: those who belong, those who come, and those who came once."</p>
                {may_edit.then(|| view! { <a class="btn primary" href="/members/new">"Add the first member"</a> })}
            </div>
        }
        .into_any()
    }
}

fn table(items: Vec<Listed>, query: &Query, country: &str) -> AnyView {
    let (sort, descending) = query.sorted();
    let header = |column: Sort, words: &'static str| {
        let (aria, next) = match (sort == column, descending) {
            (true, false) => (Some("ascending"), format!("-{}", column.name())),
            (true, true) => (Some("descending"), column.name().to_owned()),
            (false, _) => (None, column.name().to_owned()),
        };
        view! { <th role="columnheader" scope="col" aria-sort=aria><a href=query.sorted_by(next)>{words}</a></th> }
    };
    let caption = format!(
        "Members, sorted by {}{}",
        sort.name(),
        if descending { ", the other way round" } else { "" }
    );
    let rows = items.into_iter().map(|member| row(member, query.archived(), country)).collect_view();
    view! {
        <div class="card">
            <table class="list" role="table">
                <caption class="vh">{caption}</caption>
                <thead role="rowgroup">
                    <tr role="row">
                        {header(Sort::Name, "Name")}
                        {header(Sort::Branch, "Branch")}
                        {header(Sort::Status, "Status")}
                        <th role="columnheader" scope="col" class="only-large">"Email"</th>
                        <th role="columnheader" scope="col">"Phone"</th>
                    </tr>
                </thead>
                <tbody role="rowgroup">{rows}</tbody>
            </table>
        </div>
    }
    .into_any()
}

fn row(member: Listed, archived: bool, country: &str) -> impl IntoView + use<> {
    let (first, last) = (member.first_name.as_deref(), member.last_name.as_deref());
    let name = listed(last, first);
    let letters = initials([first, last]);
    let email =
        member.email.map(|email| view! { <span class="clip" title=email.clone()>{email.clone()}</span> });
    let phone = member.mobile_e164.map(|phone| places::readable(&phone, country));
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
            <td role="cell" class="only-large">{email.map_or_else(none, IntoAny::into_any)}</td>
            <td role="cell" class="tight">{phone.map_or_else(none, IntoAny::into_any)}</td>
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

/// A member's status; the colour only repeats the word.
pub fn badge(kind: &str, name: String) -> impl IntoView + use<> {
    let class = match kind {
        "member" | "staff" => "badge good",
        "visitor" => "badge warn",
        _ => "badge",
    };
    view! { <span class=class title=name.clone()>{name.clone()}</span> }
}
