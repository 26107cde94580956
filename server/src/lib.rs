//! The server: configuration, router, provisioning and the worker that carries it out.
//!
//! | module | knows |
//! | --- | --- |
//! | `config` | what can be set, and its defaults |
//! | `env_file` | settings from `.env` |
//! | `settings` | how settings are read: a blank one is unset |
//! | `sensitive` | a setting that must not be printed |
//! | `installation` | the registry, the secret and the embedded PostgreSQL, opened together |
//! | `provisioning` | how a tenant is made, step by step |
//! | `billing` | how an open church becomes a customer of Stripe |
//! | `connections` | how many clients may connect, and how long each may take |
//! | `address` | whom a request comes from, through proxies |
//! | `guard` | what is refused before anything is looked up |
//! | `router` | routes and middleware |
//! | `state` | `AppState`, the state of the router |
//! | `pages` | how a page of the app is rendered for the person who asks |
//! | `api` | the JSON API: tokens, problems, OpenAPI |
//! | `events`, `streams` | progress as server-sent events; limits on open streams |
//! | `assets` | the files the browser needs, carried inside the binary |
//! | `files` | what churches keep outside of their databases, and pictures made of it |
//! | `body` | what clients send, read within limits |
//! | `storage` | where that lies: object storage, or the data directory |
//! | `budget` | this process's part of the connections |
//! | `operator` | how the operator's program is known |
//! | `doctor` | whether the registry and the database servers fit together |
//! | `commands` | what an operator does from the command line |
//! | `health`, `metrics` | how it does: for balancers, for Prometheus |
//! | `log`, `http_log` | how the log is written; a line and a measurement for each request |
//! | `lease` | work that is done only while its lease is held |
//! | `serve` | starting and stopping all of it |

pub mod address;
pub mod billing;
pub mod commands;
pub mod config;
pub mod doctor;
pub mod env_file;
pub mod files;
pub mod installation;
pub mod log;
pub mod provisioning;
pub mod sensitive;
pub mod serve;
pub mod settings;
pub mod storage;

mod api;
mod assets;
mod body;
mod budget;
mod connections;
mod error;
mod etag;
mod events;
mod guard;
mod health;
mod http_log;
mod lease;
mod metrics;
mod operator;
mod pages;
mod quiet;
mod router;
mod state;
mod streams;

pub use error::Error;
