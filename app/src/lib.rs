//! The pages of Vestry, and what of them moves.
//!
//! A page is rendered on the server and works as it is: its forms post to its own address, which
//! answers with the same page when something is wrong, or leads on. In the browser only *islands*
//! come alive (a form that checks itself, progress, a dialog): each improves what already works.
//!
//! What must stay true of it:
//!
//! - Compiled for the browser (feature `hydrate`) it holds forms with their rules, wire types and
//!   islands; pages, and with them `registry` and `tenant`, exist under feature `ssr` only.
//! - A page reaches a church through the `SignedIn` it is handed; it has no other way to a tenant.
//! - The rules a form is checked by are the same code on both sides (`forms::rules`).
//! - What leaves the server is chosen: wire types are not row types, and a [`Failure`] says what to
//!   do, never what the database said.
//!
//! | folder | holds |
//! | --- | --- |
//! | `signup` `provisioning` `sessions` `home` `members` `branches` `tags` `tokens` | a feature each: form, page, islands |
//! | `forms` | rules, errors, fields, the guard island |
//! | `ui` | the frame and the few components everything is made of |
//! | `names` | names of people, one or two of them |
//! | `photo` | the picture of a member or branch |
//! | `places` | countries, time zones, telephone numbers |
//! | `visit` `answer` | what a page is asked with, and answers |
//!
//! [`Failure`]: answer::Failure

pub mod branches;
pub mod forms;
pub mod members;
pub mod provisioning;
pub mod sessions;
pub mod signup;
pub mod tags;
pub mod tokens;
pub mod ui;

#[cfg(feature = "ssr")]
pub mod answer;
#[cfg(feature = "ssr")]
pub mod home;
#[cfg(feature = "ssr")]
pub mod names;
#[cfg(feature = "ssr")]
pub mod photo;
#[cfg(feature = "ssr")]
pub mod places;
#[cfg(feature = "ssr")]
pub mod visit;
