//! Progress of a run as server-sent events. Watching never starts work.

use crate::router::AppState;
use app::provisioning::watch::Progress;
use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use futures::stream::{self, Stream};
use registry::{
    Registry,
    changes::{Change, Subscription},
    runs::{self, RunStatus},
};
use serde::Serialize;
use std::{convert::Infallible, time::Duration};
use uuid::Uuid;

/// One event for every change, each with the whole state: whoever comes late or comes back (then the
/// browser names the last event it saw) is told how things stand now.
pub async fn progress(State(state): State<AppState>, Path(run_id): Path<String>) -> Response {
    let Ok(run_id) = run_id.parse::<Uuid>() else { return StatusCode::NOT_FOUND.into_response() };
    match of::<Progress>(state, run_id).await {
        Ok(events) => events,
        Err(registry::Error::NotFound) => StatusCode::NOT_FOUND.into_response(),
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

/// The same in the words of whoever asks.
pub async fn of<T>(state: AppState, run_id: Uuid) -> registry::Result<Response>
where
    T: From<runs::Progress> + Serialize + Send + 'static,
{
    // Subscribed before the first look, so that nothing falls in between.
    let changes = state.changes.subscribe();
    runs::progress(&state.registry, run_id).await?;
    let keep_alive = KeepAlive::new().interval(Duration::from_secs(15));
    Ok(Sse::new(follow::<T>(state.registry.clone(), changes, run_id)).keep_alive(keep_alive).into_response())
}

enum Watching {
    First,
    Told(runs::Progress),
}

fn follow<T>(
    registry: Registry,
    changes: Subscription,
    run_id: Uuid,
) -> impl Stream<Item = Result<Event, Infallible>> + Send
where
    T: From<runs::Progress> + Serialize + Send + 'static,
{
    stream::unfold((changes, Watching::First), move |(mut changes, told)| {
        let registry = registry.clone();
        async move {
            if let Watching::Told(run) = &told
                && matches!(run.status, RunStatus::Succeeded | RunStatus::Failed)
            {
                return None;
            }
            let mut first = matches!(told, Watching::First);
            loop {
                if !first {
                    match changes.next().await? {
                        Change::Run(changed) if changed == run_id => {}
                        Change::Unheard => {}
                        _ => continue,
                    }
                }
                first = false;
                // A registry that is away for a moment is asked again at the next change.
                let Ok(run) = runs::progress(&registry, run_id).await else { continue };
                if matches!(&told, Watching::Told(before) if *before == run) {
                    continue;
                }
                let event = Event::default()
                    .event("progress")
                    .id(run.seq.to_string())
                    .json_data(T::from(run.clone()))
                    .unwrap_or_default();
                return Some((Ok(event), (changes, Watching::Told(run))));
            }
        }
    })
}
