//! The frame, and the few components everything is made of.

pub mod behaviour;

#[cfg(feature = "hydrate")]
pub mod browser;
#[cfg(feature = "ssr")]
pub mod document;
#[cfg(feature = "ssr")]
pub mod frame;
pub mod icon;
#[cfg(feature = "ssr")]
pub mod list;
