//! Progress of a run as server-sent events. Watching never starts work.

use crate::{address::Client, router::AppState};
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
    changes::{Change, Subscription},
    runs::{self, RunStatus},
};
use serde::Serialize;
use std::{
    collections::HashMap,
    convert::Infallible,
    future::ready,
    hash::Hash,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use uuid::Uuid;

/// How many may watch one run, and how many streams one address may have. A page that is refused asks again, and
/// reloads itself where there is no JavaScript.
const PER_RUN: usize = 32;
const PER_ADDRESS: usize = 32;

/// After how many seconds a refused stream is worth asking for again.
const RETRY_AFTER: u64 = 10;

/// The event streams that are open. They hold a connection each and never wait for their client, so they are bounded
/// by themselves.
#[derive(Clone)]
pub struct Streams(Arc<Shared>);

struct Shared {
    in_all: usize,
    age: Duration,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    in_all: usize,
    by_run: HashMap<Uuid, usize>,
    by_address: HashMap<IpAddr, usize>,
}

impl Streams {
    /// At most `in_all`, each ended at an age: the browser then connects again.
    pub fn new(in_all: usize, age: Duration) -> Self {
        Self(Arc::new(Shared { in_all, age, open: Mutex::default() }))
    }

    fn open(&self, run_id: Uuid, client: Client) -> Option<Ticket> {
        let address = (!client.is_trusted()).then(|| client.limit_key());
        let mut open = self.locked();
        let run_is_full = open.by_run.get(&run_id).is_some_and(|n| *n >= PER_RUN);
        let address_is_full =
            address.is_some_and(|address| open.by_address.get(&address).is_some_and(|n| *n >= PER_ADDRESS));
        if run_is_full || address_is_full || open.in_all >= self.0.in_all {
            return None;
        }
        open.in_all += 1;
        *open.by_run.entry(run_id).or_default() += 1;
        if let Some(address) = address {
            *open.by_address.entry(address).or_default() += 1;
        }
        drop(open);
        Some(Ticket { streams: self.clone(), run_id, address })
    }

    fn locked(&self) -> MutexGuard<'_, Open> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Held by a stream while it is open.
struct Ticket {
    streams: Streams,
    run_id: Uuid,
    address: Option<IpAddr>,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut open = self.streams.locked();
        open.in_all -= 1;
        release(&mut open.by_run, &self.run_id);
        if let Some(address) = &self.address {
            release(&mut open.by_address, address);
        }
    }
}

fn release<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

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
    let age = tokio::time::sleep(state.streams.0.age);
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
