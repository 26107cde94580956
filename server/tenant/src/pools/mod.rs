//! Connection pools of tenant databases.
//!
//! All tenants of a database server share one connection budget; the least recently used idle connections are closed
//! first. An idle tenant holds no connections.

mod budget;
mod connection;
mod entry;
mod pools;
mod tenant;

pub(crate) use connection::Transaction;
pub use entry::Repair;
pub use pools::Pools;
pub use tenant::Tenant;

use crate::Tls;
use std::time::Duration;

/// Location of a tenant's database, from the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantLocation {
    pub tenant_id: String,
    /// Host name, or the directory of a Unix socket if it begins with `/`.
    pub host: String,
    pub port: u16,
    pub database: String,
    pub schema: String,
    pub role_version: i32,
    /// TLS settings of the administrator's URL.
    pub tls: Tls,
}

/// Limits of the connection pools.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections to one database server, of all tenants.
    pub per_server: usize,
    /// Connections to one tenant's database.
    pub per_tenant: usize,
    /// How long a request waits for a connection.
    pub wait: Duration,
    /// Idle time after which a connection is closed.
    pub idle: Duration,
}

/// Usage of one server's connection budget.
#[derive(Clone, Debug)]
pub struct Usage {
    /// Host and port.
    pub server: String,
    pub limit: usize,
    /// Open, opening or closing; includes `idle`.
    pub open: usize,
    pub idle: usize,
    pub waiting: usize,
}

/// Returns the connection limit of a tenant's role. Bounds direct logins without stopping Vestry: each process, plus one
/// that replaces another, may open `per_tenant` connections.
pub fn role_limit(per_tenant: usize, processes: usize) -> i32 {
    const MIN: i32 = 20;
    i32::try_from(per_tenant.saturating_mul(processes + 1)).unwrap_or(i32::MAX).max(MIN)
}
