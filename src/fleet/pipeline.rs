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
    schedule::{Attempt, Fallback, Policy, TargetSet},
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
    pub async fn warm(self: &Arc<Self>, fleet: &Fleet) -> Result<usize, FleetError> {
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

    /// The stages for jobs that may run on these targets. They are made also when who asked for them gives up.
    async fn cut(self: &Arc<Self>, fleet: &Fleet, allowed: TargetSet) -> Result<Arc<Cut>, ModelSpecError> {
        if let Some(cut) = self.made(allowed) {
            return Ok(cut);
        }
        let (pipeline, fleet) = (self.clone(), fleet.clone());
        to_its_end(async move {
            let _making = pipeline.making.lock().await;
            match pipeline.made(allowed) {
                Some(cut) => Ok(cut),
                None => pipeline.make(&fleet, allowed, pipeline.shards.options.clone()).await,
            }
        })
        .await
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
        self: &Arc<Self>,
        fleet: &Fleet,
        record: &ModelRecord,
        inputs: Inputs<'static>,
        options: JobOptions,
        submitted: Instant,
    ) -> Result<Output, JobError> {
        let _turn = self.turn(record, &inputs, &options, submitted).await?;
        let expires = (submitted + options.deadline).into();
        let allowed = options.allowed.unwrap_or_else(|| fleet.all_targets());
        let inputs: HashMap<String, Tensor<'static>> = inputs.0.into_iter().collect();
        let cut = tokio::time::timeout_at(expires, self.cut(fleet, allowed)).await.map_err(|_| {
            let why = "the model's stages were not made before the job's deadline";
            failed(record, Cause::DeadlineExceeded, why)
        })?;
        let mut cut = cut.map_err(|error| failed(record, Cause::ModelLoad, told(&error)))?;
        let (mut direct_from, mut earlier) = (self.shards.direct_from, Vec::new());
        loop {
            let job = Job { fleet, record, options: &options, direct_from, submitted };
            let mut error = match job.pass(&cut, inputs.clone()).await {
                Ok(mut output) => {
                    self.measured(fleet, allowed, &cut, &output);
                    output.failed_attempts.splice(..0, earlier);
                    return Ok(output);
                }
                Err(error) => error,
            };
            match error.failure.cause {
                // The tabs that held its activations are lost: it begins again, and the fleet holds all of it.
                Cause::StateLost if direct_from.is_some() => direct_from = None,
                Cause::NoTarget => {
                    // No tab is left for one of the stages: fewer, larger ones may still find places.
                    let fewer = self.fewer(fleet, allowed, &cut, &error.failure);
                    match tokio::time::timeout_at(expires, fewer).await {
                        Ok(Ok(fewer)) => cut = fewer,
                        Ok(Err(failure)) => return Err(JobError { failure, ..error }.after(earlier)),
                        Err(_) => return Err(error.after(earlier)),
                    }
                }
                _ => return Err(error.after(earlier)),
            }
            earlier.append(&mut error.attempts);
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
        self: &Arc<Self>,
        fleet: &Fleet,
        allowed: TargetSet,
        cut: &Arc<Cut>,
        failure: &Failure,
    ) -> Result<Arc<Cut>, Failure> {
        let (pipeline, fleet, cut, failure) = (self.clone(), fleet.clone(), cut.clone(), failure.clone());
        to_its_end(async move {
            let _making = pipeline.making.lock().await;
            if let Some(made) = pipeline.made(allowed).filter(|made| !Arc::ptr_eq(made, &cut)) {
                return Ok(made);
            }
            let places = fleet.places(allowed).await.unwrap_or_default();
            if matches!(*pipeline.whole, Whole::Models(_)) || places == 0 || places >= cut.stages.len() {
                return Err(failure);
            }
            let mut options = pipeline.shards.options.clone();
            options.shards = places;
            let model = &pipeline.origin.name;
            tracing::warn!(model, places, "fewer tabs than stages are left: the model is cut anew");
            pipeline.make(&fleet, allowed, options).await.map_err(|none| {
                Failure::new(Cause::NoTarget, format!("{failure}; and for {places} tabs: {}", told(&none)))
            })
        })
        .await
    }

    /// Takes in how long each stage took, and has the model cut anew when that promises a faster slowest stage. The job
    /// that was measured does not wait for it.
    fn measured(self: &Arc<Self>, fleet: &Fleet, allowed: TargetSet, cut: &Arc<Cut>, output: &Output) {
        let uneven = {
            let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
            pace.take_in(cut, output);
            pace.uneven(cut, &self.shards.options, Instant::now())
        };
        if let Some(stage_ms) = uneven {
            let (pipeline, fleet, cut) = (self.clone(), fleet.clone(), cut.clone());
            tokio::spawn(async move { pipeline.even_out(&fleet, allowed, cut, stage_ms).await });
        }
    }

    /// Cuts anew by what the stages were measured to take, if that promises enough.
    async fn even_out(&self, fleet: &Fleet, allowed: TargetSet, cut: Arc<Cut>, stage_ms: Vec<f64>) {
        let Ok(_making) = self.making.try_lock() else { return };
        let (whole, options) = (self.whole.clone(), self.shards.options.clone());
        let found = tokio::task::spawn_blocking(move || pace::better(&whole, &cut, &options, &stage_ms)).await;
        let Ok(Some(options)) = found else { return };
        match self.make(fleet, allowed, options).await {
            Ok(_) => tracing::info!(model = self.origin.name, "cut anew by what the stages were measured to take"),
            Err(error) => tracing::warn!(model = self.origin.name, error = told(&error), "it could not be cut anew"),
        }
    }
}

/// Does something to its end, also when nobody waits for it any more: the next who needs it finds it done.
async fn to_its_end<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    tokio::spawn(work).await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}

impl JobError {
    /// With attempts that came before its own.
    fn after(mut self, earlier: Vec<Attempt>) -> Self {
        self.attempts.splice(..0, earlier);
        self
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
            return Err(
                failed(self.record, Cause::ModelLoad, "the model was cut into no stages").after(failed_attempts)
            );
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
