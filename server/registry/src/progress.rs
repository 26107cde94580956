//! Progress of provisioning runs.

use crate::{Error, Registry, Result, TenantId};
use std::time::Duration;
use uuid::Uuid;

/// Steps of a run, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    Place,
    Database,
    Schema,
    Seed,
    Open,
}

impl Step {
    pub const ALL: [Self; 5] = [Self::Place, Self::Database, Self::Schema, Self::Seed, Self::Open];

    pub fn name(self) -> &'static str {
        match self {
            Self::Place => "place",
            Self::Database => "database",
            Self::Schema => "schema",
            // Stored name; older releases read it.
            Self::Seed => "office",
            Self::Open => "open",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.name() == name)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunStatus {
    Queued,
    Running,
    Succeeded,
    Failed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepState {
    Waiting,
    Running,
    Succeeded,
    Failed,
}

/// Progress of a run, as shown to the person who waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    pub run_id: Uuid,
    pub tenant_id: TenantId,
    pub church: String,
    pub reference: String,
    pub status: RunStatus,
    pub steps: Vec<StepProgress>,
    /// Sequence number of the last event.
    pub seq: i32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepProgress {
    pub step: Step,
    pub state: StepState,
    pub duration: Option<Duration>,
    /// Reason of a failure, worded for the person who waits.
    pub reason: Option<String>,
}

/// Returns the progress of a run. Reading never starts work.
pub async fn find(registry: &Registry, run_id: Uuid) -> Result<Progress> {
    let rows = sqlx::query!(
        r#"select r.tenant_id, t.name as church, r.reference, r.status,
                  e.seq as "seq?", e.step as "step?", e.state as "state?", e.duration_ms, e.reason
             from provisioning_runs r
             join tenants t on t.id = r.tenant_id
             left join provisioning_events e on e.run_id = r.id
            where r.id = $1
            order by e.seq"#,
        run_id,
    )
    .fetch_all(&registry.pool)
    .await?;
    let run = rows.first().ok_or(Error::NotFound)?;
    let mut progress = Progress {
        run_id,
        tenant_id: run.tenant_id.parse()?,
        church: run.church.clone(),
        reference: run.reference.clone(),
        status: match run.status.as_str() {
            "queued" => RunStatus::Queued,
            "running" => RunStatus::Running,
            "succeeded" => RunStatus::Succeeded,
            _ => RunStatus::Failed,
        },
        steps: Step::ALL
            .map(|step| StepProgress { step, state: StepState::Waiting, duration: None, reason: None })
            .to_vec(),
        seq: 0,
    };
    for row in &rows {
        progress.seq = row.seq.unwrap_or(0);
        let step = row.step.as_deref().and_then(Step::from_name);
        let Some(entry) = progress.steps.iter_mut().find(|entry| Some(entry.step) == step) else { continue };
        entry.state = match row.state.as_deref() {
            Some("started") => StepState::Running,
            Some("succeeded") => StepState::Succeeded,
            _ => StepState::Failed,
        };
        entry.duration = row.duration_ms.map(|ms| Duration::from_millis(ms as u64));
        entry.reason = row.reason.clone();
    }
    Ok(progress)
}
