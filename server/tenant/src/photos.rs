//! The picture of a member or of a branch.

use crate::{
    Editor, Error, Result, Tenant, Viewer,
    audit::{self, Entry},
};
use sqlx::PgConnection;
use uuid::Uuid;

/// Whose picture it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    Member(Uuid),
    Branch(Uuid),
}

/// A picture that has been made small and lies in the storage, as a file of the church.
#[derive(Clone, Copy, Debug)]
pub struct Made {
    pub id: Uuid,
    /// In bytes.
    pub size: i64,
    /// Whether it is made of a file that was uploaded before, and has its row.
    pub uploaded: bool,
}

/// What becomes of the picture of a record that is changed.
#[derive(Clone, Copy, Debug)]
pub enum Change {
    Stays,
    /// It will be another one, which is not made yet: whether the record may be changed is seen, and nothing written.
    Awaited,
    /// In the transaction of the change, and of use no more is the file that is answered.
    Becomes(Option<Made>),
}

/// The file with the picture, if there is one.
pub async fn of(tenant: &Tenant, viewer: &Viewer, whose: Whose) -> Result<Option<Uuid>> {
    find(&mut *tenant.read(viewer).await?, viewer, whose).await
}

/// The same for whoever is going to change it: refused to those who may not, before anything is sent or stored.
pub async fn of_changeable(tenant: &Tenant, editor: &Editor, whose: Whose) -> Result<Option<Uuid>> {
    if let Whose::Branch(_) = whose {
        editor.of_all_branches()?;
    }
    of(tenant, editor.viewer(), whose).await
}

/// Puts a picture in the place of the one there is, or takes that away. The file that is of no use any more, if there
/// is one.
pub async fn set(
    tenant: &Tenant,
    editor: &Editor,
    whose: Whose,
    picture: Option<Made>,
) -> Result<Option<Uuid>> {
    let mut tx = tenant.write(editor).await?;
    let of_no_use = put(&mut tx, editor, whose, picture).await?;
    tx.commit().await?;
    Ok(of_no_use)
}

/// The same, in the transaction of whatever else is written.
pub(crate) async fn put(
    tx: &mut PgConnection,
    editor: &Editor,
    whose: Whose,
    picture: Option<Made>,
) -> Result<Option<Uuid>> {
    let (entity, id) = match whose {
        Whose::Member(id) => {
            sqlx::query!("select id from members where id = $1 for no key update", id)
                .fetch_one(&mut *tx)
                .await?;
            ("member", id)
        }
        Whose::Branch(id) => {
            editor.of_all_branches()?;
            sqlx::query!("select id from branches where id = $1 for no key update", id)
                .fetch_one(&mut *tx)
                .await?;
            ("branch", id)
        }
    };
    let before = find(tx, &editor.0, whose).await?;
    let after = picture.map(|picture| picture.id);
    if before == after {
        return Ok(None);
    }
    if let Some(picture) = picture {
        write_file(tx, editor, picture).await?;
    }
    match whose {
        Whose::Member(id) => {
            sqlx::query!("update members set photo_id = $2, updated_at = now() where id = $1", id, after)
                .execute(&mut *tx)
                .await?
        }
        Whose::Branch(id) => {
            sqlx::query!("update branches set picture_id = $2, updated_at = now() where id = $1", id, after)
                .execute(&mut *tx)
                .await?
        }
    };
    let mut of_no_use = None;
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
        of_no_use = (gone.rows_affected() == 1).then_some(before);
    }
    let action = if after.is_some() { "picture set" } else { "picture removed" };
    audit::record(tx, Some(editor), Entry { entity, id, action }, before.as_ref(), after.as_ref()).await?;
    Ok(of_no_use)
}

async fn write_file(tx: &mut PgConnection, editor: &Editor, picture: Made) -> Result<()> {
    if picture.uploaded {
        // Whoever has removed it meanwhile has removed what is in it too.
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

async fn find(connection: &mut PgConnection, viewer: &Viewer, whose: Whose) -> Result<Option<Uuid>> {
    let branches = viewer.branches.as_deref();
    let found =
        match whose {
            Whose::Member(id) => sqlx::query_scalar!(
                "select photo_id from members where id = $1 and ($2::uuid[] is null or branch_id = any ($2))",
                id,
                branches,
            )
            .fetch_optional(connection)
            .await?,
            Whose::Branch(id) => {
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
