//! Jobs: what is asked for, and what was tried.

use super::{BatchSpec, TargetSet, batching::Bond, policy::Pauses, queue::Ticket, sessions::SessionCall};
use crate::types::{
    Caller, Cause, Failure, Family, Isolation, JobId, ModelId, Priority, Strategy, TabId, Target, names,
};
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
    /// Where it runs best, by what was measured; empty where that is not known, and the family decides.
    pub recommended: TargetSet,
    /// The size of its inputs in bytes.
    pub bytes: usize,
    /// How long one attempt may take, counted from when the tab turns to it.
    pub attempt_timeout: Duration,
    /// When the job ends whatever its state.
    pub expires: Instant,
    /// When the job ends if no tab has ever been handed it; later than `expires` is never.
    pub turn_by: Instant,
    /// Most attempts, at least 1. A job displaced by another's failure does not spend one.
    pub attempts: u32,
    /// How much it matters.
    pub priority: Priority,
    /// Who asks for it.
    pub caller: Caller,
    /// Whether the tab is to forget the model after it.
    pub release: bool,
    /// What it may run together with; `None` when it runs alone.
    pub batch: Option<BatchSpec>,
    /// For a call of a session.
    pub session: Option<SessionCall>,
    /// Whether it wants a worker to itself.
    pub isolation: Isolation,
    /// What becomes of it when no target can take it.
    pub fallback: Fallback,
}

/// What becomes of a job that no target can take: because none works any more, because every circuit breaker turns it
/// away, or because its model can be loaded or run nowhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fallback {
    /// It ends with an error that lists what was tried.
    #[default]
    Off,
    /// It runs in the fleet's own process.
    Native,
}
names!(Fallback { Off = "off", Native = "native" });

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

impl JobRecovery {
    /// What is really done for it when it goes to `tab`.
    pub fn realised(&self, target: Target, tab: TabId) -> Strategy {
        let (failed_target, failed_tab) = self.failed_on;
        match self.strategy {
            _ if target != failed_target => Strategy::Failover,
            Strategy::RetryWithBackoff => Strategy::RetryWithBackoff,
            _ if tab != failed_tab => Strategy::OtherTab,
            _ => Strategy::ImmediateRetry,
        }
    }
}

/// A job that has not ended.
#[derive(Debug)]
pub(super) struct Job {
    pub spec: JobSpec,
    /// Its place in the queue, which a displaced job keeps.
    pub ticket: Ticket,
    pub attempts: Vec<Attempt>,
    /// Where it may still run: allowed, less where the model itself failed.
    pub open_to: TargetSet,
    /// The group it waits in: `open_to`, less where a breaker turns its model away while there is another target.
    pub route: TargetSet,
    pub place: Place,
    /// What it should keep away from, if there is anything else.
    pub avoid: Avoid,
    /// How often it ended what ran it.
    pub kills: u32,
    /// What is being done about its last failure.
    pub recovery: Option<JobRecovery>,
    /// Its pauses so far; `None` before the first.
    pub pauses: Option<Pauses>,
    /// What is left of a run of several that failed.
    pub bond: Option<Bond>,
}

/// What a job that failed keeps away from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Avoid {
    #[default]
    Nothing,
    Tab(TabId),
    Target(Target),
}

/// How a job is being helped over a failure.
#[derive(Clone, Debug)]
pub(super) struct JobRecovery {
    pub failure: Failure,
    pub failed_on: (Target, TabId),
    pub strategy: Strategy,
    pub since: Instant,
}

/// Where a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Waiting,
    InFlight(TabId),
    /// It goes to this tab when its worker is fresh.
    Reserved(TabId),
    /// It waits until the instant before it waits for a tab.
    Paused(Instant),
}

impl Job {
    pub fn new(job: JobId, spec: JobSpec, order: u64, submitted: Instant) -> Self {
        let JobSpec { expires, priority, caller, model, .. } = spec;
        Self {
            open_to: spec.allowed,
            route: spec.allowed,
            spec,
            ticket: Ticket { job, order, submitted, expires, priority, caller, model },
            attempts: Vec::new(),
            place: Place::Waiting,
            avoid: Avoid::Nothing,
            kills: 0,
            recovery: None,
            pauses: None,
            bond: None,
        }
    }

    /// Whether it wants a worker to itself.
    pub fn wants_solitude(&self) -> bool {
        self.spec.isolation == Isolation::FreshTab
    }

    /// Whether it can only run where a session's state is.
    pub fn is_seated(&self) -> bool {
        self.spec.session.is_some_and(|call| !call.begins)
    }

    /// Takes a failed attempt into account and tells whether another one is worth making.
    pub fn fail(&mut self, attempt: Attempt, guilt: Guilt) -> Verdict {
        let (cause, target) = (attempt.failure.cause, attempt.target);
        self.attempts.push(attempt);
        self.kills += u32::from(guilt == Guilt::Own && is_killing(cause));
        match Remedy::of(cause) {
            Remedy::None => return Verdict::End,
            Remedy::OtherTarget => self.open_to.remove(target),
            Remedy::Again => {}
        }
        let spent = self.attempts.len() >= self.spec.attempts as usize || self.is_seated();
        if spent || self.open_to.is_empty() { Verdict::End } else { Verdict::Retry }
    }

    /// Whether it has found, or is as good as sure to find, that none of the targets that work can take it: it spent no
    /// attempt on anything else than targets where its model cannot be loaded or run.
    pub fn has_nowhere_to_go(&self, hopeful: TargetSet) -> bool {
        let remedies = || self.attempts.iter().map(|attempt| Remedy::of(attempt.failure.cause));
        let may_help = remedies().all(|remedy| !matches!(remedy, Remedy::None));
        let barred = || !self.attempts.is_empty() && remedies().all(|remedy| matches!(remedy, Remedy::OtherTarget));
        may_help && (self.open_to.intersection(hopeful).is_empty() || barred())
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
            Cause::BadInput
            | Cause::Cancelled
            | Cause::FleetClosed
            | Cause::QueueFull
            | Cause::TabLimit
            | Cause::BrowserLimit
            | Cause::ModelLimit
            | Cause::NoTarget
            | Cause::CircuitOpen
            | Cause::StateLost
            | Cause::Quarantined => Remedy::None,
            _ => Remedy::Again,
        }
    }
}

/// Whose doing a job's failure can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guilt {
    /// The job's own: it alone was at work in what failed.
    Own,
    /// That of one of several jobs, and nobody can say which.
    Shared,
}

/// Whether what ran the job ended of it, as far as can be told.
pub(super) const fn is_killing(cause: Cause) -> bool {
    matches!(cause, Cause::TabCrashed | Cause::WorkerCrashed | Cause::BrowserExited | Cause::OutOfMemory)
}

/// Whether a worker that reports it is of no more use.
pub(super) const fn spends_worker(cause: Cause) -> bool {
    matches!(cause, Cause::DeviceLost | Cause::WorkerCrashed | Cause::OutOfMemory)
}
