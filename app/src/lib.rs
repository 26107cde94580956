//! The pages of Vestry, their islands and server functions.
//!
//! A page is rendered on the server and works as it is: its forms post to its own address. In the browser only
//! *islands* are alive; they save forms by server functions, search lists while typing, and suggest.
//!
//! Invariants:
//!
//! - Compiled for the browser (feature `hydrate`) it holds islands and the browser's side of server functions. Pages,
//!   and with them `registry` and `tenant`, exist under feature `ssr` only.
//! - A page or server function reaches a church through the `CurrentUser` that it is given, and in no other way.
//! - A page and its server functions call the same function of the feature's `actions`.
//! - What leaves the server is chosen: an error says what to do, never what the database said.
//!
//! | module | holds |
//! | --- | --- |
//! | `signup` `provisioning` `sessions` `home` `members` `branches` `tags` `personal_tokens` | a feature each: its `routes`, pages, islands and `actions` |
//! | `action` `error` | results of server functions; errors, mapped once from those of the libraries |
//! | `page` `extract` `flash` `preferences` | what handlers return and extract |
//! | `forms` | inputs of a record, saving a form, saving it once |
//! | `ui` | the layout, and components that several pages share |
//! | `names` `pictures` | names and pictures of people |

pub mod action;
pub mod branches;
pub mod flash;
pub mod forms;
pub mod members;
pub mod personal_tokens;
pub mod provisioning;
pub mod sessions;
pub mod signup;
pub mod tags;
pub mod ui;

#[cfg(feature = "ssr")]
pub mod error;
#[cfg(feature = "ssr")]
pub mod extract;
#[cfg(feature = "ssr")]
pub mod home;
#[cfg(feature = "ssr")]
pub mod names;
#[cfg(feature = "ssr")]
pub mod page;
#[cfg(feature = "ssr")]
pub mod pictures;
#[cfg(feature = "ssr")]
pub mod preferences;
