//! What the coordinator is asked by handles, and told by the tasks it started.

use super::{
    FleetError, JobError, Output, gate::Room, handover::Passing, model::ModelRecord, native::NativeResult, warm::WarmUp,
};
use crate::{
    browser::{BrowserError, Heartbeat, RunningBrowser},
    harness::{RunRequest, TensorBatch},
    schedule::{JobSpec, StageSpec, TargetSet, WorkerId},
    types::{BrowserId, Failure, FleetHealth, HandoverId, JobId, ModelId, SessionId, TabId, Target, TargetInfo},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// From a handle.
pub(super) enum Request {
    Submit(Box<Submission>),
    Cancel(JobId),
    /// A model is a stage of a pipeline.
    DeclareStage(Arc<ModelRecord>, StageSpec),
    /// Answered with how many tabs there are, or are to be, of these targets.
    Places(TargetSet, oneshot::Sender<usize>),
    WarmUp(WarmUp),
    /// Answered with whether a stage is loaded in its home, once it is or is known not to be.
    AwaitStage(ModelId, oneshot::Sender<bool>),
    /// Answered with the activations, if one of these workers has them.
    FetchHandover {
        id: HandoverId,
        holders: [WorkerId; 2],
        reply: oneshot::Sender<TensorBatch>,
    },
    /// Nobody needs the activations any more.
    DropHandover {
        id: HandoverId,
        holders: [WorkerId; 2],
    },
    /// A session was closed.
    EndSession(SessionId),
    /// The last handle of a model is gone.
    Forget(ModelId, Arc<str>),
    Targets(oneshot::Sender<Vec<Arc<TargetInfo>>>),
    /// Answered once every target works or is known not to.
    Settled(oneshot::Sender<()>),
    Processes(oneshot::Sender<Vec<(BrowserId, u32)>>),
    Health(oneshot::Sender<FleetHealth>),
    Tabs(oneshot::Sender<Vec<(TabId, BrowserId, Target)>>),
    /// Answered with whether there was a socket to cut.
    CutSocket(TabId, oneshot::Sender<bool>),
    Close(oneshot::Sender<Result<(), FleetError>>),
}

/// What a job holds until it has ended: its model's turn, if turns are limited, and its room in the queue.
pub(super) type Leave = (Option<Room>, Room);

/// A job on its way into the queue.
pub(super) struct Submission {
    pub job: JobId,
    pub spec: JobSpec,
    pub model: Arc<ModelRecord>,
    pub run: RunRequest,
    /// For a job of a stage.
    pub passing: Option<Passing>,
    pub warm_up: bool,
    pub submitted: Instant,
    /// From the call to the job's end, within the caller's own span.
    pub span: tracing::Span,
    pub reply: oneshot::Sender<Result<Output, JobError>>,
    /// `None` for one stage's part: the job has its leave as a whole.
    pub _leave: Option<Leave>,
}

/// From a task the coordinator started.
pub(super) enum Report {
    Launched { id: BrowserId, result: Result<Arc<dyn RunningBrowser>, BrowserError> },
    TabOpened { tab: TabId, browser: BrowserId, result: Result<(), BrowserError> },
    WorkerRestarted { tab: TabId, result: Result<(), BrowserError> },
    BrowserClosed { id: BrowserId },
    Heartbeat { id: BrowserId, result: Result<Heartbeat, BrowserError>, took: Duration },
    Memory { id: BrowserId, bytes: u64 },
    RanNatively { job: JobId, result: Result<NativeResult, Failure> },
}
