use super::{
    docs::{needing, without_picture},
    extract::{
        Asked, Body, Id, NewId, Office, Page, Part, Seen, Versioned, on_top, overtaken, patch, put, search,
    },
    pictures::Wanted,
    problem::Problem,
};
use crate::state::AppState;
use app::{forms::rules::line, members::form::MemberForm, tags::form::NAME};
use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use tenant::{
    Version,
    members::{self, Slice},
};
use utoipa::{
    IntoParams, PartialSchema, ToSchema,
    openapi::{RefOr, Schema},
};
use uuid::Uuid;

/// Somebody of the church.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    id: Uuid,
    /// One of the two names may be missing.
    first_name: Option<String>,
    last_name: Option<String>,
    preferred_name: Option<String>,
    middle_name: Option<String>,
    prefix: Option<String>,
    suffix: Option<String>,
    branch_id: Uuid,
    branch_name: String,
    status_id: Uuid,
    status_name: String,
    /// What the program understands by the status: visitor, attender, member, staff or inactive.
    status: String,
    first_contact_on: Option<NaiveDate>,
    joined_on: Option<NaiveDate>,
    baptised_on: Option<NaiveDate>,
    /// E.164.
    mobile: Option<String>,
    home_phone: Option<String>,
    email: Option<String>,
    household_role: Option<String>,
    marital_status: String,
    gender: String,
    anniversary: Option<NaiveDate>,
    birth_day: Option<i16>,
    birth_month: Option<i16>,
    birth_year: Option<i16>,
    notes: Option<String>,
    /// The file with their photo.
    photo_file_id: Option<Uuid>,
    /// By name.
    #[schema(example = json!(["Choir", "Needs a lift"]))]
    tags: Vec<String>,
    /// Set once the member is archived, and in no list any more.
    archived_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<members::Member> for Member {
    fn from(member: members::Member) -> Self {
        let details = member.details;
        Self {
            id: member.id,
            first_name: details.first_name,
            last_name: details.last_name,
            preferred_name: details.preferred_name,
            middle_name: details.middle_name,
            prefix: details.prefix,
            suffix: details.suffix,
            branch_id: details.branch_id,
            branch_name: member.branch_name,
            status_id: details.status_id,
            status_name: member.status_name,
            status: member.status_kind,
            first_contact_on: details.first_contact_on,
            joined_on: details.joined_on,
            baptised_on: details.baptised_on,
            mobile: details.mobile_e164,
            home_phone: details.home_phone,
            email: details.email,
            household_role: details.household_role,
            marital_status: details.marital_status,
            gender: details.gender,
            anniversary: details.anniversary,
            birth_day: details.birth_day,
            birth_month: details.birth_month,
            birth_year: details.birth_year,
            notes: details.notes,
            photo_file_id: member.photo_id,
            tags: details.tags,
            archived_at: member.archived_at,
            created_at: member.created_at,
            updated_at: member.updated_at,
        }
    }
}

/// What is to change: a field that is absent stays as it is, one that is null is emptied.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MemberChanges {
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<String>, required = false, max_length = 80, example = "Ruth")]
    first_name: Option<Option<String>>,
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<String>, required = false, max_length = 80, example = "Okafor")]
    last_name: Option<Option<String>>,
    /// What they are called.
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<String>, required = false, max_length = 80)]
    preferred_name: Option<Option<String>>,
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<String>, required = false, max_length = 80)]
    middle_name: Option<Option<String>>,
    /// A title before the name.
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<String>, required = false, max_length = 20, example = "Dr")]
    prefix: Option<Option<String>>,
    /// A title after the name.
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<String>, required = false, max_length = 20)]
    suffix: Option<Option<String>>,
    /// One of the branches.
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = String, required = false, format = Uuid)]
    branch_id: Option<Option<String>>,
    /// One of the statuses.
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = String, required = false, format = Uuid)]
    status_id: Option<Option<String>>,
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<String>, required = false, format = Date, example = "2026-11-25")]
    first_contact_on: Option<Option<String>>,
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<String>, required = false, format = Date, example = "2026-11-25")]
    joined_on: Option<Option<String>>,
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<String>, required = false, format = Date, example = "2026-11-25")]
    baptised_on: Option<Option<String>>,
    /// As people write it in the church's country, or with + and the country's code; answered as E.164.
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<String>, required = false, max_length = 40, example = "+254712345678")]
    mobile: Option<Option<String>>,
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<String>, required = false, max_length = 40)]
    home_phone: Option<Option<String>>,
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<String>, required = false, max_length = 254, example = "ruth@example.org")]
    email: Option<Option<String>>,
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<String>, required = false, pattern = "^(head|spouse|child|other)$", example = "head")]
    household_role: Option<Option<String>>,
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<String>, required = false, pattern = "^(unknown|single|married|divorced|widowed)$", example = "married")]
    marital_status: Option<Option<String>>,
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<String>, required = false, pattern = "^(unspecified|female|male)$", example = "female")]
    gender: Option<Option<String>>,
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<String>, required = false, format = Date, example = "2026-11-25")]
    anniversary: Option<Option<String>>,
    /// Needs its month.
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<i32>, required = false, minimum = 1, maximum = 31, example = 25)]
    birth_day: Option<Option<i32>>,
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<i32>, required = false, minimum = 1, maximum = 12, example = 11)]
    birth_month: Option<Option<i32>>,
    /// May be unknown.
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<i32>, required = false, minimum = 1850, maximum = 2200)]
    birth_year: Option<Option<i32>>,
    /// Everybody who may see the member can read them.
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<String>, required = false, max_length = 10000)]
    notes: Option<Option<String>>,
    /// The `fileId` of an uploaded JPEG, PNG or WebP: it becomes the photo, upright, square and small.
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<String>, required = false, format = Uuid)]
    photo_file_id: Option<Option<String>>,
    /// By name, in the place of all there are; those that the church does not have yet are made. Each has 50 characters
    /// at most; case does not tell them apart.
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<Vec<String>>, required = false, max_items = 20, example = json!(["Choir", "Needs a lift"]))]
    tags: Option<Option<Vec<String>>>,
}

impl MemberChanges {
    fn apply(self, form: &mut MemberForm) {
        put(&mut form.first_name, self.first_name);
        put(&mut form.last_name, self.last_name);
        put(&mut form.preferred_name, self.preferred_name);
        put(&mut form.middle_name, self.middle_name);
        put(&mut form.prefix, self.prefix);
        put(&mut form.suffix, self.suffix);
        put(&mut form.branch_id, self.branch_id);
        put(&mut form.status_id, self.status_id);
        put(&mut form.first_contact_on, self.first_contact_on);
        put(&mut form.joined_on, self.joined_on);
        put(&mut form.baptised_on, self.baptised_on);
        put(&mut form.mobile, self.mobile);
        put(&mut form.home_phone, self.home_phone);
        put(&mut form.email, self.email);
        put(&mut form.household_role, self.household_role);
        put(&mut form.marital_status, self.marital_status);
        put(&mut form.gender, self.gender);
        put(&mut form.anniversary, self.anniversary);
        put(&mut form.birth_day, self.birth_day);
        put(&mut form.birth_month, self.birth_month);
        put(&mut form.birth_year, self.birth_year);
        put(&mut form.notes, self.notes);
        if let Some(tags) = self.tags {
            form.tags = tags.unwrap_or_default();
        }
    }
}

/// A member to add: the fields of a change, of which some are needed, and one of the two names.
pub struct NewMember;

impl PartialSchema for NewMember {
    fn schema() -> RefOr<Schema> {
        let needed = ["branchId", "statusId"];
        needing(without_picture(MemberChanges::schema(), "photoFileId"), &needed)
    }
}

impl ToSchema for NewMember {}

#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// Words that all must be found in the names, email or phones.
    #[param(max_length = 200)]
    search: Option<String>,
    /// Only members of this branch.
    branch_id: Option<Uuid>,
    /// Only members whose status is of this kind.
    #[param(pattern = "^(visitor|attender|member|staff|inactive)$", example = "member")]
    status: Option<String>,
    /// Only members who bear the tag of this name; case does not matter.
    #[param(min_length = 1, max_length = 50, example = "Choir")]
    tag: Option<String>,
    /// How many at a time; 25 unless said.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u8>,
    /// The `nextCursor` of the part before.
    #[param(pattern = "^[A-Za-z0-9_-]{21}[AQgw]$")]
    cursor: Option<String>,
}

/// The members, in the order in which they were added
///
/// Archived ones are left out. Following `nextCursor` shows each member once, whatever is changed meanwhile.
#[utoipa::path(
    get, path = "/members", tag = "Members", operation_id = "listMembers", params(ListQuery),
    responses((status = 200, description = "A part of the list", body = Page<Member>)),
    security(("bearer" = []))
)]
pub async fn list(Office(office): Office, Asked(asked): Asked<ListQuery>) -> Result<Page<Member>, Problem> {
    const KINDS: [&str; 5] = ["visitor", "attender", "member", "staff", "inactive"];
    let part = Part::new(asked.cursor.as_deref(), asked.limit)?;
    if asked.status.as_deref().is_some_and(|kind| !KINDS.contains(&kind)) {
        return Err(Problem::invalid("status", format!("Use one of {}.", KINDS.join(", "))));
    }
    let slice = Slice {
        search: search(asked.search)?,
        branch: asked.branch_id,
        kind: asked.status,
        tag: asked.tag.map(named).transpose()?,
        after: part.after,
        limit: part.rows(),
    };
    let rows = members::slice(&office.tenant, office.admin.viewer(), &slice).await?;
    Ok(part.page(rows, |member| member.id))
}

/// The name of a tag, as they are stored.
fn named(tag: String) -> Result<String, Problem> {
    let name = line(&tag).filter(|name| name.chars().count() <= NAME);
    name.ok_or_else(|| Problem::invalid("tag", format!("Use 1 to {NAME} characters.")))
}

/// Adds a member
#[utoipa::path(
    post, path = "/members", tag = "Members", operation_id = "addMember", request_body = NewMember,
    responses((status = 201, description = "The member, at the address in `Location`", body = Member)),
    security(("bearer" = []))
)]
pub async fn add(
    Office(office): Office,
    NewId(id): NewId,
    Body(new): Body<MemberChanges>,
) -> Result<Response, Problem> {
    let editor = office.admin.editor()?;
    let mut form = MemberForm::default();
    Wanted::at("photoFileId", new.photo_file_id.clone())?.not_yet()?;
    new.apply(&mut form);
    members::add(&office.tenant, &editor, id, &form.details(&office.church, None)?).await?;
    let member = members::find(&office.tenant, editor.viewer(), id).await?;
    Ok(versioned(member).made(format!("/api/members/{id}")))
}

/// One member
#[utoipa::path(
    get, path = "/members/{id}", tag = "Members", operation_id = "getMember", params(("id" = Uuid, Path)),
    responses((status = 200, description = "The member, with its version as `ETag`", body = Member)),
    security(("bearer" = []))
)]
pub async fn find(Office(office): Office, Id(id): Id, headers: HeaderMap) -> Result<Response, Problem> {
    let member = members::find(&office.tenant, office.admin.viewer(), id).await?;
    Ok(versioned(member).unless_known(&headers))
}

/// Changes a member
///
/// With `If-Match`, only while nobody else has changed it.
#[utoipa::path(
    patch, path = "/members/{id}", tag = "Members", operation_id = "changeMember", params(("id" = Uuid, Path)),
    request_body = MemberChanges,
    responses((status = 200, description = "The member as it is now", body = Member)),
    security(("bearer" = []))
)]
pub async fn change(
    State(state): State<AppState>,
    Office(office): Office,
    Id(id): Id,
    seen: Seen,
    Body(mut changes): Body<MemberChanges>,
) -> Result<Versioned<Member>, Problem> {
    let editor = office.admin.editor()?;
    let church = &office.church;
    let picture = Wanted::at("photoFileId", changes.photo_file_id.take())?;
    on_top(|| async {
        let current = members::find(&office.tenant, editor.viewer(), id).await?;
        let version = Version::from(current.updated_at);
        seen.allows(version)?;
        let mut form = MemberForm::of(&current, &church.country);
        changes.clone().apply(&mut form);
        let details = &form.details(church, Some(&current.details))?;
        let (tenant, editor) = (&office.tenant, &editor);
        let change = |picture| members::change_pictured(tenant, editor, id, details, picture, Some(version));
        overtaken(picture.write(&state.files, tenant, editor, current.photo_id, change).await)
    })
    .await?;
    Ok(versioned(members::find(&office.tenant, editor.viewer(), id).await?))
}

/// Archives a member
///
/// It is in no list any more; nothing is deleted.
#[utoipa::path(
    delete, path = "/members/{id}", tag = "Members", operation_id = "archiveMember", params(("id" = Uuid, Path)),
    responses((status = 204, description = "It is archived")),
    security(("bearer" = []))
)]
pub async fn archive(Office(office): Office, Id(id): Id, seen: Seen) -> Result<StatusCode, Problem> {
    let editor = office.admin.editor()?;
    let now = async { Ok(members::find(&office.tenant, editor.viewer(), id).await?.updated_at) };
    let expected = seen.expected(now).await?;
    members::archive(&office.tenant, &editor, id, expected).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn versioned(member: members::Member) -> Versioned<Member> {
    Versioned(member.updated_at.into(), member.into())
}
