//! Islands that improve plain HTML: a menu, dialogs, lists that follow what is typed.

use leptos::prelude::*;

/// Around a `<details class="menu">`: closes it on Escape, and on a press outside.
#[island]
pub fn Dropdown(children: Children) -> impl IntoView {
    let root = NodeRef::<leptos::html::Div>::new();
    #[cfg(feature = "hydrate")]
    Effect::new(move || {
        use super::browser::listen;
        use wasm_bindgen::JsCast;
        let Some(root) = root.get() else { return };
        let details = root.query_selector("details").ok().flatten();
        let Some(details) = details else { return };
        let (closed_by_key, closed_by_press) = (details.clone(), details.clone());
        listen(&root, "keydown", move |event| {
            let key = event.unchecked_into::<web_sys::KeyboardEvent>().key();
            if key == "Escape" && closed_by_key.has_attribute("open") {
                let _ = closed_by_key.remove_attribute("open");
                if let Ok(Some(summary)) = closed_by_key.query_selector("summary") {
                    let _ = summary.unchecked_into::<web_sys::HtmlElement>().focus();
                }
            }
        });
        listen(&document(), "click", move |event| {
            let target = event.target().and_then(|target| target.dyn_into::<web_sys::Node>().ok());
            if !closed_by_press.contains(target.as_ref()) {
                let _ = closed_by_press.remove_attribute("open");
            }
        });
    });
    view! { <div class="contents" node_ref=root>{children()}</div> }
}

/// Around a link and a `<dialog>`: the link, which leads to a page with the same question, opens the dialog instead.
#[island]
pub fn Dialog(children: Children) -> impl IntoView {
    let root = NodeRef::<leptos::html::Div>::new();
    #[cfg(feature = "hydrate")]
    Effect::new(move || {
        use super::browser::listen;
        use wasm_bindgen::JsCast;
        let Some(root) = root.get() else { return };
        let find = |selector| root.query_selector(selector).ok().flatten();
        let (Some(link), Some(dialog)) = (find("a"), find("dialog")) else { return };
        let dialog: web_sys::HtmlDialogElement = dialog.unchecked_into();
        let close = dialog.query_selector("[data-close]").ok().flatten();
        // They look like buttons, and so Space presses them.
        for button in [Some(link.clone()), close.clone()].into_iter().flatten() {
            let _ = button.set_attribute("role", "button");
            let pressed = button.clone();
            listen(&button, "keydown", move |event| {
                if event.unchecked_ref::<web_sys::KeyboardEvent>().key() == " " {
                    event.prevent_default();
                    pressed.unchecked_ref::<web_sys::HtmlElement>().click();
                }
            });
        }
        let opened = dialog.clone();
        listen(&link, "click", move |event| {
            event.prevent_default();
            let _ = opened.show_modal();
        });
        if let Some(close) = close {
            listen(&close, "click", move |event| {
                event.prevent_default();
                dialog.close();
            });
        }
    });
    view! { <div class="contents" node_ref=root>{children()}</div> }
}

/// Around a list page: a form of filters and `[data-results]`. What is typed or chosen is searched at once: the page is
/// fetched and its results put in place; address and focus are kept, and the number found is announced.
#[island]
pub fn LiveList(children: Children) -> impl IntoView {
    let root = NodeRef::<leptos::html::Div>::new();
    let announced = RwSignal::new(String::new());
    #[cfg(feature = "hydrate")]
    Effect::new(move || {
        if let Some(root) = root.get() {
            live::follow(&root, announced);
        }
    });
    view! {
        <div class="contents" node_ref=root>{children()}</div>
        <p class="vh" role="status">{move || announced.get()}</p>
    }
}

#[cfg(feature = "hydrate")]
mod live {
    use crate::ui::browser::{Debounce, each, fetch_page, listen, query_of, replace_address};
    use leptos::{prelude::*, task::spawn_local};
    use std::{cell::Cell, rc::Rc};
    use wasm_bindgen::JsCast;
    use web_sys::{Element, HtmlFormElement};

    pub fn follow(root: &Element, announced: RwSignal<String>) {
        let Ok(Some(form)) = root.query_selector("form[role=search]") else { return };
        let form: HtmlFormElement = form.unchecked_into();
        // What is typed is searched without it.
        each(root, "form[role=search] button.search-button", |button| {
            drop(button.set_attribute("hidden", ""))
        });
        let search = Search {
            root: root.clone(),
            form: form.clone(),
            latest: Rc::default(),
            debounce: Debounce::milliseconds(200),
            announced,
        };
        let typed = search.clone();
        listen(&form, "input", move |_| typed.soon());
        let sent = search.clone();
        listen(&form, "submit", move |event| {
            event.prevent_default();
            sent.now();
        });
    }

    #[derive(Clone)]
    struct Search {
        root: Element,
        form: HtmlFormElement,
        /// Number of the last request: answers to earlier ones are dropped.
        latest: Rc<Cell<u32>>,
        debounce: Debounce,
        announced: RwSignal<String>,
    }

    impl Search {
        fn soon(&self) {
            let search = self.clone();
            self.debounce.call(move || search.now());
        }

        fn now(&self) {
            let number = self.latest.get() + 1;
            self.latest.set(number);
            let search = self.clone();
            let path = self.path();
            spawn_local(async move {
                let page = fetch_page(&path).await;
                if search.latest.get() != number {
                    return;
                }
                match page.and_then(|page| page.query_selector("[data-results]").ok().flatten()) {
                    Some(results) => search.show(&results, &path),
                    // The page itself says what is wrong.
                    None => drop(window().location().assign(&path)),
                }
            });
        }

        fn path(&self) -> String {
            let action = self.form.get_attribute("action").unwrap_or_default();
            let query: Vec<_> =
                query_of(&self.form).split('&').filter(|pair| !pair.ends_with('=')).map(str::to_owned).collect();
            match query.join("&") {
                query if query.is_empty() => action,
                query => format!("{action}?{query}"),
            }
        }

        fn show(&self, results: &Element, path: &str) {
            let Ok(Some(shown)) = self.root.query_selector("[data-results]") else { return };
            shown.set_inner_html(&results.inner_html());
            replace_address(path);
            self.announced.set(results.get_attribute("data-results").unwrap_or_default());
            // Two places say how many there are.
            each(&self.root, "[data-count]", |count| {
                count.set_text_content(results.get_attribute("data-results").as_deref());
            });
        }
    }
}
