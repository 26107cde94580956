use super::icon;
use leptos::prelude::*;

/// A list with nothing in it: why, and one thing to do.
#[component]
pub fn EmptyState(
    #[prop(into)] title: String,
    #[prop(into)] text: AnyView,
    /// Path and label of the one action.
    #[prop(optional)]
    action: Option<(&'static str, &'static str)>,
    /// The list itself is empty, not a search in it.
    #[prop(optional)]
    is_first: bool,
) -> AnyView {
    let class = if is_first { "btn primary" } else { "btn" };
    view! {
        <div class="card empty">
            {is_first.then(icon::arch)}
            <h2>{title}</h2>
            <p>{text}</p>
            {action.map(|(path, label)| view! { <a class=class href=path>{label}</a> })}
        </div>
    }
    .into_any()
}
