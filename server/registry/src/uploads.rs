//! Files that somebody has to look after, sooner or later: so that those which never came, or are of no use any
//! more, are found without opening every church. What is in them is the business of `tenant`.

use crate::{Registry, Result, TenantId, runs::interval};
use chrono::{DateTime, Utc};
use std::time::Duration;
use uuid::Uuid;

/// A file whose time has come, for whoever claimed it.
#[derive(Clone, Debug)]
pub struct Due {
    pub file_id: Uuid,
    pub tenant_id: TenantId,
    lease_until: DateTime<Utc>,
}

/// From now on, somebody looks after this file, once the time has come.
pub async fn note(registry: &Registry, tenant_id: &str, file_id: Uuid, after: Duration) -> Result<()> {
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

/// Claims a file whose time has come. It is claimed anew by somebody when it is not done within `lease`.
pub async fn claim(registry: &Registry, lease: Duration) -> Result<Option<Due>> {
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
        Ok(Due { file_id: row.file_id, tenant_id: row.tenant_id.parse()?, lease_until: row.due_at })
    })
    .transpose()
}

/// It is looked after; unless it was noted once more meanwhile.
pub async fn done(registry: &Registry, due: &Due) -> Result<()> {
    sqlx::query!("delete from uploads where file_id = $1 and due_at = $2", due.file_id, due.lease_until)
        .execute(&registry.pool)
        .await?;
    Ok(())
}

/// A removed church whose files are to be deleted, for whoever claimed it.
#[derive(Clone, Debug)]
pub struct RemovedTenant {
    pub tenant_id: TenantId,
    /// Its files were deleted once already.
    deleted: bool,
}

/// Claims a removed church whose files are to be deleted. It is claimed again by somebody when it is not done within
/// `lease`. A church that is in the registry again, as after restoring a backup, keeps its files.
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

/// The church's files are deleted. They are deleted once more after `again`.
pub async fn removed_done(registry: &Registry, removed: &RemovedTenant, again: Duration) -> Result<()> {
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
