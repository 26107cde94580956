//! An input with suggestions below it, by keyboard and pointer.

use leptos::prelude::*;

/// State of the suggestions of an input.
#[derive(Clone, Copy)]
pub struct Suggestions {
    pub items: RwSignal<Vec<String>>,
    pub active: RwSignal<Option<usize>>,
}

impl Default for Suggestions {
    fn default() -> Self {
        Self { items: RwSignal::new(Vec::new()), active: RwSignal::new(None) }
    }
}

/// The suggestions as a listbox. `choose` gets the one that is pressed.
#[component]
pub fn SuggestionList(
    id: String,
    suggestions: Suggestions,
    choose: impl Fn(String) + Clone + Send + Sync + 'static,
) -> impl IntoView {
    let option_id = id.clone();
    let options = move || {
        let items = suggestions.items.get();
        let (choose, id) = (choose.clone(), option_id.clone());
        items
            .into_iter()
            .enumerate()
            .map(|(n, item)| {
                let (choose, chosen) = (choose.clone(), item.clone());
                let selected = move || (suggestions.active.get() == Some(n)).to_string();
                view! {
                    <li id=format!("{id}-{n}") role="option" aria-selected=selected
                        on:mousedown=move |event| event.prevent_default()
                        on:click=move |_| choose(chosen.clone())>{item}</li>
                }
            })
            .collect_view()
    };
    view! {
        <ul class="suggestions" id=id role="listbox" aria-label="Suggestions"
            hidden=move || suggestions.items.with(Vec::is_empty)>{options}</ul>
    }
}

#[cfg(feature = "hydrate")]
impl Suggestions {
    /// Makes an input a combobox: arrow keys move through the suggestions, Enter chooses, Escape closes.
    pub fn attach(
        self,
        input: &web_sys::HtmlInputElement,
        list_id: &str,
        choose: impl Fn(String) + 'static,
        typed: impl Fn(String) + 'static,
    ) {
        use super::browser::{Debounce, listen};
        use wasm_bindgen::JsCast;
        for (name, value) in [
            ("role", "combobox"),
            ("aria-autocomplete", "list"),
            ("aria-expanded", "false"),
            ("aria-controls", list_id),
        ] {
            let _ = input.set_attribute(name, value);
        }
        let (list_id, of_state) = (list_id.to_owned(), input.clone());
        Effect::new(move || {
            let is_open = !self.items.with(Vec::is_empty);
            let _ = of_state.set_attribute("aria-expanded", &is_open.to_string());
            match self.active.get() {
                Some(n) => drop(of_state.set_attribute("aria-activedescendant", &format!("{list_id}-{n}"))),
                None => drop(of_state.remove_attribute("aria-activedescendant")),
            }
        });
        let debounce = Debounce::milliseconds(150);
        let (of_input, typed) = (input.clone(), std::rc::Rc::new(typed));
        listen(input, "input", move |_| {
            let (text, typed) = (of_input.value(), typed.clone());
            debounce.call(move || typed(text));
        });
        listen(input, "blur", move |_| self.close());
        listen(input, "keydown", move |event| {
            let count = self.items.with_untracked(Vec::len);
            let active = self.active.get_untracked();
            let key = event.unchecked_ref::<web_sys::KeyboardEvent>().key();
            match (key.as_str(), active) {
                ("ArrowDown", active) if count > 0 => {
                    self.active.set(Some(active.map_or(0, |n| (n + 1) % count)));
                }
                ("ArrowUp", active) if count > 0 => {
                    self.active.set(Some(active.map_or(count - 1, |n| (n + count - 1) % count)));
                }
                ("Enter", Some(n)) => {
                    if let Some(item) = self.items.with_untracked(|items| items.get(n).cloned()) {
                        choose(item);
                    }
                    self.close();
                }
                ("Escape", _) if count > 0 => self.close(),
                _ => return,
            }
            event.prevent_default();
        });
    }

    pub fn show(self, items: Vec<String>) {
        self.active.set(None);
        self.items.set(items);
    }

    pub fn close(self) {
        self.show(Vec::new());
    }
}
