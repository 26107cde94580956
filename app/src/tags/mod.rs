//! What members have in common, in the church's own words.

pub mod form;

#[cfg(feature = "ssr")]
pub mod edit;
#[cfg(feature = "ssr")]
pub mod list;
