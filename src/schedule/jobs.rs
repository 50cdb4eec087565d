//! Jobs: what is asked for, and what was tried.

use super::TargetSet;
use crate::types::{Cause, Failure, Family, ModelId, TabId, Target};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// What the scheduler has to know of a job.
#[derive(Clone, Debug)]
pub struct JobSpec {
    /// The model to run.
    pub model: ModelId,
    /// Its kind of work, which sets the preferred browser.
    pub family: Family,
    /// Where it may run.
    pub allowed: TargetSet,
    /// The size of its inputs in bytes.
    pub bytes: usize,
    /// How long one attempt may take, counted from when the tab turns to it.
    pub attempt_timeout: Duration,
    /// When the job ends whatever its state.
    pub expires: Instant,
    /// Most attempts, at least 1. A job displaced by another's failure does not spend one.
    pub attempts: u32,
}

/// One try of a job on one tab that failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// Where.
    pub target: Target,
    /// In which tab.
    pub tab: TabId,
    /// What happened.
    pub failure: Failure,
    /// How long the tab had worked on it, in milliseconds.
    pub elapsed_ms: f64,
}

/// A job that has not ended.
#[derive(Debug)]
pub(super) struct Job {
    pub spec: JobSpec,
    /// Order of arrival; a displaced job keeps its place.
    pub order: u64,
    pub attempts: Vec<Attempt>,
    /// Where it may still run: allowed, less where the model itself failed.
    pub open_to: TargetSet,
    pub place: Place,
}

/// Where a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Waiting,
    InFlight(TabId),
}

impl Job {
    pub fn new(spec: JobSpec, order: u64) -> Self {
        Self { open_to: spec.allowed, spec, order, attempts: Vec::new(), place: Place::Waiting }
    }

    /// Takes a failed attempt into account and tells whether another one is worth making.
    pub fn fail(&mut self, attempt: Attempt) -> Verdict {
        let (cause, target) = (attempt.failure.cause, attempt.target);
        self.attempts.push(attempt);
        match Remedy::of(cause) {
            Remedy::None => return Verdict::End,
            Remedy::OtherTarget => self.open_to.remove(target),
            Remedy::Again => {}
        }
        let spent = self.attempts.len() >= self.spec.attempts as usize;
        if spent || self.open_to.is_empty() { Verdict::End } else { Verdict::Retry }
    }
}

/// Whether a job goes on after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Retry,
    End,
}

/// What may help after a failure.
enum Remedy {
    /// The same thing may work the next time, here or elsewhere.
    Again,
    /// It would fail again here.
    OtherTarget,
    /// It would fail again anywhere.
    None,
}

impl Remedy {
    const fn of(cause: Cause) -> Self {
        match cause {
            Cause::ModelLoad | Cause::ModelRun | Cause::BackendUnavailable => Remedy::OtherTarget,
            Cause::BadInput | Cause::Cancelled | Cause::FleetClosed | Cause::QueueFull | Cause::NoTarget => {
                Remedy::None
            }
            _ => Remedy::Again,
        }
    }
}
