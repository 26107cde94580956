//! The data of one tenant.
//!
//! Invariants:
//!
//! - Only [`Pools`] constructs a [`Tenant`], which requires the installation's secret; it cannot be deserialised or
//!   forged. Feature code gets a `&Tenant` and cannot name another.
//! - Every read and write needs an authority of the same tenant: [`Viewer`] or [`Editor`], which are only constructed from
//!   a row of `admins`.
//! - Every change writes its audit entry in the same transaction.
//! - Optimistic locking: a change with an expected [`Version`] fails if the record was changed.
//! - Verbs open transactions; queries take a `&mut PgConnection`.
//! - The connections to a database server never exceed its budget, over all tenants ([`Pools`]). A request holds one at a
//!   time.
//! - It never opens the registry, and does not depend on the `registry` crate.
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
pub mod idempotency;
pub mod members;
pub mod personal_tokens;
pub mod pictures;
pub mod schema;
pub mod seed;
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
pub use pools::{Limits, Pools, Repair, Tenant, TenantLocation, Usage, role_limit};
pub use tls::{Tls, connect_options, weaker_mode};
pub use version::Version;
