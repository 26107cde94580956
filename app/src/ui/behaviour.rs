//! Islands that improve plain HTML in small ways.

use leptos::prelude::*;

/// Around a `<details class="menu">`: closes it with Escape, or with a press somewhere else.
#[island]
pub fn Menu(children: Children) -> impl IntoView {
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

/// Around a link and a `<dialog>`: the link, which leads to a page that asks the same question,
/// opens the dialog instead.
#[island]
pub fn Confirm(children: Children) -> impl IntoView {
    let root = NodeRef::<leptos::html::Div>::new();
    #[cfg(feature = "hydrate")]
    Effect::new(move || {
        use super::browser::listen;
        use wasm_bindgen::JsCast;
        let Some(root) = root.get() else { return };
        let find = |selector| root.query_selector(selector).ok().flatten();
        let (Some(link), Some(dialog)) = (find("a"), find("dialog")) else { return };
        let dialog: web_sys::HtmlDialogElement = dialog.unchecked_into();
        let keep = dialog.query_selector("[data-keep]").ok().flatten();
        let opened = dialog.clone();
        listen(&link, "click", move |event| {
            event.prevent_default();
            let _ = opened.show_modal();
        });
        if let Some(keep) = keep {
            listen(&keep, "click", move |event| {
                event.prevent_default();
                dialog.close();
            });
        }
    });
    view! { <div class="contents" node_ref=root>{children()}</div> }
}

/// Around a form of filters: choosing from a list sends it.
#[island]
pub fn Filters(children: Children) -> impl IntoView {
    let root = NodeRef::<leptos::html::Div>::new();
    #[cfg(feature = "hydrate")]
    Effect::new(move || {
        use super::browser::listen;
        use wasm_bindgen::JsCast;
        let Some(root) = root.get() else { return };
        listen(&root, "change", |event| {
            let select =
                event.target().and_then(|target| target.dyn_into::<web_sys::HtmlSelectElement>().ok());
            if let Some(form) = select.and_then(|select| select.form()) {
                let _ = form.request_submit();
            }
        });
    });
    view! { <div class="contents" node_ref=root>{children()}</div> }
}
