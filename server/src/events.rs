//! Progress of a run as server-sent events. Watching never starts work.

use crate::{address::Client, state::AppState};
use app::{error::PageError, provisioning::progress::Progress};
use axum::{
    Extension,
    extract::{Path, State},
    http::{HeaderName, StatusCode, header},
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use futures::stream::{self, Stream, StreamExt};
use registry::{
    Registry,
    changes::{Change, Subscription},
    runs::{self, RunStatus},
};
use serde::Serialize;
use std::{convert::Infallible, future::ready, time::Duration};
use uuid::Uuid;

/// After how many seconds a refused stream is worth asking for again.
const RETRY_AFTER: u64 = 10;

/// Why no stream is opened.
pub enum Error {
    Registry(registry::Error),
    TooMany { retry_after: Duration },
}

/// One event for every change, each with the whole state: whoever comes late or comes back (then the
/// browser names the last event it saw) is told how things stand now.
pub async fn progress(
    State(state): State<AppState>,
    Extension(client): Extension<Client>,
    Path(run_id): Path<String>,
) -> Response {
    let Ok(run_id) = run_id.parse::<Uuid>() else { return StatusCode::NOT_FOUND.into_response() };
    match of::<Progress>(state, client, run_id).await {
        Ok(events) => events,
        Err(Error::Registry(registry::Error::NotFound)) => StatusCode::NOT_FOUND.into_response(),
        Err(Error::Registry(error)) => {
            let error = PageError::from(error);
            error.log();
            error.status().into_response()
        }
        Err(Error::TooMany { retry_after }) => {
            let error = PageError::TooManyAttempts { retry_after };
            let retry_after = error.retry_after().unwrap_or(RETRY_AFTER);
            (error.status(), [(header::RETRY_AFTER, retry_after.to_string())]).into_response()
        }
    }
}

/// The same in the words of whoever asks.
pub async fn of<T>(state: AppState, client: Client, run_id: Uuid) -> Result<Response, Error>
where
    T: From<runs::Progress> + Serialize + Send + 'static,
{
    // Subscribed before the first look, so that nothing falls in between.
    let changes = state.changes.subscribe();
    let first = runs::progress(&state.registry, run_id).await.map_err(Error::Registry)?;
    let retry_after = Duration::from_secs(RETRY_AFTER);
    let ticket = state.streams.open(run_id, client).ok_or(Error::TooMany { retry_after })?;
    let age = tokio::time::sleep(state.streams.max_age());
    let events = follow::<T>(state.registry.clone(), changes, first).take_until(age).inspect(move |_| {
        // Owned by the stream, and dropped with it.
        let _ = &ticket;
    });
    let keep_alive = KeepAlive::new().interval(Duration::from_secs(15));
    // nginx passes each event on at once instead of collecting a buffer full.
    let unbuffered = [(HeaderName::from_static("x-accel-buffering"), "no")];
    Ok((unbuffered, Sse::new(events).keep_alive(keep_alive)).into_response())
}

fn follow<T>(
    registry: Registry,
    changes: Subscription,
    first: runs::Progress,
) -> impl Stream<Item = Result<Event, Infallible>> + Send
where
    T: From<runs::Progress> + Serialize + Send + 'static,
{
    let later = stream::unfold((changes, first.clone()), move |(mut changes, told)| {
        let registry = registry.clone();
        async move {
            if matches!(told.status, RunStatus::Succeeded | RunStatus::Failed) {
                return None;
            }
            loop {
                match changes.next().await? {
                    Change::Run(changed) if changed == told.run_id => {}
                    Change::Unheard => {}
                    _ => continue,
                }
                // A registry that is away for a moment is asked again at the next change.
                let Ok(run) = runs::progress(&registry, told.run_id).await else { continue };
                if run != told {
                    return Some((run.clone(), (changes, run)));
                }
            }
        }
    });
    stream::once(ready(first)).chain(later).map(|run| {
        let event = Event::default().event("progress").id(run.seq.to_string());
        Ok(event.json_data(T::from(run)).unwrap_or_default())
    })
}
