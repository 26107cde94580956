//! Tenants as operators see them: lists and details.

use crate::{Error, Registry, Result, TenantId, billing::BillingState, tenants};
use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

/// A tenant as shown to operators.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TenantSummary {
    pub id: String,
    pub name: String,
    pub status: String,
    pub isolation: String,
    pub server: Option<String>,
    pub region: Option<String>,
    pub database_name: Option<String>,
    pub schema_name: Option<String>,
    pub schema_version: Option<i64>,
    pub created_at: DateTime<Utc>,
    pub trial_ends_at: DateTime<Utc>,
    /// The last run; absent in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<LastRun>,
    /// Billing state; absent in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub billing: Option<BillingState>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LastRun {
    pub id: Uuid,
    pub status: String,
    pub reference: String,
    pub attempts: i32,
    /// Reason of the failure.
    pub reason: Option<String>,
}

/// Lists tenants, newest first, optionally with one status.
pub async fn list(registry: &Registry, status: Option<&str>, limit: i64) -> Result<Vec<TenantSummary>> {
    query(registry, None, status, None, limit).await
}

/// Lists the tenants after a cursor: creation time and id of the last one listed.
pub async fn list_after(
    registry: &Registry,
    status: Option<&str>,
    after: Option<(DateTime<Utc>, TenantId)>,
    limit: i64,
) -> Result<Vec<TenantSummary>> {
    query(registry, None, status, after, limit).await
}

/// Returns one tenant with its last run and billing state.
pub async fn show(registry: &Registry, id: &TenantId) -> Result<TenantSummary> {
    let tenant = query(registry, Some(id), None, None, 1).await?.pop().ok_or(Error::NotFound)?;
    let run = sqlx::query_as!(
        LastRun,
        r#"select r.id, r.status, r.reference, r.attempts,
                  (select e.reason from provisioning_events e
                    where e.run_id = r.id and r.status = 'failed' and e.state = 'failed'
                    order by e.seq desc limit 1) as reason
             from provisioning_runs r
            where r.tenant_id = $1
            order by r.created_at desc
            limit 1"#,
        id.as_str(),
    )
    .fetch_optional(&registry.pool)
    .await?;
    let billing = Some(tenants::find(registry, id).await?.billing);
    Ok(TenantSummary { run, billing, ..tenant })
}

async fn query(
    registry: &Registry,
    id: Option<&TenantId>,
    status: Option<&str>,
    after: Option<(DateTime<Utc>, TenantId)>,
    limit: i64,
) -> Result<Vec<TenantSummary>> {
    let (before, after) = after.unzip();
    let rows = sqlx::query!(
        r#"select t.id, t.name, t.status, t.isolation, s.name as "server?", coalesce(s.region, t.region) as region, t.database_name,
                  t.schema_name, t.schema_version, t.created_at, t.trial_ends_at
             from tenants t
             left join database_servers s on s.id = t.server_id
            where ($1::text is null or t.id = $1) and ($2::text is null or t.status = $2)
              and ($4::timestamptz is null or (t.created_at, t.id) < ($4, $5))
            order by t.created_at desc, t.id desc
            limit $3"#,
        id.map(TenantId::as_str),
        status,
        limit,
        before,
        after.as_ref().map(TenantId::as_str),
    )
    .fetch_all(&registry.pool)
    .await?;
    let tenants = rows.into_iter().map(|row| TenantSummary {
        id: row.id,
        name: row.name,
        status: row.status,
        isolation: row.isolation,
        server: row.server,
        region: row.region,
        database_name: row.database_name,
        schema_name: row.schema_name,
        schema_version: row.schema_version,
        created_at: row.created_at,
        trial_ends_at: row.trial_ends_at,
        run: None,
        billing: None,
    });
    Ok(tenants.collect())
}
