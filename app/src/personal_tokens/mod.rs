//! Personal access tokens, which admins create for programs of their own.

pub mod actions;
pub mod islands;

#[cfg(feature = "ssr")]
mod create;
#[cfg(feature = "ssr")]
mod list;
#[cfg(feature = "ssr")]
mod revoke;

#[cfg(feature = "ssr")]
pub fn routes<S: Clone + Send + Sync + 'static>() -> axum::Router<S> {
    use axum::routing::get;
    axum::Router::new()
        .route("/settings/tokens", get(list::list))
        .route("/settings/tokens/new", get(create::new).post(create::create))
        .route("/settings/tokens/{id}/revoke", get(revoke::confirm).post(revoke::revoke))
}
