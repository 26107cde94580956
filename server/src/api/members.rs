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
use domain::{RawForm, members::MEMBER, rules::line, tags::MAX_TAG_NAME};
use identity::CurrentUser;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value as Json};
use tenant::{
    Version,
    members::{self, Slice},
};
use utoipa::{
    IntoParams, PartialSchema, ToSchema,
    openapi::{RefOr, Schema},
};
use uuid::Uuid;

/// A person of the church.
pub struct Member(members::Member);

impl From<members::Member> for Member {
    fn from(member: members::Member) -> Self {
        Self(member)
    }
}

/// What a response says about a member beside the fields of its description.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct MemberMeta<'a> {
    id: Uuid,
    branch_name: &'a str,
    status_name: &'a str,
    /// Kind of the status: visitor, attender, member, staff or inactive.
    status: &'a str,
    /// The file with the photo.
    photo_file_id: Option<Uuid>,
    /// Set when the member is archived, and then in no list.
    archived_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl Serialize for Member {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let member = &self.0;
        let meta = MemberMeta {
            id: member.id,
            branch_name: &member.branch_name,
            status_name: &member.status_name,
            status: &member.status_kind,
            photo_file_id: member.photo_id,
            archived_at: member.archived_at,
            created_at: member.created_at,
            updated_at: member.updated_at,
        };
        Described { meta, fields: MEMBER.json(&member.fields) }.serialize(serializer)
    }
}

impl PartialSchema for Member {
    fn schema() -> RefOr<Schema> {
        schema::response(&MEMBER, MemberMeta::schema())
    }
}

impl ToSchema for Member {}

/// Changes of a member: an absent member of the object stays, null empties.
pub struct MemberPatch;

impl PartialSchema for MemberPatch {
    fn schema() -> RefOr<Schema> {
        schema::patch(&MEMBER, Some("photoFileId"))
    }
}

impl ToSchema for MemberPatch {}

/// A member to add; one of the two names is required.
pub struct NewMember;

impl PartialSchema for NewMember {
    fn schema() -> RefOr<Schema> {
        schema::create(&MEMBER, &[])
    }
}

impl ToSchema for NewMember {}

#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// Words that all must be found in names, email or phone numbers.
    #[param(max_length = 200)]
    search: Option<String>,
    /// Only members of this branch.
    branch_id: Option<Uuid>,
    /// Only members whose status is of this kind.
    #[param(pattern = "^(visitor|attender|member|staff|inactive)$", example = "member")]
    status: Option<String>,
    /// Only members with the tag of this name; case is ignored.
    #[param(min_length = 1, max_length = 50, example = "Choir")]
    tag: Option<String>,
    /// Members per page; 25 by default.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u8>,
    /// The `nextCursor` of the page before.
    #[param(pattern = "^[A-Za-z0-9_-]{21}[AQgw]$")]
    cursor: Option<String>,
}

/// Lists members in the order in which they were added
///
/// Archived ones are left out. Following `nextCursor` returns each member once, whatever is changed concurrently.
#[utoipa::path(
    get, path = "/members", tag = "Members", operation_id = "listMembers", params(ListQuery),
    responses((status = 200, description = "A page of the list", body = ApiPage<Member>)),
    security(("bearer" = []))
)]
pub async fn list(
    Extension(user): Extension<CurrentUser>,
    ApiQuery(query): ApiQuery<ListQuery>,
) -> Result<ApiPage<Member>, Problem> {
    const KINDS: [&str; 5] = ["visitor", "attender", "member", "staff", "inactive"];
    let page = CursorQuery::new(query.cursor.as_deref(), query.limit)?;
    if query.status.as_deref().is_some_and(|kind| !KINDS.contains(&kind)) {
        return Err(Problem::invalid("status", format!("Use one of {}.", KINDS.join(", "))));
    }
    let slice = Slice {
        search: search(query.search)?,
        branch: query.branch_id,
        kind: query.status,
        tag: query.tag.map(tag_name).transpose()?,
        after: page.after,
        limit: page.rows(),
    };
    let rows = members::slice(&user.tenant, user.admin.viewer(), &slice).await?;
    Ok(page.page(rows, |member| member.id))
}

/// The name of a tag, as it is stored.
fn tag_name(tag: String) -> Result<String, Problem> {
    let name = line(&tag).filter(|name| name.chars().count() <= MAX_TAG_NAME);
    name.ok_or_else(|| Problem::invalid("tag", format!("Use 1 to {MAX_TAG_NAME} characters.")))
}

/// Adds a member
#[utoipa::path(
    post, path = "/members", tag = "Members", operation_id = "addMember", request_body = NewMember,
    responses((status = 201, description = "The member; its path is in `Location`", body = Member)),
    security(("bearer" = []))
)]
pub async fn add(
    Extension(user): Extension<CurrentUser>,
    IdempotentId(id): IdempotentId,
    ApiJson(mut body): ApiJson<Map<String, Json>>,
) -> Result<Response, Problem> {
    let editor = user.admin.editor()?;
    PicturePatch::take(&mut body, "photoFileId")?.forbid_on_create()?;
    let input = parse(&MEMBER, RawForm::default(), &body, None, &user)?;
    members::add(&user.tenant, &editor, id, &input).await?;
    let member = members::find(&user.tenant, editor.viewer(), id).await?;
    Ok(with_version(member).created(format!("/api/members/{id}")))
}

/// Returns a member
#[utoipa::path(
    get, path = "/members/{id}", tag = "Members", operation_id = "getMember", params(("id" = Uuid, Path)),
    responses((status = 200, description = "The member, with its version as `ETag`", body = Member)),
    security(("bearer" = []))
)]
pub async fn find(
    Extension(user): Extension<CurrentUser>,
    Id(id): Id,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let member = members::find(&user.tenant, user.admin.viewer(), id).await?;
    Ok(with_version(member).unless_cached(&headers))
}

/// Updates a member
///
/// With `If-Match`, only if nobody else has changed it.
#[utoipa::path(
    patch, path = "/members/{id}", tag = "Members", operation_id = "changeMember", params(("id" = Uuid, Path)),
    request_body = MemberPatch,
    responses((status = 200, description = "The updated member", body = Member)),
    security(("bearer" = []))
)]
pub async fn update(
    State(state): State<AppState>,
    Extension(user): Extension<CurrentUser>,
    Id(id): Id,
    if_match: IfMatch,
    ApiJson(mut body): ApiJson<Map<String, Json>>,
) -> Result<WithVersion<Member>, Problem> {
    let editor = user.admin.editor()?;
    let picture = PicturePatch::take(&mut body, "photoFileId")?;
    retry_on_conflict(|| async {
        let current = members::find(&user.tenant, editor.viewer(), id).await?;
        let version = Version::from(current.updated_at);
        if_match.check(version)?;
        let form = MEMBER.fill(&current.fields, &context(&user));
        let input = &parse(&MEMBER, form, &body, Some(&current.fields), &user)?;
        let (tenant, editor) = (&user.tenant, &editor);
        let update = |picture| members::update_with_picture(tenant, editor, id, input, picture, Some(version));
        conflict_as_none(picture.write(&state.files, tenant, editor, current.photo_id, update).await)
    })
    .await?;
    Ok(with_version(members::find(&user.tenant, editor.viewer(), id).await?))
}

/// Archives a member
///
/// It is in no list any more; nothing is deleted.
#[utoipa::path(
    delete, path = "/members/{id}", tag = "Members", operation_id = "archiveMember", params(("id" = Uuid, Path)),
    responses((status = 204, description = "Archived")),
    security(("bearer" = []))
)]
pub async fn archive(
    Extension(user): Extension<CurrentUser>,
    Id(id): Id,
    if_match: IfMatch,
) -> Result<StatusCode, Problem> {
    let editor = user.admin.editor()?;
    let current = async { Ok(members::find(&user.tenant, editor.viewer(), id).await?.updated_at) };
    let expected = if_match.expected(current).await?;
    members::archive(&user.tenant, &editor, id, expected).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn with_version(member: members::Member) -> WithVersion<Member> {
    WithVersion(member.updated_at.into(), member.into())
}
