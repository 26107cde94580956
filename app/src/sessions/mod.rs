//! Signing in, choosing among several churches, signing out.

#[cfg(feature = "ssr")]
mod page;

#[cfg(feature = "ssr")]
pub use page::sign_in_address;

#[cfg(feature = "ssr")]
pub fn routes<S: Clone + Send + Sync + 'static>() -> axum::Router<S> {
    use axum::routing::get;
    axum::Router::new()
        .route("/signin", get(page::sign_in_page).post(page::sign_in))
        .route("/choose", get(page::choices).post(page::choose))
        .route("/signout", get(page::sign_out_link).post(page::sign_out))
}
