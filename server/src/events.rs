//! Progress of a run as server-sent events. Reading never starts work.

use crate::{address::Client, state::AppState};
use app::{answer::Failure, provisioning::watch::Progress};
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
    notifications::{Notification, Subscriber},
    progress::{self, RunStatus},
};
use serde::Serialize;
use std::{convert::Infallible, future::ready, time::Duration};
use uuid::Uuid;

/// `Retry-After` of a rejected stream, in seconds.
const RETRY_AFTER: u64 = 10;

pub enum Error {
    Registry(registry::Error),
    TooMany { retry_after: Duration },
}

/// Streams one event for each change. Each event holds the whole state, so clients may connect late or reconnect.
pub async fn progress(
    State(state): State<AppState>,
    Extension(client): Extension<Client>,
    Path(run_id): Path<String>,
) -> Response {
    let Ok(run_id) = run_id.parse::<Uuid>() else { return StatusCode::NOT_FOUND.into_response() };
    match progress_stream::<Progress>(state, client, run_id).await {
        Ok(events) => events,
        Err(Error::Registry(registry::Error::NotFound)) => StatusCode::NOT_FOUND.into_response(),
        Err(Error::Registry(error)) => {
            let failure = Failure::from(error);
            failure.log();
            failure.status().into_response()
        }
        Err(Error::TooMany { retry_after }) => {
            let failure = Failure::TooManyAttempts { retry_after };
            let retry_after = failure.retry_after().unwrap_or(RETRY_AFTER);
            (failure.status(), [(header::RETRY_AFTER, retry_after.to_string())]).into_response()
        }
    }
}

/// Returns the event stream with progress converted to `T`.
pub async fn progress_stream<T>(state: AppState, client: Client, run_id: Uuid) -> Result<Response, Error>
where
    T: From<progress::Progress> + Serialize + Send + 'static,
{
    // Subscribes before the first read, so that no change is missed.
    let notifications = state.notifications.subscribe();
    let first = progress::find(&state.registry, run_id).await.map_err(Error::Registry)?;
    let retry_after = Duration::from_secs(RETRY_AFTER);
    let permit = state.streams.open(run_id, client).ok_or(Error::TooMany { retry_after })?;
    let age = tokio::time::sleep(state.streams.max_age());
    let events =
        follow::<T>(state.registry.clone(), notifications, first).take_until(age).inspect(move |_| {
            // Moves the permit into the stream.
            let _ = &permit;
        });
    let keep_alive = KeepAlive::new().interval(Duration::from_secs(15));
    // Tells nginx not to buffer events.
    let unbuffered = [(HeaderName::from_static("x-accel-buffering"), "no")];
    Ok((unbuffered, Sse::new(events).keep_alive(keep_alive)).into_response())
}

fn follow<T>(
    registry: Registry,
    notifications: Subscriber,
    first: progress::Progress,
) -> impl Stream<Item = Result<Event, Infallible>> + Send
where
    T: From<progress::Progress> + Serialize + Send + 'static,
{
    let later = stream::unfold((notifications, first.clone()), move |(mut notifications, last)| {
        let registry = registry.clone();
        async move {
            if matches!(last.status, RunStatus::Succeeded | RunStatus::Failed) {
                return None;
            }
            loop {
                match notifications.next().await? {
                    Notification::RunProgress(run_id) if run_id == last.run_id => {}
                    Notification::Missed => {}
                    _ => continue,
                }
                // On an error, the next notification triggers another read.
                let Ok(run) = progress::find(&registry, last.run_id).await else { continue };
                if run != last {
                    return Some((run.clone(), (notifications, run)));
                }
            }
        }
    });
    stream::once(ready(first)).chain(later).map(|run| {
        let event = Event::default().event("progress").id(run.seq.to_string());
        Ok(event.json_data(T::from(run)).unwrap_or_default())
    })
}
