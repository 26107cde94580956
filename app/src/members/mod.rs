//! Members: the people of the church.

pub mod actions;
pub mod same_person;

#[cfg(feature = "ssr")]
mod archive;
#[cfg(feature = "ssr")]
mod detail;
#[cfg(feature = "ssr")]
mod edit;
#[cfg(feature = "ssr")]
mod list;

#[cfg(feature = "ssr")]
pub use server::{badge, routes};

#[cfg(feature = "ssr")]
mod server {
    use super::{archive, detail, edit, list};
    use axum::{Router, routing::get};
    use leptos::prelude::*;

    pub fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
        Router::new()
            .route("/members", get(list::list))
            .route("/members/new", get(edit::new).post(edit::create))
            .route("/members/{id}", get(detail::detail))
            .route("/members/{id}/edit", get(edit::edit).post(edit::update))
            .route("/members/{id}/archive", get(archive::confirm).post(archive::archive))
            .route("/members/{id}/restore", get(archive::back).post(archive::restore))
    }

    /// A member's status. The colour only repeats the word.
    pub fn badge(kind: &str, name: String) -> impl IntoView + use<> {
        let class = match kind {
            "member" | "staff" => "badge good",
            "visitor" => "badge warn",
            _ => "badge",
        };
        view! { <span class=class title=name.clone()>{name.clone()}</span> }
    }
}
