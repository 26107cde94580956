use super::problem::Problem;
use crate::{etag::Condition, files};
use axum::{
    Json,
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Path, Request, rejection::BytesRejection},
    http::{HeaderMap, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use serde::{Serialize, de::DeserializeOwned};
use tenant::Version;
use utoipa::ToSchema;
use uuid::Uuid;

/// A JSON object as the body.
pub struct ApiJson<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for ApiJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let kind = super::header(&request, "content-type").unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            let title = "The body must be application/json";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", title));
        }
        let bytes = Bytes::from_request(request, state).await.map_err(unreadable)?;
        let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            Problem::malformed(format!("The body is not JSON: look at line {line}, column {column}."))
        })?;
        if !value.is_object() {
            return Err(Problem::malformed("The body must be a JSON object."));
        }
        serde_path_to_error::deserialize(value)
            .map(Self)
            .map_err(|error| rejected(&error.path().to_string(), &error.inner().to_string()))
    }
}

pub fn unreadable(rejection: BytesRejection) -> Problem {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The body is too large")
                .detail("The limit is 256 KiB.")
        }
        _ => Problem::malformed("The body ended too early."),
    }
}

/// The query; unknown parameters are rejected.
pub struct ApiQuery<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for ApiQuery<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes());
        serde_path_to_error::deserialize(serde_urlencoded::Deserializer::new(query))
            .map(Self)
            .map_err(|error| rejected(&error.path().to_string(), &error.inner().to_string()))
    }
}

/// Converts an error of serde. Its text names internal types: only names of fields are passed on.
fn rejected(path: &str, error: &str) -> Problem {
    let named =
        |prefix| error.strip_prefix(prefix).and_then(|rest| rest.split_once('`')).map(|(name, _)| name);
    let at = |name: &str| match path {
        "." => name.to_owned(),
        path if path.ends_with(name) => path.to_owned(),
        path => format!("{path}.{name}"),
    };
    match (named("unknown field `"), named("missing field `")) {
        (Some(name), _) => Problem::invalid(&at(name), format!("Unknown field `{name}`.")),
        (_, Some(name)) => Problem::invalid(&at(name), "This field is required."),
        _ => Problem::invalid(path, "Wrong type or value."),
    }
}

/// The id in the path. What is no id names nothing.
pub struct Id(pub Uuid);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let id = Path::<Uuid>::from_request_parts(parts, state).await;
        id.map(|Path(id)| Self(id)).map_err(|_| Problem::not_found())
    }
}

/// The id of the record that a POST creates; the same when it is repeated with its `Idempotency-Key`.
#[derive(Clone, Copy)]
pub struct IdempotentId(pub Uuid);

impl<S: Sync> FromRequestParts<S> for IdempotentId {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(parts.extensions.get::<Self>().copied().unwrap_or_else(|| Self(Uuid::now_v7())))
    }
}

/// `If-Match`: the versions that the change is meant for.
pub struct IfMatch(Option<Condition>);

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self(Condition::of(&parts.headers, header::IF_MATCH)))
    }
}

impl IfMatch {
    /// Rejects the change unless it is meant for the current version.
    pub fn check(&self, now: Version) -> Result<(), Problem> {
        let met = self.0.as_ref().is_none_or(|condition| condition.matches_strongly(&now.to_string()));
        met.then_some(()).ok_or_else(Problem::changed)
    }

    /// The version to make a change conditional on: the one that `now` finds, if it is one the change is meant for.
    /// `None` without a condition.
    pub async fn expected(
        &self,
        now: impl Future<Output = Result<DateTime<Utc>, Problem>>,
    ) -> Result<Option<Version>, Problem> {
        if !matches!(self.0, Some(Condition::Tags(_))) {
            return Ok(None);
        }
        let now = now.await?.into();
        self.check(now)?;
        Ok(Some(now))
    }
}

/// How often a change is retried on top of concurrent ones.
const MAX_ATTEMPTS: usize = 32;

/// Reads and changes a record, again while a concurrent change comes first: this one goes on top of it.
pub async fn retry_on_conflict<T, F>(change: impl Fn() -> F) -> Result<T, Problem>
where
    F: Future<Output = Result<Option<T>, Problem>>,
{
    for _ in 0..MAX_ATTEMPTS {
        if let Some(done) = change().await? {
            return Ok(done);
        }
    }
    Err(Problem::changed())
}

/// `None` when a concurrent change came first.
pub fn conflict_as_none<T>(done: Result<T, impl Into<files::Error>>) -> Result<Option<T>, Problem> {
    match done.map_err(Into::into) {
        Err(files::Error::Tenant(tenant::Error::Changed)) => Ok(None),
        done => Ok(Some(done?)),
    }
}

/// A record with its version as `ETag`.
pub struct WithVersion<T>(pub Version, pub T);

impl<T: Serialize> IntoResponse for WithVersion<T> {
    fn into_response(self) -> Response {
        ([(header::ETAG, format!("\"{}\"", self.0))], Json(self.1)).into_response()
    }
}

impl<T: Serialize> WithVersion<T> {
    /// 304 when the client has this version.
    pub fn unless_cached(self, headers: &HeaderMap) -> Response {
        let known = Condition::of(headers, header::IF_NONE_MATCH);
        match known.is_some_and(|known| known.matches_weakly(&self.0.to_string())) {
            true => (StatusCode::NOT_MODIFIED, [(header::ETAG, format!("\"{}\"", self.0))]).into_response(),
            false => self.into_response(),
        }
    }

    /// 201, with the path of the new record.
    pub fn created(self, location: String) -> Response {
        (StatusCode::CREATED, [(header::LOCATION, location)], self).into_response()
    }
}

/// A page of a list.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiPage<T> {
    pub items: Vec<T>,
    /// Where the next page begins; null on the last one.
    pub next_cursor: Option<String>,
}

impl<T: Serialize> IntoResponse for ApiPage<T> {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}

/// Validates the text of a search.
pub fn search(search: Option<String>) -> Result<String, Problem> {
    let search = search.unwrap_or_default();
    match search.chars().count() {
        0..=200 => Ok(search),
        _ => Err(Problem::invalid("search", "Use at most 200 characters.")),
    }
}

const DEFAULT_LIMIT: u8 = 25;
const MAX_LIMIT: u8 = 100;

/// Position and size of a page.
#[derive(Clone, Copy)]
pub struct CursorQuery {
    pub after: Option<Uuid>,
    limit: u8,
}

impl CursorQuery {
    pub fn new(cursor: Option<&str>, limit: Option<u8>) -> Result<Self, Problem> {
        let after = cursor.map(|cursor| {
            let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok();
            let id = bytes.and_then(|bytes| Uuid::from_slice(&bytes).ok());
            id.ok_or_else(|| Problem::invalid("cursor", "Use a nextCursor as it was returned."))
        });
        let limit = limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            return Err(Problem::invalid("limit", format!("Use a number from 1 to {MAX_LIMIT}.")));
        }
        Ok(Self { after: after.transpose()?, limit })
    }

    /// Number of rows to read: one more than shown tells whether there is a next page.
    pub fn rows(self) -> i64 {
        i64::from(self.limit) + 1
    }

    pub fn page<R, T: From<R>>(self, mut rows: Vec<R>, id: impl Fn(&R) -> Uuid) -> ApiPage<T> {
        let more = rows.len() > usize::from(self.limit);
        rows.truncate(usize::from(self.limit));
        let last = rows.last().filter(|_| more).map(id);
        let next_cursor = last.map(|id| BASE64_URL_SAFE_NO_PAD.encode(id.as_bytes()));
        ApiPage { items: rows.into_iter().map(T::from).collect(), next_cursor }
    }
}
