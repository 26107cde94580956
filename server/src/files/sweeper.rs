use super::{Error, Files, expires_at};
use crate::quiet::warn_registry;
use chrono::Utc;
use registry::uploads::{self, Due};
use std::time::Duration;
use tenant::files::{self, File, Place};
use tokio_util::sync::CancellationToken;

/// How often is looked for files whose time has come.
const LOOK_AROUND: Duration = Duration::from_secs(5);

/// When one that could not be looked after is tried again.
const LEASE: Duration = Duration::from_secs(300);

/// When a suspended church is looked at again.
const SUSPENDED: Duration = Duration::from_secs(3600);

/// A removed church's files are deleted once more after so long: an upload that was running has ended by then.
const ONCE_MORE: Duration = Duration::from_secs(3600);

/// Looks after files whose time has come, for as long as the process lives: takes in what was uploaded and never asked
/// for, and deletes what nobody sent, or needs any more, and what was of churches that are gone.
pub async fn sweep(files: Files, stop: CancellationToken) {
    while !stop.is_cancelled() {
        // Each goes on while there is work, so that neither waits for the other to have none.
        let (looked, removed) = (look_after_one(&files).await, delete_one_removed(&files).await);
        if looked || removed {
            continue;
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(LOOK_AROUND) => {}
        }
    }
}

/// Whether there was a file whose time has come.
async fn look_after_one(files: &Files) -> bool {
    let due = match uploads::claim(&files.registry, LEASE).await {
        Ok(Some(due)) => due,
        Ok(None) => return false,
        Err(error) => {
            warn_registry(&error, "no file can be looked after");
            return false;
        }
    };
    let done = match look_after(files, &due).await {
        Ok(()) => uploads::done(&files.registry, &due).await.map_err(|error| Error::from(error).into()),
        Err(error) => Err(error),
    };
    if let Err(error) = done {
        let error: Failure = error;
        tracing::warn!(tenant = %due.tenant_id, file = %due.file_id, error = %registry::chain(&error), "file cleanup failed; it will be retried");
    }
    true
}

/// Whether there was a church that is gone and has files.
async fn delete_one_removed(files: &Files) -> bool {
    let removed = match uploads::claim_removed(&files.registry, LEASE).await {
        Ok(Some(removed)) => removed,
        Ok(None) => return false,
        Err(error) => {
            warn_registry(&error, "removed churches cannot be looked up");
            return false;
        }
    };
    let deleted = files.storage.delete_all(removed.tenant_id.as_str()).await;
    let done = match deleted {
        Ok(()) => uploads::removed_done(&files.registry, &removed, ONCE_MORE).await.map_err(Error::from),
        Err(error) => Err(error.into()),
    };
    if let Err(error) = done {
        tracing::warn!(tenant = %removed.tenant_id, error = %registry::chain(&error), "files of a removed church are still there; it will be retried");
    }
    true
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Identity(#[from] identity::Error),
    #[error(transparent)]
    Files(#[from] Error),
}

impl From<tenant::Error> for Failure {
    fn from(error: tenant::Error) -> Self {
        Error::from(error).into()
    }
}

async fn look_after(files: &Files, due: &Due) -> Result<(), Failure> {
    let tenant = match files.open(&due.tenant_id).await {
        // Nothing of it is touched until it is open again.
        Err(identity::Error::Suspended { .. }) => {
            let noted = uploads::note(&files.registry, due.tenant_id.as_str(), due.file_id, SUSPENDED).await;
            return Ok(noted.map_err(Error::from)?);
        }
        opened => opened?,
    };
    let id = due.file_id;
    let mut file = files::known(&tenant, id).await?;
    if let Some(promised) = file.as_ref().filter(|file| file.stored_at.is_none()) {
        match files.check(&tenant, promised).await {
            Ok(()) => {}
            Err(Error::NotUploaded | Error::Refused { .. }) => {
                files::forget(&tenant, id).await?;
                file = None;
            }
            Err(error) => return Err(error.into()),
        }
    }
    if let Some(until) = file.as_ref().and_then(unattached_for) {
        if until > Duration::ZERO {
            let noted = uploads::note(&files.registry, tenant.id(), id, until).await;
            noted.map_err(Error::from)?;
        } else if files::expire(&tenant, id).await? {
            file = None;
        }
    }
    // Where it was sent to, somebody may have sent it again.
    let places: &[Place] = if file.is_some() { &[Place::Upload] } else { &Place::ALL };
    Ok(files.delete(&tenant, id, places).await?)
}

/// How long a file is still kept that is nobody's picture.
fn unattached_for(file: &File) -> Option<Duration> {
    expires_at(file).map(|end| (end - Utc::now()).to_std().unwrap_or_default())
}
