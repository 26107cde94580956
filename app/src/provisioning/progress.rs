use crate::ui::icon;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

/// Progress of a run, as the browser knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    pub run_id: String,
    pub church: String,
    pub status: Status,
    pub steps: Vec<Step>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Queued,
    Running,
    Succeeded,
    Failed,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    pub name: String,
    pub state: State,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// Reason of a failure, for the person who waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Waiting,
    Running,
    Succeeded,
    Failed,
}

impl Status {
    pub fn is_over(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed)
    }
}

impl Progress {
    pub fn heading(&self) -> String {
        match self.status {
            Status::Succeeded => format!("{} is ready", self.church),
            Status::Failed => format!("{} is not ready yet", self.church),
            _ => format!("Setting up {}", self.church),
        }
    }

    /// Announced by screen readers when it changes.
    fn summary(&self) -> String {
        let total = self.steps.len();
        match self.status {
            Status::Succeeded => {
                let took: u64 = self.steps.iter().filter_map(|step| step.duration_ms).sum();
                format!("Your church's account is ready. It took {}.", milliseconds(took))
            }
            Status::Failed => "Setup didn't finish; your details are saved.".into(),
            Status::Queued => "Waiting to start. You can close this page and come back to it.".into(),
            Status::Running => {
                let current =
                    self.steps.iter().position(|step| step.state != State::Succeeded).unwrap_or(total - 1);
                let doing = step_label(&self.steps[current].name, State::Running).to_lowercase();
                format!("Step {} of {total}: {doing}. You can close this page and come back to it.", current + 1)
            }
        }
    }
}

fn step_label(step: &str, state: State) -> &'static str {
    match (step, state) {
        ("place", State::Succeeded) => "Chose a server",
        ("place", _) => "Choosing a server",
        ("database", State::Succeeded) => "Created your database",
        ("database", _) => "Creating your database",
        ("schema", State::Succeeded) => "Created the tables",
        ("schema", _) => "Creating the tables",
        ("office", State::Succeeded) => "Added you and your main branch",
        ("office", _) => "Adding you and your main branch",
        (_, State::Succeeded) => "Finished",
        _ => "Finishing up",
    }
}

fn milliseconds(ms: u64) -> String {
    match ms {
        0 => "under 1 ms".into(),
        1..1000 => format!("{ms} ms"),
        _ => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
    }
}

/// The steps of a run, updated as they happen.
#[island]
pub fn SignupProgress(first: Progress, is_mine: bool) -> impl IntoView {
    let progress = RwSignal::new(first);
    #[cfg(feature = "hydrate")]
    Effect::new(move || browser::follow(progress));
    view! {
        <div>
            <h1>{move || progress.with(Progress::heading)}</h1>
            <p class="lead" role="status">{move || progress.with(Progress::summary)}</p>
        </div>
        <ol class="run card">{move || progress.with(|progress| progress.steps.iter().map(step).collect_view())}</ol>
        {move || progress.with(|progress| next_action(progress, is_mine))}
    }
}

fn step(step: &Step) -> impl IntoView + use<> {
    let label = step_label(&step.name, step.state);
    let (class, dot, sign, state) = match step.state {
        State::Waiting => ("todo", "dot", None, ": waiting"),
        State::Running => ("now", "dot now", None, ": running"),
        State::Succeeded => ("done", "dot ok", Some(icon::check().into_any()), ": done"),
        State::Failed => ("failed", "dot bad", Some(icon::cross().into_any()), ": failed"),
    };
    let time = match step.state {
        State::Running => "…".to_owned(),
        _ => step.duration_ms.map(milliseconds).unwrap_or_default(),
    };
    view! {
        <li class=class>
            <span class=dot>{sign}</span>
            <span class="what">{label}<span class="vh">{state}</span></span>
            <span class="time">{time}</span>
            {step.error.clone().map(|error| view! { <p class="error">{error}</p> })}
        </li>
    }
}

fn next_action(progress: &Progress, is_mine: bool) -> Option<AnyView> {
    let path = format!("/signup/{}", progress.run_id);
    match progress.status {
        Status::Failed => Some(
            view! {
                <form method="post" action=path class="actions">
                    <button class="btn primary" name="again" value="1">"Try again"</button>
                </form>
            }
            .into_any(),
        ),
        Status::Succeeded if is_mine => Some(
            view! {
                <form method="post" action=path class="actions">
                    <button class="btn primary wide" name="enter" value="1">"Go to your church"</button>
                </form>
            }
            .into_any(),
        ),
        Status::Succeeded => Some(
            view! { <div class="actions"><a class="btn primary wide" href="/signin">"Sign in"</a></div> }
                .into_any(),
        ),
        _ => None,
    }
}

#[cfg(feature = "hydrate")]
mod browser {
    use super::Progress;
    use crate::ui::browser::listen;
    use leptos::prelude::*;
    use std::time::Duration;
    use wasm_bindgen::JsCast;
    use web_sys::{EventSource, MessageEvent};

    /// Listens until the run is over. The browser reconnects by itself after a cut, but not after a refusal.
    pub fn follow(progress: RwSignal<Progress>) {
        if progress.with_untracked(|progress| progress.status.is_over()) {
            return;
        }
        let address =
            format!("/signup/{}/events", progress.with_untracked(|progress| progress.run_id.clone()));
        let Ok(source) = EventSource::new(&address) else { return };
        let refused = source.clone();
        listen(&source, "error", move |_| {
            if refused.ready_state() == EventSource::CLOSED {
                set_timeout(move || follow(progress), Duration::from_secs(2));
            }
        });
        let closing = source.clone();
        listen(&source, "progress", move |event| {
            let data = event.unchecked_into::<MessageEvent>().data().as_string().unwrap_or_default();
            let Ok(news) = serde_json::from_str::<Progress>(&data) else { return };
            if news.status.is_over() {
                closing.close();
            }
            document().set_title(&format!("{} · Vestry", news.heading()));
            progress.set(news);
        });
    }
}
