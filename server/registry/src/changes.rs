use crate::{Registry, Result};
use sqlx::{Acquire, postgres::PgListener};
use std::{sync::LazyLock, time::Duration};
use tokio::sync::broadcast;
use uuid::Uuid;

/// What another process, or this one, has changed in the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A tenant was suspended, moved, renamed … : whatever is kept of it is stale.
    Tenant(String),
    /// A browser session has ended.
    Session(String),
    /// A program's sign-in has ended, with all its tokens.
    TokenFamily(Uuid),
    /// Access tokens are signed with another key from now on.
    TokenKeys,
    /// An admin of a tenant was disabled, or may do other things than before.
    Admin(String, Uuid),
    /// A subject of an outside issuer is linked to another email.
    OidcSubject,
    /// A run waits for a worker.
    Queued,
    /// Something was written to a run.
    Run(Uuid),
    /// A process has come or gone, or changed its part of the connection budget.
    Processes,
    /// One of the databases that stand ready has found its church.
    ReadyTaken,
    /// A database server is reached elsewhere, or in another way, now.
    ServerMoved,
    /// The connection that listens was cut: anything may have changed meanwhile.
    Unheard,
}

/// How soon a registry that does not answer is called again.
const PAUSE: Duration = Duration::from_millis(200);

/// Hears the registry's notifications on one connection of the process, and passes them on.
#[derive(Clone)]
pub struct Changes {
    sender: broadcast::Sender<Change>,
}

impl Changes {
    pub async fn listen(registry: &Registry) -> Result<Self> {
        let mut listener = PgListener::connect_with(&registry.pool).await?;
        listener
            .listen_all([
                "tenant_changed",
                "session_gone",
                "token_family_gone",
                "token_keys_changed",
                "admin_changed",
                "provisioning_queued",
                "provisioning_event",
                "processes_changed",
                "ready_database_taken",
                "server_moved",
                OPERATOR,
                "oidc_subject_changed",
            ])
            .await?;
        let (sender, _) = broadcast::channel(1024);
        let changes = Self { sender: sender.clone() };
        tokio::spawn(async move {
            loop {
                let change = match listener.try_recv().await {
                    Ok(Some(note)) if note.channel() == OPERATOR => {
                        log_command(note.payload());
                        None
                    }
                    Ok(Some(note)) => Change::from_note(note.channel(), note.payload()),
                    // The listener has connected again by itself; what was said meanwhile is lost.
                    Ok(None) => Some(Change::Unheard),
                    Err(sqlx::Error::PoolClosed) => return,
                    Err(error) => {
                        tracing::warn!(error = %crate::chain(&error), "not listening to the registry");
                        if !listens_again(&mut listener).await {
                            return;
                        }
                        Some(Change::Unheard)
                    }
                };
                if let Some(change) = change {
                    // Nobody may be waiting just now.
                    let _ = sender.send(change);
                }
            }
        });
        Ok(changes)
    }

    /// Hears nothing: for commands, which end before anything could change.
    pub fn silent() -> Self {
        Self { sender: broadcast::channel(1).0 }
    }

    /// From now on, all changes. A subscriber that falls behind is told [`Change::Unheard`].
    pub fn subscribe(&self) -> Subscription {
        Subscription(self.sender.subscribe())
    }
}

/// What an operator's command does to a church, for the logs of all processes.
const OPERATOR: &str = "operator_command";

/// Distinguishes this process from the others.
static PROCESS: LazyLock<Uuid> = LazyLock::new(Uuid::new_v4);

/// Writes to the log, of this process and of those that serve, what an operator's command has done: `by` names who
/// gave it.
pub async fn announce_command(registry: &Registry, did: &str, tenant: &str, by: &str) -> Result<()> {
    let payload = format!("{} {tenant} {did} {by}", *PROCESS);
    tracing::info!(tenant, by, "operator command: {did}");
    sqlx::query!("select pg_notify($1, $2)", OPERATOR, payload).execute(&registry.pool).await?;
    Ok(())
}

fn log_command(payload: &str) {
    let parts: Vec<_> = payload.splitn(4, ' ').collect();
    if let [process, tenant, did, by] = parts[..]
        && process != PROCESS.to_string()
    {
        tracing::info!(tenant, by, "operator command: {did}");
    }
}

/// Tries until the registry can be heard: who was told before would believe again what changes until then.
/// False when the process is shutting down.
async fn listens_again(listener: &mut PgListener) -> bool {
    loop {
        tokio::time::sleep(PAUSE).await;
        match listener.acquire().await {
            Ok(_) => return true,
            Err(sqlx::Error::PoolClosed) => return false,
            Err(_) => {}
        }
    }
}

pub struct Subscription(broadcast::Receiver<Change>);

impl Subscription {
    /// The next change; `None` when the process is shutting down.
    pub async fn next(&mut self) -> Option<Change> {
        match self.0.recv().await {
            Ok(change) => Some(change),
            Err(broadcast::error::RecvError::Lagged(_)) => Some(Change::Unheard),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

impl Change {
    fn from_note(channel: &str, payload: &str) -> Option<Self> {
        Some(match channel {
            "tenant_changed" => Self::Tenant(payload.to_owned()),
            "session_gone" => Self::Session(payload.to_owned()),
            "token_family_gone" => Self::TokenFamily(payload.parse().ok()?),
            "token_keys_changed" => Self::TokenKeys,
            "admin_changed" => {
                let (tenant_id, admin_id) = payload.split_once('/')?;
                Self::Admin(tenant_id.to_owned(), admin_id.parse().ok()?)
            }
            "provisioning_queued" => Self::Queued,
            "processes_changed" => Self::Processes,
            "ready_database_taken" => Self::ReadyTaken,
            "server_moved" => Self::ServerMoved,
            "oidc_subject_changed" => Self::OidcSubject,
            "provisioning_event" => Self::Run(payload.parse().ok()?),
            _ => return None,
        })
    }
}
