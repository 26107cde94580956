use crate::{Error, Result};
use std::{fmt, str::FromStr};

/// Name of the schema in a tenant's dedicated database.
pub const DEDICATED_SCHEMA: &str = "church";

/// A cuid2: 24 lower-case letters and digits, the first a letter.
#[derive(Clone, Debug, PartialEq, Eq, Hash, sqlx::Type)]
#[sqlx(transparent)]
pub struct TenantId(pub(crate) String);

impl TenantId {
    pub fn generate() -> Self {
        Self(cuid2::create_id())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the name of the tenant's role, and of its dedicated database or schema: `tenant_<id>`.
    pub fn pg_identifier(&self) -> String {
        // Only lower-case letters, digits and an underscore: needs no quoting.
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
