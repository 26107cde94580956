//! The registry: which churches exist, where each lives, and what is being done for them.
//!
//! It is one control-plane database. What must stay true of it:
//!
//! - It holds no church data: names of churches, places, states, the email index, sessions and
//!   provisioning runs. No password hash, except sealed inside a run that is not finished.
//! - It never opens a tenant database, and does not know the `tenant` crate.
//! - Whoever changes a row that others keep in memory tells them: triggers `notify`, and every
//!   process hears it through [`changes::Changes`].
//! - A database that stands ready belongs to one signup, one maker or one remover at a time.
//! - The parts of the connection budget that live processes hold never add up to more than it.
//! - A refresh token is used once; only its digest is kept, and no key that signs ([`tokens`]).
//! - A run is written to only by the worker that holds its lease ([`runs::Claimed`]).

pub mod billing;
pub mod changes;
pub mod counts;
pub mod installation;
pub mod inventory;
pub mod processes;
pub mod ready;
pub mod runs;
pub mod servers;
pub mod sessions;
pub mod signups;
pub mod subjects;
pub mod tenants;
pub mod tokens;
pub mod uploads;

mod chain;
mod registry;

pub use chain::{chain, sqlstate};
pub use registry::{Error, Registry, Result, SchemaState};
pub use tenants::TenantId;
