//! A job's way from its caller into the queue, and the handle to it.

use super::{
    Fleet, Inputs, JobError, JobOptions, Output,
    gate::{Gate, Room},
    handover::Passing,
    message::{Leave, Request, Submission},
    model::ModelRecord,
};
use crate::{
    harness::{RunRequest, StateCall, TensorBatch},
    schedule::{Entrant, Fallback, JobSpec, Overload, SessionCall, TargetSet},
    types::{Cause, Failure, Isolation, JobId, Priority},
};
use std::{
    fmt,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};
use tokio::{
    sync::{mpsc, oneshot},
    task::AbortHandle,
};

/// A job that was taken into the queue: to be awaited for its result. Dropped, the job is cancelled wherever it is.
#[must_use = "a job whose handle is dropped is cancelled"]
pub struct JobHandle {
    job: JobId,
    model: Arc<ModelRecord>,
    answer: oneshot::Receiver<Result<Output, JobError>>,
    work: Work,
    ended: bool,
}

impl fmt::Debug for JobHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let model = &self.model.tag.name;
        f.debug_struct("JobHandle").field("job", &self.job).field("model", model).finish_non_exhaustive()
    }
}

/// What does a job, and can be told to stop.
enum Work {
    /// The coordinator.
    Queued(mpsc::UnboundedSender<Request>),
    /// A task that sees the job through the stages of its model.
    Stages(AbortHandle),
}

impl JobHandle {
    /// Its number in events. Of a model in stages, each stage's part of the job has a number of its own there.
    pub const fn id(&self) -> JobId {
        self.job
    }

    /// Gives the job up, also when a tab is already at it: one that is not done soon has its worker ended. The handle
    /// then resolves to an error of the cause `cancelled`, unless the job has ended before.
    pub fn cancel(&self) {
        match &self.work {
            Work::Queued(requests) => drop(requests.send(Request::Cancel(self.job))),
            Work::Stages(task) => task.abort(),
        }
    }
}

impl Future for JobHandle {
    type Output = Result<Output, JobError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(Pin::new(&mut self.answer).poll(context));
        self.ended = true;
        Poll::Ready(answer.unwrap_or_else(|_| match self.work {
            Work::Queued(_) => Err(closed(&self.model)),
            Work::Stages(_) => Err(failed(&self.model, Cause::Cancelled, "the job was cancelled")),
        }))
    }
}

impl Drop for JobHandle {
    fn drop(&mut self) {
        if !self.ended {
            self.cancel();
        }
    }
}

/// What a tab is sent for a job.
pub(super) struct Payload {
    pub inputs: TensorBatch,
    /// For a call of a session.
    pub session: Option<(SessionCall, StateCall)>,
    /// For a job of a stage.
    pub passing: Option<Passing>,
}

impl Payload {
    fn new(inputs: &Inputs<'_>) -> Self {
        let inputs = TensorBatch::encode(inputs.0.iter().map(|(name, tensor)| (name.as_str(), tensor)));
        Self { inputs, session: None, passing: None }
    }
}

pub(super) fn failed(model: &ModelRecord, cause: Cause, message: impl Into<String>) -> JobError {
    let failure = Failure::new(cause, message);
    JobError { model: model.tag.name.clone(), failure, attempts: Vec::new(), overload: None }
}

fn closed(model: &ModelRecord) -> JobError {
    failed(model, Cause::FleetClosed, "the fleet is closed")
}

pub(super) fn refused(model: &ModelRecord, why: &str, overload: Overload) -> JobError {
    let Overload { jobs, bytes, waiting, retry_after, .. } = overload;
    let before = if waiting > 0 { format!(", and {waiting} wait for room before it") } else { String::new() };
    let message = format!(
        "{why}: {jobs} jobs with {bytes} bytes of inputs are under way{before}; try again after {retry_after:.0?}"
    );
    JobError { overload: Some(Box::new(overload)), ..failed(model, Cause::QueueFull, message) }
}

impl Fleet {
    /// Takes a job into the queue when there is room. A job of low priority does not wait for it.
    pub(super) async fn submit(
        &self,
        model: &Arc<ModelRecord>,
        inputs: Inputs<'_>,
        options: JobOptions,
    ) -> Result<JobHandle, JobError> {
        check(model, &inputs, &[])?;
        let submitted = Instant::now();
        let leave = self.leave(model, inputs.bytes(), &options, submitted).await?;
        self.set_off(model, inputs, options, leave, submitted)
    }

    /// As [`submit`](Self::submit), of what was checked and encoded before.
    pub(super) async fn submit_payload(
        &self,
        model: &Arc<ModelRecord>,
        payload: Payload,
        options: JobOptions,
    ) -> Result<JobHandle, JobError> {
        let submitted = Instant::now();
        let leave = self.leave(model, payload.inputs.body_len() as u64, &options, submitted).await?;
        self.send(model, payload, options, Some(leave), submitted)
    }

    /// Takes a job into the queue if there is room now.
    pub(super) fn try_submit(
        &self,
        model: &Arc<ModelRecord>,
        inputs: Inputs<'_>,
        options: JobOptions,
    ) -> Result<JobHandle, JobError> {
        check(model, &inputs, &[])?;
        let (submitted, gate) = (Instant::now(), &self.0.gate);
        let entrant = entrant(model, inputs.bytes(), &options, submitted);
        let turn = match &model.turns {
            Some(turns) => {
                let turn = turns.try_enter(entrant);
                Some(turn.ok_or_else(|| at_its_limit(model, turns, &entrant, Duration::ZERO))?)
            }
            None => None,
        };
        let room = gate.try_enter(entrant);
        let room = room.ok_or_else(|| refused(model, "the queue is full", gate.refuse(&entrant)))?;
        self.set_off(model, inputs, options, (turn, room), submitted)
    }

    /// Takes one stage's part of a job into the queue, where the job has room.
    pub(super) fn submit_stage(
        &self,
        stage: &Arc<ModelRecord>,
        inputs: &Inputs<'_>,
        passing: Passing,
        options: JobOptions,
    ) -> Result<JobHandle, JobError> {
        let handed = passing.handed.as_ref().map(|handed| handed.names()).unwrap_or_default();
        check(stage, inputs, &handed)?;
        let payload = Payload { passing: Some(passing), ..Payload::new(inputs) };
        self.send(stage, payload, options, None, Instant::now())
    }

    /// Waits for a job's turn of its model and for room in the queue; one of low priority does not wait for room.
    async fn leave(
        &self,
        model: &ModelRecord,
        bytes: u64,
        options: &JobOptions,
        submitted: Instant,
    ) -> Result<Leave, JobError> {
        let (gate, entrant) = (&self.0.gate, entrant(model, bytes, options, submitted));
        let turn = turn(model, entrant, options.patience()).await?;
        if let Some(room) = gate.try_enter(entrant) {
            return Ok((turn, room));
        }
        if options.priority == Priority::Low {
            return Err(refused(model, "jobs of low priority are not taken now", gate.refuse(&entrant)));
        }
        let room = tokio::time::timeout_at(entrant.expires.into(), gate.enter(entrant)).await.map_err(|_| {
            let why = format!("the queue stayed full for the {:.0?} that the job waits", options.patience());
            refused(model, &why, gate.refuse(&entrant))
        })?;
        Ok((turn, room))
    }

    /// Has a job done that was let in: by the coordinator, or through the stages of its model.
    fn set_off(
        &self,
        model: &Arc<ModelRecord>,
        inputs: Inputs<'_>,
        options: JobOptions,
        leave: Leave,
        submitted: Instant,
    ) -> Result<JobHandle, JobError> {
        match &model.pipeline {
            Some(_) => Ok(self.through_stages(model, inputs, options, leave, submitted)),
            None => self.send(model, Payload::new(&inputs), options, Some(leave), submitted),
        }
    }

    /// Has a task see the job through the stages of its model, each of which goes into the queue when its turn comes.
    fn through_stages(
        &self,
        model: &Arc<ModelRecord>,
        inputs: Inputs<'_>,
        options: JobOptions,
        leave: Leave,
        submitted: Instant,
    ) -> JobHandle {
        let job = JobId(self.0.next_job.fetch_add(1, Ordering::Relaxed));
        let (reply, answer) = oneshot::channel();
        let (fleet, record, inputs) = (self.clone(), model.clone(), inputs.into_owned());
        let task = tokio::spawn(async move {
            let Some(pipeline) = &record.pipeline else { return };
            let result = pipeline.run(&fleet, &record, inputs, options, submitted).await;
            drop(leave);
            let _ = reply.send(result);
        });
        JobHandle { job, model: model.clone(), answer, work: Work::Stages(task.abort_handle()), ended: false }
    }

    fn send(
        &self,
        model: &Arc<ModelRecord>,
        payload: Payload,
        options: JobOptions,
        leave: Option<Leave>,
        submitted: Instant,
    ) -> Result<JobHandle, JobError> {
        let Payload { inputs, session, passing } = payload;
        let largest = self.config().max_frame_bytes;
        if inputs.body_len() > largest {
            let bytes = inputs.body_len();
            let why = format!(
                "the inputs take {bytes} bytes, and a message to a tab {largest} at the most; pass less at once, or raise \
                 FleetConfig::max_frame_bytes"
            );
            return Err(failed(model, Cause::BadInput, why));
        }
        let handed = passing.as_ref().and_then(|passing| passing.handed.as_ref()).map_or(0, |handed| handed.bytes());
        let (session, state) = session.unzip();
        let isolation = model.isolation;
        let release = options.release || isolation == Isolation::FreshSession;
        let job = JobId(self.0.next_job.fetch_add(1, Ordering::Relaxed));
        let (reply, answer) = oneshot::channel();
        let attempt_timeout = options.attempt_timeout.unwrap_or(options.deadline);
        // Whoever keeps state or wants a worker to itself goes alone.
        let alone = session.is_some() || isolation != Isolation::Shared;
        let together = model.batched.as_ref().zip(model.file.as_ref()).filter(|_| !alone);
        // What is meant for certain targets is to show what they do; state is kept in tabs; and only a model whose file is
        // known runs natively.
        let may_fall_back = options.allowed.is_none() && session.is_none() && model.file.is_some();
        let spec = JobSpec {
            batch: together.and_then(|(batched, file)| batched.spec(file, &inputs, &options, attempt_timeout)),
            model: model.id,
            family: model.tag.family,
            allowed: options.allowed.unwrap_or_else(|| self.all_targets()),
            recommended: self.0.measured.get(&model.tag.name).copied().unwrap_or(TargetSet::EMPTY),
            bytes: inputs.body_len() + handed,
            attempt_timeout,
            expires: submitted + options.deadline,
            turn_by: submitted + options.patience(),
            attempts: options.attempts,
            priority: options.priority,
            caller: options.caller,
            release,
            session,
            isolation,
            fallback: if may_fall_back { options.fallback } else { Fallback::Off },
        };
        let run = RunRequest { inputs, outputs: options.outputs, release, state };
        let span = tracing::debug_span!("job", %job, model = model.tag.name);
        let (model_of_job, warm_up) = (model.clone(), options.warm_up);
        let submission =
            Submission { job, spec, model: model_of_job, run, passing, warm_up, submitted, span, reply, _leave: leave };
        let requests = self.0.requests.clone();
        requests.send(Request::Submit(Box::new(submission))).map_err(|_| closed(model))?;
        Ok(JobHandle { job, model: model.clone(), answer, work: Work::Queued(requests), ended: false })
    }
}

/// The job, as who decides on its way in knows it.
pub(super) fn entrant(model: &ModelRecord, bytes: u64, options: &JobOptions, submitted: Instant) -> Entrant {
    let JobOptions { priority, caller, .. } = *options;
    Entrant { priority, caller, model: model.id, bytes, submitted, expires: submitted + options.patience() }
}

/// Waits until the model may have another job under way.
async fn turn(model: &ModelRecord, entrant: Entrant, patience: Duration) -> Result<Option<Room>, JobError> {
    match &model.turns {
        Some(turns) => {
            let taken = tokio::time::timeout_at(entrant.expires.into(), turns.enter(entrant)).await;
            Ok(Some(taken.map_err(|_| at_its_limit(model, turns, &entrant, patience))?))
        }
        None => Ok(None),
    }
}

fn at_its_limit(model: &ModelRecord, turns: &Gate, entrant: &Entrant, patience: Duration) -> JobError {
    let message = format!(
        "the model's limit of {} jobs under way is reached, and the job waits no longer than {patience:.0?}; raise it \
         (ModelSpec::concurrency, model_concurrency), let the job wait longer (queue_timeout), or ask for less at once",
        turns.most()
    );
    JobError { overload: Some(Box::new(turns.refuse(entrant))), ..failed(model, Cause::ModelLimit, message) }
}

/// Checks inputs against what the model takes, less what is in its tab already.
fn check(model: &ModelRecord, inputs: &Inputs<'_>, elsewhere: &[String]) -> Result<(), JobError> {
    let checked = match (&model.file, &model.pipeline) {
        (Some(file), _) => file.check_inputs_beside(&inputs.0, elsewhere),
        (None, Some(pipeline)) => pipeline.check(inputs),
        (None, None) => Ok(()),
    };
    checked.map_err(|error| failed(model, Cause::BadInput, error.to_string()))
}
