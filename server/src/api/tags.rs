use super::{
    extract::{Body, Id, Office, Seen, Versioned, on_top, overtaken, patch, put},
    problem::Problem,
};
use app::tags::form::TagForm;
use axum::{
    Json,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use serde::{Deserialize, Serialize};
use tenant::{Version, tags};
use utoipa::ToSchema;
use uuid::Uuid;

/// What members have in common, in the church's own words.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tag {
    id: Uuid,
    #[schema(example = "Choir")]
    name: String,
    /// How many bear it, of those who are not archived.
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

/// What is to change.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TagChanges {
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = String, required = false, min_length = 1, max_length = 50, example = "Choir")]
    name: Option<Option<String>>,
}

/// The tags that members bear, by name
///
/// A tag is made by naming it at a member.
#[utoipa::path(
    get, path = "/tags", tag = "Members", operation_id = "listTags",
    responses((status = 200, description = "All of them; there are 500 at most", body = Tags)),
    security(("bearer" = []))
)]
pub async fn list(Office(office): Office) -> Result<Json<Tags>, Problem> {
    let tags = tags::list(&office.tenant, office.admin.viewer()).await?;
    Ok(Json(Tags { items: tags.into_iter().map(Tag::from).collect() }))
}

/// One tag
#[utoipa::path(
    get, path = "/tags/{id}", tag = "Members", operation_id = "getTag", params(("id" = Uuid, Path)),
    responses((status = 200, description = "The tag, with its version as `ETag`", body = Tag)),
    security(("bearer" = []))
)]
pub async fn find(Office(office): Office, Id(id): Id, headers: HeaderMap) -> Result<Response, Problem> {
    let tag = tags::find(&office.tenant, office.admin.viewer(), id).await?;
    Ok(versioned(tag).unless_known(&headers))
}

/// Renames a tag
///
/// At all who bear it. It needs somebody who may change all branches.
#[utoipa::path(
    patch, path = "/tags/{id}", tag = "Members", operation_id = "renameTag", params(("id" = Uuid, Path)),
    request_body = TagChanges,
    responses((status = 200, description = "The tag as it is now", body = Tag)),
    security(("bearer" = []))
)]
pub async fn rename(
    Office(office): Office,
    Id(id): Id,
    seen: Seen,
    Body(changes): Body<TagChanges>,
) -> Result<Versioned<Tag>, Problem> {
    let editor = office.admin.editor()?;
    on_top(|| async {
        let current = tags::find(&office.tenant, editor.viewer(), id).await?;
        let version = Version::from(current.updated_at);
        seen.allows(version)?;
        let mut form = TagForm::of(&current);
        put(&mut form.name, changes.name.clone());
        overtaken(tags::rename(&office.tenant, &editor, id, &form.named()?, Some(version)).await)
    })
    .await?;
    Ok(versioned(tags::find(&office.tenant, editor.viewer(), id).await?))
}

/// Removes a tag
///
/// From all who bear it. It needs somebody who may change all branches.
#[utoipa::path(
    delete, path = "/tags/{id}", tag = "Members", operation_id = "removeTag", params(("id" = Uuid, Path)),
    responses((status = 204, description = "It is removed")),
    security(("bearer" = []))
)]
pub async fn remove(Office(office): Office, Id(id): Id, seen: Seen) -> Result<StatusCode, Problem> {
    let editor = office.admin.editor()?;
    let now = async { Ok(tags::find(&office.tenant, editor.viewer(), id).await?.updated_at) };
    let expected = seen.expected(now).await?;
    tags::remove(&office.tenant, &editor, id, expected).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn versioned(tag: tags::Tag) -> Versioned<Tag> {
    Versioned(tag.updated_at.into(), tag.into())
}
