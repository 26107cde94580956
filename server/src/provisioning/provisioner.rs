use super::Servers;
use identity::{Identity, Secret};
use registry::Registry;

/// Dependencies of all provisioning tasks; cheap to clone.
#[derive(Clone)]
pub struct Provisioner {
    pub registry: Registry,
    pub identity: Identity,
    pub secret: Secret,
    pub servers: Servers,
    /// Number of ready databases to keep on every server.
    pub ready_databases: u32,
}
