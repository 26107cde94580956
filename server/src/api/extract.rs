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
use identity::SignedIn;
use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};
use tenant::Version;
use utoipa::ToSchema;
use uuid::Uuid;

/// Who is asking, and the church that opens.
pub struct Office(pub SignedIn);

impl<S: Sync> FromRequestParts<S> for Office {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<SignedIn>().cloned().map(Self).ok_or_else(Problem::unauthenticated)
    }
}

/// A body of JSON.
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let kind = super::header(&request, "content-type").unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            let title = "The body must be application/json";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", title));
        }
        let bytes = Bytes::from_request(request, state).await.map_err(unread)?;
        let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            Problem::malformed(format!("The body is not JSON: look at line {line}, column {column}."))
        })?;
        if !value.is_object() {
            return Err(Problem::malformed("The body must be a JSON object."));
        }
        serde_path_to_error::deserialize(value)
            .map(Self)
            .map_err(|error| unfit(&error.path().to_string(), &error.inner().to_string()))
    }
}

pub fn unread(rejection: BytesRejection) -> Problem {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The body is too large")
                .detail("256 KiB are the most that is taken.")
        }
        _ => Problem::malformed("The body ended too early."),
    }
}

/// What stands behind the question mark.
pub struct Asked<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes());
        serde_path_to_error::deserialize(serde_urlencoded::Deserializer::new(query))
            .map(Self)
            .map_err(|error| unfit(&error.path().to_string(), &error.inner().to_string()))
    }
}

/// What is wrong with a field, from what serde says. Its words name types of ours: only fields are passed on.
fn unfit(path: &str, error: &str) -> Problem {
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
        _ => Problem::invalid(path, "This is not what belongs here."),
    }
}

/// The id in the address. What is no id names nothing.
pub struct Id(pub Uuid);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let id = Path::<Uuid>::from_request_parts(parts, state).await;
        id.map(|Path(id)| Self(id)).map_err(|_| Problem::not_found())
    }
}

/// The id of what a POST makes; the same when it is repeated under its `Idempotency-Key`.
#[derive(Clone, Copy)]
pub struct NewId(pub Uuid);

impl<S: Sync> FromRequestParts<S> for NewId {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(parts.extensions.get::<Self>().copied().unwrap_or_else(|| Self(Uuid::now_v7())))
    }
}

/// `If-Match`: the versions that the change is meant for.
pub struct Seen(Option<Condition>);

impl<S: Sync> FromRequestParts<S> for Seen {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self(Condition::of(&parts.headers, header::IF_MATCH)))
    }
}

impl Seen {
    /// Rejects the change unless it is meant for the version there is now.
    pub fn allows(&self, now: Version) -> Result<(), Problem> {
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
        self.allows(now)?;
        Ok(Some(now))
    }
}

/// How often a change is put on top of others that are made at the same moment.
const ATTEMPTS: usize = 32;

/// Reads and changes a record, and once more when somebody was faster: the change goes on top of theirs.
pub async fn on_top<T, F>(change: impl Fn() -> F) -> Result<T, Problem>
where
    F: Future<Output = Result<Option<T>, Problem>>,
{
    for _ in 0..ATTEMPTS {
        if let Some(done) = change().await? {
            return Ok(done);
        }
    }
    Err(Problem::changed())
}

/// Nothing when somebody was faster.
pub fn overtaken<T>(done: Result<T, impl Into<files::Error>>) -> Result<Option<T>, Problem> {
    match done.map_err(Into::into) {
        Err(files::Error::Tenant(tenant::Error::Changed)) => Ok(None),
        done => Ok(Some(done?)),
    }
}

/// A record with its version, as `ETag`.
pub struct Versioned<T>(pub Version, pub T);

impl<T: Serialize> IntoResponse for Versioned<T> {
    fn into_response(self) -> Response {
        ([(header::ETAG, format!("\"{}\"", self.0))], Json(self.1)).into_response()
    }
}

impl<T: Serialize> Versioned<T> {
    /// Nothing, for whoever has this version already.
    pub fn unless_known(self, headers: &HeaderMap) -> Response {
        let known = Condition::of(headers, header::IF_NONE_MATCH);
        match known.is_some_and(|known| known.matches_weakly(&self.0.to_string())) {
            true => (StatusCode::NOT_MODIFIED, [(header::ETAG, format!("\"{}\"", self.0))]).into_response(),
            false => self.into_response(),
        }
    }

    /// The answer to a POST that made it.
    pub fn made(self, location: String) -> Response {
        (StatusCode::CREATED, [(header::LOCATION, location)], self).into_response()
    }
}

/// A part of a list.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Where the next part begins; null at the end.
    pub next_cursor: Option<String>,
}

impl<T: Serialize> IntoResponse for Page<T> {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}

/// What is searched for, of a length that somebody might type.
pub fn search(search: Option<String>) -> Result<String, Problem> {
    let search = search.unwrap_or_default();
    match search.chars().count() {
        0..=200 => Ok(search),
        _ => Err(Problem::invalid("search", "Use at most 200 characters.")),
    }
}

/// How many items a part holds, unless something else is asked for.
const FEW: u8 = 25;
/// The most it may hold.
const MANY: u8 = 100;

/// How much of a list is asked for.
#[derive(Clone, Copy)]
pub struct Part {
    pub after: Option<Uuid>,
    limit: u8,
}

impl Part {
    pub fn new(cursor: Option<&str>, limit: Option<u8>) -> Result<Self, Problem> {
        let after = cursor.map(|cursor| {
            let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok();
            let id = bytes.and_then(|bytes| Uuid::from_slice(&bytes).ok());
            id.ok_or_else(|| Problem::invalid("cursor", "Use a nextCursor as it was given."))
        });
        let limit = limit.unwrap_or(FEW);
        if !(1..=MANY).contains(&limit) {
            return Err(Problem::invalid("limit", format!("Use a number from 1 to {MANY}.")));
        }
        Ok(Self { after: after.transpose()?, limit })
    }

    /// How many rows to ask for: one more than are shown tells whether there are more.
    pub fn rows(self) -> i64 {
        i64::from(self.limit) + 1
    }

    pub fn page<R, T: From<R>>(self, mut rows: Vec<R>, id: impl Fn(&R) -> Uuid) -> Page<T> {
        let more = rows.len() > usize::from(self.limit);
        rows.truncate(usize::from(self.limit));
        let last = rows.last().filter(|_| more).map(id);
        let next_cursor = last.map(|id| BASE64_URL_SAFE_NO_PAD.encode(id.as_bytes()));
        Page { items: rows.into_iter().map(T::from).collect(), next_cursor }
    }
}

/// A field of a change: absent, it stays as it is (`None`); null, it is emptied (`Some(None)`).
pub fn patch<'de, T, D>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::deserialize(deserializer).map(Some)
}

/// Puts a change into the field of a form.
pub fn put<T: ToString>(field: &mut String, change: Option<Option<T>>) {
    if let Some(value) = change {
        *field = value.map(|value| value.to_string()).unwrap_or_default();
    }
}
