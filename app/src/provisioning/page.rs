use super::watch::{Progress, State, Status, Step, Watch};
use crate::{
    answer::{Answer, Reply},
    forms::Form,
    signup::page::steps,
    visit::{Doors, Visit},
};
use leptos::prelude::*;
use registry::{
    progress::{self, RunStatus, StepState},
    runs,
};
use serde::Deserialize;

/// What the buttons under a run send.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Pressed {
    again: String,
    enter: String,
}

impl Form for Pressed {
    fn check(&self) -> crate::forms::Errors {
        crate::forms::Errors::default()
    }
}

/// How a run stands; anybody who has its address may look, and ask for another try.
pub async fn opening(visit: Visit, doors: Doors) -> Answer {
    let run_id = visit.record()?;
    if let Some(pressed) = visit.submitted::<Pressed>() {
        if !pressed.enter.is_empty() {
            doors.identity.enter_after_signup(&doors.session, &doors.device, run_id).await?;
            return Ok(Reply::redirect("/"));
        }
        if !pressed.again.is_empty() {
            runs::retry(&doors.registry, run_id).await?;
        }
        return Ok(Reply::redirect(format!("/opening/{run_id}")));
    }
    let run = progress::find(&doors.registry, run_id).await?;
    let inside = doors.identity.resolve(&doors.session).await.ok().flatten();
    let mine = inside.is_some_and(|office| office.tenant.id() == run.tenant_id.as_str())
        || doors.identity.has_pending_signup(&doors.session, run_id).await?;
    let reference = run.reference.clone();
    let progress = Progress::from(run);
    let over = progress.status.is_over();
    let title = match progress.status {
        Status::Succeeded => format!("{} is open", progress.church),
        _ => format!("Opening {}", progress.church),
    };
    let body = view! {
        {steps(2, "/signup")}
        <Watch first=progress mine=mine/>
        <p class="muted">"Reference "<span class="reference">{reference}</span>" · this address stays valid"</p>
    };
    Ok(Reply::gate(&title, body).refreshing(!over))
}

impl From<progress::Progress> for Progress {
    fn from(run: progress::Progress) -> Self {
        Self {
            run_id: run.run_id.to_string(),
            church: run.church,
            status: match run.status {
                RunStatus::Queued => Status::Queued,
                RunStatus::Running => Status::Running,
                RunStatus::Succeeded => Status::Succeeded,
                RunStatus::Failed => Status::Failed,
            },
            steps: run
                .steps
                .into_iter()
                .map(|step| Step {
                    name: step.step.name().to_owned(),
                    state: match step.state {
                        StepState::Waiting => State::Waiting,
                        StepState::Running => State::Running,
                        StepState::Succeeded => State::Succeeded,
                        StepState::Failed => State::Failed,
                    },
                    duration_ms: step.duration.map(|took| took.as_millis() as u64),
                    error: step.reason,
                })
                .collect(),
        }
    }
}
