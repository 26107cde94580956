//! The wait for a church's database, watched live.

#[cfg(feature = "ssr")]
pub mod page;
pub mod watch;
