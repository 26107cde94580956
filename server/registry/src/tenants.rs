use crate::{Error, Registry, Result, TenantId, billing::BillingState, servers::Server};
use chrono::{DateTime, Utc};
use uuid::Uuid;

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

/// How a tenant's data is isolated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// A dedicated database.
    Database,
    /// A dedicated schema in a shared database.
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

/// The registry's record of a tenant.
#[derive(Clone, Debug)]
pub struct TenantRecord {
    pub id: TenantId,
    pub name: String,
    pub isolation: Isolation,
    pub status: Status,
    pub country: String,
    pub timezone: String,
    pub subscription_status: String,
    pub trial_ends_at: DateTime<Utc>,
    pub created_at: DateTime<Utc>,
    pub billing: BillingState,
    pub schema_version: Option<i64>,
    pub role_version: i32,
    /// `None` until provisioning has placed the tenant.
    pub placement: Option<Placement>,
}

/// Location of a tenant's data.
#[derive(Clone, Debug)]
pub struct Placement {
    pub server: Server,
    /// Sealed URL of the server's administrator; `None` for the registry's own server.
    pub sealed_admin_url: Option<Vec<u8>>,
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
            sealed_admin_url: self.administrator.clone(),
            database: self.database_name.clone()?,
            schema: self.schema_name.clone()?,
        })
    }
}

pub async fn find(registry: &Registry, id: &TenantId) -> Result<TenantRecord> {
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
    Ok(TenantRecord {
        placement: row.placement(),
        billing: BillingState::new(row.stripe_customer_id.as_deref(), row.billing_failing),
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

/// Suspends an active tenant; returns false if it is not active. A trigger notifies every process.
pub async fn suspend(registry: &Registry, id: &TenantId) -> Result<bool> {
    change_status(registry, id, "active", "suspended").await
}

/// Resumes a suspended tenant; returns false if it is not suspended.
pub async fn resume(registry: &Registry, id: &TenantId) -> Result<bool> {
    change_status(registry, id, "suspended", "active").await
}

/// Records the schema version of a tenant's tables after an upgrade.
pub async fn set_schema_version(registry: &Registry, id: &TenantId, version: i64) -> Result<()> {
    sqlx::query!(
        "update tenants set schema_version = $2, updated_at = now() where id = $1 and schema_version < $2",
        id.as_str(),
        version,
    )
    .execute(&registry.pool)
    .await?;
    Ok(())
}

async fn change_status(registry: &Registry, id: &TenantId, from: &str, to: &str) -> Result<bool> {
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

/// Returns a random active tenant.
pub async fn any_active(registry: &Registry) -> Result<Option<TenantId>> {
    let id = sqlx::query_scalar!("select id from tenants where status = 'active' order by random() limit 1")
        .fetch_optional(&registry.pool)
        .await?;
    Ok(id.map(TenantId))
}
