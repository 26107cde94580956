//! Tags: what people have in common, in the church's own words.

pub mod actions;
pub mod picker;

#[cfg(feature = "ssr")]
mod edit;
#[cfg(feature = "ssr")]
mod list;

#[cfg(feature = "ssr")]
pub fn routes<S: Clone + Send + Sync + 'static>() -> axum::Router<S> {
    use axum::routing::get;
    axum::Router::new()
        .route("/settings/tags", get(list::list))
        .route("/settings/tags/{id}/edit", get(edit::edit).post(edit::rename))
        .route("/settings/tags/{id}/delete", get(edit::confirm).post(edit::delete))
}
