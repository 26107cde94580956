use super::{
    docs::{needing, without_picture},
    extract::{
        Asked, Body, Id, NewId, Office, Page, Part, Seen, Versioned, on_top, overtaken, patch, put, search,
    },
    pictures::Wanted,
    problem::Problem,
};
use crate::state::AppState;
use app::branches::form::BranchForm;
use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tenant::{
    Version,
    branches::{self, Slice},
};
use utoipa::{
    IntoParams, PartialSchema, ToSchema,
    openapi::{RefOr, Schema},
};
use uuid::Uuid;

/// A place where the church meets.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Branch {
    id: Uuid,
    name: String,
    short_code: Option<String>,
    is_main: bool,
    parent_id: Option<Uuid>,
    service_times: Option<String>,
    /// E.164.
    phone: Option<String>,
    email: Option<String>,
    website: Option<String>,
    address1: Option<String>,
    address2: Option<String>,
    city: Option<String>,
    postal_code: Option<String>,
    region: Option<String>,
    country: Option<String>,
    timezone: String,
    /// The file with its picture.
    picture_file_id: Option<Uuid>,
    /// Members who are not archived.
    members: i64,
    /// Set once the branch is archived, and in no list any more.
    archived_at: Option<DateTime<Utc>>,
    updated_at: DateTime<Utc>,
}

impl From<branches::Branch> for Branch {
    fn from(branch: branches::Branch) -> Self {
        let details = branch.details;
        Self {
            id: branch.id,
            name: details.name,
            short_code: details.short_code,
            is_main: details.is_main,
            parent_id: details.parent_id,
            service_times: details.service_times,
            phone: details.phone_e164,
            email: details.email,
            website: details.website,
            address1: details.address1,
            address2: details.address2,
            city: details.city,
            postal_code: details.postal_code,
            region: details.region,
            country: details.country,
            timezone: details.timezone,
            picture_file_id: branch.picture_id,
            members: branch.members,
            archived_at: branch.archived_at,
            updated_at: branch.updated_at,
        }
    }
}

/// What is to change: a field that is absent stays as it is, one that is null is emptied.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BranchChanges {
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = String, required = false, min_length = 1, max_length = 120, example = "Westlands")]
    name: Option<Option<String>>,
    /// For lists and figures.
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<String>, required = false, max_length = 12, example = "WL")]
    short_code: Option<Option<String>>,
    /// A church has one main branch: the one that is made it takes the place of the other.
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = bool, required = false)]
    is_main: Option<Option<bool>>,
    /// The branch that it belongs to.
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<String>, required = false, format = Uuid)]
    parent_id: Option<Option<String>>,
    /// As they stand on the door.
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<String>, required = false, max_length = 1000)]
    service_times: Option<Option<String>>,
    /// As people write it in the branch's country, or with + and the country's code; answered as E.164.
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<String>, required = false, max_length = 40)]
    phone: Option<Option<String>>,
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<String>, required = false, max_length = 254, example = "westlands@example.org")]
    email: Option<Option<String>>,
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<String>, required = false, max_length = 300)]
    website: Option<Option<String>>,
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<String>, required = false, max_length = 200)]
    address1: Option<Option<String>>,
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<String>, required = false, max_length = 200)]
    address2: Option<Option<String>>,
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<String>, required = false, max_length = 120, example = "Nairobi")]
    city: Option<Option<String>>,
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<String>, required = false, max_length = 20)]
    postal_code: Option<Option<String>>,
    /// County or region.
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<String>, required = false, max_length = 120)]
    region: Option<Option<String>>,
    /// ISO 3166, two letters.
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<String>, required = false, pattern = "^[A-Z]{2}$", example = "KE")]
    country: Option<Option<String>>,
    /// IANA.
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = String, required = false, example = "Africa/Nairobi")]
    timezone: Option<Option<String>>,
    /// The `fileId` of an uploaded JPEG, PNG or WebP: it becomes the picture, upright, square and small.
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<String>, required = false, format = Uuid)]
    picture_file_id: Option<Option<String>>,
}

impl BranchChanges {
    fn apply(self, form: &mut BranchForm) {
        put(&mut form.name, self.name);
        put(&mut form.short_code, self.short_code);
        // A box that is ticked, or not.
        put(&mut form.is_main, self.is_main.map(|is_main| is_main.filter(|is_main| *is_main)));
        put(&mut form.parent_id, self.parent_id);
        put(&mut form.service_times, self.service_times);
        put(&mut form.phone, self.phone);
        put(&mut form.email, self.email);
        put(&mut form.website, self.website);
        put(&mut form.address1, self.address1);
        put(&mut form.address2, self.address2);
        put(&mut form.city, self.city);
        put(&mut form.postal_code, self.postal_code);
        put(&mut form.region, self.region);
        put(&mut form.country, self.country);
        put(&mut form.timezone, self.timezone);
    }
}

/// A branch to add: the fields of a change, of which the name is needed. Country and time zone are the church's unless
/// others are given.
pub struct NewBranch;

impl PartialSchema for NewBranch {
    fn schema() -> RefOr<Schema> {
        needing(without_picture(BranchChanges::schema(), "pictureFileId"), &["name"])
    }
}

impl ToSchema for NewBranch {}

#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// Words that all must be found in the name, short code or city.
    #[param(max_length = 200)]
    search: Option<String>,
    /// How many at a time; 25 unless said.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u8>,
    /// The `nextCursor` of the part before.
    #[param(pattern = "^[A-Za-z0-9_-]{21}[AQgw]$")]
    cursor: Option<String>,
}

/// The branches, in the order in which they were added
///
/// Archived ones are left out. Following `nextCursor` shows each branch once, whatever is changed meanwhile.
#[utoipa::path(
    get, path = "/branches", tag = "Branches", operation_id = "listBranches", params(ListQuery),
    responses((status = 200, description = "A part of the list", body = Page<Branch>)),
    security(("bearer" = []))
)]
pub async fn list(Office(office): Office, Asked(asked): Asked<ListQuery>) -> Result<Page<Branch>, Problem> {
    let part = Part::new(asked.cursor.as_deref(), asked.limit)?;
    let slice = Slice { search: search(asked.search)?, after: part.after, limit: part.rows() };
    let rows = branches::slice(&office.tenant, office.admin.viewer(), &slice).await?;
    Ok(part.page(rows, |branch| branch.id))
}

/// Adds a branch
#[utoipa::path(
    post, path = "/branches", tag = "Branches", operation_id = "addBranch", request_body = NewBranch,
    responses((status = 201, description = "The branch, at the address in `Location`", body = Branch)),
    security(("bearer" = []))
)]
pub async fn add(
    Office(office): Office,
    NewId(id): NewId,
    Body(new): Body<BranchChanges>,
) -> Result<Response, Problem> {
    let editor = office.admin.editor()?;
    let mut form = BranchForm::blank(&office.church.country, &office.church.timezone);
    Wanted::at("pictureFileId", new.picture_file_id.clone())?.not_yet()?;
    new.apply(&mut form);
    branches::add(&office.tenant, &editor, id, &form.details(&office.church, None)?).await?;
    let branch = branches::find(&office.tenant, editor.viewer(), id).await?;
    Ok(versioned(branch).made(format!("/api/branches/{id}")))
}

/// One branch
#[utoipa::path(
    get, path = "/branches/{id}", tag = "Branches", operation_id = "getBranch", params(("id" = Uuid, Path)),
    responses((status = 200, description = "The branch, with its version as `ETag`", body = Branch)),
    security(("bearer" = []))
)]
pub async fn find(Office(office): Office, Id(id): Id, headers: HeaderMap) -> Result<Response, Problem> {
    let branch = branches::find(&office.tenant, office.admin.viewer(), id).await?;
    Ok(versioned(branch).unless_known(&headers))
}

/// Changes a branch
///
/// With `If-Match`, only while nobody else has changed it.
#[utoipa::path(
    patch, path = "/branches/{id}", tag = "Branches", operation_id = "changeBranch", params(("id" = Uuid, Path)),
    request_body = BranchChanges,
    responses((status = 200, description = "The branch as it is now", body = Branch)),
    security(("bearer" = []))
)]
pub async fn change(
    State(state): State<AppState>,
    Office(office): Office,
    Id(id): Id,
    seen: Seen,
    Body(mut changes): Body<BranchChanges>,
) -> Result<Versioned<Branch>, Problem> {
    let editor = office.admin.editor()?;
    let picture = Wanted::at("pictureFileId", changes.picture_file_id.take())?;
    on_top(|| async {
        let current = branches::find(&office.tenant, editor.viewer(), id).await?;
        let version = Version::from(current.updated_at);
        seen.allows(version)?;
        let mut form = BranchForm::of(&current);
        changes.clone().apply(&mut form);
        let details = &form.details(&office.church, Some(&current.details))?;
        let (tenant, editor) = (&office.tenant, &editor);
        let change = |picture| branches::change_pictured(tenant, editor, id, details, picture, Some(version));
        overtaken(picture.write(&state.files, tenant, editor, current.picture_id, change).await)
    })
    .await?;
    Ok(versioned(branches::find(&office.tenant, editor.viewer(), id).await?))
}

/// Archives a branch
///
/// It is in no list any more; its members stay with it. The main branch cannot be archived.
#[utoipa::path(
    delete, path = "/branches/{id}", tag = "Branches", operation_id = "archiveBranch", params(("id" = Uuid, Path)),
    responses((status = 204, description = "It is archived")),
    security(("bearer" = []))
)]
pub async fn archive(Office(office): Office, Id(id): Id, seen: Seen) -> Result<StatusCode, Problem> {
    let editor = office.admin.editor()?;
    let now = async { Ok(branches::find(&office.tenant, editor.viewer(), id).await?.updated_at) };
    let expected = seen.expected(now).await?;
    branches::archive(&office.tenant, &editor, id, expected).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn versioned(branch: branches::Branch) -> Versioned<Branch> {
    Versioned(branch.updated_at.into(), branch.into())
}
