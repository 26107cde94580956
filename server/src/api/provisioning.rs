use super::{extract::Id, problem::Problem};
use crate::{address::Client, events, state::AppState};
use app::answer::Failure;
use axum::{Extension, Json, extract::State, response::Response};
use registry::progress::{self, RunStatus, StepState};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// How far the making of a church's database is.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    tenant_id: String,
    run_id: Uuid,
    /// queued, running, succeeded or failed.
    #[schema(example = "running")]
    status: &'static str,
    /// What to read out on the telephone.
    #[schema(example = "7QK-2M4")]
    reference: String,
    steps: Vec<Step>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    #[schema(example = "database")]
    name: &'static str,
    /// waiting, running, succeeded or failed.
    #[schema(example = "succeeded")]
    status: &'static str,
    duration_ms: Option<u64>,
    /// Why it failed, in words for the person who waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl From<progress::Progress> for Progress {
    fn from(run: progress::Progress) -> Self {
        let steps = run.steps.into_iter().map(|step| Step {
            name: step.step.name(),
            status: match step.state {
                StepState::Waiting => "waiting",
                StepState::Running => "running",
                StepState::Succeeded => "succeeded",
                StepState::Failed => "failed",
            },
            duration_ms: step.duration.map(|took| took.as_millis() as u64),
            error: step.reason,
        });
        Self {
            tenant_id: run.tenant_id.to_string(),
            run_id: run.run_id,
            status: match run.status {
                RunStatus::Queued => "queued",
                RunStatus::Running => "running",
                RunStatus::Succeeded => "succeeded",
                RunStatus::Failed => "failed",
            },
            reference: run.reference,
            steps: steps.collect(),
        }
    }
}

/// How far a signup is
///
/// Whoever has the run's id may look; looking starts no work.
#[utoipa::path(
    get, path = "/provisioning/{runId}", tag = "Signing up", operation_id = "provisioning",
    params(("runId" = Uuid, Path)),
    responses((status = 200, description = "How it stands now", body = Progress))
)]
pub async fn progress(State(state): State<AppState>, Id(run_id): Id) -> Result<Json<Progress>, Problem> {
    Ok(Json(progress::find(&state.registry, run_id).await?.into()))
}

/// The same as it changes, until it is over
///
/// Server-sent events named `progress`, each with the whole state; `Last-Event-ID` may be sent, and is not needed.
#[utoipa::path(
    get, path = "/provisioning/{runId}/events", tag = "Signing up", operation_id = "provisioningEvents",
    params(("runId" = Uuid, Path)),
    responses((status = 200, description = "Events, until the run is over", body = serde_json::Value, content_type = "text/event-stream"))
)]
pub async fn events(
    State(state): State<AppState>,
    Extension(client): Extension<Client>,
    Id(run_id): Id,
) -> Result<Response, Problem> {
    events::progress_stream::<Progress>(state, client, run_id).await.map_err(|error| match error {
        events::Error::Registry(error) => error.into(),
        events::Error::TooMany { retry_after } => Failure::TooManyAttempts { retry_after }.into(),
    })
}
