//! The people of the church.

mod queries;

pub(crate) use queries::refold;

use crate::{
    Editor, Result, Tenant, Version, Viewer,
    audit::{self, Entry},
    error::Rule,
    error::explained,
    photos::{self, Whose},
    tags, text,
    version::unless_changed,
};
use chrono::{DateTime, Utc};
use domain::members::MemberInput;
use uuid::Uuid;

#[derive(Clone, Debug)]
pub struct Member {
    pub id: Uuid,
    pub fields: MemberInput,
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
    pub mobile: Option<String>,
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
    pub total: i64,
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

/// What a person is compared by, to find members who may be the same. Texts are normalised; the mobile is E.164.
#[derive(Clone, Debug, Default)]
pub struct Similar {
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub mobile: Option<String>,
    pub email: Option<String>,
}

/// Finds at most three members who may be the same person: the same folded full name in either order, or the same mobile
/// or email with the same folded first name.
pub async fn similar(tenant: &Tenant, viewer: &Viewer, similar: &Similar) -> Result<Vec<Listed>> {
    const MOST: usize = 3;
    let (first, last) = (similar.first_name.as_deref(), similar.last_name.as_deref());
    let names = match (first, last) {
        (Some(first), Some(last)) => vec![text::sort_key([last, first]), text::sort_key([first, last])],
        _ => Vec::new(),
    };
    let folded = |name: Option<&str>| name.map(|name| text::sort_key([name])).unwrap_or_default();
    let has_contact = similar.mobile.is_some() || similar.email.is_some();
    if names.is_empty() && (!has_contact || first.is_none()) {
        return Ok(Vec::new());
    }
    let mut found = queries::similar(&mut *tenant.read(viewer).await?, viewer, similar, &names).await?;
    found.retain(|member| {
        let (theirs_first, theirs_last) = (member.first_name.as_deref(), member.last_name.as_deref());
        let key = text::sort_key([theirs_last, theirs_first].into_iter().flatten());
        names.contains(&key) || (first.is_some() && folded(theirs_first) == folded(first))
    });
    found.truncate(MOST);
    Ok(found)
}

/// Adds a member under an id chosen by the caller; repeated with the same id, it adds nothing.
pub async fn add(tenant: &Tenant, editor: &Editor, id: Uuid, input: &MemberInput) -> Result<()> {
    editor.0.may_see(input.branch_id)?;
    let mut tx = tenant.write(editor).await?;
    tags::hold(&mut tx, &input.tags).await?;
    if !queries::insert(&mut tx, id, input).await.map_err(explained(RULES))? {
        return Ok(());
    }
    if !input.tags.is_empty() {
        tags::give(&mut tx, editor, id, &input.tags).await?;
    }
    audit::record(&mut tx, Some(editor), entry(id, "added"), None, Some(input)).await?;
    Ok(tx.commit().await?)
}

/// Updates a member. Without a change nothing is written: the version stays, and nothing is audited.
pub async fn update(
    tenant: &Tenant,
    editor: &Editor,
    id: Uuid,
    input: &MemberInput,
    expected: Option<Version>,
) -> Result<()> {
    update_with_picture(tenant, editor, id, input, photos::Change::Stays, expected).await.map(drop)
}

/// Updates a member and its picture in one transaction. Returns the picture that nothing refers to any more.
pub async fn update_with_picture(
    tenant: &Tenant,
    editor: &Editor,
    id: Uuid,
    input: &MemberInput,
    picture: photos::Change,
    expected: Option<Version>,
) -> Result<Option<Uuid>> {
    editor.0.may_see(input.branch_id)?;
    let mut tx = tenant.write(editor).await?;
    tags::hold(&mut tx, &input.tags).await?;
    let before = queries::lock(&mut tx, &editor.0, id).await?;
    let retagged = !tags::are_same(&before.fields.tags, &input.tags);
    let input = MemberInput {
        tags: if retagged { input.tags.clone() } else { before.fields.tags.clone() },
        ..input.clone()
    };
    // The same content saved twice, by two presses of a button, is no conflict.
    if before.fields != input || !matches!(picture, photos::Change::Stays) {
        unless_changed(expected, before.updated_at)?;
    }
    if before.fields != input {
        queries::update(&mut tx, id, &input).await.map_err(explained(RULES))?;
        if retagged {
            tags::give(&mut tx, editor, id, &input.tags).await?;
        }
        let entry = entry(id, "changed");
        audit::record(&mut tx, Some(editor), entry, Some(&before.fields), Some(&input)).await?;
    }
    let orphan = match picture {
        photos::Change::Stays => None,
        photos::Change::Awaited => return Ok(None),
        photos::Change::Becomes(made) => photos::put(&mut tx, editor, Whose::Member(id), made).await?,
    };
    tx.commit().await?;
    Ok(orphan)
}

/// Hides a member from lists and totals; nothing is deleted.
pub async fn archive(tenant: &Tenant, editor: &Editor, id: Uuid, expected: Option<Version>) -> Result<()> {
    set_archived(tenant, editor, id, true, expected).await
}

pub async fn restore(tenant: &Tenant, editor: &Editor, id: Uuid) -> Result<()> {
    set_archived(tenant, editor, id, false, None).await
}

async fn set_archived(
    tenant: &Tenant,
    editor: &Editor,
    id: Uuid,
    archived: bool,
    expected: Option<Version>,
) -> Result<()> {
    let mut tx = tenant.write(editor).await?;
    unless_changed(expected, queries::lock(&mut tx, &editor.0, id).await?.updated_at)?;
    if queries::set_archived(&mut tx, id, archived).await? {
        let action = if archived { "archived" } else { "restored" };
        audit::record(&mut tx, Some(editor), entry(id, action), None::<&MemberInput>, None).await?;
    }
    Ok(tx.commit().await?)
}

fn entry(id: Uuid, action: &'static str) -> Entry {
    Entry { entity: "member", id, action }
}
