//! Branches: the places where the church meets.

pub mod actions;
pub mod picker;

#[cfg(feature = "ssr")]
mod archive;
#[cfg(feature = "ssr")]
mod detail;
#[cfg(feature = "ssr")]
mod edit;
#[cfg(feature = "ssr")]
mod list;

#[cfg(feature = "ssr")]
pub fn routes<S: Clone + Send + Sync + 'static>() -> axum::Router<S> {
    use axum::routing::get;
    axum::Router::new()
        .route("/branches", get(list::list))
        .route("/branches/new", get(edit::new).post(edit::create))
        .route("/branches/{id}", get(detail::detail))
        .route("/branches/{id}/edit", get(edit::edit).post(edit::update))
        .route("/branches/{id}/archive", get(archive::confirm).post(archive::archive))
        .route("/branches/{id}/restore", get(archive::back).post(archive::restore))
}
