//! Vestry from outside: over HTTP, against a real PostgreSQL, with two real churches where isolation is
//! in question, and a look at the rows. A file for each feature.

// Stripe's objects are long.
#![recursion_limit = "256"]

mod harness;

#[path = "../../benches/chaos/main.rs"]
mod chaos;

mod api;
mod billing;
mod branches;
mod faults;
mod files;
#[macro_use]
mod isolation;
mod leases;
mod logs;
mod members;
mod metrics;
mod network;
mod oidc;
mod outages;
mod pools;
mod provisioning;
mod ready;
mod servers;
mod sessions;
mod signup;
mod source;
mod start;
mod tags;
mod tenants;
mod tokens;
mod uploads;
