use super::icon;
use leptos::prelude::*;

/// Heading of a page, with a link back, a line below it and the actions of the page.
#[component]
pub fn PageHeader(
    #[prop(into)] title: String,
    /// Line below the title.
    #[prop(optional, into)]
    subtitle: Option<AnyView>,
    /// Path and label of the page above this one.
    #[prop(optional)]
    back: Option<(String, String)>,
    /// Picture beside the title.
    #[prop(optional)]
    picture: Option<AnyView>,
    /// Buttons and links at the end of the line.
    #[prop(optional)]
    actions: Option<AnyView>,
) -> AnyView {
    let back = back.map(|(path, label)| view! { <a class="back" href=path>{icon::back()}{label}</a> });
    let subtitle = subtitle.map(|subtitle| view! { <p>{subtitle}</p> });
    let title = view! { <h1>{title}</h1>{subtitle} };
    let title = match picture {
        Some(picture) => view! { <div class="titled">{picture}<div>{title}</div></div> }.into_any(),
        None => title.into_any(),
    };
    view! {
        <div class="head">
            <div>{back}{title}</div>
            {actions.map(|actions| view! { <div class="bar">{actions}</div> })}
        </div>
    }
    .into_any()
}
