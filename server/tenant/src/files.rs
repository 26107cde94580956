//! What the church keeps outside of its database: the rows, not the bytes.

use crate::{
    Editor, Error, Result, Tenant, Viewer,
    audit::{self, Entry},
    pools::Transaction,
};
use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;
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
    /// Whether it is the picture of a member or branch.
    pub is_picture: bool,
}

/// How many files a church may have, and how many bytes in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    pub files: i64,
    pub bytes: i64,
}

/// How many it has; what is promised counts as if it had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    pub files: i64,
    pub bytes: i64,
}

impl Quota {
    fn allows(&self, usage: Usage) -> bool {
        usage.files <= self.files && usage.bytes <= self.bytes
    }

    /// Whether there is room for one more file.
    pub fn has_room(&self, usage: Usage) -> bool {
        usage.files < self.files && usage.bytes < self.bytes
    }
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

impl Place {
    pub const ALL: [Self; 3] = [Self::Upload, Self::Kept, Self::Small];
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

/// Promises a file under an id that the caller makes up; done already, it is not done again. False when the quota does
/// not allow it.
pub async fn add(
    tenant: &Tenant,
    editor: &Editor,
    id: Uuid,
    promise: &Promise,
    quota: &Quota,
) -> Result<bool> {
    let mut tx = tenant.write(editor).await?;
    // Of two at a time, the second counts what the first has added.
    sqlx::query!("lock table files in share row exclusive mode").execute(&mut *tx).await?;
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
        if !quota.allows(count(&mut tx, None).await?) {
            return Ok(false);
        }
        audit::record(&mut tx, Some(editor), entry(id, "added"), None, Some(promise)).await?;
    }
    tx.commit().await?;
    Ok(true)
}

/// How much of its quota the church uses.
pub async fn usage(tenant: &Tenant, viewer: &Viewer) -> Result<Usage> {
    count(&mut *tenant.read(viewer).await?, None).await
}

/// Quota usage without the picture of a record, unless another record has the same picture.
pub async fn usage_without(tenant: &Tenant, viewer: &Viewer, picture: Option<Uuid>) -> Result<Usage> {
    count(&mut *tenant.read(viewer).await?, picture).await
}

async fn count(connection: &mut PgConnection, except: Option<Uuid>) -> Result<Usage> {
    Ok(sqlx::query_as!(
        Usage,
        r#"select count(*) as "files!", coalesce(sum(size), 0)::bigint as "bytes!"
             from files f
            where $1::uuid is null or f.id <> $1
               or (select count(*) from members where photo_id = $1)
                  + (select count(*) from branches where picture_id = $1) > 1"#,
        except,
    )
    .fetch_one(connection)
    .await?)
}

/// The church's files, the newest first, from the one after `after` on. Whoever sees some branches only sees the files
/// it uploaded itself.
pub async fn list(tenant: &Tenant, viewer: &Viewer, after: Option<Uuid>, limit: i64) -> Result<Vec<File>> {
    let mut connection = tenant.read(viewer).await?;
    let rows = sqlx::query_as!(
        Row,
        r#"select f.id, name, content_type, size, created_at, stored_at,
                  (exists (select from members where photo_id = f.id)
                   or exists (select from branches where picture_id = f.id)) as "is_picture!"
             from files f
            where ($1 or uploaded_by = $2) and ($3::uuid is null or f.id < $3)
            order by f.id desc
            limit $4"#,
        viewer.branches.is_none(),
        viewer.admin_id,
        after,
        limit,
    )
    .fetch_all(&mut *connection)
    .await?;
    Ok(rows.into_iter().map(File::from).collect())
}

/// A file of the church. Whoever sees some branches only sees the files it uploaded itself.
pub async fn find(tenant: &Tenant, viewer: &Viewer, id: Uuid) -> Result<File> {
    let mut connection = tenant.read(viewer).await?;
    let is_visible = sqlx::query_scalar!(
        r#"select $2 or uploaded_by = $3 as "is_visible!" from files where id = $1"#,
        id,
        viewer.branches.is_none(),
        viewer.admin_id,
    )
    .fetch_optional(&mut *connection)
    .await?;
    match is_visible {
        Some(true) => known_in(&mut connection, id).await?.ok_or(Error::NotFound),
        _ => Err(Error::NotFound),
    }
}

/// The same for the installation, which looks after files that nobody asks for.
pub async fn known(tenant: &Tenant, id: Uuid) -> Result<Option<File>> {
    known_in(&mut *tenant.connect().await?, id).await
}

async fn known_in(connection: &mut PgConnection, id: Uuid) -> Result<Option<File>> {
    let row = sqlx::query_as!(
        Row,
        r#"select f.id, name, content_type, size, created_at, stored_at,
                  (exists (select from members where photo_id = f.id)
                   or exists (select from branches where picture_id = f.id)) as "is_picture!"
             from files f
            where f.id = $1"#,
        id,
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(File::from))
}

struct Row {
    id: Uuid,
    name: String,
    content_type: String,
    size: i64,
    created_at: DateTime<Utc>,
    stored_at: Option<DateTime<Utc>>,
    is_picture: bool,
}

impl From<Row> for File {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            promise: Promise { name: row.name, content_type: row.content_type, size: row.size },
            created_at: row.created_at,
            stored_at: row.stored_at,
            is_picture: row.is_picture,
        }
    }
}

/// An upload that nobody has checked yet, locked until it is accepted, rejected or dropped: of several checks at a time,
/// one is made, and the others see what came of it.
pub struct Unchecked {
    tx: Transaction,
    id: Uuid,
    pub promise: Promise,
}

/// Locks an upload to check it; `None` when that was done already.
pub async fn lock_unchecked(tenant: &Tenant, id: Uuid) -> Result<Option<Unchecked>> {
    let mut tx = tenant.begin().await?;
    let row =
        sqlx::query!("select name, content_type, size, stored_at from files where id = $1 for update", id)
            .fetch_one(&mut *tx)
            .await?;
    if row.stored_at.is_some() {
        return Ok(None);
    }
    let promise = Promise { name: row.name, content_type: row.content_type, size: row.size };
    Ok(Some(Unchecked { tx, id, promise }))
}

impl Unchecked {
    /// What was sent fits.
    pub async fn accept(mut self) -> Result<()> {
        sqlx::query!("update files set stored_at = now() where id = $1", self.id)
            .execute(&mut *self.tx)
            .await?;
        audit::record(&mut self.tx, None, entry(self.id, "stored"), None::<&Promise>, None).await?;
        Ok(self.tx.commit().await?)
    }

    /// What was sent does not fit: the promise is forgotten.
    pub async fn reject(mut self) -> Result<()> {
        sqlx::query!("delete from files where id = $1", self.id).execute(&mut *self.tx).await?;
        audit::record(&mut self.tx, None, entry(self.id, "removed"), None::<&Promise>, None).await?;
        Ok(self.tx.commit().await?)
    }
}

/// Removes a file; false when it is a picture, which is removed where it is shown.
pub async fn remove(tenant: &Tenant, editor: &Editor, id: Uuid) -> Result<bool> {
    let mut tx = tenant.write(editor).await?;
    // Whoever makes a picture of it at this moment waits, or was first and is seen below.
    let row = sqlx::query!(
        "select name, content_type, size
           from files
          where id = $1 and ($2 or uploaded_by = $3)
            for update",
        id,
        editor.is_of_all_branches(),
        editor.0.admin_id,
    )
    .fetch_one(&mut *tx)
    .await?;
    if !delete_unused(&mut tx, id).await? {
        return Ok(false);
    }
    let removed = Promise { name: row.name, content_type: row.content_type, size: row.size };
    audit::record(&mut tx, Some(editor), entry(id, "removed"), Some(&removed), None).await?;
    tx.commit().await?;
    Ok(true)
}

/// The installation removes a file that has become nobody's picture; false when it is one.
pub async fn expire(tenant: &Tenant, id: Uuid) -> Result<bool> {
    let mut tx = tenant.begin().await?;
    sqlx::query!("select id from files where id = $1 for update", id).fetch_optional(&mut *tx).await?;
    let gone = delete_unused(&mut tx, id).await?;
    if gone {
        audit::record(&mut tx, None, entry(id, "expired"), None::<&Promise>, None).await?;
    }
    tx.commit().await?;
    Ok(gone)
}

async fn delete_unused(tx: &mut PgConnection, id: Uuid) -> Result<bool> {
    let gone = sqlx::query!(
        "delete from files
          where id = $1
            and not exists (select from members where photo_id = $1)
            and not exists (select from branches where picture_id = $1)",
        id,
    )
    .execute(tx)
    .await?;
    Ok(gone.rows_affected() == 1)
}

/// It never came: the promise is forgotten.
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
