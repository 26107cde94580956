//! Pictures of members and branches.

use crate::{
    Editor, Error, Result, Tenant, Viewer,
    audit::{self, Entry},
};
use sqlx::PgConnection;
use uuid::Uuid;

/// The record that a picture belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PictureOwner {
    Member(Uuid),
    Branch(Uuid),
}

/// A resized picture in the storage.
#[derive(Clone, Copy, Debug)]
pub struct StoredPicture {
    pub id: Uuid,
    /// In bytes.
    pub size: i64,
    /// Whether it was made from an uploaded file, which has a row already.
    pub uploaded: bool,
}

/// Change of a record's picture, as part of an update of the record.
#[derive(Clone, Copy, Debug)]
pub enum PictureUpdate {
    Keep,
    /// Checks whether the record may be changed, without writing: the new picture is not resized yet.
    DryRun,
    /// Replaces or removes the picture in the update's transaction; the update returns the orphaned file.
    Set(Option<StoredPicture>),
}

/// Returns the file of the picture, if there is one.
pub async fn find(tenant: &Tenant, viewer: &Viewer, owner: PictureOwner) -> Result<Option<Uuid>> {
    query(&mut *tenant.read(viewer).await?, viewer, owner).await
}

/// Returns the file of a picture that `editor` may change. Fails early, before an upload is read.
pub async fn find_for_edit(tenant: &Tenant, editor: &Editor, owner: PictureOwner) -> Result<Option<Uuid>> {
    if let PictureOwner::Branch(_) = owner {
        editor.require_all_branches()?;
    }
    find(tenant, editor.viewer(), owner).await
}

/// Replaces or removes a picture. Returns the orphaned file, if any.
pub async fn set(
    tenant: &Tenant,
    editor: &Editor,
    owner: PictureOwner,
    picture: Option<StoredPicture>,
) -> Result<Option<Uuid>> {
    let mut tx = tenant.write(editor).await?;
    let orphan = set_in(&mut tx, editor, owner, picture).await?;
    tx.commit().await?;
    Ok(orphan)
}

/// Replaces or removes a picture within a transaction. Returns the orphaned file, if any.
pub(crate) async fn set_in(
    tx: &mut PgConnection,
    editor: &Editor,
    owner: PictureOwner,
    picture: Option<StoredPicture>,
) -> Result<Option<Uuid>> {
    let (entity, id) = match owner {
        PictureOwner::Member(id) => {
            sqlx::query!("select id from members where id = $1 for no key update", id)
                .fetch_one(&mut *tx)
                .await?;
            ("member", id)
        }
        PictureOwner::Branch(id) => {
            editor.require_all_branches()?;
            sqlx::query!("select id from branches where id = $1 for no key update", id)
                .fetch_one(&mut *tx)
                .await?;
            ("branch", id)
        }
    };
    let before = query(tx, &editor.0, owner).await?;
    let after = picture.map(|picture| picture.id);
    if before == after {
        return Ok(None);
    }
    if let Some(picture) = picture {
        write_file(tx, editor, picture).await?;
    }
    match owner {
        PictureOwner::Member(id) => {
            sqlx::query!("update members set photo_id = $2, updated_at = now() where id = $1", id, after)
                .execute(&mut *tx)
                .await?
        }
        PictureOwner::Branch(id) => {
            sqlx::query!("update branches set picture_id = $2, updated_at = now() where id = $1", id, after)
                .execute(&mut *tx)
                .await?
        }
    };
    let mut orphan = None;
    if let Some(before) = before {
        let gone = sqlx::query!(
            "delete from files
              where id = $1
                and not exists (select from members where photo_id = $1)
                and not exists (select from branches where picture_id = $1)",
            before,
        )
        .execute(&mut *tx)
        .await?;
        orphan = (gone.rows_affected() == 1).then_some(before);
    }
    let action = if after.is_some() { "picture set" } else { "picture removed" };
    audit::record(tx, Some(editor), Entry { entity, id, action }, before.as_ref(), after.as_ref()).await?;
    Ok(orphan)
}

async fn write_file(tx: &mut PgConnection, editor: &Editor, picture: StoredPicture) -> Result<()> {
    if picture.uploaded {
        // Fails if the file was removed concurrently.
        let written = sqlx::query!(
            "update files
                set name = 'picture.jpg', content_type = 'image/jpeg', size = $2, stored_at = coalesce(stored_at, now())
              where id = $1",
            picture.id,
            picture.size,
        )
        .execute(tx)
        .await?;
        return (written.rows_affected() == 1).then_some(()).ok_or(Error::NotFound);
    }
    sqlx::query!(
        "insert into files (id, name, content_type, size, uploaded_by, stored_at)
         values ($1, 'picture.jpg', 'image/jpeg', $2, $3, now())",
        picture.id,
        picture.size,
        editor.0.admin_id,
    )
    .execute(tx)
    .await?;
    Ok(())
}

async fn query(connection: &mut PgConnection, viewer: &Viewer, owner: PictureOwner) -> Result<Option<Uuid>> {
    let branches = viewer.branches.as_deref();
    let found =
        match owner {
            PictureOwner::Member(id) => sqlx::query_scalar!(
                "select photo_id from members where id = $1 and ($2::uuid[] is null or branch_id = any ($2))",
                id,
                branches,
            )
            .fetch_optional(connection)
            .await?,
            PictureOwner::Branch(id) => {
                sqlx::query_scalar!(
                    "select picture_id from branches where id = $1 and ($2::uuid[] is null or id = any ($2))",
                    id,
                    branches,
                )
                .fetch_optional(connection)
                .await?
            }
        };
    found.ok_or(Error::NotFound)
}
