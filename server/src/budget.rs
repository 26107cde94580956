//! This process's share of the connection budget.

use crate::{installation::Installation, log_limit::warn_registry};
use registry::{
    notifications::{Notification, Subscriber},
    processes::{self, Allotment, HEARTBEAT_TIMEOUT},
};
use std::time::Duration;
use tokio::task::JoinHandle;

/// Heartbeat interval while connections above the limit are closing.
const CLOSING_INTERVAL: Duration = Duration::from_millis(50);

/// Heartbeat interval below the fair share: a killed process sends no notification.
const WAITING_INTERVAL: Duration = Duration::from_millis(200);

/// Renews the share until it is released.
pub struct ConnectionShare {
    heartbeat: Heartbeat,
    task: JoinHandle<()>,
}

#[derive(Clone)]
struct Heartbeat {
    registry: registry::Registry,
    identity: identity::Identity,
    budget: usize,
    /// Maximum connections to each server that this process can use.
    wanted: usize,
}

impl ConnectionShare {
    /// Sends the first heartbeat. The limit may be 0 until other processes have closed connections.
    pub async fn claim(
        installation: &Installation,
        budget: usize,
        wanted: usize,
    ) -> Result<Self, registry::Error> {
        let heartbeat = Heartbeat {
            registry: installation.registry.clone(),
            identity: installation.identity.clone(),
            budget,
            wanted: wanted.min(budget),
        };
        let notifications = installation.notifications.subscribe();
        heartbeat.send().await?;
        Ok(Self { task: tokio::spawn(heartbeat.clone().run(notifications)), heartbeat })
    }

    /// Frees the share. Call once nothing in this process needs a connection.
    pub async fn release(self) {
        self.task.abort();
        self.heartbeat.identity.limit_connections(0);
        if let Err(error) = processes::leave(&self.heartbeat.registry).await {
            tracing::warn!(error = %registry::chain(&error), "cannot release the connection share");
        }
    }
}

impl Heartbeat {
    async fn run(self, mut notifications: Subscriber) {
        let mut interval = HEARTBEAT_TIMEOUT / 5;
        loop {
            tokio::select! {
                () = tokio::time::sleep(interval) => {}
                () = notifications.wait_for(|notification| *notification == Notification::Processes) => {}
            }
            interval = match self.send().await {
                Ok(allotment) if allotment.is_over_limit => CLOSING_INTERVAL,
                Ok(allotment) if allotment.is_waiting => WAITING_INTERVAL,
                Ok(_) => HEARTBEAT_TIMEOUT / 5,
                Err(error) => {
                    warn_registry(&error, "cannot renew the connection share");
                    HEARTBEAT_TIMEOUT / 10
                }
            };
        }
    }

    async fn send(&self) -> Result<Allotment, registry::Error> {
        let apply_limit = |limit| {
            self.identity.lower_connections(limit);
            self.identity.connections().iter().map(|server| server.open).max().unwrap_or(0)
        };
        let allotment = processes::heartbeat(&self.registry, self.wanted, self.budget, apply_limit).await?;
        self.identity.limit_connections(allotment.limit);
        self.identity.set_processes(allotment.processes);
        Ok(allotment)
    }
}
