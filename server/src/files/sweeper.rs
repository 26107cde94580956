use super::{Error, Files};
use crate::quiet::warn_registry;
use identity::{Identity, Secret};
use registry::uploads::{self, Due};
use std::time::Duration;
use tenant::files::{self, Place, key};
use tokio_util::sync::CancellationToken;

/// How often is looked for files whose time has come.
const LOOK_AROUND: Duration = Duration::from_secs(5);

/// When one that could not be looked after is tried again.
const LEASE: Duration = Duration::from_secs(300);

/// Looks after files whose time has come, for as long as the process lives: takes in what was uploaded and never asked
/// for, and deletes what nobody sent, or needs any more.
pub async fn sweep(files: Files, identity: Identity, secret: Secret, stop: CancellationToken) {
    while !stop.is_cancelled() {
        match uploads::claim(&files.registry, LEASE).await {
            Ok(Some(due)) => match look_after(&files, &identity, &secret, &due).await {
                Ok(()) => {
                    if let Err(error) = uploads::done(&files.registry, &due).await {
                        tracing::warn!(error = %registry::chain(&error), "a file that is looked after will be looked after again");
                    }
                    continue;
                }
                Err(error) => {
                    tracing::warn!(tenant = %due.tenant_id, file = %due.file_id, error = %registry::chain(&error), "a file has to wait");
                    continue;
                }
            },
            Ok(None) => {}
            Err(error) => warn_registry(&error, "no file can be looked after"),
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(LOOK_AROUND) => {}
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Identity(#[from] identity::Error),
    #[error(transparent)]
    Files(#[from] Error),
}

async fn look_after(files: &Files, identity: &Identity, secret: &Secret, due: &Due) -> Result<(), Failure> {
    let tenant = identity.open_for(secret, &due.tenant_id).await?;
    let id = due.file_id;
    let mut file = files::known(&tenant, id).await.map_err(Error::from)?;
    if let Some(promised) = file.as_ref().filter(|file| file.stored_at.is_none()) {
        match files.receive(&tenant, promised).await {
            Ok(()) => {}
            Err(Error::NotUploaded | Error::Refused { .. }) => {
                files::forget(&tenant, id).await.map_err(Error::from)?;
                file = None;
            }
            Err(error) => return Err(error.into()),
        }
    }
    // Where it was sent to, somebody may have sent it again.
    let of_no_use: &[Place] = match file {
        Some(_) => &[Place::Upload],
        None => &[Place::Upload, Place::Kept, Place::Small],
    };
    for place in of_no_use {
        files.storage.delete(&key(&tenant, id, *place)).await.map_err(Error::from)?;
    }
    Ok(())
}
