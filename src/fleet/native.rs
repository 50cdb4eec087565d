//! Jobs that no target can take, run in this process by tract where they have leave to. A run takes a blocking thread;
//! as many are under way as there are cores, and the rest wait their turn.

use super::message::{Report, Submission};
use crate::{
    onnx::{ModelFile, NamedTensor, NativeError, NativeModel},
    schedule::Attempt,
    types::{Cause, Failure, JobId, ModelId, Tensor},
};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use tokio::sync::{Semaphore, mpsc};

/// The jobs that fell back, and the models that were loaded for such.
pub(super) struct Natives {
    turns: Arc<Semaphore>,
    models: HashMap<ModelId, Loaded>,
    jobs: HashMap<JobId, FallenBack>,
}

/// A model for the shapes it was last asked for. Whoever comes while it is being loaded waits and has it, too.
type Loaded = Arc<Mutex<Option<NativeModel>>>;

/// A job that no target could take.
pub(super) struct FallenBack {
    pub submission: Submission,
    /// Why none could.
    pub why: Failure,
    /// What was tried before.
    pub attempts: Vec<Attempt>,
    since: Instant,
    _stop: StopOnDrop,
}

/// Lets a run end at its next node once nobody waits for it.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl FallenBack {
    /// Since no target can take it, in milliseconds.
    pub fn elapsed_ms(&self) -> f64 {
        ms(self.since.elapsed())
    }
}

/// What a run brought.
pub(super) struct NativeResult {
    pub tensors: Vec<(String, Tensor<'static>)>,
    /// When its turn came.
    pub started: Instant,
    /// Reading and optimizing the model, when this run did.
    pub create_ms: Option<f64>,
    pub run_ms: f64,
}

impl Natives {
    pub fn new() -> Self {
        let cores = thread::available_parallelism().map_or(1, |cores| cores.get());
        Self { turns: Arc::new(Semaphore::new(cores)), models: HashMap::new(), jobs: HashMap::new() }
    }

    /// Has the job run, for which [`Report::RanNatively`] comes in the end unless it is taken away before.
    pub fn start(
        &mut self,
        submission: Submission,
        why: Failure,
        attempts: Vec<Attempt>,
        reports: mpsc::UnboundedSender<Report>,
    ) {
        let (job, expires, stop) = (submission.job, submission.spec.expires, Arc::new(AtomicBool::new(false)));
        let work = Work {
            file: submission.model.file.clone(),
            sha256: submission.model.tag.sha256.clone(),
            loaded: self.models.entry(submission.model.id).or_default().clone(),
            inputs: submission.run.inputs.tensors().unwrap_or_default(),
            stop: stop.clone(),
        };
        let turns = self.turns.clone();
        let fallen = FallenBack { submission, why, attempts, since: Instant::now(), _stop: StopOnDrop(stop) };
        self.jobs.insert(job, fallen);
        tokio::spawn(async move {
            let result = tokio::time::timeout_at(expires.into(), work.in_turn(turns)).await.unwrap_or_else(|_| {
                Err(Failure::new(
                    Cause::DeadlineExceeded,
                    "the job's deadline passed before its native run had a result",
                ))
            });
            let _ = reports.send(Report::RanNatively { job, result });
        });
    }

    /// Takes a job away, whose run is stopped unless it has ended.
    pub fn take(&mut self, job: JobId) -> Option<FallenBack> {
        self.jobs.remove(&job)
    }

    /// The jobs that have not ended.
    pub fn jobs(&self) -> Vec<JobId> {
        self.jobs.keys().copied().collect()
    }

    pub fn forget(&mut self, model: ModelId) {
        self.models.remove(&model);
    }
}

/// One run.
struct Work {
    file: Option<ModelFile>,
    sha256: String,
    loaded: Loaded,
    inputs: Vec<NamedTensor>,
    stop: Arc<AtomicBool>,
}

impl Work {
    async fn in_turn(self, turns: Arc<Semaphore>) -> Result<NativeResult, Failure> {
        let turn = turns.acquire_owned().await;
        let ran = tokio::task::spawn_blocking(move || {
            // Held for as long as the thread is busy, also when nobody waits for it any more.
            let _turn = turn;
            self.run()
        });
        match ran.await {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(error)) => Err(Failure::new(Cause::ModelRun, error.to_string())),
            Err(panicked) => Err(Failure::new(Cause::System, panicked.to_string())),
        }
    }

    fn run(self) -> Result<NativeResult, NativeError> {
        let started = Instant::now();
        let Self { file, sha256, loaded, inputs, stop } = self;
        let (model, create_ms) = {
            // A model that could not be loaded is not there, and the next one tries again.
            let mut loaded = loaded.lock().unwrap_or_else(PoisonError::into_inner);
            match loaded.as_ref().filter(|model| model.takes(&inputs)) {
                Some(model) => (model.clone(), None),
                None => {
                    let file = file.ok_or_else(|| NativeError::Tract("it is no ONNX model".to_owned()))?;
                    let loading = Instant::now();
                    let model = NativeModel::load(&file, &sha256, &inputs)?;
                    (loaded.insert(model).clone(), Some(ms(loading.elapsed())))
                }
            }
        };
        let running = Instant::now();
        let tensors = model.run(&inputs, || stop.load(Ordering::Relaxed))?;
        Ok(NativeResult { tensors, started, create_ms, run_ms: ms(running.elapsed()) })
    }
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
