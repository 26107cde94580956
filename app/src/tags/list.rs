use crate::{
    answer::{Answer, Reply},
    branches::edit::editor_of_all,
    ui::{
        behaviour::Confirm,
        frame::{Door, settings},
        icon,
        list::{address, count},
    },
    visit::{SignedIn, Visit},
};
use leptos::prelude::*;
use tenant::tags::{self, Tag};

pub async fn list(_visit: Visit, office: SignedIn) -> Answer {
    let tags = tags::list(&office.tenant, office.admin.viewer()).await?;
    let may_edit = editor_of_all(&office).is_ok();
    let may_tag = office.admin.editor().is_ok();
    let none = tags.is_empty();
    let sentence = count(
        tags.len() as i64,
        "tag for what members have in common",
        "tags for what members have in common",
    );
    let tags = if none { nothing(may_tag) } else { table(tags, may_edit) };
    let body = view! {
        <div class="head">
            <div><h1>"Tags"</h1>{(!none).then(|| view! { <p>{sentence}</p> })}</div>
            {settings("/settings/tags")}
        </div>
        {tags}
        {(!none && may_tag).then(|| view! { <p class="muted">"A new tag is made by writing it down at a member."</p> })}
    };
    Ok(Reply::room("Tags", Door::Settings, body))
}

fn nothing(may_tag: bool) -> AnyView {
    view! {
        <div class="card empty">
            {icon::arch()}
            <h2>"There are no tags yet"</h2>
            <p>"A tag is a word for what members have in common: Choir, Ushers, Needs a lift."
                {may_tag.then_some(" Write it down at a member, and it is here.")}</p>
            <a class="btn primary" href="/members">"Go to the members"</a>
        </div>
    }
    .into_any()
}

fn table(tags: Vec<Tag>, may_edit: bool) -> AnyView {
    let rows = tags.into_iter().map(|tag| row(tag, may_edit)).collect_view();
    view! {
        <div class="card">
            <table class="list" role="table">
                <caption class="vh">"Tags, sorted by name"</caption>
                <thead role="rowgroup">
                    <tr role="row">
                        <th role="columnheader" scope="col">"Name"</th>
                        <th role="columnheader" scope="col" class="num">"Members"</th>
                        {may_edit.then(|| view! { <th role="columnheader" scope="col"><span class="vh">"Change"</span></th> })}
                    </tr>
                </thead>
                <tbody role="rowgroup">{rows}</tbody>
            </table>
        </div>
    }
    .into_any()
}

fn row(tag: Tag, may_edit: bool) -> impl IntoView + use<> {
    let name = tag.name.clone();
    let all = address("/members", &[("tag", name.clone())]);
    let members = count(tag.members, "member", "members");
    view! {
        <tr role="row" class="plain">
            <td role="cell"><span class="name"><span class="line-clamp-2 min-w-0" title=name.clone()>{name.clone()}</span></span></td>
            <td role="cell" class="fact num"><a href=all>{members}<span class="vh">" with "{name}</span></a></td>
            {may_edit.then(|| actions(&tag))}
        </tr>
    }
}

fn actions(tag: &Tag) -> impl IntoView + use<> {
    let (id, name) = (tag.id, tag.name.clone());
    let question = question(tag, true).into_any();
    let remove = view! {
        <a class="btn quiet danger small" href=format!("/settings/tags/{id}/remove")>"Remove"<span class="vh">" "{name.clone()}</span></a>
        <dialog class="confirm" aria-labelledby=format!("remove-{id}")>{question}</dialog>
    }
    .into_any();
    view! {
        <td role="cell" class="fact action">
            <a class="btn quiet small" href=format!("/settings/tags/{id}/edit")>"Rename"<span class="vh">" "{name}</span></a>
            <Confirm>{remove}</Confirm>
        </td>
    }
}

/// What is asked before a tag is removed, in a dialog or on a page of its own.
pub fn question(tag: &Tag, dialog: bool) -> impl IntoView + use<> {
    let id = tag.id;
    let heading = format!("Remove {}?", tag.name);
    let heading = match dialog {
        true => view! { <h2 id=format!("remove-{id}")>{heading}</h2> }.into_any(),
        false => view! { <h1>{heading}</h1> }.into_any(),
    };
    let loses = match tag.members {
        0 => "No current member bears it.".to_owned(),
        1 => "One member loses it.".to_owned(),
        members => format!("{members} members lose it."),
    };
    view! {
        {heading}
        <p>{loses}" Nothing else of theirs changes. This cannot be undone."</p>
        <form method="post" action=format!("/settings/tags/{id}/remove") class="actions">
            <a class="btn quiet" href="/settings/tags" data-keep="">"Keep it"</a>
            <button class="btn danger primary">"Remove"</button>
        </form>
    }
}
