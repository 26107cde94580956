//! Pending cleanup of files: uploads that never arrived and orphans are found without opening every tenant's database.

use crate::{Registry, Result, TenantId, pg::interval};
use chrono::{DateTime, Utc};
use std::time::Duration;
use uuid::Uuid;

/// A file due for cleanup, claimed by this worker.
#[derive(Clone, Debug)]
pub struct ClaimedUpload {
    pub file_id: Uuid,
    pub tenant_id: TenantId,
    lease_until: DateTime<Utc>,
}

/// Schedules the cleanup of a file after a delay; keeps a later schedule.
pub async fn schedule(registry: &Registry, tenant_id: &str, file_id: Uuid, after: Duration) -> Result<()> {
    sqlx::query!(
        "insert into uploads (file_id, tenant_id, due_at)
         values ($1, $2, now() + $3)
         on conflict (file_id) do update set due_at = greatest(uploads.due_at, excluded.due_at)",
        file_id,
        tenant_id,
        interval(after),
    )
    .execute(&registry.pool)
    .await?;
    Ok(())
}

/// Claims a file due for cleanup. Another worker may claim it once `lease` has passed.
pub async fn claim(registry: &Registry, lease: Duration) -> Result<Option<ClaimedUpload>> {
    let row = sqlx::query!(
        "update uploads
            set due_at = now() + $1
          where file_id = (select file_id from uploads
                            where due_at <= now()
                            order by due_at
                            limit 1
                              for update skip locked)
         returning file_id, tenant_id, due_at",
        interval(lease),
    )
    .fetch_optional(&registry.pool)
    .await?;
    row.map(|row| {
        Ok(ClaimedUpload { file_id: row.file_id, tenant_id: row.tenant_id.parse()?, lease_until: row.due_at })
    })
    .transpose()
}

/// Deletes the schedule, unless the file was scheduled again.
pub async fn done(registry: &Registry, upload: &ClaimedUpload) -> Result<()> {
    sqlx::query!(
        "delete from uploads where file_id = $1 and due_at = $2",
        upload.file_id,
        upload.lease_until
    )
    .execute(&registry.pool)
    .await?;
    Ok(())
}

/// A removed tenant whose files are to be deleted, claimed by this worker.
#[derive(Clone, Debug)]
pub struct RemovedTenant {
    pub tenant_id: TenantId,
    /// The files were deleted once already.
    deleted: bool,
}

/// Claims a removed tenant whose files are to be deleted. Another worker may claim it once `lease` has passed. A tenant
/// that is in the registry again, as after restoring a backup, keeps its files.
pub async fn claim_removed(registry: &Registry, lease: Duration) -> Result<Option<RemovedTenant>> {
    let row = sqlx::query!(
        "update removed_tenants
            set due_at = now() + $1
          where tenant_id = (select r.tenant_id from removed_tenants r
                              where r.due_at <= now()
                                and not exists (select from tenants t where t.id = r.tenant_id)
                              order by r.due_at
                              limit 1
                                for update skip locked)
         returning tenant_id, deleted",
        interval(lease),
    )
    .fetch_optional(&registry.pool)
    .await?;
    row.map(|row| Ok(RemovedTenant { tenant_id: row.tenant_id.parse()?, deleted: row.deleted })).transpose()
}

/// Records that the tenant's files are deleted. The first time, schedules a second deletion after `again`.
pub async fn finish_removed(registry: &Registry, removed: &RemovedTenant, again: Duration) -> Result<()> {
    let id = removed.tenant_id.as_str();
    if removed.deleted {
        sqlx::query!("delete from removed_tenants where tenant_id = $1 and deleted", id)
            .execute(&registry.pool)
            .await?;
    } else {
        sqlx::query!(
            "update removed_tenants set due_at = now() + $2, deleted = true where tenant_id = $1",
            id,
            interval(again),
        )
        .execute(&registry.pool)
        .await?;
    }
    Ok(())
}
