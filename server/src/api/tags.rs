use super::{
    extract::{ApiJson, Id, IfMatch, WithVersion, conflict_as_none, retry_on_conflict},
    problem::Problem,
    records::parse,
    schema,
};
use app::forms::context;
use axum::{
    Extension, Json,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use domain::tags::{TAG, TagInput};
use identity::CurrentUser;
use serde::Serialize;
use serde_json::{Map, Value};
use tenant::{Version, tags};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, Schema},
};
use uuid::Uuid;

/// A group of people, in the church's own words.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tag {
    id: Uuid,
    #[schema(example = "Choir")]
    name: String,
    /// Number of members who have it and are not archived.
    #[schema(example = 12)]
    members: i64,
}

impl From<tags::Tag> for Tag {
    fn from(tag: tags::Tag) -> Self {
        Self { id: tag.id, name: tag.name, members: tag.members }
    }
}

#[derive(Serialize, ToSchema)]
pub struct Tags {
    items: Vec<Tag>,
}

/// A new name.
pub struct TagPatch;

impl PartialSchema for TagPatch {
    fn schema() -> RefOr<Schema> {
        schema::patch(&TAG, None)
    }
}

impl ToSchema for TagPatch {}

/// Lists tags, sorted by name
///
/// A tag is added by naming it at a member.
#[utoipa::path(
    get, path = "/tags", tag = "Members", operation_id = "listTags",
    responses((status = 200, description = "All tags; a church has at most 500", body = Tags)),
    security(("bearer" = []))
)]
pub async fn list(Extension(user): Extension<CurrentUser>) -> Result<Json<Tags>, Problem> {
    let tags = tags::list(&user.tenant, user.admin.viewer(), "").await?;
    Ok(Json(Tags { items: tags.into_iter().map(Tag::from).collect() }))
}

/// Returns a tag
#[utoipa::path(
    get, path = "/tags/{id}", tag = "Members", operation_id = "getTag", params(("id" = Uuid, Path)),
    responses((status = 200, description = "The tag, with its version as `ETag`", body = Tag)),
    security(("bearer" = []))
)]
pub async fn find(Extension(user): Extension<CurrentUser>, Id(id): Id, headers: HeaderMap) -> Result<Response, Problem> {
    let tag = tags::find(&user.tenant, user.admin.viewer(), id).await?;
    Ok(with_version(tag).unless_cached(&headers))
}

/// Renames a tag
///
/// Needs an admin of all branches.
#[utoipa::path(
    patch, path = "/tags/{id}", tag = "Members", operation_id = "renameTag", params(("id" = Uuid, Path)),
    request_body = TagPatch,
    responses((status = 200, description = "The renamed tag", body = Tag)),
    security(("bearer" = []))
)]
pub async fn rename(
    Extension(user): Extension<CurrentUser>,
    Id(id): Id,
    if_match: IfMatch,
    ApiJson(body): ApiJson<Map<String, Value>>,
) -> Result<WithVersion<Tag>, Problem> {
    let editor = user.admin.editor()?;
    retry_on_conflict(|| async {
        let current = tags::find(&user.tenant, editor.viewer(), id).await?;
        let version = Version::from(current.updated_at);
        if_match.check(version)?;
        let current = TagInput { name: current.name };
        let form = TAG.fill(&current, &context(&user));
        let input = parse(&TAG, form, &body, Some(&current), &user)?;
        conflict_as_none(tags::rename(&user.tenant, &editor, id, &input.name, Some(version)).await)
    })
    .await?;
    Ok(with_version(tags::find(&user.tenant, editor.viewer(), id).await?))
}

/// Deletes a tag, and takes it from all members
///
/// Needs an admin of all branches.
#[utoipa::path(
    delete, path = "/tags/{id}", tag = "Members", operation_id = "removeTag", params(("id" = Uuid, Path)),
    responses((status = 204, description = "Deleted")),
    security(("bearer" = []))
)]
pub async fn delete(Extension(user): Extension<CurrentUser>, Id(id): Id, if_match: IfMatch) -> Result<StatusCode, Problem> {
    let editor = user.admin.editor()?;
    let current = async { Ok(tags::find(&user.tenant, editor.viewer(), id).await?.updated_at) };
    let expected = if_match.expected(current).await?;
    tags::delete(&user.tenant, &editor, id, expected).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn with_version(tag: tags::Tag) -> WithVersion<Tag> {
    WithVersion(tag.updated_at.into(), tag.into())
}
