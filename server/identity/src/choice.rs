use chrono::{DateTime, Utc};
use registry::tenants::{Status, TenantRecord};
use serde::{Deserialize, Serialize};
use tenant::admins::Account;
use uuid::Uuid;

/// A church that the credentials open, with details that distinguish churches of the same name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    pub tenant_id: String,
    pub church: String,
    pub town: Option<String>,
    /// ISO 3166, two letters.
    pub country: String,
    /// Time of the signup.
    pub created_at: DateTime<Utc>,
    /// The admin's role; see [`tenant::Role::name`].
    pub role: String,
    /// Suspended: it cannot be entered.
    pub is_suspended: bool,
    pub(crate) admin_id: Uuid,
}

impl Choice {
    /// Session key of the sealed choices. Sealed, because the registry holds no church data.
    pub(crate) const KEY: &str = "choices";

    pub(crate) fn new(record: &TenantRecord, account: &Account) -> Self {
        Self {
            tenant_id: record.id.to_string(),
            church: record.name.clone(),
            town: account.town.clone(),
            country: record.country.clone(),
            created_at: record.created_at,
            role: account.role.name().to_owned(),
            is_suspended: record.status == Status::Suspended,
            admin_id: account.id,
        }
    }
}
