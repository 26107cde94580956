use super::limits::Standing;
use app::{
    answer::{Failure, Outage},
    forms::Errors,
    signup::page::TOO_MANY_CHURCHES,
};
use axum::{
    body::Body,
    extract::Request,
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use serde::Serialize;
use tower_http::request_id::RequestId;
use utoipa::ToSchema;

/// What went wrong. Handlers answer it; [`render`] tells it.
#[derive(Clone)]
pub struct Problem(Box<Told>);

/// What went wrong, and what to do (RFC 9457).
#[derive(Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Problem)]
pub struct Told {
    /// Which kind of problem it is: `urn:vestry:` and a name that stays the same.
    #[serde(rename = "type")]
    #[schema(example = "urn:vestry:invalid")]
    kind: String,
    /// The same for every problem of this kind.
    #[schema(example = "Something in the request is not right")]
    title: String,
    /// The HTTP status.
    #[schema(example = 422)]
    status: u16,
    /// What to do, in words for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// By which the operator finds the request in the log; also in the header `x-request-id`.
    #[schema(example = "019ab0c6-4a76-7c1c-9a51-2f1f4f4a6c55")]
    request_id: String,
    /// What is wrong with which field, when the input is invalid.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<FieldProblem>,
    /// The churches to choose from, when a credential opens several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    choices: Vec<Choice>,
    /// Seconds.
    #[serde(skip)]
    retry_after: Option<u64>,
    #[serde(skip)]
    limit: Option<Standing>,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FieldProblem {
    /// As it is called in the request.
    #[schema(example = "firstName")]
    field: String,
    #[schema(example = "Enter the first name.")]
    message: String,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Choice {
    tenant_id: String,
    church: String,
    /// Where its main branch is, if that is known.
    #[schema(example = "Nairobi")]
    town: Option<String>,
    /// ISO 3166, two letters.
    #[schema(example = "KE")]
    country: String,
    /// When it was signed up.
    created_at: DateTime<Utc>,
    /// What you are there: owner, admin or viewer.
    #[schema(example = "owner")]
    role: String,
    /// It cannot be opened now.
    suspended: bool,
}

impl From<identity::Choice> for Choice {
    fn from(choice: identity::Choice) -> Self {
        Self {
            tenant_id: choice.tenant_id,
            church: choice.church,
            town: choice.town,
            country: choice.country,
            created_at: choice.created_at,
            role: choice.role,
            suspended: choice.is_suspended,
        }
    }
}

impl Problem {
    pub fn new(status: StatusCode, kind: &str, title: &str) -> Self {
        Self(Box::new(Told {
            kind: format!("urn:vestry:{kind}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: None,
            request_id: String::new(),
            errors: Vec::new(),
            choices: Vec::new(),
            retry_after: None,
            limit: None,
        }))
    }

    fn with(mut self, change: impl FnOnce(&mut Told)) -> Self {
        change(&mut self.0);
        self
    }

    pub fn detail(self, detail: impl Into<String>) -> Self {
        self.with(|told| told.detail = Some(detail.into()))
    }

    pub fn retry_after(self, seconds: u64) -> Self {
        self.with(|told| told.retry_after = Some(seconds.max(1)))
    }

    /// Says which limit was reached.
    pub fn limited(self, standing: Standing) -> Self {
        self.with(|told| told.limit = Some(standing))
    }

    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "There is no such thing here")
    }

    pub fn unauthenticated() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", "A token is needed that is good now")
            .detail("Send Authorization: Bearer with an access token; it may have expired, or been revoked.")
    }

    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", "The request cannot be read").detail(detail)
    }

    pub fn changed() -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, "changed", "Somebody else has changed it meanwhile")
            .detail("Read it again, and send your change with its new ETag.")
    }

    /// An `Idempotency-Key` under which something else was asked before.
    pub fn key_reused() -> Self {
        let title = "This Idempotency-Key was used for another request";
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "key-reused", title)
            .detail("Use a new key for each request, and the same key only to repeat it.")
    }

    /// One field that is not right.
    pub fn invalid(field: &str, message: impl Into<String>) -> Self {
        Errors::one(field, message).into()
    }

    /// The same for an operator's request, where the church's first admin stands apart.
    pub fn of_tenant(mut self) -> Self {
        for error in &mut self.0.errors {
            error.field = match error.field.as_str() {
                "churchName" => "name".into(),
                "firstName" | "lastName" | "email" | "password" => format!("admin.{}", error.field),
                other => other.to_owned(),
            };
        }
        self
    }

    /// What no handler has put in words: a status alone.
    pub fn of(status: StatusCode) -> Self {
        let (kind, title) = match status {
            StatusCode::NOT_FOUND => return Self::not_found(),
            StatusCode::METHOD_NOT_ALLOWED => ("method-not-allowed", "This cannot be done here"),
            StatusCode::PAYLOAD_TOO_LARGE => ("too-large", "The body is too large"),
            StatusCode::REQUEST_TIMEOUT => ("too-slow", "The body came too slowly"),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => {
                ("unsupported-media-type", "The body must be application/json")
            }
            // The API's deadline; whatever else is unavailable has its own problem.
            StatusCode::SERVICE_UNAVAILABLE => {
                tracing::warn!("request failed: it took too long");
                return Self::new(status, "timeout", "The request took too long")
                    .detail("It may have been carried out. Repeat a POST under its Idempotency-Key.")
                    .retry_after(5);
            }
            status if status.is_client_error() => ("malformed", "The request cannot be read"),
            _ => ("internal", "Something went wrong on our side"),
        };
        Self::new(status, kind, title)
    }
}

/// Forms name their fields in the words of HTML; the API in camel case.
impl From<Errors> for Problem {
    fn from(errors: Errors) -> Self {
        let errors = errors.0.into_iter();
        let errors = errors.map(|error| FieldProblem { field: camel(&error.field), message: error.message });
        let title = "Something in the request is not right";
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", title)
            .with(|told| told.errors = errors.collect())
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        let kind = match &failure {
            Failure::NotFound => return Self::not_found(),
            Failure::Refused(status) => return Self::of(*status),
            Failure::Forbidden | Failure::CrossSite => "forbidden",
            Failure::Suspended { .. } => "suspended",
            Failure::TooManyAttempts { .. } => "too-many-requests",
            Failure::Busy => "busy",
            Failure::Unavailable { outage, .. } => outage.name(),
            Failure::Internal(_) => "internal",
        };
        failure.log();
        let (title, detail) = match &failure {
            Failure::Unavailable { outage, .. } => explained(*outage),
            Failure::Internal(_) => (
                "Something went wrong on our side",
                "Try again. If it keeps happening, tell the operator the requestId.".to_owned(),
            ),
            failure => failure.words(),
        };
        let retry_after = failure.retry_after();
        Self::new(failure.status(), kind, title).detail(detail).with(|told| told.retry_after = retry_after)
    }
}

fn explained(outage: Outage) -> (&'static str, String) {
    let (title, detail) = match outage {
        Outage::Unreachable => ("The database cannot be reached", "Try again in a few seconds."),
        Outage::DiskFull => (
            "The database server is out of disk space",
            "Nothing was changed. Its operator has to make room.",
        ),
        Outage::UpgradeFailed => (
            "The church's database could not be upgraded to this server's version",
            "Nothing is lost. Try again in a minute; if it keeps happening, tell the operator the requestId.",
        ),
        Outage::NewerSchema => (
            "The church's database is of a newer version than this server",
            "The installation is being updated. Try again in a minute.",
        ),
    };
    (title, detail.to_owned())
}

impl From<tenant::Error> for Problem {
    fn from(error: tenant::Error) -> Self {
        match error {
            tenant::Error::Rejected { field, message } => {
                Self::invalid(field.trim_end_matches("_e164"), message)
            }
            tenant::Error::Changed => Self::changed(),
            error => Failure::from(error).into(),
        }
    }
}

impl From<registry::Error> for Problem {
    fn from(error: registry::Error) -> Self {
        Failure::from(error).into()
    }
}

impl From<identity::Error> for Problem {
    fn from(error: identity::Error) -> Self {
        match error {
            identity::Error::Unauthenticated => Self::unauthenticated(),
            identity::Error::WrongCredentials => Self::new(
                StatusCode::UNAUTHORIZED,
                "wrong-credentials",
                "The email or the password is not right",
            ),
            identity::Error::WrongTenant => Self::new(
                StatusCode::FORBIDDEN,
                "wrong-tenant",
                "This credential does not open that church",
            )
            .detail("X-Tenant-ID and tenantId may name a church the credential is good for, or be left out."),
            identity::Error::ChooseTenant(choices) => {
                let choices = choices.into_iter().map(Choice::from);
                Self::new(StatusCode::CONFLICT, "choose-tenant", "This opens several churches")
                    .detail("Say which one: tenantId when signing in, X-Tenant-ID otherwise.")
                    .with(|told| told.choices = choices.collect())
            }
            identity::Error::KeyReused => Self::key_reused(),
            identity::Error::TooManyUnverified => Self::invalid("email", TOO_MANY_CHURCHES),
            identity::Error::EmailNotProven => Self::invalid(
                "idToken",
                "This is no token of the issuer that proves the email you sign in with.",
            ),
            identity::Error::IssuerUnavailable => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "issuer-unavailable",
                "The issuer of this token cannot be reached now",
            )
            .detail("Its keys are not known yet. Try again in half a minute.")
            .retry_after(30),
            identity::Error::Tenant(error) => error.into(),
            error => Failure::from(error).into(),
        }
    }
}

/// The body is written by [`render`], which knows the request's id. The limit that was reached is written at once: what
/// lies between would write that of a limit farther away.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
        if let Some(standing) = self.0.limit {
            standing.write(response.headers_mut());
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// Gives everything that went wrong its body, also what no handler of ours has answered.
pub async fn render(request: Request, next: Next) -> Response {
    let id = request.extensions().get::<RequestId>().cloned();
    let mut response = next.run(request).await;
    let status = response.status();
    let problem = match response.extensions_mut().remove::<Problem>() {
        Some(problem) => problem,
        None if status.is_client_error() || status.is_server_error() => Problem::of(status),
        None => return response,
    };
    problem.write(&mut response, id.as_ref());
    response
}

impl Problem {
    /// The whole answer, for what fails before [`render`] is reached.
    pub fn rendered(self, id: Option<&RequestId>) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() =
            StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        self.write(&mut response, id);
        response
    }

    fn write(mut self, response: &mut Response, id: Option<&RequestId>) {
        let request_id = id.and_then(|id| id.header_value().to_str().ok().map(str::to_owned));
        self.0.request_id = request_id.unwrap_or_default();
        let told = *self.0;
        let status = response.status();
        let headers = response.headers_mut();
        headers.remove(header::CONTENT_LENGTH);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = told.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        *response.body_mut() = Body::from(serde_json::to_vec(&told).unwrap_or_default());
    }
}

/// `first_name` → `firstName`.
fn camel(field: &str) -> String {
    let mut words = field.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| {
        let mut letters = word.chars();
        let capital = letters.next().map(|letter| letter.to_ascii_uppercase());
        name + &capital.into_iter().chain(letters).collect::<String>()
    })
}
