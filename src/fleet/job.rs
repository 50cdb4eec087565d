//! One inference: what goes in, how it may be run, what comes out.

use super::{FleetConfig, handover::HandedOn};
use crate::{
    schedule::{Attempt, Fallback, LONGEST_WAIT, TargetSet},
    types::{Caller, KeptTensor, Priority, Provenance, Target, Tensor, Timings},
};
use std::{sync::Arc, time::Duration};

/// Named input tensors.
#[derive(Clone, Debug, Default)]
pub struct Inputs<'a>(pub(super) Vec<(String, Tensor<'a>)>);

impl<'a, N: Into<String>> FromIterator<(N, Tensor<'a>)> for Inputs<'a> {
    fn from_iter<I: IntoIterator<Item = (N, Tensor<'a>)>>(inputs: I) -> Self {
        Self(inputs.into_iter().map(|(name, tensor)| (name.into(), tensor)).collect())
    }
}

impl<'a, N: Into<String>, const COUNT: usize> From<[(N, Tensor<'a>); COUNT]> for Inputs<'a> {
    fn from(inputs: [(N, Tensor<'a>); COUNT]) -> Self {
        inputs.into_iter().collect()
    }
}

impl<'a, N: Into<String>> From<Vec<(N, Tensor<'a>)>> for Inputs<'a> {
    fn from(inputs: Vec<(N, Tensor<'a>)>) -> Self {
        inputs.into_iter().collect()
    }
}

impl Inputs<'_> {
    /// Holds its own data.
    pub(super) fn into_owned(self) -> Inputs<'static> {
        Inputs(self.0.into_iter().map(|(name, tensor)| (name, tensor.into_owned())).collect())
    }

    pub(super) fn bytes(&self) -> u64 {
        self.0.iter().map(|(_, tensor)| tensor.bytes().len() as u64).sum()
    }
}

/// How a job may be run.
#[derive(Clone, Debug)]
pub struct JobOptions {
    pub(super) allowed: Option<TargetSet>,
    pub(super) deadline: Duration,
    pub(super) queue_timeout: Option<Duration>,
    pub(super) attempt_timeout: Option<Duration>,
    pub(super) attempts: u32,
    pub(super) outputs: Option<Vec<String>>,
    pub(super) release: bool,
    pub(super) priority: Priority,
    pub(super) caller: Caller,
    pub(super) fallback: Fallback,
    pub(super) warm_up: bool,
}

impl JobOptions {
    pub(super) fn new(config: &FleetConfig) -> Self {
        Self {
            allowed: None,
            deadline: config.job_deadline.min(LONGEST_WAIT),
            queue_timeout: config.queue_timeout,
            attempt_timeout: None,
            attempts: config.attempts,
            outputs: None,
            release: false,
            priority: Priority::Normal,
            caller: Caller::default(),
            fallback: config.fallback,
            warm_up: false,
        }
    }

    /// Runs it on this target and no other; it does not fall back.
    pub fn pin(mut self, target: Target) -> Self {
        self.allowed = Some([target].into_iter().collect());
        self
    }

    /// Runs it on any of these targets and no other; it does not fall back.
    pub fn among(mut self, targets: impl IntoIterator<Item = Target>) -> Self {
        self.allowed = Some(targets.into_iter().collect());
        self
    }

    /// When the job ends at the latest, counted from the call; it ends with a timeout then, wherever it is.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline.min(LONGEST_WAIT);
        self
    }

    /// How long it may wait for its turn, counted from the call: for its model's limit, for room in the queue (and of a
    /// model in stages, for room in those), and for a tab. It ends then with `model-limit`, `queue-full`, `tab-limit` or
    /// `browser-limit`. Without it, as long as the deadline. Once a tab has had it, it is no longer held to this.
    pub fn queue_timeout(mut self, timeout: Duration) -> Self {
        self.queue_timeout = Some(timeout);
        self
    }

    /// How long one attempt may take, counted from when a tab turns to it; without it, as long as the deadline.
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = Some(timeout.min(LONGEST_WAIT));
        self
    }

    /// Most attempts, at least 1.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// How much it matters: what matters more is served first, and moved away from trouble earlier.
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Who asks: jobs of one priority of different callers take turns.
    pub fn caller(mut self, caller: Caller) -> Self {
        self.caller = caller;
        self
    }

    /// What becomes of it when no target can take it, in the place of what the fleet's configuration says.
    pub fn fallback(mut self, fallback: Fallback) -> Self {
        self.fallback = fallback;
        self
    }

    /// Asks for these outputs only.
    pub fn outputs(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.outputs = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// It is run for what it leaves behind (caches, shaders, just-in-time code), and what it takes is no measurement: the
    /// history keeps it out of its series. What loading the model takes counts all the same.
    pub fn warm_up(mut self) -> Self {
        self.warm_up = true;
        self
    }

    /// How long it waits for its turn.
    pub(super) fn patience(&self) -> Duration {
        self.queue_timeout.unwrap_or(self.deadline).min(self.deadline)
    }

    /// Drops the model's session in the tab after this job, and with it what sessions of calls keep there of the model:
    /// for a model that is run once.
    pub fn release_session(mut self) -> Self {
        self.release = true;
        self
    }
}

/// A job's result.
#[derive(Clone, Debug)]
pub struct Output {
    /// The model's outputs by name, in the model's order. Their bytes are views of the frame they came in.
    pub tensors: Vec<(String, Tensor<'static>)>,
    /// For a call of a session: what stayed in the tab for the next.
    pub kept: Vec<KeptTensor>,
    /// What really ran it.
    pub provenance: Provenance,
    /// Where its time went.
    pub timings: Timings,
    /// The attempts that failed before this result.
    pub failed_attempts: Vec<Attempt>,
    /// For a model that was cut into stages, each stage in order: then `provenance` is that of the last, and `timings`
    /// are their sums. Empty for a whole model.
    pub stages: Vec<StageRun>,
    /// Of a stage's job, what its tab has handed to the next stage's.
    pub(super) handed_on: Option<Arc<HandedOn>>,
}

/// What ran one stage of a job, and where its time went.
#[derive(Clone, Debug, PartialEq)]
pub struct StageRun {
    /// What really ran it.
    pub provenance: Provenance,
    /// Where its time went.
    pub timings: Timings,
    /// How many bytes of its inputs came straight from the tab of the stage before; the others came through the fleet.
    pub direct_bytes: usize,
}

impl Output {
    /// The output called `name`.
    pub fn get(&self, name: &str) -> Option<&Tensor<'static>> {
        self.tensors.iter().find(|(output, _)| output == name).map(|(_, tensor)| tensor)
    }
}
