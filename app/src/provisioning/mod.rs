//! Progress of a church's sign-up.

#[cfg(feature = "ssr")]
mod page;
pub mod progress;

#[cfg(feature = "ssr")]
pub fn routes<S: Clone + Send + Sync + 'static>() -> axum::Router<S> {
    use axum::routing::get;
    axum::Router::new()
        .route("/signup/{id}", get(page::progress).post(page::act))
        .route("/opening/{id}", get(page::moved))
}
