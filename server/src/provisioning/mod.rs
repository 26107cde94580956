//! How a tenant is made: a worker claims a run and takes its steps, each of them safe to repeat.

mod checks;
mod databases;
mod failure;
mod hardening;
mod repair;
mod servers;
mod steps;
mod stock;
mod template;
mod upgrade;
mod worker;

pub use checks::RESERVE;
pub use databases::installation_mark;
pub use hardening::{hardening_script, hardening_sql};
pub use repair::Repairs;
pub use servers::Servers;
pub use steps::Tools;
pub use template::Template;
pub use upgrade::{upgrade, vacancy};
pub use worker::Worker;
