//! Cleanup of files: verifies forgotten uploads, deletes orphans and the files of removed tenants.

use super::{Error, Files, expires_at};
use crate::log_limit::warn_registry;
use chrono::Utc;
use registry::uploads::{self, ClaimedUpload};
use std::time::Duration;
use tenant::files::{self, File, ObjectKind};
use tokio_util::sync::CancellationToken;

/// Poll interval.
const POLL_INTERVAL: Duration = Duration::from_secs(5);

/// Duration of a claim, and the delay before a retry.
const LEASE: Duration = Duration::from_secs(300);

/// Delay before a suspended tenant's file is examined again.
const SUSPENDED_DELAY: Duration = Duration::from_secs(3600);

/// Delay before a removed tenant's files are deleted again: uploads that were running have ended by then.
const SECOND_DELETION_DELAY: Duration = Duration::from_secs(3600);

/// Cleans up due files until `stop`.
pub async fn sweep(files: Files, stop: CancellationToken) {
    while !stop.is_cancelled() {
        // Alternates, so that neither queue starves the other.
        let (cleaned, removed) = (clean_up_next(&files).await, delete_next_removed(&files).await);
        if cleaned || removed {
            continue;
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(POLL_INTERVAL) => {}
        }
    }
}

/// Cleans up one due file; returns false if there is none.
async fn clean_up_next(files: &Files) -> bool {
    let upload = match uploads::claim(&files.registry, LEASE).await {
        Ok(Some(upload)) => upload,
        Ok(None) => return false,
        Err(error) => {
            warn_registry(&error, "cannot claim files for cleanup");
            return false;
        }
    };
    let done = match clean_up(files, &upload).await {
        Ok(()) => uploads::done(&files.registry, &upload).await.map_err(|error| Error::from(error).into()),
        Err(error) => Err(error),
    };
    if let Err(error) = done {
        let error: SweepError = error;
        tracing::warn!(tenant = %upload.tenant_id, file = %upload.file_id, error = %registry::chain(&error), "file cleanup failed; it will be retried");
    }
    true
}

/// Deletes the files of one removed tenant; returns false if there is none.
async fn delete_next_removed(files: &Files) -> bool {
    let removed = match uploads::claim_removed(&files.registry, LEASE).await {
        Ok(Some(removed)) => removed,
        Ok(None) => return false,
        Err(error) => {
            warn_registry(&error, "cannot claim removed tenants");
            return false;
        }
    };
    let deleted = files.storage.delete_all(removed.tenant_id.as_str()).await;
    let done = match deleted {
        Ok(()) => uploads::finish_removed(&files.registry, &removed, SECOND_DELETION_DELAY)
            .await
            .map_err(Error::from),
        Err(error) => Err(error.into()),
    };
    if let Err(error) = done {
        tracing::warn!(tenant = %removed.tenant_id, error = %registry::chain(&error), "deletion of a removed tenant's files failed; it will be retried");
    }
    true
}

#[derive(Debug, thiserror::Error)]
enum SweepError {
    #[error(transparent)]
    Identity(#[from] identity::Error),
    #[error(transparent)]
    Files(#[from] Error),
}

impl From<tenant::Error> for SweepError {
    fn from(error: tenant::Error) -> Self {
        Error::from(error).into()
    }
}

async fn clean_up(files: &Files, upload: &ClaimedUpload) -> Result<(), SweepError> {
    let tenant = match files.open(&upload.tenant_id).await {
        // A suspended tenant's data stays untouched.
        Err(identity::Error::Suspended { .. }) => {
            let scheduled = uploads::schedule(
                &files.registry,
                upload.tenant_id.as_str(),
                upload.file_id,
                SUSPENDED_DELAY,
            )
            .await;
            return Ok(scheduled.map_err(Error::from)?);
        }
        opened => opened?,
    };
    let id = upload.file_id;
    let mut file = files::find_unscoped(&tenant, id).await?;
    if let Some(promised) = file.as_ref().filter(|file| file.stored_at.is_none()) {
        match files.check(&tenant, promised).await {
            Ok(()) => {}
            Err(Error::NotUploaded | Error::Refused { .. }) => {
                files::delete_pending(&tenant, id).await?;
                file = None;
            }
            Err(error) => return Err(error.into()),
        }
    }
    if let Some(until) = file.as_ref().and_then(time_to_expiry) {
        if until > Duration::ZERO {
            let scheduled = uploads::schedule(&files.registry, tenant.id(), id, until).await;
            scheduled.map_err(Error::from)?;
        } else if files::delete_orphan(&tenant, id).await? {
            file = None;
        }
    }
    // The client may have uploaded it again.
    let places: &[ObjectKind] = if file.is_some() { &[ObjectKind::Upload] } else { &ObjectKind::ALL };
    Ok(files.delete(&tenant, id, places).await?)
}

/// Returns how long a file that is no picture is kept.
fn time_to_expiry(file: &File) -> Option<Duration> {
    expires_at(file).map(|end| (end - Utc::now()).to_std().unwrap_or_default())
}
