use leptos::prelude::*;

/// Around a field that is read only: a button that copies what stands in it. Without a script the field is selected
/// by hand.
#[island]
pub fn CopyButton(children: Children) -> impl IntoView {
    let alive = RwSignal::new(false);
    let said = RwSignal::new("");
    let root = NodeRef::<leptos::html::Div>::new();
    #[cfg(feature = "hydrate")]
    Effect::new(move || alive.set(true));
    let copy = move |_| {
        #[cfg(feature = "hydrate")]
        {
            let done = root.get().is_some_and(|root| copied(&root));
            said.set(if done {
                "Copied."
            } else {
                "Your browser does not let this button copy. The token is selected: copy it by hand."
            });
        }
    };
    view! {
        <div class="grid gap-2" node_ref=root>
            <div class="flex flex-wrap gap-2.5">
                {children()}
                <button r#type="button" class="btn primary" class:invisible=move || !alive.get() on:click=copy>"Copy"</button>
            </div>
            <p class="muted min-h-6" role="status">{move || said.get()}</p>
        </div>
    }
}

/// The way that also works where the page was not reached over TLS.
#[cfg(feature = "hydrate")]
fn copied(root: &web_sys::Element) -> bool {
    use wasm_bindgen::JsCast;
    let Some(field) = root.query_selector("input").ok().flatten() else { return false };
    field.unchecked_into::<web_sys::HtmlInputElement>().select();
    document().unchecked_into::<web_sys::HtmlDocument>().exec_command("copy").unwrap_or(false)
}
