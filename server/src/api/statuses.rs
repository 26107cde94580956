use super::problem::Problem;
use axum::{Extension, Json};
use identity::CurrentUser;
use serde::Serialize;
use tenant::statuses;
use utoipa::ToSchema;
use uuid::Uuid;

/// What a member is to the church.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    id: Uuid,
    name: String,
    /// What the program understands by it: visitor, attender, member, staff or inactive.
    kind: String,
}

#[derive(Serialize, ToSchema)]
pub struct Statuses {
    items: Vec<Status>,
}

/// The statuses that members can have, in the church's order
#[utoipa::path(
    get, path = "/statuses", tag = "Members", operation_id = "listStatuses",
    responses((status = 200, description = "All of them; there are a few", body = Statuses)),
    security(("bearer" = []))
)]
pub async fn list(Extension(user): Extension<CurrentUser>) -> Result<Json<Statuses>, Problem> {
    let statuses = statuses::list(&user.tenant, user.admin.viewer()).await?;
    let items =
        statuses.into_iter().map(|status| Status { id: status.id, name: status.name, kind: status.kind });
    Ok(Json(Statuses { items: items.collect() }))
}
