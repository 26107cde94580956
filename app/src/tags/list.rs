use crate::{
    error::PageError,
    extract::Query,
    forms::enhanced::FormKind,
    page::{Layout, NavItem, Page},
    ui::{
        confirmation::{ConfirmButton, Confirmation},
        empty_state::EmptyState,
        islands::LiveList,
        page_header::PageHeader,
        pagination::{address, count},
        settings_nav,
        table::{Column, Table},
    },
};
use axum::Extension;
use identity::CurrentUser;
use leptos::prelude::*;
use serde::Deserialize;
use tenant::tags::{self, Tag};

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct ListQuery {
    search: String,
}

pub async fn list(
    Extension(user): Extension<CurrentUser>,
    Query(query): Query<ListQuery>,
) -> Result<Page, PageError> {
    let is_search = !query.search.trim().is_empty();
    let tags = tags::list(&user.tenant, user.admin.viewer(), &query.search).await?;
    let may_edit = user.admin.editor_of_all_branches().is_ok();
    let may_tag = user.admin.editor().is_ok();
    let has_none = tags.is_empty() && !is_search;
    let summary = match is_search {
        true => count(tags.len() as i64, "tag found", "tags found"),
        false => count(tags.len() as i64, "tag", "tags"),
    };
    let results = match tags.is_empty() {
        true => empty_state(is_search, may_tag),
        false => table(tags, may_edit),
    };
    let subtitle = (!has_none).then(|| view! { <span data-count="">{summary.clone()}</span> }.into_any());
    let search = (!has_none).then(|| {
        view! {
            <form class="bar" role="search" autocomplete="off" aria-label="Tags" method="get" action="/settings/tags">
                <input class="input search" r#type="search" name="search" aria-label="Search tags" placeholder="Name of a tag"
                       value=query.search.clone() maxlength="200"/>
                <button class="btn search-button">"Search"</button>
            </form>
        }
    });
    let list = view! {
        <PageHeader title="Tags" subtitle=subtitle.unwrap_or_else(|| ().into_any())
                    actions=settings_nav("/settings/tags").into_any()/>
        {search}
        <div class="contents" data-results=summary>{results}</div>
        {(!has_none && may_tag).then(|| view! { <p class="muted">"To add a tag, type it when you edit a person."</p> })}
    }
    .into_any();
    let body = view! { <LiveList>{list}</LiveList> };
    Ok(Page::new("Tags", Layout::App(NavItem::Settings), body))
}

fn empty_state(is_search: bool, may_tag: bool) -> AnyView {
    if is_search {
        let text = "Try a different search.".into_any();
        return view! { <EmptyState title="No tags found" text=text action=("/settings/tags", "Clear the search")/> }
            .into_any();
    }
    let text = match may_tag {
        true => "A tag groups people: Choir, Ushers, Needs a lift. To add one, type it when you edit a person.",
        false => "A tag groups people: Choir, Ushers, Needs a lift.",
    };
    view! { <EmptyState title="No tags yet" text=text.into_any() action=("/members", "Go to members") is_first=true/> }.into_any()
}

fn table(tags: Vec<Tag>, may_edit: bool) -> AnyView {
    let mut columns = vec![Column::new("Name"), Column::new("People").class("num")];
    columns.extend(may_edit.then(|| Column::hidden("Actions")));
    let rows = tags.into_iter().map(|tag| row(tag, may_edit)).collect_view();
    view! { <Table caption="Tags, sorted by name" columns=columns rows=rows.into_any()/> }.into_any()
}

fn row(tag: Tag, may_edit: bool) -> impl IntoView + use<> {
    let name = tag.name.clone();
    let all = address("/members", &[("tag", name.clone())]);
    let people = count(tag.members, "person", "people");
    view! {
        <tr role="row" class="plain">
            <td role="cell"><span class="name"><span class="line-clamp-2 min-w-0" title=name.clone()>{name.clone()}</span></span></td>
            <td role="cell" class="fact num"><a href=all>{people}<span class="vh">" with "{name}</span></a></td>
            {may_edit.then(|| actions(&tag))}
        </tr>
    }
}

fn actions(tag: &Tag) -> impl IntoView + use<> {
    let (id, name) = (tag.id, tag.name.clone());
    let confirmation = delete_confirmation(tag);
    view! {
        <td role="cell" class="fact action">
            <a class="btn quiet small" href=format!("/settings/tags/{id}/edit")>"Rename"<span class="vh">" "{name.clone()}</span></a>
            <ConfirmButton confirmation=confirmation class="btn quiet small">"Delete"<span class="vh">" "{name}</span></ConfirmButton>
        </td>
    }
}

pub fn delete_confirmation(tag: &Tag) -> Confirmation {
    let id = tag.id;
    let people = match tag.members {
        0 => "Nobody has it now.".to_owned(),
        n => format!("It is taken from {}.", count(n, "person", "people")),
    };
    Confirmation {
        id: format!("delete-{id}"),
        title: format!("Delete {}?", tag.name),
        text: format!("{people} Nothing else about them changes. This cannot be undone."),
        path: format!("/settings/tags/{id}/delete"),
        action: FormKind::DeleteTag(id),
        confirm: "Delete",
        cancel: "Cancel",
        cancel_path: "/settings/tags".into(),
    }
}
