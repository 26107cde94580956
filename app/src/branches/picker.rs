use crate::ui::combobox::{SuggestionList, Suggestions};
use leptos::prelude::*;

/// Around the `<select>` of many branches: a branch is found by typing a part of its name. The select stays what the
/// form posts.
#[island]
pub fn BranchPicker(name: String, children: Children) -> impl IntoView {
    let root = NodeRef::<leptos::html::Div>::new();
    let suggestions = Suggestions::default();
    let is_alive = RwSignal::new(false);
    let (input_id, list_id) = (format!("{name}-search"), format!("{name}-suggestions"));
    #[cfg(feature = "hydrate")]
    {
        let (name, input_id, list_id) = (name.clone(), input_id.clone(), list_id.clone());
        Effect::new(move || {
            is_alive.set(true);
            browser::attach(&name, &input_id, &list_id, suggestions);
        });
    }
    let choose = move |branch: String| {
        #[cfg(feature = "hydrate")]
        browser::choose(&name, &branch, suggestions);
        #[cfg(not(feature = "hydrate"))]
        let _ = (&name, &branch);
    };
    view! {
        <div class="picker" node_ref=root>
            {children()}
            <input class="input" id=input_id r#type="text" autocomplete="off" placeholder="Find a branch"
                   aria-label="Find a branch" class:hidden=move || !is_alive.get()/>
            <SuggestionList id=list_id suggestions=suggestions choose=choose/>
        </div>
    }
}

#[cfg(feature = "hydrate")]
mod browser {
    use super::Suggestions;
    use crate::{branches::actions::suggest_branches, ui::browser::by_id};
    use leptos::task::spawn_local;
    use wasm_bindgen::JsCast;
    use web_sys::{Event, EventInit, HtmlInputElement, HtmlOptionElement, HtmlSelectElement};

    pub fn attach(name: &str, input_id: &str, list_id: &str, suggestions: Suggestions) {
        let Some(input) = by_id::<HtmlInputElement>(input_id) else { return };
        let (of_choice, of_answer) = (name.to_owned(), input.clone());
        let (cleared, choose_input) = (input.clone(), of_choice);
        let typed = move |text: String| {
            let (wanted, input) = (text.trim().to_owned(), of_answer.clone());
            if wanted.is_empty() {
                suggestions.close();
                return;
            }
            spawn_local(async move {
                if let Ok(found) = suggest_branches(wanted.clone()).await
                    && input.value().trim() == wanted
                {
                    suggestions.show(found);
                }
            });
        };
        let chosen = move |branch: String| {
            choose(&choose_input, &branch, suggestions);
            cleared.set_value("");
        };
        suggestions.attach(&input, list_id, chosen, typed);
    }

    /// Selects the branch with this name.
    pub fn choose(select_id: &str, branch: &str, suggestions: Suggestions) {
        suggestions.close();
        let Some(select) = by_id::<HtmlSelectElement>(select_id) else { return };
        let options = (0..select.length()).filter_map(|n| select.item(n));
        let option = options
            .filter_map(|option| option.dyn_into::<HtmlOptionElement>().ok())
            .find(|option| option.text() == branch);
        if let Some(option) = option {
            select.set_value(&option.value());
            let bubbling = EventInit::new();
            bubbling.set_bubbles(true);
            if let Ok(event) = Event::new_with_event_init_dict("input", &bubbling) {
                let _ = select.dispatch_event(&event);
            }
        }
    }
}
