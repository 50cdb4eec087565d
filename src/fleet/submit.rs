//! A job's way from its caller into the queue, and the handle to it.

use super::{
    Fleet, Inputs, JobError, JobOptions, Output,
    gate::Room,
    message::{Request, Submission},
    model::ModelRecord,
};
use crate::{
    harness::{RunRequest, StateCall, TensorBatch},
    schedule::{JobSpec, Overload, SessionCall, TargetSet},
    types::{Cause, Failure, Isolation, JobId, Priority},
};
use std::{
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, ready},
    time::Instant,
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
}

impl Payload {
    fn new(inputs: &Inputs<'_>) -> Self {
        let inputs = TensorBatch::encode(inputs.0.iter().map(|(name, tensor)| (name.as_str(), tensor)));
        Self { inputs, session: None }
    }
}

pub(super) fn failed(model: &ModelRecord, cause: Cause, message: impl Into<String>) -> JobError {
    let failure = Failure::new(cause, message);
    JobError { model: model.tag.name.clone(), failure, attempts: Vec::new(), overload: None }
}

fn closed(model: &ModelRecord) -> JobError {
    failed(model, Cause::FleetClosed, "the fleet is closed")
}

fn refused(model: &ModelRecord, why: &str, overload: Overload) -> JobError {
    let Overload { jobs, bytes, retry_after, .. } = overload;
    let message =
        format!("{why}: {jobs} jobs with {bytes} bytes of inputs are under way; try again after {retry_after:.0?}");
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
        match &model.pipeline {
            Some(_) => self.through_stages(model, inputs, options),
            None => self.submit_whole(model, inputs, options).await,
        }
    }

    /// As [`submit`](Self::submit), of what was not cut: a model as it is, or one stage.
    pub(super) async fn submit_whole(
        &self,
        model: &Arc<ModelRecord>,
        inputs: Inputs<'_>,
        options: JobOptions,
    ) -> Result<JobHandle, JobError> {
        check(model, &inputs)?;
        let submitted = Instant::now();
        let room = self.room(model, inputs.bytes(), &options).await?;
        self.send(model, Payload::new(&inputs), options, room, submitted)
    }

    /// As [`submit_whole`](Self::submit_whole), of what was checked and encoded before.
    pub(super) async fn submit_payload(
        &self,
        model: &Arc<ModelRecord>,
        payload: Payload,
        options: JobOptions,
    ) -> Result<JobHandle, JobError> {
        let submitted = Instant::now();
        let room = self.room(model, payload.inputs.body_len() as u64, &options).await?;
        self.send(model, payload, options, room, submitted)
    }

    /// Waits for room for a job; one of low priority does not wait.
    async fn room(&self, model: &ModelRecord, bytes: u64, options: &JobOptions) -> Result<Room, JobError> {
        let (gate, priority) = (&self.0.gate, options.priority);
        match gate.try_enter(priority, bytes) {
            Ok(room) => Ok(room),
            Err(_) if priority == Priority::Low => {
                Err(refused(model, "jobs of low priority are not taken now", gate.refuse(priority)))
            }
            Err(_) => tokio::time::timeout(options.deadline, gate.enter(priority, bytes))
                .await
                .map_err(|_| refused(model, "the queue stayed full until the job's deadline", gate.refuse(priority))),
        }
    }

    /// Takes a job into the queue if there is room now.
    pub(super) fn try_submit(
        &self,
        model: &Arc<ModelRecord>,
        inputs: Inputs<'_>,
        options: JobOptions,
    ) -> Result<JobHandle, JobError> {
        if model.pipeline.is_some() {
            return self.through_stages(model, inputs, options);
        }
        check(model, &inputs)?;
        let (gate, priority) = (&self.0.gate, options.priority);
        let room = gate.try_enter(priority, inputs.bytes());
        let room = room.map_err(|_| refused(model, "the queue is full", gate.refuse(priority)))?;
        self.send(model, Payload::new(&inputs), options, room, Instant::now())
    }

    /// Has a task see the job through the stages of its model, each of which goes into the queue when its turn comes.
    fn through_stages(
        &self,
        model: &Arc<ModelRecord>,
        inputs: Inputs<'_>,
        options: JobOptions,
    ) -> Result<JobHandle, JobError> {
        check(model, &inputs)?;
        let job = JobId(self.0.next_job.fetch_add(1, Ordering::Relaxed));
        let (reply, answer) = oneshot::channel();
        let (fleet, record, inputs) = (self.clone(), model.clone(), inputs.into_owned());
        let task = tokio::spawn(async move {
            if let Some(pipeline) = &record.pipeline {
                let _ = reply.send(pipeline.run(&fleet, &record, inputs, options).await);
            }
        });
        Ok(JobHandle { job, model: model.clone(), answer, work: Work::Stages(task.abort_handle()), ended: false })
    }

    fn send(
        &self,
        model: &Arc<ModelRecord>,
        payload: Payload,
        options: JobOptions,
        room: Room,
        submitted: Instant,
    ) -> Result<JobHandle, JobError> {
        let Payload { inputs, session } = payload;
        let (session, state) = session.unzip();
        let isolation = model.isolation;
        let release = options.release || isolation == Isolation::FreshSession;
        let job = JobId(self.0.next_job.fetch_add(1, Ordering::Relaxed));
        let (reply, answer) = oneshot::channel();
        let attempt_timeout = options.attempt_timeout.unwrap_or(options.deadline);
        // Whoever keeps state or wants a worker to itself goes alone.
        let alone = session.is_some() || isolation != Isolation::Shared;
        let together = model.batched.as_ref().zip(model.file.as_ref()).filter(|_| !alone);
        let spec = JobSpec {
            batch: together.and_then(|(batched, file)| batched.spec(file, &inputs, &options, attempt_timeout)),
            model: model.id,
            family: model.tag.family,
            allowed: options.allowed.unwrap_or_else(|| self.all_targets()),
            recommended: self.0.measured.get(&model.tag.name).copied().unwrap_or(TargetSet::EMPTY),
            bytes: inputs.body_len(),
            attempt_timeout,
            expires: submitted + options.deadline,
            attempts: options.attempts,
            priority: options.priority,
            caller: options.caller,
            release,
            session,
            isolation,
        };
        let run = RunRequest { inputs, outputs: options.outputs, release, state };
        let span = tracing::debug_span!("job", %job, model = model.tag.name);
        let submission = Submission { job, spec, model: model.clone(), run, submitted, span, reply, _room: room };
        let requests = self.0.requests.clone();
        requests.send(Request::Submit(Box::new(submission))).map_err(|_| closed(model))?;
        Ok(JobHandle { job, model: model.clone(), answer, work: Work::Queued(requests), ended: false })
    }
}

fn check(model: &ModelRecord, inputs: &Inputs<'_>) -> Result<(), JobError> {
    let checked = match (&model.file, &model.pipeline) {
        (Some(file), _) => file.check_inputs(&inputs.0),
        (None, Some(pipeline)) => pipeline.check(inputs),
        (None, None) => Ok(()),
    };
    checked.map_err(|error| failed(model, Cause::BadInput, error.to_string()))
}
