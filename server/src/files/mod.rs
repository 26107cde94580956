//! Files and pictures of churches: the rows are the `tenant` library's, the bytes the storage's, and the registry knows
//! what somebody has to look after. Each step may be the last one before the process dies: whatever is put into the
//! storage was noted in the registry before, and the sweeper finds it.

mod form;
mod kinds;
pub mod pages;
mod pictures;
mod slots;
mod sweeper;

pub use sweeper::sweep;

use crate::{
    config::Config,
    storage::{Address, Away, Storage},
};
use chrono::{DateTime, TimeDelta, Utc};
use form::Spooled;
use identity::{Identity, Secret};
use kinds::BadName;
use pictures::{Decoders, Picture};
use registry::{Registry, TenantId, uploads};
use slots::UploadSlots;
use std::time::Duration;
use tenant::{
    Editor, Tenant, Viewer,
    files::{self, File, Place, Promise, Quota, Usage, key},
    photos::{self, Made, Whose},
};
use uuid::Uuid;

/// The largest file and the largest picture, in bytes.
pub const LARGEST: i64 = 20 * 1024 * 1024;
pub const LARGEST_PICTURE: usize = 10 * 1024 * 1024;

/// When a promised file is looked for: an upload that began with the last moment of its address is over by then.
const UPLOADED: Duration = Duration::from_secs(3600);

/// When a file is taken away that was of use until now: whatever made it so is written down by then.
const OF_NO_USE: Duration = Duration::from_secs(600);

/// How long a file is kept that becomes nobody's picture, from when it was promised.
const UNATTACHED: TimeDelta = TimeDelta::days(1);

#[derive(Clone)]
pub struct Files {
    pub registry: Registry,
    pub storage: Storage,
    identity: Identity,
    secret: Secret,
    quota: Quota,
    slots: UploadSlots,
    decoders: Decoders,
}

/// A picture that is made, under the id of the file that it will be.
pub struct New {
    id: Uuid,
    picture: Picture,
    uploaded: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Tenant(#[from] tenant::Error),
    #[error(transparent)]
    Registry(#[from] registry::Error),
    #[error(transparent)]
    Away(#[from] Away),
    /// What is given cannot be taken; said in the user's words.
    #[error("{field}: {message}")]
    Refused { field: &'static str, message: String },
    /// Nothing was sent to the file's address yet.
    #[error("the file was not uploaded yet")]
    NotUploaded,
    /// A picture is removed where it is shown, not as a file.
    #[error("the file is the picture of a member or branch")]
    InUse,
    /// The church sends more at a time than is taken, or all churches together do.
    #[error("too many uploads or pictures at a time")]
    Busy,
    #[error("the church has used up its quota of files")]
    QuotaExceeded(Quota),
    #[error("the disk is nearly full")]
    DiskFull,
    #[error("an upload could not be written to the disk")]
    Spool(#[source] std::io::Error),
}

pub type Result<T> = std::result::Result<T, Error>;

fn refused<T>(field: &'static str, message: impl Into<String>) -> Result<T> {
    Err(Error::Refused { field, message: message.into() })
}

/// When a file ends by itself; `None` for one that is somebody's picture.
pub fn expires_at(file: &File) -> Option<DateTime<Utc>> {
    (!file.is_picture).then(|| file.created_at + UNATTACHED)
}

impl Files {
    pub fn new(
        config: &Config,
        registry: Registry,
        storage: Storage,
        identity: Identity,
        secret: Secret,
    ) -> Self {
        let quota = Quota {
            files: config.file_quota_count.into(),
            bytes: config.file_quota.as_u64().try_into().unwrap_or(i64::MAX),
        };
        let (slots, decoders) = (UploadSlots::new(), Decoders::new());
        Self { registry, storage, identity, secret, quota, slots, decoders }
    }

    /// The church that a signed address leads into: none that is suspended, or gone.
    pub(crate) async fn open(&self, id: &TenantId) -> identity::Result<Tenant> {
        self.identity.open_for(&self.secret, id).await
    }

    /// The right to send a file; `None` when there is none in time.
    pub(crate) async fn upload_slot(&self, tenant_id: &str) -> Option<slots::UploadSlot> {
        self.slots.acquire(tenant_id).await
    }

    /// How much a church may have, and has.
    pub async fn usage(&self, tenant: &Tenant, viewer: &Viewer) -> Result<(Quota, Usage)> {
        Ok((self.quota, files::usage(tenant, viewer).await?))
    }

    /// Promises a file under this id, and says where to send it.
    pub async fn begin(
        &self,
        tenant: &Tenant,
        editor: &Editor,
        id: Uuid,
        name: &str,
        content_type: &str,
        size: i64,
    ) -> Result<Address> {
        let content_type = content_type.trim().to_ascii_lowercase();
        let name = kinds::safe_name(name, &content_type);
        if name == Err(BadName::Empty) {
            return refused("name", "Enter the name of the file.");
        }
        if !kinds::is_known(&content_type) {
            return refused(
                "contentType",
                format!("Files of this type are not taken. Use one of {}.", kinds::listed()),
            );
        }
        let Ok(name) = name else {
            let fitting = kinds::endings(&content_type).join(" or .");
            return refused("name", format!("The name of a file of type {content_type} ends in .{fitting}."));
        };
        if size < 1 {
            return refused("size", "Say how many bytes the file has: at least 1.");
        }
        if size > LARGEST {
            return refused("size", "A file has at most 20 MB (20971520 bytes).");
        }
        self.need_room(size.unsigned_abs())?;
        uploads::note(&self.registry, tenant.id(), id, UPLOADED).await?;
        let promise = Promise { name, content_type, size };
        if !files::add(tenant, editor, id, &promise, &self.quota).await? {
            return Err(Error::QuotaExceeded(self.quota));
        }
        // Repeated, it stays what was promised first.
        let promise = files::find(tenant, editor.viewer(), id).await?.promise;
        Ok(self.storage.upload_address(&key(tenant, id, Place::Upload), &promise.content_type, promise.size))
    }

    fn need_room(&self, bytes: u64) -> Result<()> {
        self.storage.has_room(bytes).then_some(()).ok_or(Error::DiskFull)
    }

    /// Where to fetch a file that was uploaded.
    pub async fn fetch(&self, tenant: &Tenant, viewer: &Viewer, id: Uuid) -> Result<Address> {
        let file = files::find(tenant, viewer, id).await?;
        self.check(tenant, &file).await?;
        let Promise { name, content_type, .. } = &file.promise;
        Ok(self.storage.download_address(&key(tenant, id, Place::Kept), name, content_type).await?)
    }

    /// Sees whether what was sent is what was promised, once; several who ask at a time wait for one check. It is looked
    /// at where nobody can change it any more; what does not fit is deleted.
    async fn check(&self, tenant: &Tenant, file: &File) -> Result<()> {
        if file.stored_at.is_some() {
            return Ok(());
        }
        let Some(unchecked) = files::lock_unchecked(tenant, file.id).await? else { return Ok(()) };
        let kept = key(tenant, file.id, Place::Kept);
        self.storage.rename(&key(tenant, file.id, Place::Upload), &kept).await?;
        let Some((size, beginning)) = self.storage.beginning(&kept, kinds::LOOKED_AT).await? else {
            return Err(Error::NotUploaded);
        };
        let Promise { content_type, size: promised, .. } = &unchecked.promise;
        let wrong = match kinds::is_plausible(content_type, &beginning) {
            _ if i64::try_from(size) != Ok(*promised) => {
                Some(("size", format!("{promised} bytes were promised, and {size} came. Upload it anew.")))
            }
            false => Some(("contentType", format!("What came is no {content_type}. Upload it anew."))),
            true => None,
        };
        if let Some((field, message)) = wrong {
            // The note in the registry is still there, should this be the last thing the process does.
            unchecked.reject().await?;
            self.storage.delete(&kept).await?;
            return refused(field, message);
        }
        Ok(unchecked.accept().await?)
    }

    /// The church's files, the newest first.
    pub async fn list(
        &self,
        tenant: &Tenant,
        viewer: &Viewer,
        after: Option<Uuid>,
        limit: i64,
    ) -> Result<Vec<File>> {
        Ok(files::list(tenant, viewer, after, limit).await?)
    }

    /// Removes a file at once, and its addresses with it.
    pub async fn remove(&self, tenant: &Tenant, editor: &Editor, id: Uuid) -> Result<()> {
        files::find(tenant, editor.viewer(), id).await?;
        // Should the process die before all of it is deleted.
        uploads::note(&self.registry, tenant.id(), id, OF_NO_USE).await?;
        if !files::remove(tenant, editor, id).await? {
            return Err(Error::InUse);
        }
        if let Err(error) = self.delete(tenant, id, &Place::ALL).await {
            tracing::warn!(error = %registry::chain(&error), file = %id, "a removed file will be deleted later");
        }
        Ok(())
    }

    async fn delete(&self, tenant: &Tenant, id: Uuid, places: &[Place]) -> Result<()> {
        for place in places {
            self.storage.delete(&key(tenant, id, *place)).await?;
        }
        Ok(())
    }

    /// Makes a picture of what somebody sent, and puts it in the place of the one there is.
    async fn set_picture(&self, tenant: &Tenant, editor: &Editor, whose: Whose, sent: Spooled) -> Result<()> {
        let before = photos::of(tenant, editor.viewer(), whose).await?;
        let load = async { sent.into_bytes().await.map_err(Error::Spool) };
        let picture = self.decoders.make(tenant.id(), load).await?;
        let new = New { id: Uuid::now_v7(), picture, uploaded: false };
        uploads::note(&self.registry, tenant.id(), new.id, UPLOADED).await?;
        self.put_picture(tenant, before, Some(new), |made| photos::set(tenant, editor, whose, made)).await
    }

    /// Quota check for one more picture that replaces `before`.
    async fn need_quota(&self, tenant: &Tenant, viewer: &Viewer, before: Option<Uuid>) -> Result<()> {
        let usage = files::usage_without(tenant, viewer, before).await?;
        self.quota.has_room(usage).then_some(()).ok_or(Error::QuotaExceeded(self.quota))
    }

    async fn remove_picture(&self, tenant: &Tenant, editor: &Editor, whose: Whose) -> Result<()> {
        let before = photos::of(tenant, editor.viewer(), whose).await?;
        self.put_picture(tenant, before, None, |made| photos::set(tenant, editor, whose, made)).await
    }

    /// Makes a picture of an uploaded file; nothing is kept of it yet.
    pub async fn picture_of(&self, tenant: &Tenant, editor: &Editor, id: Uuid) -> Result<New> {
        let file = files::find(tenant, editor.viewer(), id).await?;
        let _slot = self.slots.acquire(tenant.id()).await.ok_or(Error::Busy)?;
        self.check(tenant, &file).await?;
        if usize::try_from(file.promise.size).is_ok_and(|size| size > LARGEST_PICTURE) {
            return refused("photo", pictures::TOO_LARGE);
        }
        let load = async { self.storage.get(&key(tenant, id, Place::Kept)).await?.ok_or(Error::NotUploaded) };
        let picture = self.decoders.make(tenant.id(), load).await?;
        Ok(New { id, picture, uploaded: true })
    }

    /// Puts a new picture, or none, in the place of the one there is: `set` writes down which it is, and says which
    /// file is of no use any more. An uploaded file becomes the picture: upright, small, and without what a camera
    /// writes beside it. A process that dies before `set` is done leaves the record as it was, and a file that is the
    /// picture already; the same change again finishes it.
    pub async fn put_picture<F>(
        &self,
        tenant: &Tenant,
        before: Option<Uuid>,
        new: Option<New>,
        set: impl FnOnce(Option<Made>) -> F,
    ) -> Result<()>
    where
        F: Future<Output = tenant::Result<Option<Uuid>>>,
    {
        let made = match new {
            Some(new) => Some(self.keep(tenant, new).await?),
            None => None,
        };
        if let Some(before) = before {
            uploads::note(&self.registry, tenant.id(), before, OF_NO_USE).await?;
        }
        let gone = set(made).await?;
        // Somebody else was quicker, and it is their picture that is of no use now.
        if let Some(gone) = gone.filter(|gone| Some(*gone) != before) {
            uploads::note(&self.registry, tenant.id(), gone, OF_NO_USE).await?;
        }
        Ok(())
    }

    async fn keep(&self, tenant: &Tenant, New { id, picture, uploaded }: New) -> Result<Made> {
        let size = picture.large.len() as i64;
        self.need_room((picture.large.len() + picture.small.len()) as u64)?;
        self.storage.put(&key(tenant, id, Place::Small), picture.small).await?;
        self.storage.put(&key(tenant, id, Place::Kept), picture.large).await?;
        Ok(Made { id, size, uploaded })
    }

    /// A picture as it is shown on a page; `None` when it is not there.
    pub async fn picture(&self, tenant: &Tenant, id: Uuid, place: Place) -> Result<Option<Vec<u8>>> {
        Ok(self.storage.get(&key(tenant, id, place)).await?)
    }
}
