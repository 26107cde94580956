//! Provisioning of tenants: a worker claims a run and executes its steps, all of which are idempotent.

mod checks;
mod databases;
mod hardening;
mod provisioner;
mod ready;
mod repair;
mod servers;
mod step_error;
mod steps;
mod template;
mod undo;
mod upgrade;
mod worker;

pub use checks::RESERVED_CONNECTIONS;
pub use hardening::{hardening_script, hardening_sql};
pub use provisioner::Provisioner;
pub use repair::RoleRepair;
pub use servers::{Servers, installation_mark};
pub use template::Template;
pub use upgrade::{upgrade, vacancy};
pub use worker::Worker;
