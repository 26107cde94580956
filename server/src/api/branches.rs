use super::{
    extract::{
        ApiJson, ApiPage, ApiQuery, CursorQuery, Id, IdempotentId, IfMatch, WithVersion, conflict_as_none,
        retry_on_conflict, search,
    },
    pictures::PicturePatch,
    problem::Problem,
    records::{Described, parse},
    schema,
};
use crate::state::AppState;
use app::forms::context;
use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use chrono::{DateTime, Utc};
use domain::{RawForm, branches::BRANCH};
use identity::CurrentUser;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value as Json};
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
pub struct Branch(branches::Branch);

impl From<branches::Branch> for Branch {
    fn from(branch: branches::Branch) -> Self {
        Self(branch)
    }
}

/// What a response says about a branch beside the fields of its description.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct BranchMeta {
    id: Uuid,
    /// The file with the picture.
    picture_file_id: Option<Uuid>,
    /// Number of members who are not archived.
    members: i64,
    /// Set when the branch is archived, and then in no list.
    archived_at: Option<DateTime<Utc>>,
    updated_at: DateTime<Utc>,
}

impl Serialize for Branch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let branch = &self.0;
        let meta = BranchMeta {
            id: branch.id,
            picture_file_id: branch.picture_id,
            members: branch.members,
            archived_at: branch.archived_at,
            updated_at: branch.updated_at,
        };
        Described { meta, fields: BRANCH.json(&branch.fields) }.serialize(serializer)
    }
}

impl PartialSchema for Branch {
    fn schema() -> RefOr<Schema> {
        schema::response(&BRANCH, BranchMeta::schema())
    }
}

impl ToSchema for Branch {}

/// Changes of a branch: an absent member of the object stays, null empties.
pub struct BranchPatch;

impl PartialSchema for BranchPatch {
    fn schema() -> RefOr<Schema> {
        schema::patch(&BRANCH, Some("pictureFileId"))
    }
}

impl ToSchema for BranchPatch {}

/// A branch to add. Country and time zone are the church's by default.
pub struct NewBranch;

impl PartialSchema for NewBranch {
    fn schema() -> RefOr<Schema> {
        schema::create(&BRANCH, &["timezone"])
    }
}

impl ToSchema for NewBranch {}

#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// Words that all must be found in name, short code or city.
    #[param(max_length = 200)]
    search: Option<String>,
    /// Branches per page; 25 by default.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u8>,
    /// The `nextCursor` of the page before.
    #[param(pattern = "^[A-Za-z0-9_-]{21}[AQgw]$")]
    cursor: Option<String>,
}

/// Lists branches in the order in which they were added
///
/// Archived ones are left out. Following `nextCursor` returns each branch once, whatever is changed concurrently.
#[utoipa::path(
    get, path = "/branches", tag = "Branches", operation_id = "listBranches", params(ListQuery),
    responses((status = 200, description = "A page of the list", body = ApiPage<Branch>)),
    security(("bearer" = []))
)]
pub async fn list(
    Extension(user): Extension<CurrentUser>,
    ApiQuery(query): ApiQuery<ListQuery>,
) -> Result<ApiPage<Branch>, Problem> {
    let page = CursorQuery::new(query.cursor.as_deref(), query.limit)?;
    let slice = Slice { search: search(query.search)?, after: page.after, limit: page.rows() };
    let rows = branches::slice(&user.tenant, user.admin.viewer(), &slice).await?;
    Ok(page.page(rows, |branch| branch.id))
}

/// Adds a branch
#[utoipa::path(
    post, path = "/branches", tag = "Branches", operation_id = "addBranch", request_body = NewBranch,
    responses((status = 201, description = "The branch; its path is in `Location`", body = Branch)),
    security(("bearer" = []))
)]
pub async fn add(
    Extension(user): Extension<CurrentUser>,
    IdempotentId(id): IdempotentId,
    ApiJson(mut body): ApiJson<Map<String, Json>>,
) -> Result<Response, Problem> {
    let editor = user.admin.editor_of_all_branches()?;
    PicturePatch::take(&mut body, "pictureFileId")?.forbid_on_create()?;
    let church = &user.church;
    let defaults = RawForm::from([("country", church.country.as_str()), ("timezone", &church.timezone)]);
    let input = parse(&BRANCH, defaults, &body, None, &user)?;
    branches::add(&user.tenant, &editor, id, &input).await?;
    let branch = branches::find(&user.tenant, editor.viewer(), id).await?;
    Ok(with_version(branch).created(format!("/api/branches/{id}")))
}

/// Returns a branch
#[utoipa::path(
    get, path = "/branches/{id}", tag = "Branches", operation_id = "getBranch", params(("id" = Uuid, Path)),
    responses((status = 200, description = "The branch, with its version as `ETag`", body = Branch)),
    security(("bearer" = []))
)]
pub async fn find(
    Extension(user): Extension<CurrentUser>,
    Id(id): Id,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let branch = branches::find(&user.tenant, user.admin.viewer(), id).await?;
    Ok(with_version(branch).unless_cached(&headers))
}

/// Updates a branch
///
/// With `If-Match`, only if nobody else has changed it.
#[utoipa::path(
    patch, path = "/branches/{id}", tag = "Branches", operation_id = "changeBranch", params(("id" = Uuid, Path)),
    request_body = BranchPatch,
    responses((status = 200, description = "The updated branch", body = Branch)),
    security(("bearer" = []))
)]
pub async fn update(
    State(state): State<AppState>,
    Extension(user): Extension<CurrentUser>,
    Id(id): Id,
    if_match: IfMatch,
    ApiJson(mut body): ApiJson<Map<String, Json>>,
) -> Result<WithVersion<Branch>, Problem> {
    let editor = user.admin.editor_of_all_branches()?;
    let picture = PicturePatch::take(&mut body, "pictureFileId")?;
    retry_on_conflict(|| async {
        let current = branches::find(&user.tenant, editor.viewer(), id).await?;
        let version = Version::from(current.updated_at);
        if_match.check(version)?;
        let form = BRANCH.fill(&current.fields, &context(&user));
        let input = &parse(&BRANCH, form, &body, Some(&current.fields), &user)?;
        let (tenant, editor) = (&user.tenant, &editor);
        let update = |picture| branches::update_with_picture(tenant, editor, id, input, picture, Some(version));
        conflict_as_none(picture.write(&state.files, tenant, editor, current.picture_id, update).await)
    })
    .await?;
    Ok(with_version(branches::find(&user.tenant, editor.viewer(), id).await?))
}

/// Archives a branch
///
/// It is in no list any more; its members stay in it. The main branch cannot be archived.
#[utoipa::path(
    delete, path = "/branches/{id}", tag = "Branches", operation_id = "archiveBranch", params(("id" = Uuid, Path)),
    responses((status = 204, description = "Archived")),
    security(("bearer" = []))
)]
pub async fn archive(
    Extension(user): Extension<CurrentUser>,
    Id(id): Id,
    if_match: IfMatch,
) -> Result<StatusCode, Problem> {
    let editor = user.admin.editor_of_all_branches()?;
    let current = async { Ok(branches::find(&user.tenant, editor.viewer(), id).await?.updated_at) };
    let expected = if_match.expected(current).await?;
    branches::archive(&user.tenant, &editor, id, expected).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn with_version(branch: branches::Branch) -> WithVersion<Branch> {
    WithVersion(branch.updated_at.into(), branch.into())
}
