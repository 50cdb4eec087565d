//! What the fleet says about itself while it works: one typed stream, consumed by whoever subscribes.

use super::{
    BreakerState, Browser, BrowserId, Dtype, Failure, Family, Identity, JobId, SessionEnd, SessionId, Severity,
    Strategy, TabId, Target, TargetInfo, Timings,
};
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::SystemTime};

/// One thing that happened in the fleet.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Event {
    /// When, by the wall clock.
    pub at: SystemTime,
    /// What.
    pub kind: EventKind,
}

/// Which model an event is about. Shared by every event of the model, so that telling of an attempt copies no text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelTag {
    /// The name it is shown under.
    pub name: String,
    /// The sha256 of its `.onnx` file, in lower-case hexadecimal.
    pub sha256: String,
    /// Its kind of work.
    pub family: Family,
    /// The element type of its weights; `None` where that is not known.
    pub precision: Option<Dtype>,
}

/// A result's share in a run of a model whose jobs may run together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchShare {
    /// How many jobs ran together; 1 is alone.
    pub jobs: u32,
    /// Which of the run's results it is, counted from 0 as they are told. The times of the run are told with each.
    pub number: u32,
}

/// What happened.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
#[allow(missing_docs)] // The field names are the words of the fleet.
pub enum EventKind {
    /// A browser runs and said what it is.
    BrowserStarted { browser: BrowserId, identity: Identity },
    /// A browser did not start.
    BrowserFailed { browser: Browser, failure: Failure },
    /// A browser ended, expectedly or not.
    BrowserEnded { browser: BrowserId, failure: Option<Failure> },
    /// A tab's worker is connected and its backend works.
    TabReady { tab: TabId, browser: BrowserId, info: Arc<TargetInfo> },
    /// A target was found not to work on this machine.
    TargetUnavailable { info: Arc<TargetInfo> },
    /// A tab's socket closed. What it was running goes elsewhere at once; what it means is told by what follows:
    /// [`TabLost`](Self::TabLost), [`BrowserEnded`](Self::BrowserEnded), or [`TabReady`](Self::TabReady) again.
    TabDisconnected { tab: TabId, target: Target, failure: Failure },
    /// A tab was lost; what it was running goes elsewhere.
    TabLost { tab: TabId, target: Target, failure: Failure },
    /// A tab was closed because it was no longer needed.
    TabClosed { tab: TabId, target: Target },
    /// A target is to have another number of tabs, by its load or by what the last one brought.
    Scaled { target: Target, from: usize, to: usize, reason: String },
    /// A job was accepted into the queue.
    JobQueued { job: JobId, model: String },
    /// A tab was given the job.
    AttemptStarted { job: JobId, attempt: u32, tab: TabId, target: Target },
    /// The attempt brought a result.
    AttemptSucceeded {
        job: JobId,
        attempt: u32,
        tab: TabId,
        target: Target,
        model: Arc<ModelTag>,
        timings: Timings,
        cpu_fallback: Option<bool>,
        /// The rows of the run: the first dimension of its inputs, where they agree on one.
        batch: Option<u32>,
        /// The heap of the tab's worker as it was last measured, in bytes.
        memory_bytes: Option<u64>,
        /// Its share in the run, of a model whose jobs may run together.
        share: Option<BatchShare>,
        /// Whether it was run to warm up, and not for what it took.
        #[serde(default)]
        warm_up: bool,
    },
    /// The attempt failed.
    AttemptFailed {
        job: JobId,
        attempt: u32,
        tab: TabId,
        target: Target,
        model: Arc<ModelTag>,
        failure: Failure,
        severity: Severity,
        elapsed_ms: f64,
        /// As of an attempt that succeeded.
        batch: Option<u32>,
    },
    /// A run of several jobs failed for what may be one job's doing. They go on in halves and have spent no attempt.
    BatchSplit { tab: TabId, target: Target, model: Arc<ModelTag>, jobs: u32, failure: Failure },
    /// A session's first call has succeeded: its state is in this tab from now on.
    SessionBegun { session: SessionId, model: Arc<ModelTag>, tab: TabId, target: Target },
    /// The state of a session is no more. One that the fleet was closed with is not told of.
    SessionEnded { session: SessionId, target: Target, why: SessionEnd },
    /// A session whose state was gone has been through as many recorded calls again: `session` is the new one's.
    SessionRebuilt { session: SessionId, model: Arc<ModelTag>, calls: u64 },
    /// Jobs of the model ran together on this target, and what came back is not what each of them has alone: they and all
    /// later ones run alone.
    BatchingRefused { model: Arc<ModelTag>, target: Target, why: String },
    /// No target could take the job, for the reason `why`; it fell back and ran in the fleet's own process, with a result
    /// or with `failure`. It is nobody's attempt.
    RanNatively { job: JobId, model: Arc<ModelTag>, why: Failure, failure: Option<Failure>, elapsed_ms: f64 },
    /// A target's breaker, or with `model` that of the model on the target, changed its state.
    BreakerChanged {
        target: Target,
        model: Option<Arc<ModelTag>>,
        from: BreakerState,
        to: BreakerState,
        reason: String,
        /// Until probes are let through, when it opened.
        wait_ms: Option<f64>,
    },
    /// A tab answered the canary, or did not: `failure` says what was wrong.
    HealthChecked { tab: TabId, target: Target, failure: Option<Failure> },
    /// Something was done about a failure, and this became of it.
    Recovery {
        browser: Browser,
        target: Option<Target>,
        tab: Option<TabId>,
        job: Option<JobId>,
        failure: Failure,
        strategy: Strategy,
        succeeded: bool,
        elapsed_ms: f64,
    },
    /// The job ended: with a result, or with the failure its caller was told.
    JobEnded { job: JobId, attempts: u32, failure: Option<Failure> },
    /// The fleet is closed; nothing follows.
    FleetClosed,
}
