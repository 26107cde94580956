//! What the church keeps outside of its database: the rows, not the bytes.

use crate::{
    Editor, Error, Result, Tenant, Viewer,
    audit::{self, Entry},
};
use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

/// A file as it is promised: its name is safe and not empty, its size is in bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Promise {
    pub name: String,
    pub content_type: String,
    pub size: i64,
}

#[derive(Clone, Debug)]
pub struct File {
    pub id: Uuid,
    pub promise: Promise,
    pub created_at: DateTime<Utc>,
    /// `None` until what was sent has been looked at.
    pub stored_at: Option<DateTime<Utc>>,
}

/// Where a file is kept: below the tenant's own id, whatever else is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Where it is sent to; nobody reads it there.
    Upload,
    /// Where it stays.
    Kept,
    /// The same picture for lists.
    Small,
}

/// The key of a file in the storage.
pub fn key(tenant: &Tenant, id: Uuid, place: Place) -> String {
    let tenant = tenant.id();
    match place {
        Place::Upload => format!("{tenant}/uploads/{id}"),
        Place::Kept => format!("{tenant}/files/{id}"),
        Place::Small => format!("{tenant}/files/{id}-small"),
    }
}

/// Promises a file under an id that the caller makes up; done already, it is not done again.
pub async fn add(tenant: &Tenant, editor: &Editor, id: Uuid, promise: &Promise) -> Result<()> {
    let mut tx = tenant.write(editor).await?;
    let done = sqlx::query!(
        "insert into files (id, name, content_type, size, uploaded_by)
         values ($1, $2, $3, $4, $5)
         on conflict (id) do nothing",
        id,
        promise.name,
        promise.content_type,
        promise.size,
        editor.0.admin_id,
    )
    .execute(&mut *tx)
    .await?;
    if done.rows_affected() == 1 {
        audit::record(&mut tx, Some(editor), entry(id, "added"), None, Some(promise)).await?;
    }
    Ok(tx.commit().await?)
}

/// A file of the church. Whoever sees some branches only sees the files it uploaded itself.
pub async fn find(tenant: &Tenant, viewer: &Viewer, id: Uuid) -> Result<File> {
    let mut connection = tenant.read(viewer).await?;
    let row = sqlx::query!(
        "select name, content_type, size, created_at, stored_at
           from files
          where id = $1 and ($2 or uploaded_by = $3)",
        id,
        viewer.branches.is_none(),
        viewer.admin_id,
    )
    .fetch_optional(&mut *connection)
    .await?
    .ok_or(Error::NotFound)?;
    Ok(File {
        id,
        promise: Promise { name: row.name, content_type: row.content_type, size: row.size },
        created_at: row.created_at,
        stored_at: row.stored_at,
    })
}

/// The same for the installation, which looks after files that nobody asks for.
pub async fn known(tenant: &Tenant, id: Uuid) -> Result<Option<File>> {
    let mut connection = tenant.connect().await?;
    let row =
        sqlx::query!("select name, content_type, size, created_at, stored_at from files where id = $1", id)
            .fetch_optional(&mut *connection)
            .await?;
    Ok(row.map(|row| File {
        id,
        promise: Promise { name: row.name, content_type: row.content_type, size: row.size },
        created_at: row.created_at,
        stored_at: row.stored_at,
    }))
}

/// The installation has looked at what was sent: it fits.
pub async fn stored(tenant: &Tenant, id: Uuid) -> Result<()> {
    let mut tx = tenant.begin().await?;
    let done = sqlx::query!("update files set stored_at = now() where id = $1 and stored_at is null", id)
        .execute(&mut *tx)
        .await?;
    if done.rows_affected() == 1 {
        audit::record(&mut tx, None, entry(id, "stored"), None::<&Promise>, None).await?;
    }
    Ok(tx.commit().await?)
}

/// It never came, or does not fit: the promise is forgotten.
pub async fn forget(tenant: &Tenant, id: Uuid) -> Result<()> {
    let mut tx = tenant.begin().await?;
    let done =
        sqlx::query!("delete from files where id = $1 and stored_at is null", id).execute(&mut *tx).await?;
    if done.rows_affected() == 1 {
        audit::record(&mut tx, None, entry(id, "removed"), None::<&Promise>, None).await?;
    }
    Ok(tx.commit().await?)
}

fn entry(id: Uuid, action: &'static str) -> Entry {
    Entry { entity: "file", id, action }
}
