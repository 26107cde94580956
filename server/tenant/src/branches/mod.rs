//! The places where the church meets.

mod queries;

use crate::{
    Editor, Error, Result, Tenant, Version, Viewer,
    audit::{self, Entry},
    error::ConstraintMessage,
    error::map_constraints,
    pictures::{self, PictureOwner},
    version::check_version,
};
use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

/// What an editor writes about a branch. Texts are trimmed and not empty; phones are E.164.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Details {
    pub name: String,
    pub short_code: Option<String>,
    pub is_main: bool,
    pub parent_id: Option<Uuid>,
    pub phone_e164: Option<String>,
    pub email: Option<String>,
    pub website: Option<String>,
    pub address1: Option<String>,
    pub address2: Option<String>,
    pub city: Option<String>,
    pub region: Option<String>,
    pub postal_code: Option<String>,
    pub country: Option<String>,
    /// An IANA name.
    pub timezone: String,
    pub service_times: Option<String>,
}

#[derive(Clone, Debug)]
pub struct Branch {
    pub id: Uuid,
    pub details: Details,
    pub picture_id: Option<Uuid>,
    pub parent_name: Option<String>,
    pub archived_at: Option<DateTime<Utc>>,
    pub updated_at: DateTime<Utc>,
    /// Members who are not archived.
    pub members: i64,
}

/// A branch as a choice in a form or filter.
#[derive(Clone, Debug)]
pub struct Choice {
    pub id: Uuid,
    pub name: String,
    pub is_main: bool,
}

#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub search: String,
    pub archived: bool,
    pub page: u32,
}

pub const PAGE: i64 = 25;

pub struct Page {
    pub items: Vec<Branch>,
    pub total: i64,
}

/// A part of the open branches in the order in which they were added, which stays the same whatever is changed
/// meanwhile.
#[derive(Clone, Debug, Default)]
pub struct Slice {
    /// Words that all must be found in the name, short code or city.
    pub search: String,
    /// The last branch of the part before.
    pub after: Option<Uuid>,
    pub limit: i64,
}

const RULES: &[ConstraintMessage] = &[
    ConstraintMessage {
        constraint: "branches_name_key",
        field: "name",
        message: "Another branch has this name.",
    },
    ConstraintMessage {
        constraint: "branches_short_code_key",
        field: "short_code",
        message: "Another branch has this short code.",
    },
    ConstraintMessage {
        constraint: "branches_parent_not_self",
        field: "parent_id",
        message: "A branch cannot belong to itself.",
    },
    ConstraintMessage {
        constraint: "branches_parent_id_fkey",
        field: "parent_id",
        message: "Choose one of your branches.",
    },
];

/// The branches the viewer may see: the main one first, then by name.
pub async fn list(tenant: &Tenant, viewer: &Viewer, filter: &Filter) -> Result<Page> {
    queries::list(&mut *tenant.read(viewer).await?, viewer, filter).await
}

/// The branches of a slice that the viewer may see.
pub async fn slice(tenant: &Tenant, viewer: &Viewer, slice: &Slice) -> Result<Vec<Branch>> {
    queries::slice(&mut *tenant.read(viewer).await?, viewer, slice).await
}

/// The open branches the viewer may choose from.
pub async fn choices(tenant: &Tenant, viewer: &Viewer) -> Result<Vec<Choice>> {
    queries::choices(&mut *tenant.read(viewer).await?, viewer).await
}

pub async fn find(tenant: &Tenant, viewer: &Viewer, id: Uuid) -> Result<Branch> {
    viewer.check_branch(id)?;
    queries::find(&mut *tenant.read(viewer).await?, id).await
}

/// Adds a branch under an id that the caller makes up; done already, it is not done again.
pub async fn add(tenant: &Tenant, editor: &Editor, id: Uuid, details: &Details) -> Result<()> {
    editor.require_all_branches()?;
    let mut tx = tenant.write(editor).await?;
    if details.is_main {
        queries::clear_main(&mut tx, id).await?;
    }
    match queries::save(&mut tx, id, details, false).await.map_err(map_constraints(RULES)) {
        Ok(true) => {}
        // What was done above is undone with the transaction.
        Ok(false) => return Ok(()),
        // The same request at the same moment was a little faster: its branch has this name.
        Err(error @ Error::Rejected { .. }) => {
            drop(tx);
            let mut connection = tenant.read(&editor.0).await?;
            return queries::find(&mut connection, id).await.map(drop).map_err(|_| error);
        }
        Err(error) => return Err(error),
    }
    audit::record(&mut tx, Some(editor), entry(id, "added"), None, Some(details)).await?;
    Ok(tx.commit().await?)
}

pub async fn change(
    tenant: &Tenant,
    editor: &Editor,
    id: Uuid,
    details: &Details,
    seen: Option<Version>,
) -> Result<()> {
    change_pictured(tenant, editor, id, details, pictures::PictureUpdate::Keep, seen).await.map(drop)
}

/// The same together with its picture.
pub async fn change_pictured(
    tenant: &Tenant,
    editor: &Editor,
    id: Uuid,
    details: &Details,
    picture: pictures::PictureUpdate,
    seen: Option<Version>,
) -> Result<Option<Uuid>> {
    editor.require_all_branches()?;
    let mut tx = tenant.write(editor).await?;
    let before = queries::lock(&mut tx, id).await?;
    // Saved twice with the same content, by two presses of a button, it is not somebody else's change.
    if before.details != *details || !matches!(picture, pictures::PictureUpdate::Keep) {
        check_version(seen, before.updated_at)?;
    }
    // What is saved without a change is not written: the version stays, and the log says nothing.
    if before.details != *details {
        save(&mut tx, editor, &before, details).await?;
    }
    let of_no_use = match picture {
        pictures::PictureUpdate::Keep => None,
        pictures::PictureUpdate::DryRun => return Ok(None),
        pictures::PictureUpdate::Set(made) => {
            pictures::set_in(&mut tx, editor, PictureOwner::Branch(id), made).await?
        }
    };
    tx.commit().await?;
    Ok(of_no_use)
}

async fn save(tx: &mut PgConnection, editor: &Editor, before: &Branch, details: &Details) -> Result<()> {
    let id = before.id;
    if before.details.is_main && !details.is_main {
        return Err(Error::Rejected {
            field: "is_main",
            message: "A church has one main branch. Make another branch the main one instead.",
        });
    }
    if before.archived_at.is_some() && details.is_main {
        return Err(Error::Rejected {
            field: "is_main",
            message: "Restore this branch before making it the main one.",
        });
    }
    if let Some(parent) = details.parent_id
        && queries::is_below(tx, parent, id).await?
    {
        return Err(Error::Rejected {
            field: "parent_id",
            message: "That branch already belongs to this one.",
        });
    }
    if details.is_main {
        queries::clear_main(tx, id).await?;
    }
    queries::save(tx, id, details, true).await.map_err(map_constraints(RULES))?;
    audit::record(tx, Some(editor), entry(id, "changed"), Some(&before.details), Some(details)).await
}

/// Takes a branch out of lists and choices. Its members stay with it.
pub async fn archive(tenant: &Tenant, editor: &Editor, id: Uuid, seen: Option<Version>) -> Result<()> {
    editor.require_all_branches()?;
    let mut tx = tenant.write(editor).await?;
    let branch = queries::lock(&mut tx, id).await?;
    check_version(seen, branch.updated_at)?;
    if branch.details.is_main {
        return Err(Error::Rejected {
            field: "is_main",
            message: "The main branch cannot be archived. Make another branch the main one first.",
        });
    }
    if queries::set_archived(&mut tx, id, true).await? {
        audit::record(&mut tx, Some(editor), entry(id, "archived"), None::<&Details>, None).await?;
    }
    Ok(tx.commit().await?)
}

pub async fn restore(tenant: &Tenant, editor: &Editor, id: Uuid) -> Result<()> {
    editor.require_all_branches()?;
    let mut tx = tenant.write(editor).await?;
    queries::lock(&mut tx, id).await?;
    if queries::set_archived(&mut tx, id, false).await? {
        audit::record(&mut tx, Some(editor), entry(id, "restored"), None::<&Details>, None).await?;
    }
    Ok(tx.commit().await?)
}

fn entry(id: Uuid, action: &'static str) -> Entry {
    Entry { entity: "branch", id, action }
}
