//! The church's records: their fields, and the rules of each field.
//!
//! Compiled for the browser (feature `hydrate`) and for the server (feature `ssr`). Invariants:
//!
//! - A record is described once, by a [`Record`]. Forms, detail pages, the JSON API and its schema are made from that
//!   description, and a test walks it against all of them.
//! - A posted form and a JSON body pass the same parser ([`Record::parse`]).
//! - The browser runs the server's rules, except those that need a table of the server's or today's date.
//! - A field that was left alone is not validated: a stored value which no longer passes does not block another edit.
//! - It knows no database, no HTTP and no HTML.
//!
//! | module | holds |
//! | --- | --- |
//! | `members` `branches` `tags` | the description of a record each |
//! | `personal_tokens` `sessions` `signup` | forms that are not records |
//! | `record` `field` `value` | what a description is made of |
//! | `form` | a posted form, as pairs of name and value |
//! | `errors` `rules` | validation errors, and the rules that need no table |
//! | `locale` | countries, time zones, phone numbers (server only) |

#[macro_use]
mod columns;

pub mod branches;
pub mod errors;
pub mod field;
pub mod form;
#[cfg(feature = "ssr")]
pub mod locale;
pub mod members;
pub mod personal_tokens;
pub mod record;
pub mod rules;
pub mod sessions;
pub mod signup;
pub mod tags;
pub mod value;

pub use errors::{Errors, FieldError};
pub use field::{Field, Kind, Reference};
pub use form::RawForm;
pub use record::{Context, Record};
pub use value::{PartialDate, Value};
