use super::progress::{Progress, SignupProgress, State, Status, Step};
use crate::{
    error::PageError,
    extract::{Form, Path, PublicContext},
    page::{Layout, Page, Redirect},
    signup::steps,
};
use axum::Extension;
use leptos::prelude::*;
use registry::runs::{self, RunStatus, StepState};
use uuid::Uuid;

/// Progress of a run. Its address is enough to watch it and to try again; watching starts no work.
pub async fn progress(
    Extension(context): Extension<PublicContext>,
    Path(run_id): Path<Uuid>,
) -> Result<Page, PageError> {
    let PublicContext { identity, registry, session, .. } = &context;
    let run = runs::progress(registry, run_id).await?;
    let user = identity.resolve(session).await.ok().flatten();
    let is_mine = user.is_some_and(|user| user.tenant.id() == run.tenant_id.as_str())
        || identity.waits_for(session, run_id).await?;
    let reference = run.reference.clone();
    let progress = Progress::from(run);
    let is_over = progress.status.is_over();
    let title = progress.heading();
    let body = view! {
        {steps(2, "/signup")}
        <SignupProgress first=progress is_mine=is_mine/>
        <p class="muted">"Reference "<span class="reference">{reference}</span>" · you can bookmark this page"</p>
    };
    Ok(Page::new(title, Layout::Public, body).auto_refresh(!is_over))
}

/// The buttons below the progress: enter the church, or try again.
pub async fn act(
    Extension(context): Extension<PublicContext>,
    Path(run_id): Path<Uuid>,
    Form(form): Form,
) -> Result<Redirect, PageError> {
    if !form.get("enter").is_empty() {
        context.identity.enter_opened(&context.session, &context.device, run_id).await?;
        return Ok(Redirect::to("/"));
    }
    if !form.get("again").is_empty() {
        runs::retry(&context.registry, run_id).await?;
    }
    Ok(Redirect::to(format!("/signup/{run_id}")))
}

/// The address that earlier releases gave a run.
pub async fn moved(Path(run_id): Path<Uuid>) -> Redirect {
    Redirect::to(format!("/signup/{run_id}"))
}

impl From<runs::Progress> for Progress {
    fn from(run: runs::Progress) -> Self {
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
