//! A model that was cut into stages: each a model of its own that lives in one tab, and jobs that pass through them.

mod cut;
mod pace;
mod step;

use super::{
    Fleet, FleetError, Inputs, JobError, JobOptions, ModelSpecError, Output, StageRun,
    gate::{Gate, Room},
    message::Request,
    model::ModelRecord,
    shards::Shards,
    submit::{entrant, failed, refused},
};
use crate::{
    onnx::{InputError, ShardOptions},
    schedule::{Fallback, Policy, TargetSet},
    types::{Cause, Failure, Tensor, Timings},
};
use cut::Cut;
pub(super) use cut::{Origin, Whole};
use pace::Pace;
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};
use step::Step;

/// Jobs that one stage may be ahead of the next. What is under way holds its activations, so it is bounded.
const JOBS_PER_STAGE: usize = 4;

/// A model in stages. Jobs that may run anywhere and jobs that are pinned have cuts of their own, made when first asked
/// for: the same stages, with homes where those jobs may run.
pub(super) struct Pipeline {
    whole: Arc<Whole>,
    shards: Shards,
    origin: Origin,
    cuts: Mutex<BTreeMap<TargetSet, Arc<Cut>>>,
    /// Held while a cut is made, so that two callers do not make the same.
    making: tokio::sync::Mutex<()>,
    pace: Mutex<Pace>,
    under_way: Gate,
}

impl Pipeline {
    /// Sees whether it can be run in stages as asked. They are loaded with the first job.
    pub fn open(whole: Whole, shards: Shards, origin: Origin, policy: &Policy) -> Result<Self, ModelSpecError> {
        let stages = whole.plan(&shards.options)?.stages.len();
        let under_way = Gate::of_turns(stages * JOBS_PER_STAGE, policy);
        Ok(Self {
            whole: Arc::new(whole),
            pace: Mutex::new(Pace::new(shards.recut_after, Instant::now())),
            shards,
            origin,
            cuts: Mutex::default(),
            making: tokio::sync::Mutex::default(),
            under_way,
        })
    }

    /// Checks inputs against what the components take, where the model is made of several.
    pub fn check(&self, inputs: &Inputs<'_>) -> Result<(), InputError> {
        match &*self.whole {
            // Checked by its file.
            Whole::Model(_) => Ok(()),
            Whole::Models(pipeline) => pipeline.check_inputs(&inputs.0),
        }
    }

    /// Has the stages loaded before a job needs them, and waits until each is in its home or cannot be. Returns how many
    /// are.
    ///
    /// # Errors
    /// [`FleetError::Closed`].
    pub async fn warm(&self, fleet: &Fleet) -> Result<usize, FleetError> {
        let cut = match self.cut(fleet, fleet.all_targets()).await {
            Ok(cut) => cut,
            Err(error) => {
                tracing::warn!(model = self.origin.name, error = told(&error), "its stages cannot be loaded");
                return Ok(0);
            }
        };
        let mut loaded = 0;
        for stage in &cut.stages {
            let is_loaded = fleet.ask(|reply| Request::AwaitStage(stage.record.id, reply)).await?;
            loaded += usize::from(is_loaded);
        }
        Ok(loaded)
    }

    /// The stages for jobs that may run on these targets.
    async fn cut(&self, fleet: &Fleet, allowed: TargetSet) -> Result<Arc<Cut>, ModelSpecError> {
        if let Some(cut) = self.made(allowed) {
            return Ok(cut);
        }
        let _making = self.making.lock().await;
        if let Some(cut) = self.made(allowed) {
            return Ok(cut);
        }
        self.make(fleet, allowed, self.shards.options.clone()).await
    }

    fn made(&self, allowed: TargetSet) -> Option<Arc<Cut>> {
        self.cuts.lock().unwrap_or_else(PoisonError::into_inner).get(&allowed).cloned()
    }

    async fn make(&self, fleet: &Fleet, allowed: TargetSet, options: ShardOptions) -> Result<Arc<Cut>, ModelSpecError> {
        let whole = self.whole.clone();
        let planned = tokio::task::spawn_blocking(move || whole.plan(&options)).await;
        let plan = planned.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
        let cut = Cut::open(&self.whole, plan, &self.shards, &self.origin, allowed, fleet).await?;
        let cut = Arc::new(cut);
        self.cuts.lock().unwrap_or_else(PoisonError::into_inner).insert(allowed, cut.clone());
        Ok(cut)
    }

    /// Runs one job through all stages.
    pub async fn run(
        &self,
        fleet: &Fleet,
        record: &ModelRecord,
        inputs: Inputs<'static>,
        options: JobOptions,
        submitted: Instant,
    ) -> Result<Output, JobError> {
        let _turn = self.turn(record, &inputs, &options, submitted).await?;
        let allowed = options.allowed.unwrap_or_else(|| fleet.all_targets());
        let inputs: HashMap<String, Tensor<'static>> = inputs.0.into_iter().collect();
        let mut cut = self.cut(fleet, allowed).await.map_err(|error| failed(record, Cause::ModelLoad, told(&error)))?;
        let (mut direct_from, mut earlier) = (self.shards.direct_from, Vec::new());
        loop {
            let job = Job { fleet, record, options: &options, direct_from, submitted };
            match job.pass(&cut, inputs.clone()).await {
                Err(error) if error.failure.cause == Cause::StateLost && direct_from.is_some() => {
                    // The tabs that held its activations are lost: it begins again, and the fleet holds all of it.
                    direct_from = None;
                    earlier.extend(error.attempts);
                }
                Err(error) if error.failure.cause == Cause::NoTarget => {
                    // No tab is left for one of the stages: fewer, larger ones may still find places.
                    cut = self.fewer(fleet, allowed, &cut, error).await?;
                }
                Ok(mut output) => {
                    self.measured(fleet, allowed, &cut, &output).await;
                    output.failed_attempts.splice(..0, earlier);
                    return Ok(output);
                }
                Err(mut error) => {
                    error.attempts.splice(..0, earlier);
                    return Err(error);
                }
            }
        }
    }

    /// Waits until one more job may be under way.
    async fn turn(
        &self,
        record: &ModelRecord,
        inputs: &Inputs<'_>,
        options: &JobOptions,
        submitted: Instant,
    ) -> Result<Room, JobError> {
        let entrant = entrant(record, inputs.bytes(), options, submitted);
        tokio::time::timeout_at(entrant.expires.into(), self.under_way.enter(entrant)).await.map_err(|_| {
            let why = format!("the model's stages stayed full for the {:.0?} that the job waits", options.patience());
            refused(record, &why, self.under_way.refuse(&entrant))
        })
    }

    /// After a stage found no place: a cut into as many stages as there are tabs, if those are fewer.
    async fn fewer(
        &self,
        fleet: &Fleet,
        allowed: TargetSet,
        cut: &Arc<Cut>,
        error: JobError,
    ) -> Result<Arc<Cut>, JobError> {
        let _making = self.making.lock().await;
        if let Some(made) = self.made(allowed).filter(|made| !Arc::ptr_eq(made, cut)) {
            return Ok(made);
        }
        let places = fleet.places(allowed).await.unwrap_or_default();
        if matches!(*self.whole, Whole::Models(_)) || places == 0 || places >= cut.stages.len() {
            return Err(error);
        }
        let mut options = self.shards.options.clone();
        options.shards = places;
        tracing::warn!(model = self.origin.name, places, "fewer tabs than stages are left: the model is cut anew");
        self.make(fleet, allowed, options).await.map_err(|none| JobError {
            failure: Failure::new(
                Cause::NoTarget,
                format!("{}; and for {places} tabs: {}", error.failure, told(&none)),
            ),
            ..error
        })
    }

    /// Takes in how long each stage took, and cuts anew when that promises a faster slowest stage.
    async fn measured(&self, fleet: &Fleet, allowed: TargetSet, cut: &Arc<Cut>, output: &Output) {
        let better = {
            let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
            pace.take_in(cut, output);
            pace.better(&self.whole, cut, &self.shards.options, Instant::now())
        };
        let Some(options) = better else { return };
        let Ok(_making) = self.making.try_lock() else { return };
        match self.make(fleet, allowed, options).await {
            Ok(_) => tracing::info!(model = self.origin.name, "cut anew by what the stages were measured to take"),
            Err(error) => tracing::warn!(model = self.origin.name, error = told(&error), "it could not be cut anew"),
        }
    }
}

/// One job on its way.
struct Job<'a> {
    fleet: &'a Fleet,
    record: &'a ModelRecord,
    options: &'a JobOptions,
    /// From how many bytes on activations go from tab to tab directly, if they do.
    direct_from: Option<u64>,
    submitted: Instant,
}

impl Job<'_> {
    /// Goes through the stages of one cut.
    async fn pass(&self, cut: &Cut, mut held: HashMap<String, Tensor<'static>>) -> Result<Output, JobError> {
        let (mut runs, mut timings) = (Vec::with_capacity(cut.stages.len()), Timings::default());
        let (mut failed_attempts, mut handed) = (Vec::new(), None);
        for (index, stage) in cut.stages.iter().enumerate() {
            // An optional input that was not given is not passed on.
            let given = stage.inputs.iter().filter_map(|name| Some((name.clone(), held.get(name)?.clone())));
            let given: Inputs<'static> = given.collect();
            held.retain(|name, _| cut.is_needed_after(name, index));
            let next = self.direct_from.and_then(|at_least| cut.next_of(index, at_least));
            let step = Step { fleet: self.fleet, stage, given, handed, next, options: self.options_of(index) };
            let (output, direct_bytes) = step.run().await.map_err(|error| JobError {
                model: self.record.tag.name.clone(),
                failure: Failure::new(
                    error.failure.cause,
                    format!("stage {} of {}: {}", index + 1, cut.stages.len(), error.failure.message),
                ),
                ..error
            })?;
            add(&mut timings, &output.timings);
            failed_attempts.extend(output.failed_attempts);
            held.extend(output.tensors);
            handed = output.handed_on;
            runs.push(StageRun { provenance: output.provenance, timings: output.timings, direct_bytes });
        }
        timings.total_ms = self.submitted.elapsed().as_secs_f64() * 1e3;
        let wanted = self.options.outputs.as_deref().unwrap_or(&cut.outputs);
        let tensors = wanted.iter().filter_map(|name| held.remove_entry(name)).collect();
        let Some(last) = runs.last() else {
            return Err(JobError {
                model: self.record.tag.name.clone(),
                failure: Failure::new(Cause::ModelLoad, "the model was cut into no stages"),
                attempts: failed_attempts,
                overload: None,
            });
        };
        let (kept, provenance) = (Vec::new(), last.provenance.clone());
        Ok(Output { tensors, kept, provenance, timings, failed_attempts, stages: runs, handed_on: None })
    }

    /// The options of a stage's part, with the time that is left. Once the first stage's tab has had the job, it is no
    /// longer held to how long it may wait for its turn.
    fn options_of(&self, stage: usize) -> JobOptions {
        let (mut options, past) = (self.options.clone(), self.submitted.elapsed());
        options.deadline = options.deadline.saturating_sub(past);
        options.queue_timeout =
            options.queue_timeout.filter(|_| stage == 0).map(|timeout| timeout.saturating_sub(past));
        (options.outputs, options.release, options.fallback) = (None, false, Fallback::Off);
        options
    }
}

fn told(error: &ModelSpecError) -> String {
    use std::error::Error;
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// What the stages took one after the other.
fn add(all: &mut Timings, stage: &Timings) {
    let sum = |a: Option<f64>, b: Option<f64>| match (a, b) {
        (None, None) => None,
        (a, b) => Some(a.unwrap_or_default() + b.unwrap_or_default()),
    };
    all.queue_ms += stage.queue_ms;
    all.download_ms = sum(all.download_ms, stage.download_ms);
    all.create_ms = sum(all.create_ms, stage.create_ms);
    all.run_ms += stage.run_ms;
    all.readback_ms = sum(all.readback_ms, stage.readback_ms);
    all.wire_ms += stage.wire_ms;
}
