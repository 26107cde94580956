//! The registry's NOTIFY events.

use crate::{Registry, Result};
use sqlx::{Acquire, postgres::PgListener};
use std::{sync::LazyLock, time::Duration};
use tokio::sync::broadcast;
use uuid::Uuid;

/// A change in the registry, made by any process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notification {
    /// A tenant was suspended, moved, renamed or otherwise changed.
    Tenant(String),
    /// A browser session has ended.
    Session(String),
    /// A token family was revoked.
    TokenFamily(Uuid),
    /// The signing key of access tokens was rotated.
    SigningKeys,
    /// An admin was disabled, or has another role.
    Admin(String, Uuid),
    /// An OIDC subject was linked to another email.
    OidcSubject,
    /// A run was queued.
    RunQueued,
    /// A run has progressed.
    RunProgress(Uuid),
    /// A process started, stopped, or changed its share of the connection budget.
    Processes,
    /// A signup took a ready database.
    ReadyTaken,
    /// The address of a database server has changed.
    ServerMoved,
    /// The listening connection was interrupted: notifications may have been missed.
    Missed,
}

/// Delay between two attempts to reconnect.
const RECONNECT_DELAY: Duration = Duration::from_millis(200);

/// Receives the registry's notifications on one connection and broadcasts them within the process.
#[derive(Clone)]
pub struct Notifications {
    sender: broadcast::Sender<Notification>,
}

impl Notifications {
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
        let notifications = Self { sender: sender.clone() };
        tokio::spawn(async move {
            loop {
                let notification = match listener.try_recv().await {
                    Ok(Some(message)) if message.channel() == OPERATOR => {
                        log_command(message.payload());
                        None
                    }
                    Ok(Some(message)) => Notification::parse(message.channel(), message.payload()),
                    // sqlx has reconnected; notifications sent in between are lost.
                    Ok(None) => Some(Notification::Missed),
                    Err(sqlx::Error::PoolClosed) => return,
                    Err(error) => {
                        tracing::warn!(error = %crate::chain(&error), "lost the connection that listens to the registry");
                        if !reconnect(&mut listener).await {
                            return;
                        }
                        Some(Notification::Missed)
                    }
                };
                if let Some(notification) = notification {
                    // Fails only without subscribers.
                    let _ = sender.send(notification);
                }
            }
        });
        Ok(notifications)
    }

    /// Returns an instance that never receives anything, for short-lived commands.
    pub fn disabled() -> Self {
        Self { sender: broadcast::channel(1).0 }
    }

    /// Subscribes to all notifications from now on. A subscriber that lags receives [`Notification::Missed`].
    pub fn subscribe(&self) -> Subscriber {
        Subscriber(self.sender.subscribe())
    }
}

/// Channel on which operator commands are announced to the logs of all processes.
const OPERATOR: &str = "operator_command";

/// Identifies this process.
static PROCESS: LazyLock<Uuid> = LazyLock::new(Uuid::new_v4);

/// Logs an operator's command in this and all other processes. `by` names the operator's account.
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

/// Reconnects before subscribers receive `Missed`: a cache refilled earlier could go stale again. Returns false when the
/// process is shutting down.
async fn reconnect(listener: &mut PgListener) -> bool {
    loop {
        tokio::time::sleep(RECONNECT_DELAY).await;
        match listener.acquire().await {
            Ok(_) => return true,
            Err(sqlx::Error::PoolClosed) => return false,
            Err(_) => {}
        }
    }
}

pub struct Subscriber(broadcast::Receiver<Notification>);

impl Subscriber {
    /// Returns the next notification; `None` when the process is shutting down.
    pub async fn next(&mut self) -> Option<Notification> {
        match self.0.recv().await {
            Ok(notification) => Some(notification),
            Err(broadcast::error::RecvError::Lagged(_)) => Some(Notification::Missed),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }

    /// Waits for a notification that matches, or for [`Notification::Missed`]. Never returns once the process is shutting
    /// down.
    pub async fn wait_for(&mut self, matches: impl Fn(&Notification) -> bool) {
        loop {
            match self.next().await {
                Some(Notification::Missed) => return,
                Some(notification) if matches(&notification) => return,
                Some(_) => {}
                None => std::future::pending().await,
            }
        }
    }
}

impl Notification {
    fn parse(channel: &str, payload: &str) -> Option<Self> {
        Some(match channel {
            "tenant_changed" => Self::Tenant(payload.to_owned()),
            "session_gone" => Self::Session(payload.to_owned()),
            "token_family_gone" => Self::TokenFamily(payload.parse().ok()?),
            "token_keys_changed" => Self::SigningKeys,
            "admin_changed" => {
                let (tenant_id, admin_id) = payload.split_once('/')?;
                Self::Admin(tenant_id.to_owned(), admin_id.parse().ok()?)
            }
            "provisioning_queued" => Self::RunQueued,
            "processes_changed" => Self::Processes,
            "ready_database_taken" => Self::ReadyTaken,
            "server_moved" => Self::ServerMoved,
            "oidc_subject_changed" => Self::OidcSubject,
            "provisioning_event" => Self::RunProgress(payload.parse().ok()?),
            _ => return None,
        })
    }
}
