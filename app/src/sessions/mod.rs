//! Signing in, choosing among several churches, signing out.

pub mod form;
#[cfg(feature = "ssr")]
pub mod page;
