//! Access tokens that an admin makes for programs of its own.

pub mod form;
pub mod islands;

#[cfg(feature = "ssr")]
pub mod add;
#[cfg(feature = "ssr")]
pub mod list;
#[cfg(feature = "ssr")]
pub mod revoke;
