use crate::ui::icon;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

/// A run as the browser is told of it.
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
    /// Why it failed, in words for the person who waits.
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
    /// What a screen reader says when it changes.
    fn words(&self) -> String {
        let total = self.steps.len();
        match self.status {
            Status::Succeeded => {
                let took: u64 = self.steps.iter().filter_map(|step| step.duration_ms).sum();
                format!("The office of {} is open. It took {}.", self.church, milliseconds(took))
            }
            Status::Failed => "It did not work yet. Nothing you typed is lost.".into(),
            Status::Queued => {
                "Waiting for a free hand. You can close this page and come back to its address.".into()
            }
            Status::Running => {
                let at =
                    self.steps.iter().position(|step| step.state != State::Succeeded).unwrap_or(total - 1);
                let doing = words_of(&self.steps[at].name, State::Running).to_lowercase();
                format!(
                    "Step {} of {total}: {doing}. You can close this page and come back to its address.",
                    at + 1
                )
            }
        }
    }
}

fn words_of(step: &str, state: State) -> &'static str {
    match (step, state) {
        ("place", State::Succeeded) => "Found a place",
        ("place", _) => "Finding a place",
        ("database", State::Succeeded) => "Made your own database",
        ("database", _) => "Making your own database",
        ("schema", State::Succeeded) => "Brought it up to date",
        ("schema", _) => "Bringing it up to date",
        ("office", State::Succeeded) => "Set up the office",
        ("office", _) => "Setting up the office",
        (_, State::Succeeded) => "Opened the doors",
        _ => "Opening the doors",
    }
}

fn milliseconds(ms: u64) -> String {
    match ms {
        0 => "under 1 ms".into(),
        1..1000 => format!("{ms} ms"),
        _ => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
    }
}

/// The steps of a run, changing as they are taken.
#[island]
pub fn Watch(first: Progress, mine: bool) -> impl IntoView {
    let progress = RwSignal::new(first);
    #[cfg(feature = "hydrate")]
    Effect::new(move || browser::follow(progress));
    view! {
        <div>
            <h1>{move || progress.with(heading)}</h1>
            <p class="lead" role="status">{move || progress.with(Progress::words)}</p>
        </div>
        <ol class="run card">{move || progress.with(|progress| progress.steps.iter().map(step).collect_view())}</ol>
        {move || progress.with(|progress| what_next(progress, mine))}
    }
}

fn heading(progress: &Progress) -> String {
    match progress.status {
        Status::Succeeded => format!("{} is open", progress.church),
        Status::Failed => format!("{} is not open yet", progress.church),
        _ => format!("Opening {}", progress.church),
    }
}

fn step(step: &Step) -> impl IntoView + use<> {
    let words = words_of(&step.name, step.state);
    let (class, dot, sign, said) = match step.state {
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
            <span class="what">{words}<span class="vh">{said}</span></span>
            <span class="time">{time}</span>
            {step.error.clone().map(|why| view! { <p class="why">{why}</p> })}
        </li>
    }
}

fn what_next(progress: &Progress, mine: bool) -> Option<AnyView> {
    let here = format!("/opening/{}", progress.run_id);
    match progress.status {
        Status::Failed => Some(
            view! {
                <form method="post" action=here class="actions">
                    <button class="btn primary" name="again" value="1">"Try again"</button>
                </form>
            }
            .into_any(),
        ),
        Status::Succeeded if mine => Some(
            view! {
                <form method="post" action=here class="actions">
                    <button class="btn primary wide" name="enter" value="1">"Go to your office"</button>
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
    use super::{Progress, heading};
    use crate::ui::browser::listen;
    use leptos::prelude::*;
    use std::time::Duration;
    use wasm_bindgen::JsCast;
    use web_sys::{EventSource, MessageEvent};

    /// Listens until the run is over. The browser connects again by itself when it was cut off, and is
    /// told to when it was refused.
    pub fn follow(progress: RwSignal<Progress>) {
        if progress.with_untracked(|progress| progress.status.is_over()) {
            return;
        }
        let address =
            format!("/opening/{}/events", progress.with_untracked(|progress| progress.run_id.clone()));
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
            document().set_title(&format!("{} · Vestry", heading(&news)));
            progress.set(news);
        });
    }
}
