use super::{
    auth::{Opening, Registration, new_church},
    extract::{Asked, Body, Page},
    problem::Problem,
    repeats::key,
};
use crate::state::AppState;
use axum::{extract::State, http::HeaderMap, response::Response};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use registry::{
    tenant_list::{self, TenantSummary},
    tenants::Isolation,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// A church, as the operator sees it: where it is, and nothing that is in it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tenant {
    id: String,
    name: String,
    /// provisioning, active, suspended, archived or failed.
    #[schema(example = "active")]
    status: String,
    /// database or schema.
    #[schema(example = "database")]
    isolation: String,
    server: Option<String>,
    region: Option<String>,
    schema_version: Option<i64>,
    created_at: DateTime<Utc>,
    trial_ends_at: DateTime<Utc>,
}

impl From<TenantSummary> for Tenant {
    fn from(listed: TenantSummary) -> Self {
        Self {
            id: listed.id,
            name: listed.name,
            status: listed.status,
            isolation: listed.isolation,
            server: listed.server,
            region: listed.region,
            schema_version: listed.schema_version,
            created_at: listed.created_at,
            trial_ends_at: listed.trial_ends_at,
        }
    }
}

#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// Only churches that stand like this.
    #[param(pattern = "^(provisioning|active|suspended|archived|failed)$", example = "active")]
    status: Option<String>,
    /// How many at a time; 25 unless said.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u8>,
    /// The `nextCursor` of the part before.
    #[param(max_length = 100)]
    cursor: Option<String>,
}

/// The churches of this installation, the newest first
#[utoipa::path(
    get, path = "/tenants", tag = "For the operator", operation_id = "listTenants", params(ListQuery),
    responses((status = 200, description = "A part of the list", body = Page<Tenant>)),
    security(("operator" = []))
)]
pub async fn list(
    State(state): State<AppState>,
    Asked(asked): Asked<ListQuery>,
) -> Result<Page<Tenant>, Problem> {
    const STATUSES: [&str; 5] = ["provisioning", "active", "suspended", "archived", "failed"];
    if asked.status.as_deref().is_some_and(|status| !STATUSES.contains(&status)) {
        return Err(Problem::invalid("status", format!("Use one of {}.", STATUSES.join(", "))));
    }
    let limit = usize::from(asked.limit.unwrap_or(25));
    if !(1..=100).contains(&limit) {
        return Err(Problem::invalid("limit", "Use a number from 1 to 100."));
    }
    let wrong = || Problem::invalid("cursor", "Use a nextCursor as it was given.");
    let after = asked.cursor.map(|cursor| place_of(&cursor).ok_or_else(wrong)).transpose()?;
    let status = asked.status.as_deref();
    let mut rows = tenant_list::list_after(&state.registry, status, after, limit as i64 + 1).await?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next_cursor = rows.last().filter(|_| more).map(|last| {
        let place = format!("{} {}", last.created_at.timestamp_micros(), last.id);
        BASE64_URL_SAFE_NO_PAD.encode(place)
    });
    Ok(Page { items: rows.into_iter().map(Tenant::from).collect(), next_cursor })
}

/// The church that a cursor stands behind.
fn place_of(cursor: &str) -> Option<(DateTime<Utc>, registry::TenantId)> {
    let place = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    let (micros, id) = place.split_once(' ')?;
    Some((DateTime::from_timestamp_micros(micros.parse().ok()?)?, id.parse().ok()?))
}

/// A church to open for somebody.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewTenant {
    #[schema(min_length = 1, max_length = 120, example = "Grace Chapel")]
    name: String,
    /// database or schema. Unset: as the installation is configured.
    #[schema(pattern = "^(database|schema)$", example = "database")]
    isolation: Option<String>,
    /// Where the data is to be kept. Unset: wherever there is room.
    region: Option<String>,
    /// ISO 3166, two letters.
    #[schema(pattern = "^[A-Z]{2}$", example = "KE")]
    country: Option<String>,
    /// IANA.
    #[schema(example = "Africa/Nairobi")]
    timezone: Option<String>,
    admin: NewAdmin,
}

/// The owner of its office.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewAdmin {
    /// One of the two names is enough.
    #[serde(default)]
    #[schema(max_length = 80, example = "Ruth")]
    first_name: String,
    #[serde(default)]
    #[schema(max_length = 80, example = "Okafor")]
    last_name: String,
    #[schema(max_length = 254, example = "ruth@example.org")]
    email: String,
    #[schema(min_length = 10, max_length = 200, example = "river candle mango")]
    password: String,
}

/// Opens a church for somebody
#[utoipa::path(
    post, path = "/tenants", tag = "For the operator", operation_id = "addTenant", request_body = NewTenant,
    responses((status = 202, description = "Accepted; `Location` says how far it is", body = Opening)),
    security(("operator" = []))
)]
pub async fn add(
    State(state): State<AppState>,
    headers: HeaderMap,
    Body(new): Body<NewTenant>,
) -> Result<Response, Problem> {
    let isolation = match new.isolation.as_deref() {
        None => None,
        Some("database") => Some(Isolation::Database),
        Some("schema") => Some(Isolation::Schema),
        Some(_) => return Err(Problem::invalid("isolation", "Use database or schema.")),
    };
    let registration = Registration {
        church_name: new.name,
        first_name: new.admin.first_name,
        last_name: new.admin.last_name,
        email: new.admin.email,
        password: new.admin.password,
        country: new.country,
        timezone: new.timezone,
        region: new.region,
    };
    let key = key(&headers)?.map(|key| format!("operator {key}"));
    let new = new_church(&state.registry, &headers, registration, key).await.map_err(Problem::of_tenant)?;
    let new = identity::NewChurch { isolation, ..new };
    Ok(Opening::of(&state.identity.accept(None, new).await?))
}
