//! The `vestry` program: HTTP server, provisioning worker and command line.
//!
//! | module | contents |
//! | --- | --- |
//! | `cli` | command line, settings and `.env` |
//! | `config` | settings and their defaults |
//! | `sensitive` | setting that is never printed |
//! | `installation` | opens the registry, the secret and the embedded PostgreSQL |
//! | `serve` | startup and shutdown of the processes |
//! | `state`, `router` | `AppState`; routes and middleware |
//! | `pages` | renders the pages of `app` |
//! | `api` | JSON API: tokens, problems, OpenAPI |
//! | `files`, `storage` | files and pictures of churches; where their bytes are stored |
//! | `body` | request bodies, read within limits |
//! | `events`, `streams` | progress as server-sent events; limits on open streams |
//! | `assets` | scripts, styles and fonts, embedded in the binary |
//! | `connections` | HTTP connections: limits and deadlines |
//! | `address`, `guard`, `operator` | client address behind proxies; rejection of malformed requests; operator token |
//! | `provisioning` | creates tenants, step by step |
//! | `billing` | Stripe customers and subscriptions |
//! | `budget`, `lease` | share of the connection budget; work under a lease |
//! | `doctor` | compares the registry with the database servers |
//! | `health`, `metrics`, `sampling` | probes for load balancers; Prometheus; availability samples |
//! | `log`, `http_log`, `log_limit` | log format; request log; rate-limited warnings |

pub mod address;
pub mod billing;
pub mod cli;
pub mod config;
pub mod doctor;
pub mod files;
pub mod installation;
pub mod log;
pub mod provisioning;
pub mod sensitive;
pub mod serve;
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
mod log_limit;
mod metrics;
mod operator;
mod pages;
mod router;
mod sampling;
mod state;
mod streams;

pub use error::Error;
