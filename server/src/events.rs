//! Progress of a run as server-sent events. Watching never starts work.

use crate::router::AppState;
use app::{answer::Failure, provisioning::watch::Progress};
use axum::{
    extract::{Path, State},
    http::StatusCode,
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

/// One event for every change, each with the whole state: whoever comes late or comes back (then the
/// browser names the last event it saw) is told how things stand now.
pub async fn progress(State(state): State<AppState>, Path(run_id): Path<String>) -> Response {
    let Ok(run_id) = run_id.parse::<Uuid>() else { return StatusCode::NOT_FOUND.into_response() };
    match of::<Progress>(state, run_id).await {
        Ok(events) => events,
        Err(registry::Error::NotFound) => StatusCode::NOT_FOUND.into_response(),
        Err(error) => {
            let failure = Failure::from(error);
            failure.log();
            failure.status().into_response()
        }
    }
}

/// The same in the words of whoever asks.
pub async fn of<T>(state: AppState, run_id: Uuid) -> registry::Result<Response>
where
    T: From<runs::Progress> + Serialize + Send + 'static,
{
    // Subscribed before the first look, so that nothing falls in between.
    let changes = state.changes.subscribe();
    let first = runs::progress(&state.registry, run_id).await?;
    let keep_alive = KeepAlive::new().interval(Duration::from_secs(15));
    Ok(Sse::new(follow::<T>(state.registry.clone(), changes, first)).keep_alive(keep_alive).into_response())
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
