//! Pictures on pages: the form that sends one, and the picture itself.

use super::{Error, Files, LARGEST_PICTURE, pictures};
use crate::{
    etag::Condition,
    pages::{self, Answered, Who},
    router::AppState,
};
use app::{
    answer::{Answer, Failure, Flash, Reply},
    forms::Errors,
    photo,
    visit::{SignedIn, Visit},
};
use axum::{
    body::Body,
    extract::{DefaultBodyLimit, FromRequest, Multipart, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use std::sync::Arc;
use tenant::{
    files::Place,
    photos::{self, Whose},
};
use tower_sessions::Session;
use uuid::Uuid;

/// What a form sent: nothing, a picture, or the wish to have none.
#[derive(Clone)]
enum Sent {
    Nothing,
    Picture(Vec<u8>),
    Removal,
    Wrong(&'static str),
}

/// The page on which a picture is chosen, and taken away.
pub fn form(
    whose: fn(Uuid) -> Whose,
) -> impl Fn(State<AppState>, Request) -> Answered + Clone + Send + Sync + 'static {
    move |State(state), request| {
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let sent = match (&parts.method, parts.extensions.get::<Session>()) {
                (&Method::POST, Some(session)) => match state.identity.resolve(session).await {
                    Ok(Some(_)) => read(Request::from_parts(parts.clone(), body)).await,
                    // Nobody sends us a picture without being signed in; the page says what to do.
                    _ => Sent::Nothing,
                },
                _ => Sent::Nothing,
            };
            let files = state.files.clone();
            let page: pages::Page = Arc::new(move |visit, _, office| match office {
                Some(office) => Box::pin(answer(files.clone(), whose, visit, office, sent.clone())),
                None => Box::pin(async move { Ok(pages::sign_in_first(&visit)) }),
            });
            pages::answer(state, Request::from_parts(parts, Body::empty()), page, Who::SignedIn).await
        })
    }
}

async fn answer(
    files: Files,
    whose: fn(Uuid) -> Whose,
    visit: Visit,
    office: SignedIn,
    sent: Sent,
) -> Answer {
    let id = visit.record()?;
    let whose = whose(id);
    let editor = office.admin.editor()?;
    let done = match sent {
        Sent::Nothing => return photo::page(office, whose, Errors::default()).await,
        Sent::Wrong(message) => Err(Error::Refused { field: "photo", message: message.to_owned() }),
        Sent::Picture(bytes) => {
            files.set_picture(&office.tenant, &editor, whose, bytes).await.map(|()| Flash::PictureSaved)
        }
        Sent::Removal => {
            files.remove_picture(&office.tenant, &editor, whose).await.map(|()| Flash::PictureRemoved)
        }
    };
    match done {
        Ok(flash) => Ok(Reply::redirect(photo::back(whose)).saying(flash)),
        Err(Error::Refused { message, .. }) => {
            photo::page(office, whose, Errors::one("photo", message)).await
        }
        Err(Error::Tenant(error)) => Err(error.into()),
        Err(Error::Registry(error)) => Err(error.into()),
        Err(Error::Away(error)) => {
            tracing::error!(error = %registry::chain(&error), "a picture could not be kept");
            let message =
                "The picture could not be kept just now. Nothing else is lost; try again in a moment.";
            let page = photo::page(office, whose, Errors::one("photo", message)).await?;
            Ok(page.with_status(StatusCode::SERVICE_UNAVAILABLE))
        }
        Err(Error::NotUploaded) => Err(Failure::NotFound),
    }
}

/// Reads the form. Both kinds a browser can send are taken.
async fn read(request: Request) -> Sent {
    /// What stands around the picture.
    const ROOM: usize = 64 * 1024;
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let (parts, body) = match kind {
        Some(kind) if kind.starts_with("multipart/form-data") => request.into_parts(),
        _ => {
            let fields = axum::body::to_bytes(request.into_body(), ROOM).await.unwrap_or_default();
            return if fields.starts_with(b"remove=") { Sent::Removal } else { Sent::Wrong(pictures::EMPTY) };
        }
    };
    // A form that is too large is cut off, and then it is a wrong one.
    let Ok(bytes) = axum::body::to_bytes(body, LARGEST_PICTURE + ROOM).await else {
        return Sent::Wrong(pictures::TOO_LARGE);
    };
    let mut whole = Request::from_parts(parts, Body::from(bytes));
    // It is limited already.
    DefaultBodyLimit::disable().apply(&mut whole);
    let Ok(mut fields) = Multipart::from_request(whole, &()).await else {
        return Sent::Wrong(pictures::NOT_A_PICTURE);
    };
    loop {
        match fields.next_field().await {
            Ok(Some(field)) if field.name() == Some("photo") => {
                return match field.bytes().await {
                    Ok(bytes) if bytes.is_empty() => Sent::Wrong(pictures::EMPTY),
                    Ok(bytes) => Sent::Picture(bytes.to_vec()),
                    Err(_) => Sent::Wrong(pictures::NOT_A_PICTURE),
                };
            }
            Ok(Some(_)) => {}
            Ok(None) => return Sent::Wrong(pictures::EMPTY),
            Err(_) => return Sent::Wrong(pictures::NOT_A_PICTURE),
        }
    }
}

pub async fn of_member(
    state: State<AppState>,
    session: Session,
    pages::Id(id): pages::Id,
    headers: HeaderMap,
) -> Response {
    show(state.0, session, Whose::Member(id), Place::Kept, &headers).await
}

pub async fn of_member_small(
    state: State<AppState>,
    session: Session,
    pages::Id(id): pages::Id,
    headers: HeaderMap,
) -> Response {
    show(state.0, session, Whose::Member(id), Place::Small, &headers).await
}

pub async fn of_branch(
    state: State<AppState>,
    session: Session,
    pages::Id(id): pages::Id,
    headers: HeaderMap,
) -> Response {
    show(state.0, session, Whose::Branch(id), Place::Kept, &headers).await
}

/// A picture, for whoever may see whose it is. A storage that is away makes it an absent one.
async fn show(
    state: AppState,
    session: Session,
    whose: Whose,
    place: Place,
    headers: &HeaderMap,
) -> Response {
    let office = match state.identity.resolve(&session).await {
        Ok(Some(office)) => office,
        Ok(None) => return StatusCode::NOT_FOUND.into_response(),
        Err(error) => return failed(error.into()),
    };
    let id = match photos::of(&office.tenant, office.admin.viewer(), whose).await {
        Ok(Some(id)) => id,
        Ok(None) | Err(tenant::Error::NotFound) => return StatusCode::NOT_FOUND.into_response(),
        Err(error) => return failed(error.into()),
    };
    let tag = format!("\"{id}\"");
    let kept = [(header::ETAG, tag)];
    let known = Condition::of(headers, header::IF_NONE_MATCH);
    if known.is_some_and(|known| known.matches_weakly(&id.to_string())) {
        return (StatusCode::NOT_MODIFIED, kept).into_response();
    }
    match state.files.picture(&office.tenant, id, place).await {
        Ok(Some(bytes)) => {
            let mut response = (kept, bytes).into_response();
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("image/jpeg"));
            response
        }
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(error) => {
            tracing::warn!(error = %registry::chain(&error), "a picture cannot be shown");
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}

/// A picture that cannot be shown has no page that says why.
fn failed(failure: Failure) -> Response {
    failure.log();
    failure.status().into_response()
}
