use super::{
    form::{NAME, TagForm},
    list::question,
};
use crate::{
    answer::{Answer, Flash, Reply},
    branches::edit::{changed, editor_of_all, rejected},
    forms::{
        Errors,
        fields::{Field, summary},
        guard::{Guard, Kind},
    },
    ui::{frame::Door, icon},
    visit::{SignedIn, Visit},
};
use leptos::prelude::*;
use tenant::{Version, tags};
use uuid::Uuid;

pub async fn rename(visit: Visit, office: SignedIn) -> Answer {
    let id = visit.record()?;
    let editor = editor_of_all(&office)?;
    let tag = tags::find(&office.tenant, editor.viewer(), id).await?;
    let Some(typed) = visit.submitted::<TagForm>() else {
        return Ok(form_page(id, &TagForm::of(&tag), Errors::default()));
    };
    let done = match typed.named() {
        Ok(name) => tags::rename(&office.tenant, &editor, id, &name, typed.seen()).await,
        Err(errors) => return Ok(form_page(id, &typed, errors)),
    };
    match done {
        Ok(()) => Ok(Reply::redirect("/settings/tags").saying(Flash::TagChanged)),
        Err(tenant::Error::Changed) => {
            // Sent once more, it is meant.
            let typed = TagForm { version: Version::from(tag.updated_at).to_string(), ..typed };
            Ok(form_page(id, &typed, changed("name", "tag")))
        }
        Err(error) => Ok(form_page(id, &typed, rejected(error)?)),
    }
}

/// Asks before removing, where no dialog can; what it sends removes.
pub async fn remove(visit: Visit, office: SignedIn) -> Answer {
    let id = visit.record()?;
    let editor = editor_of_all(&office)?;
    if visit.body.is_some() {
        return match tags::remove(&office.tenant, &editor, id, None).await {
            Ok(()) => Ok(Reply::redirect("/settings/tags").saying(Flash::TagRemoved)),
            // A button was pressed twice: the list shows that it is gone.
            Err(tenant::Error::NotFound) => Ok(Reply::redirect("/settings/tags")),
            Err(error) => Err(error.into()),
        };
    }
    let tag = tags::find(&office.tenant, editor.viewer(), id).await?;
    let body = view! {
        <a class="back" href="/settings/tags">{icon::back()}"Tags"</a>
        <div class="card pad grid gap-4">{question(&tag, false)}</div>
    };
    Ok(Reply::desk(&format!("Remove {}", tag.name), Door::Settings, body))
}

fn form_page(id: Uuid, typed: &TagForm, errors: Errors) -> Reply {
    let form = view! {
        <form class="stack" method="post" action=format!("/settings/tags/{id}/edit") novalidate>
            {summary(&errors)}
            <input r#type="hidden" name="version" value=typed.version.clone()/>
            {Field::new("name", "Name", &typed.name, &errors).max(NAME as u32)
                .hint("Everybody who bears the tag then bears it under this name.").input()}
            <div class="actions">
                <a class="btn quiet" href="/settings/tags">"Cancel"</a>
                <button class="btn primary">"Save"</button>
            </div>
        </form>

    }
    .into_any();
    let body = view! {
        <div class="head">
            <div>
                <a class="back" href="/settings/tags">{icon::back()}"Tags"</a>
                <h1>"Rename the tag"</h1>
            </div>
        </div>
        <Guard kind=Kind::Tag>{form}</Guard>
    };
    Reply::desk("Rename the tag", Door::Settings, body).unless_wrong(&errors)
}
