//! One church's data.
//!
//! What must stay true of it:
//!
//! - A [`Tenant`] comes out of [`Pools`] only, which needs the installation's secret; nothing can
//!   deserialise or forge one. Feature code is handed a `&Tenant` and has no way to name another.
//! - Nothing is read or written without an authority of the same tenant: [`Tenant`] begins a
//!   transaction only for a [`Viewer`] or [`Editor`], and those come from a row of `admins` only.
//! - Every change writes its audit entry in the transaction of the change.
//! - Nobody writes over what they have not seen, when they say what they saw ([`Version`]).
//! - Verbs open transactions; queries take a `&mut PgConnection`.
//! - The connections to one database server are never more than its budget, over all tenants
//!   ([`Pools`]); a request holds one at a time.
//! - It never opens the registry, and does not know the `registry` crate.
//!
//! ```compile_fail
//! let forged = tenant::Tenant(todo!());
//! ```
//!
//! ```compile_fail
//! fn from_wire<T: serde::de::DeserializeOwned>() {}
//! from_wire::<tenant::Tenant>();
//! ```
//!
//! ```compile_fail
//! let forged = tenant::Editor { 0: todo!() };
//! ```

pub mod admins;
pub mod branches;
pub mod contents;
pub mod dashboard;
pub mod files;
pub mod health;
pub mod members;
pub mod office;
pub mod personal_tokens;
pub mod photos;
pub mod repeats;
pub mod schema;
pub mod statuses;
pub mod tags;

mod audit;
mod authority;
mod credentials;
mod error;
mod pools;
mod text;
mod tls;
mod version;

pub use authority::{Editor, Role, Viewer};
pub use credentials::Credentials;
pub use error::{Error, Result};
pub use pools::{Limits, Place, Pools, Repair, Tenant, Usage, role_limit};
pub use tls::{Tls, connect_options, weaker_mode};
pub use version::Version;
