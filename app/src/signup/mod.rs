//! A church signs up: the church, then the person, then the wait.

pub mod form;
pub mod islands;
#[cfg(feature = "ssr")]
pub mod page;
