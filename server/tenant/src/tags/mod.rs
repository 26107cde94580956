//! What members have in common, in the church's own words. A tag is made by naming it at a member.

mod queries;

use crate::{
    Editor, Error, Result, Tenant, Version, Viewer,
    audit::{self, Entry},
    error::ConstraintMessage,
    error::map_constraints,
    version::check_version,
};
use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

#[derive(Clone, Debug)]
pub struct Tag {
    pub id: Uuid,
    pub name: String,
    pub updated_at: DateTime<Utc>,
    /// Those of them whom the viewer may see, and who are not archived.
    pub members: i64,
}

/// How many a church may have.
const OF_A_CHURCH: i64 = 500;

const RULES: &[ConstraintMessage] = &[ConstraintMessage {
    constraint: "tags_name_key",
    field: "name",
    message: "Another tag has this name.",
}];

const TOO_MANY: Error = Error::Rejected {
    field: "tags",
    message: "A church can have 500 tags, and yours has them all. Use one there is, or remove one first.",
};

/// What the audit log keeps of a tag.
#[derive(Serialize)]
struct Noted<'a> {
    name: &'a str,
}

/// All tags, by name, and how many bear each.
pub async fn list(tenant: &Tenant, viewer: &Viewer) -> Result<Vec<Tag>> {
    queries::list(&mut *tenant.read(viewer).await?, viewer, OF_A_CHURCH).await
}

/// The names of all tags, as choices in a form or filter.
pub async fn names(tenant: &Tenant, viewer: &Viewer) -> Result<Vec<String>> {
    queries::names(&mut *tenant.read(viewer).await?, OF_A_CHURCH).await
}

pub async fn find(tenant: &Tenant, viewer: &Viewer, id: Uuid) -> Result<Tag> {
    queries::find(&mut *tenant.read(viewer).await?, viewer, id).await
}

/// Calls a tag by another name, at all who bear it. Names are on one line, trimmed and not empty.
pub async fn rename(
    tenant: &Tenant,
    editor: &Editor,
    id: Uuid,
    name: &str,
    seen: Option<Version>,
) -> Result<()> {
    editor.require_all_branches()?;
    let mut tx = tenant.write(editor).await?;
    queries::hold_all(&mut tx).await?;
    let before = queries::find(&mut tx, &editor.0, id).await?;
    if before.name == name {
        return Ok(());
    }
    check_version(seen, before.updated_at)?;
    queries::touch_members(&mut tx, id).await?;
    queries::rename(&mut tx, id, name).await.map_err(map_constraints(RULES))?;
    let (before, after) = (Noted { name: &before.name }, Noted { name });
    audit::record(&mut tx, Some(editor), entry(id, "changed"), Some(&before), Some(&after)).await?;
    Ok(tx.commit().await?)
}

/// Takes a tag from all who bear it, and away.
pub async fn remove(tenant: &Tenant, editor: &Editor, id: Uuid, seen: Option<Version>) -> Result<()> {
    editor.require_all_branches()?;
    let mut tx = tenant.write(editor).await?;
    queries::hold_all(&mut tx).await?;
    let before = queries::find(&mut tx, &editor.0, id).await?;
    check_version(seen, before.updated_at)?;
    queries::touch_members(&mut tx, id).await?;
    queries::remove(&mut tx, id).await?;
    let before = Noted { name: &before.name };
    audit::record(&mut tx, Some(editor), entry(id, "removed"), Some(&before), None).await?;
    Ok(tx.commit().await?)
}

/// Whether two lists name the same tags, in whatever order and case.
pub(crate) fn are_same(one: &[String], other: &[String]) -> bool {
    let sorted = |names: &[String]| {
        let mut names: Vec<_> = names.iter().map(|name| name.to_lowercase()).collect();
        names.sort_unstable();
        names
    };
    sorted(one) == sorted(other)
}

/// Keeps the tags with these names as they are until the transaction ends. Called before a member is locked, as
/// renaming and removing do it in this order too.
pub(crate) async fn hold(connection: &mut PgConnection, names: &[String]) -> Result<()> {
    if names.is_empty() { Ok(()) } else { queries::hold(connection, names).await }
}

/// The member bears the tags with these names and no others. Those that are not known yet are made.
pub(crate) async fn give(
    connection: &mut PgConnection,
    editor: &Editor,
    member: Uuid,
    names: &[String],
) -> Result<()> {
    let made = queries::make(connection, names).await?;
    if !made.is_empty() {
        if queries::count(connection).await? > OF_A_CHURCH {
            return Err(TOO_MANY);
        }
        let noted: Vec<_> = made.iter().map(|(id, name)| (*id, Noted { name })).collect();
        audit::record_added(connection, editor, "tag", &noted).await?;
    }
    queries::give(connection, member, names, editor.0.admin_id).await
}

fn entry(id: Uuid, action: &'static str) -> Entry {
    Entry { entity: "tag", id, action }
}
