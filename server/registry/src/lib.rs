//! The registry: which tenants exist, where their data is, and the work queued for them.
//!
//! One control-plane database. Invariants:
//!
//! - It holds no church data: only names of churches, placements, states, admin emails, sessions and provisioning runs.
//!   Password hashes exist only sealed, inside unfinished runs.
//! - It never opens a tenant database, and does not depend on the `tenant` crate.
//! - Triggers `notify` about every row that processes cache; [`notifications::Notifications`] delivers it.
//! - A ready database belongs to one signup or one worker at a time.
//! - The shares of live processes never exceed the connection budget.
//! - A refresh token is valid once. Only its digest is stored, and no signing key ([`tokens`]).
//! - Only the worker that holds a run's lease writes to it ([`runs::ClaimedRun`]).

pub mod admin_emails;
pub mod billing;
pub mod counts;
pub mod installation;
pub mod inventory;
pub mod notifications;
pub mod placement;
pub mod processes;
pub mod progress;
pub mod ready;
pub mod runs;
pub mod servers;
pub mod sessions;
pub mod signups;
pub mod subjects;
pub mod tenant_list;
pub mod tenants;
pub mod tokens;
pub mod uploads;

mod error_chain;
mod lease;
mod pg;
mod registry;
mod tenant_id;

pub use error_chain::{chain, sqlstate};
pub use registry::{Error, Registry, Result, SchemaState};
pub use tenant_id::{DEDICATED_SCHEMA, TenantId};
