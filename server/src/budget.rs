//! This process's part of the connection budget.

use crate::{installation::Installation, quiet::warn_registry};
use registry::{
    changes::{Change, Subscription},
    processes::{self, PRESUMED_DEAD, Part},
};
use std::time::Duration;
use tokio::task::JoinHandle;

/// How often is looked again while connections are closing.
const CLOSING: Duration = Duration::from_millis(50);

/// How often is looked again while this process has less than its share: nobody announces that a process was killed.
const WAITING: Duration = Duration::from_millis(200);

/// Agrees with the other processes of the installation, until it leaves.
pub struct Share {
    party: Party,
    keeping: JoinHandle<()>,
}

#[derive(Clone)]
struct Party {
    registry: registry::Registry,
    identity: identity::Identity,
    budget: usize,
    /// How many connections to each server this process has use for.
    wanted: usize,
}

impl Share {
    /// Asks for connections for the first time. There may be none until others have made room.
    pub async fn claim(
        installation: &Installation,
        budget: usize,
        wanted: usize,
    ) -> Result<Self, registry::Error> {
        let party = Party {
            registry: installation.registry.clone(),
            identity: installation.identity.clone(),
            budget,
            wanted: wanted.min(budget),
        };
        let changes = installation.changes.subscribe();
        party.beat().await?;
        Ok(Self { keeping: tokio::spawn(party.clone().keep(changes)), party })
    }

    /// Gives the part back, once nothing here needs a connection any more.
    pub async fn leave(self) {
        self.keeping.abort();
        self.party.identity.limit_connections(0);
        if let Err(error) = processes::leave(&self.party.registry).await {
            tracing::warn!(error = %registry::chain(&error), "the part of the connection budget could not be given back");
        }
    }
}

impl Party {
    async fn keep(self, mut changes: Subscription) {
        let mut pause = PRESUMED_DEAD / 5;
        loop {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = heard(&mut changes) => {}
            }
            pause = match self.beat().await {
                Ok(part) if part.too_much => CLOSING,
                Ok(part) if part.waits => WAITING,
                Ok(_) => PRESUMED_DEAD / 5,
                Err(error) => {
                    warn_registry(&error, "the connection budget could not be agreed on");
                    PRESUMED_DEAD / 10
                }
            };
        }
    }

    async fn beat(&self) -> Result<Part, registry::Error> {
        let keep_to = |limit| {
            self.identity.lower_connections(limit);
            self.identity.connections().iter().map(|server| server.open).max().unwrap_or(0)
        };
        let part = processes::beat(&self.registry, self.wanted, self.budget, keep_to).await?;
        self.identity.limit_connections(part.limit);
        self.identity.set_processes(part.processes);
        Ok(part)
    }
}

async fn heard(changes: &mut Subscription) {
    loop {
        match changes.next().await {
            Some(Change::Processes | Change::Unheard) => return,
            Some(_) => {}
            None => std::future::pending().await,
        }
    }
}
