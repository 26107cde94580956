//! Pictures on pages: the form that sends one, and the picture itself.

use super::{Error, Result, form};
use crate::{
    body::Incoming,
    etag::Condition,
    pages::{self, Answered, Who},
    state::AppState,
};
use app::{
    answer::{Answer, Failure, Flash, Outage, Reply},
    forms::Errors,
    photo,
    visit::{SignedIn, Visit},
};
use axum::{
    body::Body,
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use std::sync::{Arc, Mutex, PoisonError};
use tenant::{
    files::ObjectKind,
    pictures::{self, PictureOwner},
};
use tower_sessions::Session;
use uuid::Uuid;

/// What came of a form; nothing when none was sent.
type Done = Option<Result<Flash>>;

/// The page on which a picture is chosen, and taken away.
pub fn form(
    whose: fn(Uuid) -> PictureOwner,
) -> impl Fn(State<AppState>, Request) -> Answered + Clone + Send + Sync + 'static {
    move |State(state), request| {
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            let done = match parts.method {
                Method::POST => receive(&state, &mut parts, body, whose).await,
                _ => None,
            };
            let done = Arc::new(Mutex::new(done));
            let page: pages::Page = Arc::new(move |visit, _, office| match office {
                Some(office) => {
                    let done = done.lock().unwrap_or_else(PoisonError::into_inner).take();
                    Box::pin(answer(whose, visit, office, done))
                }
                None => Box::pin(async move { Ok(pages::sign_in_first(&visit)) }),
            });
            pages::answer(state, Request::from_parts(parts, Body::empty()), page, Who::SignedIn).await
        })
    }
}

/// Carries out what a form wants, before anything is rendered: whoever may send nothing is not listened to, and what is
/// refused is read to its end all the same, so that browsers show the answer.
async fn receive(state: &AppState, parts: &mut Parts, body: Body, whose: fn(Uuid) -> PictureOwner) -> Done {
    let mut incoming = Incoming::new(body, form::MAX_FORM_BYTES);
    let session = parts.extensions.get::<Session>().cloned();
    let office = match &session {
        Some(session) => state.identity.resolve(session).await.ok().flatten(),
        None => None,
    };
    let id = pages::Id::from_request_parts(parts, &()).await;
    let done = match (office, id) {
        (Some(office), Ok(pages::Id(id))) => {
            Some(change(state, &office, whose(id), &parts.headers, &mut incoming).await)
        }
        // The page says what is wrong.
        _ => None,
    };
    if !matches!(done, Some(Ok(_))) {
        incoming.drain().await;
    }
    done
}

async fn change(
    state: &AppState,
    office: &SignedIn,
    whose: PictureOwner,
    headers: &HeaderMap,
    incoming: &mut Incoming,
) -> Result<Flash> {
    let (files, tenant) = (&state.files, &office.tenant);
    let editor = office.admin.editor()?;
    pictures::find_for_edit(tenant, &editor, whose).await?;
    if !form::is_multipart(headers) {
        form::read_removal(incoming).await?;
        files.remove_picture(tenant, &editor, whose).await?;
        return Ok(Flash::PictureRemoved);
    }
    let mut slot = files.slots.acquire(tenant.id()).await.ok_or(Error::Busy)?;
    files.need_room(form::MAX_FORM_BYTES as u64)?;
    files.need_quota(tenant, editor.viewer()).await?;
    let sent = form::read_picture(&files.storage, headers, incoming).await?;
    slot.received();
    files.set_picture(tenant, &editor, whose, sent).await?;
    Ok(Flash::PictureSaved)
}

async fn answer(whose: fn(Uuid) -> PictureOwner, visit: Visit, office: SignedIn, done: Done) -> Answer {
    let whose = whose(visit.record()?);
    // Whoever may not change it does not see the form either.
    let editor = office.admin.editor()?;
    if matches!(whose, PictureOwner::Branch(_)) && !editor.covers_all_branches() {
        return Err(Failure::Forbidden);
    }
    let (message, status) = match done {
        None => return photo::page(office, whose, Errors::default()).await,
        Some(Ok(flash)) => return Ok(Reply::redirect(photo::back(whose)).saying(flash)),
        Some(Err(error)) => explained(error)?,
    };
    Ok(photo::page(office, whose, Errors::one("photo", message)).await?.with_status(status))
}

/// What is said at the field, and the status it is said with.
fn explained(error: Error) -> std::result::Result<(String, StatusCode), Failure> {
    let (message, status) = match error {
        Error::Refused { message, .. } => return Ok((message, StatusCode::UNPROCESSABLE_ENTITY)),
        Error::Tenant(error) => return Err(error.into()),
        Error::Registry(error) => return Err(error.into()),
        Error::Busy => return Err(Failure::Busy),
        Error::NotUploaded | Error::InUse => return Err(Failure::NotFound),
        Error::QuotaExceeded(quota) => {
            let message = format!(
                "Your church has no room for more files ({} files, {} MB). Remove photos that are not needed.",
                quota.files,
                quota.bytes / (1024 * 1024),
            );
            return Ok((message, StatusCode::INSUFFICIENT_STORAGE));
        }
        Error::DiskFull => (
            "We can't store photos right now. Nothing is lost. Try again later.",
            StatusCode::INSUFFICIENT_STORAGE,
        ),
        error @ (Error::Storage(_) | Error::Spool(_)) => {
            tracing::error!(error = %registry::chain(&error), "a picture could not be kept");
            let message =
                "The picture could not be kept just now. Nothing else is lost; try again in a moment.";
            (message, StatusCode::SERVICE_UNAVAILABLE)
        }
    };
    Ok((message.to_owned(), status))
}

pub async fn of_member(state: State<AppState>, request: Request) -> Response {
    show(state.0, request, PictureOwner::Member, ObjectKind::Stored).await
}

pub async fn of_member_small(state: State<AppState>, request: Request) -> Response {
    show(state.0, request, PictureOwner::Member, ObjectKind::Thumbnail).await
}

pub async fn of_branch(state: State<AppState>, request: Request) -> Response {
    show(state.0, request, PictureOwner::Branch, ObjectKind::Stored).await
}

/// A picture, for whoever may see whose it is; what else there is to say is said by a page, as everywhere.
async fn show(
    state: AppState,
    request: Request,
    whose: fn(Uuid) -> PictureOwner,
    place: ObjectKind,
) -> Response {
    let (mut parts, _) = request.into_parts();
    let failure = match picture(&state, &mut parts, whose, place).await {
        Ok(response) => return response,
        Err(failure) => failure,
    };
    failure.log();
    pages::failure(&state, parts, failure).await
}

async fn picture(
    state: &AppState,
    parts: &mut Parts,
    whose: fn(Uuid) -> PictureOwner,
    place: ObjectKind,
) -> std::result::Result<Response, Failure> {
    let id = pages::Id::from_request_parts(parts, &()).await;
    let (Some(session), Ok(pages::Id(id))) = (parts.extensions.get::<Session>(), id) else {
        return Err(Failure::NotFound);
    };
    let office = state.identity.resolve(session).await?.ok_or(Failure::NotFound)?;
    let id =
        pictures::find(&office.tenant, office.admin.viewer(), whose(id)).await?.ok_or(Failure::NotFound)?;
    let tag = format!("\"{id}\"");
    let kept = [(header::ETAG, tag)];
    let known = Condition::of(&parts.headers, header::IF_NONE_MATCH);
    if known.is_some_and(|known| known.matches_weakly(&id.to_string())) {
        return Ok((StatusCode::NOT_MODIFIED, kept).into_response());
    }
    let bytes = state.files.picture(&office.tenant, id, place).await.map_err(|error| {
        let cause = registry::chain(&error).to_string();
        Failure::Unavailable { outage: Outage::Unreachable, cause }
    })?;
    let mut response = (kept, bytes.ok_or(Failure::NotFound)?).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("image/jpeg"));
    Ok(response)
}
