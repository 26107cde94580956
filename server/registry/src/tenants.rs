use crate::{Error, Registry, Result, billing, servers::Server};
use chrono::{DateTime, Utc};
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

/// A tenant as the registry knows it.
#[derive(Clone, Debug)]
pub struct Tenant {
    pub id: TenantId,
    pub name: String,
    pub status: Status,
    pub country: String,
    pub timezone: String,
    pub subscription_status: String,
    pub trial_ends_at: DateTime<Utc>,
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
    pub database: String,
    pub schema: String,
}

struct Row {
    id: String,
    name: String,
    status: String,
    country: String,
    timezone: String,
    subscription_status: String,
    trial_ends_at: DateTime<Utc>,
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
            database: self.database_name.clone()?,
            schema: self.schema_name.clone()?,
        })
    }
}

pub async fn find(registry: &Registry, id: &TenantId) -> Result<Tenant> {
    let row = sqlx::query_as!(
        Row,
        r#"select t.id, t.name, t.status, t.country, t.timezone, t.subscription_status, t.trial_ends_at,
                  t.stripe_customer_id, j.failing as "billing_failing?",
                  t.schema_version, t.role_version, t.database_name, t.schema_name,
                  s.id as "server_id?", s.name as "server_name?", s.region as "region?",
                  s.host as "host?", s.port as "port?"
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
        name: row.name,
        country: row.country,
        timezone: row.timezone,
        subscription_status: row.subscription_status,
        trial_ends_at: row.trial_ends_at,
        schema_version: row.schema_version,
        role_version: row.role_version,
    })
}

/// The most churches one email is checked against when it signs in.
const CHURCHES_OF_AN_EMAIL: i64 = 20;

/// The churches in which an email may sign in, the oldest first. Suspended ones are among them:
/// their people are told so after their password was checked.
pub async fn of_email(registry: &Registry, email: &str) -> Result<Vec<TenantId>> {
    let ids = sqlx::query_scalar!(
        "select t.id
           from admin_emails e
           join tenants t on t.id = e.tenant_id
          where e.email = lower($1) and t.status in ('active', 'suspended')
          order by t.created_at, t.id
          limit $2",
        email,
        CHURCHES_OF_AN_EMAIL,
    )
    .fetch_all(&registry.pool)
    .await?;
    Ok(ids.into_iter().map(TenantId).collect())
}
