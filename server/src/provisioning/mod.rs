//! How a tenant is made: a worker claims a run and takes its steps, each of them safe to repeat.

mod databases;
mod failure;
mod servers;
mod steps;
mod stock;
mod template;
mod upgrade;
mod worker;

pub use databases::installation_mark;
pub use servers::Servers;
pub use steps::Tools;
pub use template::Template;
pub use upgrade::{upgrade, vacancy};
pub use worker::Worker;
