//! Counts for metrics.

use crate::{Registry, Result};

#[derive(Clone, Debug)]
pub struct Counts {
    /// Tenants by status, zero counts included.
    pub tenants: Vec<(String, i64)>,
    /// Active and suspended tenants by schema version.
    pub versions: Vec<(i64, i64)>,
    /// Ready databases by server name.
    pub ready: Vec<(String, i64)>,
    /// Queued and running provisioning runs.
    pub queued: i64,
    pub processes: i64,
}

pub async fn load(registry: &Registry) -> Result<Counts> {
    let tenants = sqlx::query!(
        r#"select s.status as "status!", count(t.id) as "count!"
             from unnest('{provisioning,active,suspended,archived,failed}'::text[]) as s (status)
             left join tenants t on t.status = s.status
            group by s.status"#
    )
    .fetch_all(&registry.pool)
    .await?;
    let versions = sqlx::query!(
        r#"select schema_version as "version!", count(*) as "count!"
             from tenants
            where status in ('active', 'suspended') and schema_version is not null
            group by schema_version"#
    )
    .fetch_all(&registry.pool)
    .await?;
    let ready = sqlx::query!(
        r#"select s.name, count(r.id) filter (where r.ready_at is not null) as "count!"
             from database_servers s
             left join ready_databases r on r.server_id = s.id
            group by s.name"#
    )
    .fetch_all(&registry.pool)
    .await?;
    let rest = sqlx::query!(
        r#"select (select count(*) from provisioning_runs where status in ('queued', 'running')) as "queued!",
                  (select count(*) from processes) as "processes!""#
    )
    .fetch_one(&registry.pool)
    .await?;
    Ok(Counts {
        tenants: tenants.into_iter().map(|row| (row.status, row.count)).collect(),
        versions: versions.into_iter().map(|row| (row.version, row.count)).collect(),
        ready: ready.into_iter().map(|row| (row.name, row.count)).collect(),
        queued: rest.queued,
        processes: rest.processes,
    })
}
