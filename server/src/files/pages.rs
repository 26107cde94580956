//! Pictures on pages: the form that uploads one, and the picture itself.

use super::{Error, Files, Result, form};
use crate::{body::Incoming, etag::Condition, state::AppState};
use app::{
    error::{Outage, PageError},
    extract::Path,
    flash::Flash,
    page::{Page, Redirect},
    pictures,
    sessions::sign_in_address,
};
use axum::{
    Extension, Router,
    body::Body,
    extract::{OriginalUri, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use domain::Errors;
use identity::CurrentUser;
use tenant::{
    files::Place,
    photos::{self, Whose},
};
use uuid::Uuid;

type User = Option<Extension<CurrentUser>>;

pub fn routes() -> Router<AppState> {
    Router::new()
        .route(
            "/members/{id}/photo",
            get(|user, id, here| show_form(user, id, here, Whose::Member))
                .post(|state, user, id, here, headers, body| {
                    submit(state, user, id, here, headers, body, Whose::Member)
                }),
        )
        .route(
            "/branches/{id}/picture",
            get(|user, id, here| show_form(user, id, here, Whose::Branch))
                .post(|state, user, id, here, headers, body| {
                    submit(state, user, id, here, headers, body, Whose::Branch)
                }),
        )
        .route(
            "/members/{id}/photo.jpg",
            get(|state, user, id, headers| show(state, user, id, headers, Whose::Member, Place::Kept)),
        )
        .route(
            "/members/{id}/photo-small.jpg",
            get(|state, user, id, headers| show(state, user, id, headers, Whose::Member, Place::Small)),
        )
        .route(
            "/branches/{id}/picture.jpg",
            get(|state, user, id, headers| show(state, user, id, headers, Whose::Branch, Place::Kept)),
        )
}

async fn show_form(
    user: User,
    Path(id): Path<Uuid>,
    OriginalUri(here): OriginalUri,
    whose: fn(Uuid) -> Whose,
) -> std::result::Result<Page, PageError> {
    let Some(Extension(user)) = user else { return Err(PageError::SignedOut { next: here.to_string() }) };
    may_change(&user, whose(id))?;
    pictures::page(&user, whose(id), &Errors::default()).await
}

fn may_change(user: &CurrentUser, whose: Whose) -> std::result::Result<(), PageError> {
    match whose {
        Whose::Member(_) => user.admin.editor()?,
        Whose::Branch(_) => user.admin.editor_of_all_branches()?,
    };
    Ok(())
}

/// Saves or removes the picture. A body that is refused is read to its end: browsers show the answer only then.
async fn submit(
    State(state): State<AppState>,
    user: User,
    Path(id): Path<Uuid>,
    OriginalUri(here): OriginalUri,
    headers: HeaderMap,
    body: Body,
    whose: fn(Uuid) -> Whose,
) -> std::result::Result<Response, PageError> {
    let mut incoming = Incoming::new(body, form::LARGEST_FORM);
    let Some(Extension(user)) = user else {
        incoming.drain().await;
        return Ok(Redirect::to(sign_in_address(here.path())).into_response());
    };
    let changed = change(&state.files, &user, whose(id), &headers, &mut incoming).await;
    let error = match changed {
        Ok(flash) => return Ok(Redirect::to(pictures::owner_path(whose(id))).with_flash(flash).into_response()),
        Err(error) => error,
    };
    incoming.drain().await;
    may_change(&user, whose(id))?;
    let (message, status) = explained(error)?;
    let errors = Errors::one("photo", message);
    Ok(pictures::page(&user, whose(id), &errors).await?.with_status(status).into_response())
}

async fn change(
    files: &Files,
    user: &CurrentUser,
    whose: Whose,
    headers: &HeaderMap,
    incoming: &mut Incoming,
) -> Result<Flash> {
    let tenant = &user.tenant;
    let editor = user.admin.editor()?;
    photos::of_changeable(tenant, &editor, whose).await?;
    if !form::is_multipart(headers) {
        form::read_removal(incoming).await?;
        files.remove_picture(tenant, &editor, whose).await?;
        return Ok(Flash::PictureRemoved);
    }
    let mut slot = files.slots.acquire(tenant.id()).await.ok_or(Error::Busy)?;
    files.need_room(form::LARGEST_FORM as u64)?;
    files.need_quota(tenant, editor.viewer()).await?;
    let sent = form::read_picture(&files.storage, headers, incoming).await?;
    slot.received();
    files.set_picture(tenant, &editor, whose, sent).await?;
    Ok(Flash::PictureSaved)
}

/// What is said at the field, and the status it is said with.
fn explained(error: Error) -> std::result::Result<(String, StatusCode), PageError> {
    let (message, status) = match error {
        Error::Refused { message, .. } => return Ok((message, StatusCode::UNPROCESSABLE_ENTITY)),
        Error::Tenant(error) => return Err(error.into()),
        Error::Registry(error) => return Err(error.into()),
        Error::Busy => return Err(PageError::Busy),
        Error::NotUploaded | Error::InUse => return Err(PageError::NotFound),
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

/// The picture, for users who may see its owner.
async fn show(
    State(state): State<AppState>,
    user: User,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
    whose: fn(Uuid) -> Whose,
    place: Place,
) -> std::result::Result<Response, PageError> {
    let Some(Extension(user)) = user else { return Err(PageError::NotFound) };
    let id = photos::of(&user.tenant, user.admin.viewer(), whose(id)).await?.ok_or(PageError::NotFound)?;
    let etag = [(header::ETAG, format!("\"{id}\""))];
    let known = Condition::of(&headers, header::IF_NONE_MATCH);
    if known.is_some_and(|known| known.matches_weakly(&id.to_string())) {
        return Ok((StatusCode::NOT_MODIFIED, etag).into_response());
    }
    let bytes = state.files.picture(&user.tenant, id, place).await.map_err(|error| {
        let cause = registry::chain(&error).to_string();
        PageError::Unavailable { outage: Outage::Unreachable, cause }
    })?;
    let mut response = (etag, bytes.ok_or(PageError::NotFound)?).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("image/jpeg"));
    Ok(response)
}
