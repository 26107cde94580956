//! A church signs up: the church, then its owner, then the wait for its database.

pub mod islands;
#[cfg(feature = "ssr")]
mod page;

#[cfg(feature = "ssr")]
pub use page::{TOO_MANY_CHURCHES, check_owner, steps, welcome};

#[cfg(feature = "ssr")]
pub fn routes<S: Clone + Send + Sync + 'static>() -> axum::Router<S> {
    use axum::routing::get;
    axum::Router::new()
        .route("/signup", get(page::church))
        .route("/signup/you", get(page::owner).post(page::sign_up))
}
