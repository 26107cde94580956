use super::problem::Problem;
use axum::{Extension, Json};
use identity::CurrentUser;
use serde::Serialize;
use std::time::Instant;
use utoipa::ToSchema;

/// How the church's database does.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    #[schema(example = "ok")]
    status: &'static str,
    tenant_id: String,
    /// database or schema: how it is kept apart from others.
    #[schema(example = "database")]
    isolation: &'static str,
    schema_version: Option<i64>,
    /// How long it took to answer, in milliseconds.
    #[schema(example = 0.4)]
    latency_ms: f64,
}

/// Whether the church's database answers
#[utoipa::path(
    get, path = "/health", tag = "The church", operation_id = "health",
    responses((status = 200, description = "It does", body = Health)),
    security(("bearer" = []))
)]
pub async fn health(Extension(user): Extension<CurrentUser>) -> Result<Json<Health>, Problem> {
    let asked = Instant::now();
    tenant::health::ping(&user.tenant).await?;
    Ok(Json(Health {
        status: "ok",
        tenant_id: user.tenant.id().to_owned(),
        isolation: user.church.isolation.name(),
        schema_version: user.church.schema_version,
        latency_ms: asked.elapsed().as_secs_f64() * 1000.0,
    }))
}
