//! Extractors of page handlers, and the layers that provide what they read.

use crate::{error::PageError, page::Redirect, sessions::sign_in_address};
use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, FromRequestParts, Request},
    middleware::Next,
    response::{IntoResponse, Response},
};
use domain::RawForm;
use http::{StatusCode, header, request::Parts};
use http_body_util::LengthLimitError;
use identity::{CurrentUser, Device, Identity};
use registry::Registry;
use serde::de::DeserializeOwned;
use std::{convert::Infallible, error::Error, io, net::IpAddr};
use tower_sessions::Session;

/// What public pages need: sign-up, its progress, sign-in. Pages of a church are not given it, so that they have no way
/// to another church.
#[derive(Clone)]
pub struct PublicContext {
    pub identity: Identity,
    pub registry: Registry,
    pub session: Session,
    /// The browser, as its cookie says.
    pub device: Device,
    /// The client's address, or its network, as rate limits count them.
    pub address: IpAddr,
}

/// Middleware: resolves the session and adds [`CurrentUser`] to the extensions of the request and of the response.
pub async fn load_user(mut request: Request, next: Next) -> Response {
    let Some(context) = request.extensions().get::<PublicContext>().cloned() else {
        return PageError::Internal("a page stands outside of the session layer".into()).into_response();
    };
    let user = match context.identity.resolve(&context.session).await {
        Ok(user) => user,
        Err(error) => return PageError::from(error).into_response(),
    };
    let Some(user) = user else { return next.run(request).await };
    tracing::Span::current().record("tenant", user.tenant.id());
    request.extensions_mut().insert(user.clone());
    let mut response = next.run(request).await;
    response.extensions_mut().insert(user);
    response
}

/// Middleware: leads to the sign-in, and back to the page afterwards. What was posted is not carried out.
pub async fn require_user(request: Request, next: Next) -> Response {
    if request.extensions().get::<CurrentUser>().is_none() {
        let here = request.uri().path_and_query().map_or("/", |here| here.as_str());
        return Redirect::to(sign_in_address(here)).into_response();
    }
    next.run(request).await
}

/// A part of the path. What cannot be parsed names nothing.
pub struct Path<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, PageError> {
        let path = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        path.map(|axum::extract::Path(value)| Self(value)).map_err(|_| PageError::NotFound)
    }
}

/// The query. Unknown members are ignored, and one that cannot be parsed is an empty one.
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Default> FromRequestParts<S> for Query<T> {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(serde_urlencoded::from_str(parts.uri.query().unwrap_or_default()).unwrap_or_default()))
    }
}

/// Limit of a form: notes of 10,000 characters, each written as `%xx%xx%xx`, and room.
const MAX_FORM_BYTES: usize = 256 * 1024;

/// A posted form.
pub struct Form(pub RawForm);

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = PageError;

    async fn from_request(request: Request, _: &S) -> Result<Self, PageError> {
        let (parts, body) = request.into_parts();
        let bytes = read_body(body, MAX_FORM_BYTES).await.map_err(PageError::Refused)?;
        let content_type = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let content_type = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        // A form without fields has no type.
        if !content_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") && !bytes.is_empty() {
            return Err(PageError::Refused(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        }
        let body = str::from_utf8(&bytes).map_err(|_| PageError::Refused(StatusCode::BAD_REQUEST))?;
        Ok(Self(RawForm::decode(body)))
    }
}

/// Reads a whole body of at most `limit` bytes. The error is the status to answer: 413 only for a body that is too
/// large, 408 for one that came too slowly, 400 for one that was cut off.
pub async fn read_body(body: Body, limit: usize) -> Result<Bytes, StatusCode> {
    axum::body::to_bytes(body, limit).await.map_err(|error| body_status(&error))
}

fn body_status(error: &(dyn Error + 'static)) -> StatusCode {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<LengthLimitError>() {
            return StatusCode::PAYLOAD_TOO_LARGE;
        }
        if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::TimedOut) {
            return StatusCode::REQUEST_TIMEOUT;
        }
        cause = error.source();
    }
    StatusCode::BAD_REQUEST
}
