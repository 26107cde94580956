//! The places where the church meets.

mod queries;

use crate::{
    Editor, Error, Result, Tenant, Version, Viewer,
    audit::{self, Entry},
    error::Rule,
    error::explained,
    photos::{self, Whose},
    text,
    version::unless_changed,
};
use chrono::{DateTime, Utc};
use domain::branches::BranchInput;
use sqlx::PgConnection;
use uuid::Uuid;

#[derive(Clone, Debug)]
pub struct Branch {
    pub id: Uuid,
    pub fields: BranchInput,
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

const RULES: &[Rule] = &[
    Rule { constraint: "branches_name_key", field: "name", message: "Another branch has this name." },
    Rule {
        constraint: "branches_short_code_key",
        field: "short_code",
        message: "Another branch has this short code.",
    },
    Rule {
        constraint: "branches_parent_not_self",
        field: "parent_id",
        message: "A branch cannot belong to itself.",
    },
    Rule {
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

/// Names of open branches that the viewer may see and that contain a text; at most ten, those that begin with it first.
pub async fn suggest(tenant: &Tenant, viewer: &Viewer, text: &str) -> Result<Vec<String>> {
    let names = choices(tenant, viewer).await?.into_iter().map(|choice| choice.name);
    Ok(text::suggest(text, names))
}

pub async fn find(tenant: &Tenant, viewer: &Viewer, id: Uuid) -> Result<Branch> {
    viewer.may_see(id)?;
    queries::find(&mut *tenant.read(viewer).await?, id).await
}

/// Adds a branch under an id chosen by the caller; repeated with the same id, it adds nothing.
pub async fn add(tenant: &Tenant, editor: &Editor, id: Uuid, input: &BranchInput) -> Result<()> {
    editor.of_all_branches()?;
    let mut tx = tenant.write(editor).await?;
    if input.is_main {
        queries::clear_main(&mut tx, id).await?;
    }
    match queries::insert(&mut tx, id, input).await.map_err(explained(RULES)) {
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
    audit::record(&mut tx, Some(editor), entry(id, "added"), None, Some(input)).await?;
    Ok(tx.commit().await?)
}

pub async fn update(
    tenant: &Tenant,
    editor: &Editor,
    id: Uuid,
    input: &BranchInput,
    expected: Option<Version>,
) -> Result<()> {
    update_with_picture(tenant, editor, id, input, photos::Change::Stays, expected).await.map(drop)
}

/// Updates a branch and its picture in one transaction. Returns the picture that nothing refers to any more.
pub async fn update_with_picture(
    tenant: &Tenant,
    editor: &Editor,
    id: Uuid,
    input: &BranchInput,
    picture: photos::Change,
    expected: Option<Version>,
) -> Result<Option<Uuid>> {
    editor.of_all_branches()?;
    let mut tx = tenant.write(editor).await?;
    let before = queries::lock(&mut tx, id).await?;
    // Saved twice with the same content, by two presses of a button, it is not somebody else's change.
    if before.fields != *input || !matches!(picture, photos::Change::Stays) {
        unless_changed(expected, before.updated_at)?;
    }
    // What is saved without a change is not written: the version stays, and the log says nothing.
    if before.fields != *input {
        save(&mut tx, editor, &before, input).await?;
    }
    let orphan = match picture {
        photos::Change::Stays => None,
        photos::Change::Awaited => return Ok(None),
        photos::Change::Becomes(made) => photos::put(&mut tx, editor, Whose::Branch(id), made).await?,
    };
    tx.commit().await?;
    Ok(orphan)
}

async fn save(tx: &mut PgConnection, editor: &Editor, before: &Branch, input: &BranchInput) -> Result<()> {
    let id = before.id;
    if before.fields.is_main && !input.is_main {
        return Err(Error::Rejected {
            field: "is_main",
            message: "A church has one main branch. Make another branch the main one instead.",
        });
    }
    if before.archived_at.is_some() && input.is_main {
        return Err(Error::Rejected {
            field: "is_main",
            message: "Restore this branch before making it the main one.",
        });
    }
    if let Some(parent) = input.parent_id
        && queries::is_below(tx, parent, id).await?
    {
        return Err(Error::Rejected {
            field: "parent_id",
            message: "That branch already belongs to this one.",
        });
    }
    if input.is_main {
        queries::clear_main(tx, id).await?;
    }
    queries::update(tx, id, input).await.map_err(explained(RULES))?;
    audit::record(tx, Some(editor), entry(id, "changed"), Some(&before.fields), Some(input)).await
}

/// Takes a branch out of lists and choices. Its members stay with it.
pub async fn archive(tenant: &Tenant, editor: &Editor, id: Uuid, expected: Option<Version>) -> Result<()> {
    editor.of_all_branches()?;
    let mut tx = tenant.write(editor).await?;
    let branch = queries::lock(&mut tx, id).await?;
    unless_changed(expected, branch.updated_at)?;
    if branch.fields.is_main {
        return Err(Error::Rejected {
            field: "is_main",
            message: "The main branch cannot be archived. Make another branch the main one first.",
        });
    }
    if queries::set_archived(&mut tx, id, true).await? {
        audit::record(&mut tx, Some(editor), entry(id, "archived"), None::<&BranchInput>, None).await?;
    }
    Ok(tx.commit().await?)
}

pub async fn restore(tenant: &Tenant, editor: &Editor, id: Uuid) -> Result<()> {
    editor.of_all_branches()?;
    let mut tx = tenant.write(editor).await?;
    queries::lock(&mut tx, id).await?;
    if queries::set_archived(&mut tx, id, false).await? {
        audit::record(&mut tx, Some(editor), entry(id, "restored"), None::<&BranchInput>, None).await?;
    }
    Ok(tx.commit().await?)
}

fn entry(id: Uuid, action: &'static str) -> Entry {
    Entry { entity: "branch", id, action }
}
