use super::{BODY, extract::NewId, problem::Problem};
use crate::body;
use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header as name},
    middleware::Next,
    response::{IntoResponse, Response},
};
use identity::SignedIn;
use tenant::idempotency::{self, StoredResponse};

/// Marks an answer that is no good later, like an address that expires: repeated, the request makes nothing new, and is
/// answered by what is true then.
#[derive(Clone)]
pub struct AnsweredAnew;

/// The same POST again, under the same `Idempotency-Key` and by the same person, makes nothing new and is answered the
/// same for a day.
pub async fn answer_the_same(request: Request, next: Next) -> Result<Response, Problem> {
    let office = request.extensions().get::<SignedIn>().cloned();
    let (Some(key), Some(office)) = (key(request.headers())?, office) else {
        return Ok(next.run(request).await);
    };
    if request.method() != Method::POST {
        return Ok(next.run(request).await);
    }
    let (mut parts, body) = request.into_parts();
    let bytes = body::read(body, BODY).await.map_err(Problem::of)?;
    let digest =
        idempotency::digest(&[parts.method.as_str().as_bytes(), parts.uri.path().as_bytes(), &bytes]);
    let viewer = office.admin.viewer();
    let repeat = idempotency::begin(&office.tenant, viewer, &key, &digest).await?;
    if !repeat.is_same {
        return Err(Problem::key_reused());
    }
    if let Some(answer) = repeat.response {
        return Ok(as_before(answer));
    }
    parts.extensions.insert(NewId(repeat.record_id));
    let response = next.run(Request::from_parts(parts, Body::from(bytes))).await;
    if !response.status().is_success() {
        idempotency::release(&office.tenant, viewer, &key).await?;
        return Ok(response);
    }
    if response.extensions().get::<AnsweredAnew>().is_some() {
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let text = |header: HeaderName| {
        parts.headers.get(header).and_then(|value| value.to_str().ok()).map(str::to_owned)
    };
    let answer = StoredResponse {
        status: parts.status.as_u16() as i16,
        body: String::from_utf8_lossy(&bytes).into_owned(),
        location: text(name::LOCATION),
        etag: text(name::ETAG),
    };
    idempotency::store(&office.tenant, viewer, &key, &answer).await?;
    Ok(Response::from_parts(parts, Body::from(bytes)))
}

/// The key that a request carries.
pub fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(key) = headers.get("idempotency-key") else { return Ok(None) };
    let plain =
        |key: &&str| (1..=255).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    let key = key.to_str().ok().filter(plain);
    let wrong = "An Idempotency-Key has 1 to 255 letters, digits and signs, and no space.";
    key.map(|key| Some(key.to_owned())).ok_or_else(|| Problem::malformed(wrong))
}

fn as_before(answer: StoredResponse) -> Response {
    let status = StatusCode::from_u16(answer.status as u16).unwrap_or(StatusCode::OK);
    let mut response = (status, answer.body).into_response();
    let headers = response.headers_mut();
    headers.insert(name::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert("idempotency-replayed", HeaderValue::from_static("true"));
    for (name, value) in [(name::LOCATION, answer.location), (name::ETAG, answer.etag)] {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
            headers.insert(name, value);
        }
    }
    response
}
