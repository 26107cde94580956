//! What a member is to the church; the list is its own.

use crate::{Result, Tenant, Viewer};
use uuid::Uuid;

#[derive(Clone, Debug)]
pub struct Status {
    pub id: Uuid,
    pub name: String,
    /// One of visitor, attender, member, staff, inactive: what the program understands by it.
    pub kind: String,
}

/// What a new church starts with: name and kind, in order.
pub(crate) const FIRST: [(&str, &str); 5] = [
    ("Visitor", "visitor"),
    ("Regular attender", "attender"),
    ("Member", "member"),
    ("Staff", "staff"),
    ("Inactive", "inactive"),
];

pub async fn list(tenant: &Tenant, viewer: &Viewer) -> Result<Vec<Status>> {
    let mut connection = tenant.read(viewer).await?;
    let statuses = sqlx::query_as!(
        Status,
        "select id, name, kind from member_statuses order by sort_order, name limit 100"
    )
    .fetch_all(&mut *connection)
    .await?;
    Ok(statuses)
}
