//! The handle to a running fleet.

use super::{
    FleetBuilder, FleetConfig, FleetError, Inputs, JobError, Model, ModelSpec, ModelSpecError, Output,
    events::Events,
    gate::Gate,
    measured::Measured,
    message::Request,
    metrics::{Metrics, MetricsQuestion},
    model::ModelRecord,
    recording::HistoryQuestions,
    session::Sessions,
    warm::WarmUp,
};
use crate::{
    harness::Server,
    schedule::TargetSet,
    types::{BrowserId, Event, FleetHealth, TabId, Target, TargetInfo},
};
use std::{
    fmt,
    sync::{Arc, atomic::AtomicU64},
};
use tokio::sync::{broadcast, mpsc, oneshot};

/// A running fleet of browsers. A cheap handle: clones share the fleet, which ends with [`Fleet::close`] or when the
/// last handle is dropped.
#[derive(Clone)]
pub struct Fleet(pub(super) Arc<Shared>);

pub(super) struct Shared {
    pub config: FleetConfig,
    pub server: Server,
    pub requests: mpsc::UnboundedSender<Request>,
    pub events: Events,
    pub gate: Gate,
    pub next_job: AtomicU64,
    pub measured: Measured,
    /// Where what was counted is asked.
    pub metrics: mpsc::UnboundedSender<MetricsQuestion>,
    pub sessions: Sessions,
    /// Where the history is asked; `None` without one.
    pub history: Option<HistoryQuestions>,
    /// Its run's number there; `None` also for a run that is kept beside it.
    pub recorded_run: Option<i64>,
}

impl fmt::Debug for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fleet")
            .field("origin", &self.origin())
            .field("targets", &self.config().targets)
            .finish_non_exhaustive()
    }
}

impl Fleet {
    pub(super) fn new(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }

    /// A fleet to be made.
    pub fn builder() -> FleetBuilder {
        FleetBuilder::default()
    }

    /// Where earlier runs measured the model of that name to run best.
    pub(super) fn measured_best(&self, model: &str) -> Vec<Target> {
        let Some(best) = self.0.measured.get(model) else { return Vec::new() };
        self.0.config.targets.iter().copied().filter(|target| best.contains(*target)).collect()
    }

    /// How it was made.
    pub fn config(&self) -> &FleetConfig {
        &self.0.config
    }

    /// The number of its run in the history; `None` without one, and for a run that is kept beside it
    /// ([`HistoryMode::Spool`](crate::history::HistoryMode::Spool)).
    pub fn recorded_run(&self) -> Option<i64> {
        self.0.recorded_run
    }

    /// The address of its harness server: `http://127.0.0.1:PORT`.
    pub fn origin(&self) -> &str {
        self.0.server.origin()
    }

    /// A handle to a model.
    ///
    /// # Errors
    /// [`ModelSpecError`] when its file is missing or is no model, with what to do about it.
    pub async fn get_model(&self, mut spec: ModelSpec) -> Result<Model, ModelSpecError> {
        spec.concurrency = spec.concurrency.or(self.config().model_concurrency);
        let (shards, pipeline) = (spec.shards.clone(), spec.pipeline_file());
        let mut record = self.publish(spec).await?;
        if let Some(shards) = shards {
            record.in_stages(shards, pipeline, &self.config().policy).await?;
        }
        Ok(Model { fleet: self.clone(), record: Arc::new(record) })
    }

    pub(super) async fn publish(&self, spec: ModelSpec) -> Result<ModelRecord, ModelSpecError> {
        spec.publish(self.0.server.models(), self.0.requests.clone(), &self.config().policy).await
    }

    /// Asks the coordinator for what needs no answer; a fleet that is closed has no more use for it.
    pub(super) fn request(&self, request: Request) {
        let _ = self.0.requests.send(request);
    }

    pub(super) fn all_targets(&self) -> TargetSet {
        self.0.config.targets.iter().copied().collect()
    }

    /// How many tabs of these targets there are, or are to be.
    pub(super) async fn places(&self, allowed: TargetSet) -> Result<usize, FleetError> {
        self.ask(|reply| Request::Places(allowed, reply)).await
    }

    /// Keeps a model warm in `tabs` tabs: loaded, and run once, so that what a browser compiles with the first run is
    /// compiled before a job needs it. All are warmed at once, each target has its turn, and tabs are opened where their
    /// number may change and has not come to its limits. From then on a tab that has lost the model, or that replaces
    /// one, has it again; until another number is asked for (0 ends it) or the last handle of the model is dropped.
    ///
    /// The run is one on zeros, where every dimension that the model leaves open is 1. It is no job and counts nowhere. A
    /// model that fails on such inputs, or whose file does not tell their shapes, is only loaded; one that cannot be
    /// loaded on a target, or takes the worker along there, twice in a row, is left to its jobs there.
    /// A model in stages is loaded once, whatever the number: each stage in its home.
    ///
    /// Returns in how many tabs it is, once no tab is about to have it, and of a model in stages, how many stages are:
    /// fewer where there are fewer tabs that take jobs, or where it cannot be loaded.
    ///
    /// # Errors
    /// [`FleetError::Closed`].
    pub async fn warm(&self, model: &Model, tabs: usize) -> Result<usize, FleetError> {
        if let Some(pipeline) = &model.record.pipeline {
            return pipeline.warm(self).await;
        }
        let model = model.record.clone();
        self.ask(|reply| Request::WarmUp(WarmUp { model, tabs, reply })).await
    }

    /// Runs many jobs at once. One result per job, in the order given; a failure fails its job alone.
    pub async fn execute_concurrent<'a, I>(
        &self,
        jobs: impl IntoIterator<Item = (&'a Model, I)>,
    ) -> Vec<Result<Output, JobError>>
    where
        I: Into<Inputs<'a>>,
    {
        futures::future::join_all(jobs.into_iter().map(|(model, inputs)| model.run(inputs))).await
    }

    /// What is known of each target, in order.
    ///
    /// # Errors
    /// [`FleetError::Closed`].
    pub async fn targets(&self) -> Result<Vec<Arc<TargetInfo>>, FleetError> {
        self.ask(Request::Targets).await
    }

    /// How well the fleet is: every target, browser and tab with its score and what made it, the circuit breakers, and
    /// what was tried against failures so far.
    ///
    /// # Errors
    /// [`FleetError::Closed`].
    pub async fn health(&self) -> Result<FleetHealth, FleetError> {
        self.ask(Request::Health).await
    }

    /// What the fleet has counted so far, and how it is now; see `docs/METRICS.md`.
    ///
    /// # Errors
    /// [`FleetError::Closed`].
    pub async fn metrics(&self) -> Result<Metrics, FleetError> {
        let health = self.health().await?;
        let (question, answer) = oneshot::channel();
        self.0.metrics.send(question).map_err(|_| FleetError::Closed)?;
        let mut metrics = answer.await.map_err(|_| FleetError::Closed)?;
        metrics.read_health(&health);
        metrics.read_crowd(&self.0.gate.crowd());
        Ok(metrics)
    }

    /// The main process of each running browser.
    ///
    /// # Errors
    /// [`FleetError::Closed`].
    pub async fn processes(&self) -> Result<Vec<(BrowserId, u32)>, FleetError> {
        self.ask(Request::Processes).await
    }

    /// Each open tab with its browser and target, those that do not take jobs yet included.
    ///
    /// # Errors
    /// [`FleetError::Closed`].
    pub async fn tabs(&self) -> Result<Vec<(TabId, BrowserId, Target)>, FleetError> {
        self.ask(Request::Tabs).await
    }

    /// Cuts a tab's WebSocket as a broken network would, for fault injection: the connection is dropped without a close
    /// frame, and the fleet hears of it as of any other closed socket. Tells whether the tab had one.
    ///
    /// # Errors
    /// [`FleetError::Closed`].
    pub async fn cut_socket(&self, tab: TabId) -> Result<bool, FleetError> {
        self.ask(|reply| Request::CutSocket(tab, reply)).await
    }

    /// What happens from now on, as it happens. A subscriber that falls far behind is told how much it missed.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Event>> {
        self.0.events.subscribe()
    }

    /// Ends every job with an error, then the browsers, and returns when nothing of the fleet is left.
    ///
    /// # Errors
    /// [`FleetError::History`] when the history could not be written to its end; everything is closed all the same.
    pub async fn close(&self) -> Result<(), FleetError> {
        match self.ask(Request::Close).await {
            Ok(result) => result,
            Err(_) => Ok(()),
        }
    }

    pub(super) async fn settled(&self) -> Result<(), FleetError> {
        self.ask(Request::Settled).await
    }

    pub(super) async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> Result<T, FleetError> {
        let (reply, answer) = oneshot::channel();
        self.0.requests.send(request(reply)).map_err(|_| FleetError::Closed)?;
        answer.await.map_err(|_| FleetError::Closed)
    }
}
