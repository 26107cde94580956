use super::{
    access::Caller,
    extract::{Body, Office},
    problem::{Problem, Told},
    repeats::key,
};
use crate::state::AppState;
use app::{
    forms::{
        Errors, Form,
        rules::{email_key, line},
    },
    places,
    sessions::form::SignInForm,
    signup::form::{ChurchForm, FounderForm},
};
use axum::{
    Extension, Json,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use identity::{ACCESS_TOKEN_TTL, IdempotencyKey, Login, NewChurch, SignedIn};
use registry::{Registry, servers, signups::Accepted};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;
use uuid::Uuid;

/// A church that wants an office, and the person who opens it.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Registration {
    #[schema(min_length = 1, max_length = 120, example = "Grace Chapel")]
    pub church_name: String,
    /// One of the two names is enough.
    #[serde(default)]
    #[schema(max_length = 80, example = "Ruth")]
    pub first_name: String,
    #[serde(default)]
    #[schema(max_length = 80, example = "Okafor")]
    pub last_name: String,
    #[schema(max_length = 254, example = "ruth@example.org")]
    pub email: String,
    #[schema(min_length = 10, max_length = 200, example = "river candle mango")]
    pub password: String,
    /// ISO 3166, two letters. Unset: the time zone's, or what `Accept-Language` speaks of, or US.
    #[schema(pattern = "^[A-Z]{2}$", example = "KE")]
    pub country: Option<String>,
    /// IANA. Unset: one of the country's, or UTC.
    #[schema(example = "Africa/Nairobi")]
    pub timezone: Option<String>,
    /// Where the data is to be kept. Unset: wherever there is room.
    pub region: Option<String>,
}

/// A signup that was accepted. A worker does the rest; `statusUrl` says how far it is.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Opening {
    tenant_id: String,
    run_id: Uuid,
    #[schema(example = "queued")]
    status: &'static str,
    #[schema(example = "/api/provisioning/019ab0c6-4a76-7c1c-9a51-2f1f4f4a6c55")]
    status_url: String,
    #[schema(example = "/api/provisioning/019ab0c6-4a76-7c1c-9a51-2f1f4f4a6c55/events")]
    events_url: String,
}

impl Opening {
    pub fn of(accepted: &Accepted) -> Response {
        let run_id = accepted.run_id;
        let opening = Self {
            tenant_id: accepted.tenant_id.to_string(),
            run_id,
            status: "queued",
            status_url: format!("/api/provisioning/{run_id}"),
            events_url: format!("/api/provisioning/{run_id}/events"),
        };
        let location = [(header::LOCATION, opening.status_url.clone())];
        (StatusCode::ACCEPTED, location, Json(opening)).into_response()
    }
}

/// Signs a church up
///
/// Its database is made by a worker; the answer says where to watch. Repeated under the same `Idempotency-Key`, it
/// makes one church, and is answered the same for a day; another request under that key is refused. An email that
/// nobody has confirmed may have five churches.
#[utoipa::path(
    post, path = "/auth/register", tag = "Signing up", operation_id = "register", request_body = Registration,
    responses((status = 202, description = "Accepted; `Location` says how far it is", body = Opening))
)]
pub async fn register(
    State(state): State<AppState>,
    Extension(Caller(address)): Extension<Caller>,
    headers: HeaderMap,
    Body(new): Body<Registration>,
) -> Result<Response, Problem> {
    let key = key(&headers)?;
    let new = new_church(&state.registry, &headers, new, key).await?;
    let accepted = state.identity.accept(Some(address), new).await?;
    Ok(Opening::of(&accepted))
}

/// For how long a signup is answered the same under its `Idempotency-Key`.
const REPEATED: Duration = Duration::from_secs(24 * 3600);

/// The church that a registration describes, by the rules of the two forms.
pub async fn new_church(
    registry: &Registry,
    headers: &HeaderMap,
    new: Registration,
    key: Option<String>,
) -> Result<NewChurch, Problem> {
    let language = headers.get(header::ACCEPT_LANGUAGE).and_then(|language| language.to_str().ok());
    let (country, timezone) =
        places::settled(new.country.as_deref(), new.timezone.as_deref(), language.unwrap_or_default());
    let church =
        ChurchForm { church: new.church_name, country, timezone, region: new.region.unwrap_or_default() };
    let founder = FounderForm {
        first_name: new.first_name,
        last_name: new.last_name,
        email: new.email,
        password: new.password,
        key: String::new(),
    };
    let mut errors = Errors::default();
    let founders = founder.check_for(&church.church).await;
    for error in church.check().0.into_iter().chain(founders.0) {
        let field = if error.field == "church" { "church_name" } else { &error.field };
        errors.note(field, Err(error.message));
    }
    if !church.region.is_empty() && !servers::regions(registry).await?.contains(&church.region) {
        errors.note("region", Err("There is no such region here.".into()));
    }
    if !errors.is_empty() {
        return Err(errors.into());
    }
    let email = email_key(&founder.email);
    Ok(NewChurch {
        idempotency_key: key
            .map(|key| IdempotencyKey { key: format!("api {email} {key}"), lifetime: REPEATED }),
        church: line(&church.church).unwrap_or_default(),
        country: church.country,
        timezone: church.timezone,
        region: line(&church.region),
        isolation: None,
        first_name: line(&founder.first_name).unwrap_or_default(),
        last_name: line(&founder.last_name).unwrap_or_default(),
        email,
        password: founder.password,
    })
}

/// What a program signs in with.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Credentials {
    #[schema(max_length = 254, example = "ruth@example.org")]
    email: String,
    #[schema(max_length = 200, example = "river candle mango")]
    password: String,
    /// Which church to open, when the email belongs to several.
    tenant_id: Option<String>,
    /// A token of the outside issuer that says the same email: from then on it opens this church without the password.
    id_token: Option<String>,
}

/// Who is signed in, and what to show from now on.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    #[serde(flatten)]
    me: Me,
    /// For `Authorization: Bearer`, while it lives.
    access_token: String,
    /// For the next pair; good once, and for seven days.
    refresh_token: String,
    #[schema(example = "Bearer")]
    token_type: &'static str,
    /// How long the access token lives, in seconds.
    #[schema(example = 900)]
    expires_in: u64,
}

impl From<Login> for Session {
    fn from(logged_in: Login) -> Self {
        Self {
            me: Me::of(&logged_in.signed_in),
            access_token: logged_in.tokens.access,
            refresh_token: logged_in.tokens.refresh,
            token_type: "Bearer",
            expires_in: ACCESS_TOKEN_TTL.as_secs(),
        }
    }
}

/// Signs in
///
/// An email that belongs to several churches is answered with 409 and the `choices`, unless `tenantId` names one. Tokens
/// of the outside issuer open a church only after the email was confirmed there: show one here once, as `idToken`.
#[utoipa::path(
    post, path = "/auth/login", tag = "Signing in", operation_id = "login", request_body = Credentials,
    responses(
        (status = 200, description = "Signed in", body = Session),
        (status = 409, description = "It opens several churches: `choices`", body = Told, content_type = "application/problem+json"),
    )
)]
pub async fn login(
    State(state): State<AppState>,
    Extension(Caller(address)): Extension<Caller>,
    headers: HeaderMap,
    Body(credentials): Body<Credentials>,
) -> Result<Json<Session>, Problem> {
    let form = SignInForm { email: credentials.email, password: credentials.password };
    let errors = form.check();
    if !errors.is_empty() {
        return Err(errors.into());
    }
    let credentials = identity::Credentials {
        email: email_key(&form.email),
        password: form.password,
        tenant_id: credentials.tenant_id,
        id_token: credentials.id_token,
        idempotency_key: key(&headers)?,
    };
    Ok(Json(state.identity.log_in(address, credentials).await?.into()))
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Refresh {
    refresh_token: String,
}

/// Exchanges a refresh token for a new pair
///
/// It is used up by that. Shown again within ten seconds it is answered with the same next token; later it ends the
/// sign-in with all its tokens, unless the same request is repeated under its `Idempotency-Key`.
#[utoipa::path(
    post, path = "/auth/refresh", tag = "Signing in", operation_id = "refresh", request_body = Refresh,
    responses((status = 200, description = "The next pair", body = Session))
)]
pub async fn refresh(
    State(state): State<AppState>,
    headers: HeaderMap,
    Body(refresh): Body<Refresh>,
) -> Result<Json<Session>, Problem> {
    let key = key(&headers)?;
    Ok(Json(state.identity.refresh(&refresh.refresh_token, key.as_deref()).await?.into()))
}

/// Ends a sign-in with all its tokens, at once
///
/// A token that is not known any more is answered the same.
#[utoipa::path(
    post, path = "/auth/logout", tag = "Signing in", operation_id = "logout", request_body = Refresh,
    responses((status = 204, description = "Signed out"))
)]
pub async fn logout(
    State(state): State<AppState>,
    headers: HeaderMap,
    Body(refresh): Body<Refresh>,
) -> Result<StatusCode, Problem> {
    // Signing out twice is signing out: a key needs to be right, and changes nothing.
    key(&headers)?;
    state.identity.log_out(&refresh.refresh_token).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Who is asking, and the church that opens.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Me {
    tenant_id: String,
    admin: Admin,
    church: Church,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Admin {
    id: Uuid,
    email: String,
    first_name: String,
    last_name: String,
    /// owner, admin or viewer (read-only).
    #[schema(example = "owner")]
    role: &'static str,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Church {
    name: String,
    #[schema(example = "trialing")]
    subscription_status: String,
    trial_ends_at: DateTime<Utc>,
}

impl Me {
    fn of(office: &SignedIn) -> Self {
        let SignedIn { tenant, admin, church } = office;
        Self {
            tenant_id: tenant.id().to_owned(),
            admin: Admin {
                id: admin.id,
                email: admin.email.clone(),
                first_name: admin.first_name.clone(),
                last_name: admin.last_name.clone(),
                role: admin.role.name(),
            },
            church: Church {
                name: church.name.clone(),
                subscription_status: church.subscription_status.clone(),
                trial_ends_at: church.trial_ends_at,
            },
        }
    }
}

/// Who is asking, and where
#[utoipa::path(
    get, path = "/me", tag = "Signing in", operation_id = "me",
    responses((status = 200, description = "The person and the church", body = Me)),
    security(("bearer" = []))
)]
pub async fn me(Office(office): Office) -> Json<Me> {
    Json(Me::of(&office))
}
