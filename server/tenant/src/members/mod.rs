//! The people of the church.

mod queries;
mod search;

pub(crate) use queries::refold;
#[doc(hidden)]
pub use search::shapes;

use crate::{
    Editor, Result, Tenant, Version, Viewer,
    audit::{self, Entry},
    error::Rule,
    error::explained,
    photos::{self, Whose},
    tags,
    version::unless_changed,
};
use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use uuid::Uuid;

/// What an editor writes about a member. Texts are trimmed and not empty; the mobile is E.164.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Details {
    pub prefix: Option<String>,
    /// One of the first and the last name may be missing.
    pub first_name: Option<String>,
    pub middle_name: Option<String>,
    pub last_name: Option<String>,
    pub suffix: Option<String>,
    pub preferred_name: Option<String>,
    pub branch_id: Uuid,
    pub status_id: Uuid,
    /// One of head, spouse, child, other.
    pub household_role: Option<String>,
    /// One of unspecified, female, male.
    pub gender: String,
    /// One of unknown, single, married, divorced, widowed.
    pub marital_status: String,
    pub birth_year: Option<i16>,
    pub birth_month: Option<i16>,
    pub birth_day: Option<i16>,
    pub anniversary: Option<NaiveDate>,
    pub first_contact_on: Option<NaiveDate>,
    pub joined_on: Option<NaiveDate>,
    pub baptised_on: Option<NaiveDate>,
    pub email: Option<String>,
    pub mobile_e164: Option<String>,
    pub home_phone: Option<String>,
    pub notes: Option<String>,
    /// The names of tags, by name; those that are not known yet are made.
    pub tags: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct Member {
    pub id: Uuid,
    pub details: Details,
    pub photo_id: Option<Uuid>,
    pub branch_name: String,
    pub status_name: String,
    pub status_kind: String,
    pub archived_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// A row of the list.
#[derive(Clone, Debug)]
pub struct Listed {
    pub id: Uuid,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub preferred_name: Option<String>,
    pub branch_name: String,
    pub status_name: String,
    pub status_kind: String,
    pub email: Option<String>,
    pub mobile_e164: Option<String>,
    pub photo_id: Option<Uuid>,
    pub tags: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    #[default]
    Name,
    Branch,
    Status,
    Added,
}

impl Sort {
    pub fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Branch => "branch",
            Self::Status => "status",
            Self::Added => "added",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Name, Self::Branch, Self::Status, Self::Added].into_iter().find(|sort| sort.name() == name)
    }
}

#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Words that all must be found in the names, email or phones.
    pub search: String,
    pub branch: Option<Uuid>,
    pub status: Option<Uuid>,
    /// The name of a tag.
    pub tag: Option<String>,
    pub archived: bool,
    pub sort: Sort,
    pub descending: bool,
    pub page: u32,
}

pub const PAGE: i64 = 25;

pub struct Page {
    pub items: Vec<Listed>,
    pub total: Total,
}

/// How many members a list has on all of its pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Total {
    pub count: i64,
    /// False: there are more than `count`, and how many was not counted.
    pub is_exact: bool,
}

/// A part of the list in the order in which members were added, which stays the same whatever is changed meanwhile.
#[derive(Clone, Debug, Default)]
pub struct Slice {
    /// Words that all must be found in the names, email or phones.
    pub search: String,
    pub branch: Option<Uuid>,
    /// The kind of their status: visitor, attender, member, staff or inactive.
    pub kind: Option<String>,
    /// The name of a tag.
    pub tag: Option<String>,
    /// The last member of the part before.
    pub after: Option<Uuid>,
    pub limit: i64,
}

const RULES: &[Rule] = &[
    Rule {
        constraint: "members_branch_id_fkey",
        field: "branch_id",
        message: "Choose one of your branches.",
    },
    Rule {
        constraint: "members_status_id_fkey",
        field: "status_id",
        message: "Choose one of your statuses.",
    },
];

pub async fn list(tenant: &Tenant, viewer: &Viewer, filter: &Filter) -> Result<Page> {
    queries::list(&mut *tenant.read(viewer).await?, viewer, filter).await
}

/// The members of a slice who are not archived, whole.
pub async fn slice(tenant: &Tenant, viewer: &Viewer, slice: &Slice) -> Result<Vec<Member>> {
    queries::slice(&mut *tenant.read(viewer).await?, viewer, slice).await
}

pub async fn find(tenant: &Tenant, viewer: &Viewer, id: Uuid) -> Result<Member> {
    queries::find(&mut *tenant.read(viewer).await?, viewer, id).await
}

/// Adds a member under an id that the caller makes up; done already, it is not done again.
pub async fn add(tenant: &Tenant, editor: &Editor, id: Uuid, details: &Details) -> Result<()> {
    editor.0.may_see(details.branch_id)?;
    let mut tx = tenant.write(editor).await?;
    tags::hold(&mut tx, &details.tags).await?;
    if !queries::save(&mut tx, id, details, false).await.map_err(explained(RULES))? {
        return Ok(());
    }
    if !details.tags.is_empty() {
        tags::give(&mut tx, editor, id, &details.tags).await?;
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
    change_pictured(tenant, editor, id, details, photos::Change::Stays, seen).await.map(drop)
}

/// The same together with its picture.
pub async fn change_pictured(
    tenant: &Tenant,
    editor: &Editor,
    id: Uuid,
    details: &Details,
    picture: photos::Change,
    seen: Option<Version>,
) -> Result<Option<Uuid>> {
    editor.0.may_see(details.branch_id)?;
    let mut tx = tenant.write(editor).await?;
    tags::hold(&mut tx, &details.tags).await?;
    let before = queries::lock(&mut tx, &editor.0, id).await?;
    let retagged = !tags::are_same(&before.details.tags, &details.tags);
    let details = Details {
        tags: if retagged { details.tags.clone() } else { before.details.tags.clone() },
        ..details.clone()
    };
    // Saved twice with the same content, by two presses of a button, it is not somebody else's change.
    if before.details != details || !matches!(picture, photos::Change::Stays) {
        unless_changed(seen, before.updated_at)?;
    }
    // What is saved without a change is not written: the version stays, and the log says nothing.
    if before.details != details {
        queries::save(&mut tx, id, &details, true).await.map_err(explained(RULES))?;
        if retagged {
            tags::give(&mut tx, editor, id, &details.tags).await?;
        }
        let entry = entry(id, "changed");
        audit::record(&mut tx, Some(editor), entry, Some(&before.details), Some(&details)).await?;
    }
    let of_no_use = match picture {
        photos::Change::Stays => None,
        photos::Change::Awaited => return Ok(None),
        photos::Change::Becomes(made) => photos::put(&mut tx, editor, Whose::Member(id), made).await?,
    };
    tx.commit().await?;
    Ok(of_no_use)
}

/// Takes a member out of lists, figures and messages; nothing is deleted.
pub async fn archive(tenant: &Tenant, editor: &Editor, id: Uuid, seen: Option<Version>) -> Result<()> {
    set_archived(tenant, editor, id, true, seen).await
}

pub async fn restore(tenant: &Tenant, editor: &Editor, id: Uuid) -> Result<()> {
    set_archived(tenant, editor, id, false, None).await
}

async fn set_archived(
    tenant: &Tenant,
    editor: &Editor,
    id: Uuid,
    archived: bool,
    seen: Option<Version>,
) -> Result<()> {
    let mut tx = tenant.write(editor).await?;
    unless_changed(seen, queries::lock(&mut tx, &editor.0, id).await?.updated_at)?;
    if queries::set_archived(&mut tx, id, archived).await? {
        let action = if archived { "archived" } else { "restored" };
        audit::record(&mut tx, Some(editor), entry(id, action), None::<&Details>, None).await?;
    }
    Ok(tx.commit().await?)
}

fn entry(id: Uuid, action: &'static str) -> Entry {
    Entry { entity: "member", id, action }
}
