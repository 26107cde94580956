//! The layout of pages, and the components that they are made of.

#[cfg(feature = "hydrate")]
pub mod browser;
pub mod combobox;
pub mod icon;
pub mod islands;

#[cfg(feature = "ssr")]
pub mod confirmation;
#[cfg(feature = "ssr")]
pub mod empty_state;
#[cfg(feature = "ssr")]
pub mod facts;
#[cfg(feature = "ssr")]
pub mod field;
#[cfg(feature = "ssr")]
mod frame;
#[cfg(feature = "ssr")]
pub mod layout;
#[cfg(feature = "ssr")]
pub mod locale;
#[cfg(feature = "ssr")]
pub mod page_header;
#[cfg(feature = "ssr")]
pub mod pagination;
#[cfg(feature = "ssr")]
pub mod table;

#[cfg(feature = "ssr")]
pub use frame::settings_nav;
