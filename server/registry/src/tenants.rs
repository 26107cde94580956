use crate::{Error, Registry, Result, billing, servers::Server};
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::{fmt, str::FromStr};
use uuid::Uuid;

/// A cuid2: 24 lower-case letters and digits, the first a letter.
#[derive(Clone, Debug, PartialEq, Eq, Hash, sqlx::Type)]
#[sqlx(transparent)]
pub struct TenantId(String);

impl TenantId {
    pub fn generate() -> Self {
        Self(cuid2::create_id())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TenantId {
    /// What a tenant's role is called, and its own database or schema.
    pub fn own_name(&self) -> String {
        // Made of lower-case letters and digits only, so that it needs no quoting.
        format!("tenant_{}", self.0)
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for TenantId {
    type Err = Error;

    fn from_str(id: &str) -> Result<Self> {
        let letter_first = id.starts_with(|c: char| c.is_ascii_lowercase());
        let plain = id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        (id.len() == 24 && letter_first && plain).then(|| Self(id.to_owned())).ok_or(Error::NotFound)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Provisioning,
    Active,
    Suspended,
    Archived,
    Failed,
}

impl Status {
    fn from_column(column: &str) -> Self {
        match column {
            "provisioning" => Self::Provisioning,
            "active" => Self::Active,
            "suspended" => Self::Suspended,
            "archived" => Self::Archived,
            _ => Self::Failed,
        }
    }
}

/// How a tenant's data is kept apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// A database of its own.
    Database,
    /// A schema of its own in a database that tenants share.
    Schema,
}

impl Isolation {
    pub fn name(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::Schema => "schema",
        }
    }

    fn from_column(column: &str) -> Self {
        match column {
            "schema" => Self::Schema,
            _ => Self::Database,
        }
    }
}

/// A tenant as the registry knows it.
#[derive(Clone, Debug)]
pub struct Tenant {
    pub id: TenantId,
    pub name: String,
    pub isolation: Isolation,
    pub status: Status,
    pub country: String,
    pub timezone: String,
    pub subscription_status: String,
    pub trial_ends_at: DateTime<Utc>,
    pub created_at: DateTime<Utc>,
    pub billing: billing::State,
    pub schema_version: Option<i64>,
    pub role_version: i32,
    /// Null until provisioning has placed it.
    pub placement: Option<Placement>,
}

/// Where a tenant lives.
#[derive(Clone, Debug)]
pub struct Placement {
    pub server: Server,
    /// How that server is administered, encrypted; null for the one that holds the registry.
    pub administrator: Option<Vec<u8>>,
    pub database: String,
    pub schema: String,
}

struct Row {
    id: String,
    name: String,
    isolation: String,
    status: String,
    country: String,
    timezone: String,
    subscription_status: String,
    trial_ends_at: DateTime<Utc>,
    created_at: DateTime<Utc>,
    stripe_customer_id: Option<String>,
    billing_failing: Option<bool>,
    schema_version: Option<i64>,
    role_version: i32,
    database_name: Option<String>,
    schema_name: Option<String>,
    server_id: Option<Uuid>,
    server_name: Option<String>,
    region: Option<String>,
    host: Option<String>,
    port: Option<i32>,
    administrator: Option<Vec<u8>>,
}

impl Row {
    fn placement(&self) -> Option<Placement> {
        Some(Placement {
            server: Server {
                id: self.server_id?,
                name: self.server_name.clone()?,
                region: self.region.clone()?,
                host: self.host.clone()?,
                port: self.port? as u16,
            },
            administrator: self.administrator.clone(),
            database: self.database_name.clone()?,
            schema: self.schema_name.clone()?,
        })
    }
}

pub async fn find(registry: &Registry, id: &TenantId) -> Result<Tenant> {
    let row = sqlx::query_as!(
        Row,
        r#"select t.id, t.name, t.isolation, t.status, t.country, t.timezone, t.subscription_status, t.trial_ends_at, t.created_at,
                  t.stripe_customer_id, j.failing as "billing_failing?",
                  t.schema_version, t.role_version, t.database_name, t.schema_name,
                  s.id as "server_id?", s.name as "server_name?", s.region as "region?",
                  s.host as "host?", s.port as "port?", s.administrator as "administrator?"
             from tenants t
             left join database_servers s on s.id = t.server_id
             left join billing_jobs j on j.tenant_id = t.id
            where t.id = $1"#,
        id.as_str(),
    )
    .fetch_optional(&registry.pool)
    .await?
    .ok_or(Error::NotFound)?;
    Ok(Tenant {
        placement: row.placement(),
        billing: billing::State::of(row.stripe_customer_id.as_deref(), row.billing_failing),
        id: TenantId(row.id),
        status: Status::from_column(&row.status),
        isolation: Isolation::from_column(&row.isolation),
        name: row.name,
        country: row.country,
        timezone: row.timezone,
        subscription_status: row.subscription_status,
        trial_ends_at: row.trial_ends_at,
        created_at: row.created_at,
        schema_version: row.schema_version,
        role_version: row.role_version,
    })
}

/// The most churches one email is checked against when it signs in.
const CHURCHES_OF_AN_EMAIL: i64 = 10;

/// The churches in which an email may sign in: the one that is `wanted` first, then those for which the email is
/// verified, then the oldest. Suspended ones are among them: their people are told so after their password was checked.
pub async fn of_email(registry: &Registry, email: &str, wanted: Option<&str>) -> Result<Vec<TenantId>> {
    // What is no id names no church. PostgreSQL would refuse some of it, such as U+0000.
    let wanted = wanted.filter(|wanted| wanted.parse::<TenantId>().is_ok());
    let ids = sqlx::query_scalar!(
        "select t.id
           from admin_emails e
           join tenants t on t.id = e.tenant_id
          where e.email = lower($1) and t.status in ('active', 'suspended')
          order by t.id = $3 desc nulls last, e.verified_at is null, t.created_at, t.id
          limit $2",
        email,
        CHURCHES_OF_AN_EMAIL,
        wanted,
    )
    .fetch_all(&registry.pool)
    .await?;
    Ok(ids.into_iter().map(TenantId).collect())
}

/// An email that may sign in to a church.
pub struct Claim {
    pub email: String,
    pub tenant_id: TenantId,
    pub church: String,
    pub created_at: DateTime<Utc>,
}

/// The emails of open churches that are not verified: those of one email, of one church, or all, the oldest first.
pub async fn unverified(
    registry: &Registry,
    email: Option<&str>,
    tenant_id: Option<&TenantId>,
) -> Result<Vec<Claim>> {
    let rows = sqlx::query!(
        "select e.email, t.id, t.name, t.created_at
           from admin_emails e
           join tenants t on t.id = e.tenant_id
          where e.verified_at is null and t.status in ('active', 'suspended')
            and ($1::text is null or e.email = lower($1)) and ($2::text is null or t.id = $2)
          order by t.created_at, t.id, e.email",
        email,
        tenant_id.map(TenantId::as_str),
    )
    .fetch_all(&registry.pool)
    .await?;
    let claims = rows.into_iter().map(|row| Claim {
        email: row.email,
        tenant_id: TenantId(row.id),
        church: row.name,
        created_at: row.created_at,
    });
    Ok(claims.collect())
}

/// The emails of a church that are verified.
pub async fn verified_emails(registry: &Registry, id: &TenantId) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar!(
        "select email from admin_emails where tenant_id = $1 and verified_at is not null",
        id.as_str(),
    )
    .fetch_all(&registry.pool)
    .await?)
}

/// Notes that an email is verified in one church.
pub async fn verify_email(registry: &Registry, id: &TenantId, email: &str) -> Result<()> {
    sqlx::query!(
        "update admin_emails set verified_at = now() where tenant_id = $1 and email = $2 and verified_at is null",
        id.as_str(),
        email,
    )
    .execute(&registry.pool)
    .await?;
    Ok(())
}

/// A tenant as an operator sees it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Listed {
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
    /// Its last run; in lists, nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<LastRun>,
    /// How it stands with Stripe; in lists, nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub billing: Option<billing::State>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LastRun {
    pub id: Uuid,
    pub status: String,
    pub reference: String,
    pub attempts: i32,
    /// Why it failed, if it did.
    pub reason: Option<String>,
}

/// The newest tenants, all or those with one status.
pub async fn list(registry: &Registry, status: Option<&str>, limit: i64) -> Result<Vec<Listed>> {
    listed(registry, None, status, None, limit).await
}

/// The same behind one that was listed before: its time and id.
pub async fn list_after(
    registry: &Registry,
    status: Option<&str>,
    after: Option<(DateTime<Utc>, TenantId)>,
    limit: i64,
) -> Result<Vec<Listed>> {
    listed(registry, None, status, after, limit).await
}

/// One tenant, with its last run.
pub async fn show(registry: &Registry, id: &TenantId) -> Result<Listed> {
    let tenant = listed(registry, Some(id), None, None, 1).await?.pop().ok_or(Error::NotFound)?;
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
    let billing = Some(find(registry, id).await?.billing);
    Ok(Listed { run, billing, ..tenant })
}

async fn listed(
    registry: &Registry,
    id: Option<&TenantId>,
    status: Option<&str>,
    after: Option<(DateTime<Utc>, TenantId)>,
    limit: i64,
) -> Result<Vec<Listed>> {
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
    let listed = rows.into_iter().map(|row| Listed {
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
    Ok(listed.collect())
}

/// Closes an active tenant; false when it is not active. Every process hears of it at once.
pub async fn suspend(registry: &Registry, id: &TenantId) -> Result<bool> {
    change(registry, id, "active", "suspended").await
}

/// Opens a suspended tenant; false when it is not suspended.
pub async fn resume(registry: &Registry, id: &TenantId) -> Result<bool> {
    change(registry, id, "suspended", "active").await
}

/// The tenant's tables are of this version now.
pub async fn upgraded(registry: &Registry, id: &TenantId, version: i64) -> Result<()> {
    sqlx::query!(
        "update tenants set schema_version = $2, updated_at = now() where id = $1 and schema_version < $2",
        id.as_str(),
        version,
    )
    .execute(&registry.pool)
    .await?;
    Ok(())
}

async fn change(registry: &Registry, id: &TenantId, from: &str, to: &str) -> Result<bool> {
    let changed = sqlx::query_scalar!(
        r#"with changed as (
               update tenants set status = $3, updated_at = now() where id = $1 and status = $2 returning id
           )
           select exists (select from changed) as "changed!" from tenants where id = $1"#,
        id.as_str(),
        from,
        to,
    )
    .fetch_optional(&registry.pool)
    .await?;
    changed.ok_or(Error::NotFound)
}

/// Some active tenant, any of them.
pub async fn any_active(registry: &Registry) -> Result<Option<TenantId>> {
    let id = sqlx::query_scalar!("select id from tenants where status = 'active' order by random() limit 1")
        .fetch_optional(&registry.pool)
        .await?;
    Ok(id.map(TenantId))
}
