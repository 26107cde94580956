//! Files and pictures of churches: the rows are the `tenant` library's, the bytes the storage's, and the registry knows
//! what somebody has to look after. Each step may be the last one before the process dies: whatever is put into the
//! storage was noted in the registry before, and the sweeper finds it.

mod kinds;
pub mod pages;
mod pictures;
mod sweeper;

pub use sweeper::sweep;

use crate::storage::{Address, Away, Storage};
use pictures::Picture;
use registry::{Registry, uploads};
use std::time::Duration;
use tenant::{
    Editor, Tenant, Viewer,
    files::{self, File, Place, Promise, key},
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

#[derive(Clone)]
pub struct Files {
    pub registry: Registry,
    pub storage: Storage,
}

/// A picture that is made, under the id of the file that it will be.
pub struct New {
    id: Uuid,
    picture: Picture,
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
}

pub type Result<T> = std::result::Result<T, Error>;

fn refused<T>(field: &'static str, message: impl Into<String>) -> Result<T> {
    Err(Error::Refused { field, message: message.into() })
}

impl Files {
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
        let Some(name) = kinds::safe_name(name) else {
            return refused("name", "Enter the name of the file.");
        };
        if !kinds::is_known(&content_type) {
            return refused(
                "contentType",
                format!("Files of this type are not taken. Use one of {}.", kinds::listed()),
            );
        }
        if size < 1 {
            return refused("size", "Say how many bytes the file has: at least 1.");
        }
        if size > LARGEST {
            return refused("size", "A file has at most 20 MB (20971520 bytes).");
        }
        uploads::note(&self.registry, tenant.id(), id, UPLOADED).await?;
        files::add(tenant, editor, id, &Promise { name, content_type, size }).await?;
        // Repeated, it stays what was promised first.
        let promise = files::find(tenant, editor.viewer(), id).await?.promise;
        Ok(self.storage.upload_address(&key(tenant, id, Place::Upload), &promise.content_type, promise.size))
    }

    /// Where to fetch a file that was uploaded.
    pub async fn fetch(&self, tenant: &Tenant, viewer: &Viewer, id: Uuid) -> Result<Address> {
        let file = files::find(tenant, viewer, id).await?;
        self.receive(tenant, &file).await?;
        let Promise { name, content_type, .. } = &file.promise;
        Ok(self.storage.download_address(&key(tenant, id, Place::Kept), name, content_type).await?)
    }

    /// Sees whether what was sent is what was promised, once. It is looked at where nobody can change it any more; what
    /// does not fit is deleted.
    async fn receive(&self, tenant: &Tenant, file: &File) -> Result<()> {
        if file.stored_at.is_some() {
            return Ok(());
        }
        let kept = key(tenant, file.id, Place::Kept);
        self.storage.rename(&key(tenant, file.id, Place::Upload), &kept).await?;
        let Some((size, beginning)) = self.storage.beginning(&kept, kinds::LOOKED_AT).await? else {
            return Err(Error::NotUploaded);
        };
        let Promise { content_type, size: promised, .. } = &file.promise;
        let wrong = match kinds::is_plausible(content_type, &beginning) {
            _ if i64::try_from(size) != Ok(*promised) => {
                Some(("size", format!("{promised} bytes were promised, and {size} came. Upload it anew.")))
            }
            false => Some(("contentType", format!("What came is no {content_type}. Upload it anew."))),
            true => None,
        };
        if let Some((field, message)) = wrong {
            self.storage.delete(&kept).await?;
            files::forget(tenant, file.id).await?;
            return refused(field, message);
        }
        Ok(files::stored(tenant, file.id).await?)
    }

    /// Makes a picture of what somebody sent, and puts it in the place of the one there is.
    pub async fn set_picture(
        &self,
        tenant: &Tenant,
        editor: &Editor,
        whose: Whose,
        sent: Vec<u8>,
    ) -> Result<()> {
        let before = photos::of(tenant, editor.viewer(), whose).await?;
        let new = New { id: Uuid::now_v7(), picture: pictures::made_of(sent).await? };
        uploads::note(&self.registry, tenant.id(), new.id, UPLOADED).await?;
        self.put_picture(tenant, before, Some(new), |made| photos::set(tenant, editor, whose, made)).await
    }

    pub async fn remove_picture(&self, tenant: &Tenant, editor: &Editor, whose: Whose) -> Result<()> {
        let before = photos::of(tenant, editor.viewer(), whose).await?;
        self.put_picture(tenant, before, None, |made| photos::set(tenant, editor, whose, made)).await
    }

    /// Makes a picture of an uploaded file; nothing is kept of it yet.
    pub async fn picture_of(&self, tenant: &Tenant, editor: &Editor, id: Uuid) -> Result<New> {
        let file = files::find(tenant, editor.viewer(), id).await?;
        self.receive(tenant, &file).await?;
        if usize::try_from(file.promise.size).is_ok_and(|size| size > LARGEST_PICTURE) {
            return refused("photo", pictures::TOO_LARGE);
        }
        let sent = self.storage.get(&key(tenant, id, Place::Kept)).await?.ok_or(Error::NotUploaded)?;
        Ok(New { id, picture: pictures::made_of(sent).await? })
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

    async fn keep(&self, tenant: &Tenant, New { id, picture }: New) -> Result<Made> {
        let size = picture.large.len() as i64;
        self.storage.put(&key(tenant, id, Place::Small), picture.small).await?;
        self.storage.put(&key(tenant, id, Place::Kept), picture.large).await?;
        Ok(Made { id, size })
    }

    /// A picture as it is shown on a page; `None` when it is not there.
    pub async fn picture(&self, tenant: &Tenant, id: Uuid, place: Place) -> Result<Option<Vec<u8>>> {
        Ok(self.storage.get(&key(tenant, id, place)).await?)
    }
}
