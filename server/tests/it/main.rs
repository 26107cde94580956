//! Vestry from outside: over HTTP, against a real PostgreSQL, with two real churches where isolation is
//! in question, and a look at the rows. A file for each feature.

// Stripe's objects are long.
#![recursion_limit = "256"]

mod harness;

#[path = "../../benches/chaos/main.rs"]
mod chaos;

mod admins;
mod api;
mod billing;
mod branches;
mod caches;
mod faults;
mod files;
mod home;
mod installation;
#[macro_use]
mod isolation;
mod leases;
mod limited_admins;
mod logs;
mod members;
mod metrics;
mod names;
mod network;
mod oidc;
mod once;
mod outages;
mod pools;
mod provisioning;
mod ready;
mod restore;
mod roles;
mod search;
mod servers;
mod sessions;
mod signup;
mod source;
mod start;
mod tags;
mod tenants;
mod tls;
mod tokens;
mod upgrade;
mod uploads;
