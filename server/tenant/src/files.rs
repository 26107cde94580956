//! Rows of files; the bytes are in the storage.

use crate::{
    Editor, Error, Result, Tenant, Viewer,
    audit::{self, Entry},
    pools::Transaction,
};
use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

/// Declared properties of an upload. The name is safe and not empty; the size is in bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UploadSpec {
    pub name: String,
    pub content_type: String,
    pub size: i64,
}

#[derive(Clone, Debug)]
pub struct File {
    pub id: Uuid,
    pub spec: UploadSpec,
    pub created_at: DateTime<Utc>,
    /// `None` until the upload is verified.
    pub stored_at: Option<DateTime<Utc>>,
    /// Whether it is the picture of a member or branch.
    pub is_picture: bool,
}

/// Maximum number of files, and their total bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    pub files: i64,
    pub bytes: i64,
}

/// Number of files, and their total bytes; includes pending uploads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    pub files: i64,
    pub bytes: i64,
}

impl Quota {
    fn allows(&self, usage: Usage) -> bool {
        usage.files <= self.files && usage.bytes <= self.bytes
    }

    /// Returns whether one more file fits.
    pub fn has_room(&self, usage: Usage) -> bool {
        usage.files < self.files && usage.bytes < self.bytes
    }
}

/// Kind of object in the storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectKind {
    /// Unverified upload; never served.
    Upload,
    /// Verified file.
    Stored,
    /// Thumbnail of a picture.
    Thumbnail,
}

impl ObjectKind {
    pub const ALL: [Self; 3] = [Self::Upload, Self::Stored, Self::Thumbnail];
}

/// Returns the storage key of an object, always below the tenant's id.
pub fn key(tenant: &Tenant, id: Uuid, kind: ObjectKind) -> String {
    let tenant = tenant.id();
    match kind {
        ObjectKind::Upload => format!("{tenant}/uploads/{id}"),
        ObjectKind::Stored => format!("{tenant}/files/{id}"),
        ObjectKind::Thumbnail => format!("{tenant}/files/{id}-small"),
    }
}

/// Inserts a file with a given id; idempotent. Returns false if the quota is exceeded.
pub async fn add(
    tenant: &Tenant,
    editor: &Editor,
    id: Uuid,
    spec: &UploadSpec,
    quota: &Quota,
) -> Result<bool> {
    let mut tx = tenant.write(editor).await?;
    // Serialises inserts, so that each counts the others.
    sqlx::query!("lock table files in share row exclusive mode").execute(&mut *tx).await?;
    let done = sqlx::query!(
        "insert into files (id, name, content_type, size, uploaded_by)
         values ($1, $2, $3, $4, $5)
         on conflict (id) do nothing",
        id,
        spec.name,
        spec.content_type,
        spec.size,
        editor.0.admin_id,
    )
    .execute(&mut *tx)
    .await?;
    if done.rows_affected() == 1 {
        if !quota.allows(count(&mut tx).await?) {
            return Ok(false);
        }
        audit::record(&mut tx, Some(editor), entry(id, "added"), None, Some(spec)).await?;
    }
    tx.commit().await?;
    Ok(true)
}

/// Returns the tenant's usage of its quota.
pub async fn usage(tenant: &Tenant, viewer: &Viewer) -> Result<Usage> {
    count(&mut *tenant.read(viewer).await?).await
}

async fn count(connection: &mut PgConnection) -> Result<Usage> {
    Ok(sqlx::query_as!(
        Usage,
        r#"select count(*) as "files!", coalesce(sum(size), 0)::bigint as "bytes!" from files"#
    )
    .fetch_one(connection)
    .await?)
}

/// Lists files, newest first, after a cursor. An admin of some branches sees only its own uploads.
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

/// Finds a file. An admin of some branches sees only its own uploads.
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
        Some(true) => query(&mut connection, id).await?.ok_or(Error::NotFound),
        _ => Err(Error::NotFound),
    }
}

/// Finds a file without an authority, for the installation.
pub async fn find_unscoped(tenant: &Tenant, id: Uuid) -> Result<Option<File>> {
    query(&mut *tenant.connect().await?, id).await
}

async fn query(connection: &mut PgConnection, id: Uuid) -> Result<Option<File>> {
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
            spec: UploadSpec { name: row.name, content_type: row.content_type, size: row.size },
            created_at: row.created_at,
            stored_at: row.stored_at,
            is_picture: row.is_picture,
        }
    }
}

/// An unverified upload, locked until it is accepted, rejected or dropped, so that only one request verifies it.
pub struct UnverifiedUpload {
    tx: Transaction,
    id: Uuid,
    pub spec: UploadSpec,
}

/// Locks an upload to verify it; `None` if it is verified already.
pub async fn lock_unverified(tenant: &Tenant, id: Uuid) -> Result<Option<UnverifiedUpload>> {
    let mut tx = tenant.begin().await?;
    let row =
        sqlx::query!("select name, content_type, size, stored_at from files where id = $1 for update", id)
            .fetch_one(&mut *tx)
            .await?;
    if row.stored_at.is_some() {
        return Ok(None);
    }
    let spec = UploadSpec { name: row.name, content_type: row.content_type, size: row.size };
    Ok(Some(UnverifiedUpload { tx, id, spec }))
}

impl UnverifiedUpload {
    /// Marks the upload as verified.
    pub async fn accept(mut self) -> Result<()> {
        sqlx::query!("update files set stored_at = now() where id = $1", self.id)
            .execute(&mut *self.tx)
            .await?;
        audit::record(&mut self.tx, None, entry(self.id, "stored"), None::<&UploadSpec>, None).await?;
        Ok(self.tx.commit().await?)
    }

    /// Deletes the row of an upload that does not match its spec.
    pub async fn reject(mut self) -> Result<()> {
        sqlx::query!("delete from files where id = $1", self.id).execute(&mut *self.tx).await?;
        audit::record(&mut self.tx, None, entry(self.id, "removed"), None::<&UploadSpec>, None).await?;
        Ok(self.tx.commit().await?)
    }
}

/// Removes a file; returns false if it is a picture in use.
pub async fn remove(tenant: &Tenant, editor: &Editor, id: Uuid) -> Result<bool> {
    let mut tx = tenant.write(editor).await?;
    // Serialises with concurrent uses of the file as a picture.
    let row = sqlx::query!(
        "select name, content_type, size
           from files
          where id = $1 and ($2 or uploaded_by = $3)
            for update",
        id,
        editor.covers_all_branches(),
        editor.0.admin_id,
    )
    .fetch_one(&mut *tx)
    .await?;
    if !delete_unused(&mut tx, id).await? {
        return Ok(false);
    }
    let removed = UploadSpec { name: row.name, content_type: row.content_type, size: row.size };
    audit::record(&mut tx, Some(editor), entry(id, "removed"), Some(&removed), None).await?;
    tx.commit().await?;
    Ok(true)
}

/// Deletes an orphaned file, as the installation; returns false if it is a picture in use.
pub async fn delete_orphan(tenant: &Tenant, id: Uuid) -> Result<bool> {
    let mut tx = tenant.begin().await?;
    sqlx::query!("select id from files where id = $1 for update", id).fetch_optional(&mut *tx).await?;
    let gone = delete_unused(&mut tx, id).await?;
    if gone {
        audit::record(&mut tx, None, entry(id, "expired"), None::<&UploadSpec>, None).await?;
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

/// Deletes the row of an upload that never arrived.
pub async fn delete_pending(tenant: &Tenant, id: Uuid) -> Result<()> {
    let mut tx = tenant.begin().await?;
    let done =
        sqlx::query!("delete from files where id = $1 and stored_at is null", id).execute(&mut *tx).await?;
    if done.rows_affected() == 1 {
        audit::record(&mut tx, None, entry(id, "removed"), None::<&UploadSpec>, None).await?;
    }
    Ok(tx.commit().await?)
}

fn entry(id: Uuid, action: &'static str) -> Entry {
    Entry { entity: "file", id, action }
}
