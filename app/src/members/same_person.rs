use super::actions::SimilarMember;
use leptos::prelude::*;

/// Asks "Is this the same person?" while a new member is typed. It stands inside the form that it watches.
#[island]
pub fn SamePerson() -> impl IntoView {
    let root = NodeRef::<leptos::html::Div>::new();
    let similar = RwSignal::new(Vec::<SimilarMember>::new());
    #[cfg(feature = "hydrate")]
    Effect::new(move || {
        if let Some(root) = root.get() {
            browser::watch(&root, similar);
        }
    });
    let list = move || {
        let people = similar.get().into_iter().map(|member| {
            view! { <li><a href=format!("/members/{}", member.id)>{member.name}</a>" · "{member.details}</li> }
        });
        people.collect_view()
    };
    view! {
        <div node_ref=root role="status">
            <div class="notice warn" hidden=move || similar.with(Vec::is_empty)>
                <div><strong>"Is this the same person?"</strong><ul>{list}</ul></div>
            </div>
        </div>
    }
}

#[cfg(feature = "hydrate")]
mod browser {
    use super::SimilarMember;
    use crate::{
        members::actions::similar_members,
        ui::browser::{Debounce, form_data, listen},
    };
    use domain::RawForm;
    use leptos::{prelude::*, task::spawn_local};
    use wasm_bindgen::JsCast;
    use web_sys::{Element, HtmlFormElement, HtmlInputElement};

    /// The inputs that people are compared by.
    const WATCHED: [&str; 4] = ["first_name", "last_name", "mobile", "email"];

    pub fn watch(root: &Element, similar: RwSignal<Vec<SimilarMember>>) {
        let Ok(Some(form)) = root.closest("form") else { return };
        let form: HtmlFormElement = form.unchecked_into();
        let debounce = Debounce::milliseconds(400);
        let watched = form.clone();
        listen(&form, "input", move |event| {
            let input = event.target().and_then(|target| target.dyn_into::<HtmlInputElement>().ok());
            if !input.is_some_and(|input| WATCHED.contains(&input.name().as_str())) {
                return;
            }
            let form = watched.clone();
            debounce.call(move || ask(form, similar));
        });
    }

    fn ask(form: HtmlFormElement, similar: RwSignal<Vec<SimilarMember>>) {
        let typed = identity_of(&form);
        spawn_local(async move {
            let Ok(found) = similar_members(typed.clone()).await else { return };
            // The answer to what is typed now, or none.
            if identity_of(&form) == typed {
                similar.set(found);
            }
        });
    }

    fn identity_of(form: &HtmlFormElement) -> RawForm {
        let typed = form_data(form);
        WATCHED.iter().fold(RawForm::default(), |form, name| form.with(name, typed.get(name)))
    }
}
