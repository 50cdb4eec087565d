//! Models: what is asked for, and the handle to run it.

use super::{
    Fleet, Inputs, JobError, JobHandle, JobOptions, ModelSpecError, Output,
    batch::BatchedModel,
    gate::Gate,
    message::Request,
    pipeline::{Origin, Pipeline, Whole},
    shards::Shards,
};
use crate::{
    harness::{CpuFallback, ModelFiles, ModelStore, ServedFile},
    onnx::{self, ModelFile, ModelGraph},
    schedule::{Batching, LONGEST_WAIT, Policy},
    types::{Family, Isolation, ModelId, ModelTag, Target},
};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::sync::mpsc;

/// Which model, and how its sessions are to be made.
#[derive(Clone, Debug)]
pub struct ModelSpec {
    source: Source,
    family: Option<Family>,
    name: Option<String>,
    cpu_fallback: CpuFallback,
    session_options: Map<String, Value>,
    isolation: Isolation,
    pub(super) concurrency: Option<usize>,
    pub(super) shards: Option<Shards>,
    batching: Option<Batching>,
}

#[derive(Clone, Debug)]
enum Source {
    Onnx(PathBuf),
    Read(Box<ModelFile>),
    Opaque(PathBuf),
    Pipeline(PathBuf),
}

impl ModelSpec {
    /// An ONNX model in a file. Its external data files are looked for beside it.
    pub fn onnx(path: impl Into<PathBuf>) -> Self {
        Self::new(Source::Onnx(path.into()))
    }

    /// An ONNX model whose file was already read.
    pub fn read(file: ModelFile) -> Self {
        Self::new(Source::Read(Box::new(file)))
    }

    /// Several models that run one after the other, each in a tab of its own: a TOML file says which outputs feed which
    /// inputs (`tabfleet shard` shows what it says).
    pub fn pipeline(path: impl Into<PathBuf>) -> Self {
        Self::new(Source::Pipeline(path.into())).sharded(Shards::optimal(1))
    }

    /// A file that only a custom runtime understands. Its inputs cannot be checked before they are sent.
    pub fn opaque(path: impl Into<PathBuf>) -> Self {
        Self::new(Source::Opaque(path.into()))
    }

    fn new(source: Source) -> Self {
        Self {
            source,
            family: None,
            name: None,
            cpu_fallback: CpuFallback::Record,
            session_options: Map::new(),
            isolation: Isolation::Shared,
            concurrency: None,
            shards: None,
            batching: None,
        }
    }

    /// The model's kind of work; without it what the model's metadata say (`tabfleet.family`), else `other`.
    pub fn family(mut self, family: Family) -> Self {
        self.family = Some(family);
        self
    }

    /// The name it is shown under; without it the file's.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Whether sessions on a GPU or NPU may put nodes on the CPU.
    pub fn cpu_fallback(mut self, cpu_fallback: CpuFallback) -> Self {
        self.cpu_fallback = cpu_fallback;
        self
    }

    /// An option merged into the runtime's own when a session is created.
    pub fn session_option(mut self, name: impl Into<String>, value: Value) -> Self {
        self.session_options.insert(name.into(), value);
        self
    }

    /// What of its jobs may be left in the tab for the jobs after them; without it they share the tab's worker and the
    /// runtime session in it.
    pub fn isolation(mut self, isolation: Isolation) -> Self {
        self.isolation = isolation;
        self
    }

    /// Most jobs of the model under way at once, waiting or running; further ones wait in the order that the queue has.
    /// Without it as the fleet's configuration says, and else as many as the fleet takes.
    pub fn concurrency(mut self, jobs: usize) -> Self {
        self.concurrency = Some(jobs);
        self
    }

    /// Cuts the model into stages, each of which lives in a tab of its own; jobs pass through them, several at once.
    /// The handle is used as that of any model.
    pub fn sharded(mut self, shards: Shards) -> Self {
        self.shards = Some(shards);
        self
    }

    /// Lets jobs that wait at the same time run together, their inputs one after the other along the first dimension. Each
    /// still has its own result, deadline and end. That is for small models and many callers: what a run costs by itself
    /// is paid once for all of them.
    ///
    /// The model has to compute every row by itself. Its file cannot say so: only that all inputs and outputs have the
    /// same first dimension, of any size, is seen (and refused where it is not so). Of a model that normalizes or sums
    /// over that dimension, jobs that run together would get **answers that depend on each other**. So the first and the
    /// last of the jobs that first run together on a target run alone as well; where that gives something else, the
    /// model's jobs run alone from then on, which a warning and
    /// [`BatchingRefused`](crate::types::EventKind::BatchingRefused) tell. It is no proof, and so batching is off unless
    /// asked for.
    pub fn batched(mut self, batching: Batching) -> Self {
        let [wait, run] = [batching.wait, batching.run].map(|time| time.min(LONGEST_WAIT));
        self.batching = Some(Batching { wait, run, ..batching });
        self
    }

    /// The file that says which models run one after the other, if this is one.
    pub(super) fn pipeline_file(&self) -> Option<PathBuf> {
        match &self.source {
            Source::Pipeline(path) => Some(path.clone()),
            _ => None,
        }
    }

    /// Reads the file and publishes it to the tabs.
    pub(super) async fn publish(
        self,
        store: &ModelStore,
        requests: mpsc::UnboundedSender<Request>,
        policy: &Policy,
    ) -> Result<ModelRecord, ModelSpecError> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let (path, file) = match self.source {
            Source::Onnx(path) => {
                let read = tokio::task::spawn_blocking(move || ModelFile::read(&path)).await;
                let file = read.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
                (file.path.clone(), Some(file))
            }
            Source::Read(file) => (file.path.clone(), Some(*file)),
            Source::Opaque(path) | Source::Pipeline(path) => (path, None),
        };
        let batched = batched(self.batching, file.as_ref(), &path, self.shards.is_some()).await?;
        let mut files = vec![serve(store, file_name(&path), &path).await?];
        for external in file.iter().flat_map(|file| &file.external) {
            files.push(serve(store, external.path.clone(), &external.file).await?);
        }
        let name = self
            .name
            .or_else(|| file.as_ref().map(|file| file.name.clone()))
            .unwrap_or_else(|| path.file_stem().unwrap_or_default().to_string_lossy().into_owned());
        let family = self.family.or_else(|| file.as_ref().and_then(|file| file.family)).unwrap_or(Family::Other);
        let key = key(&files, self.cpu_fallback, &self.session_options, self.isolation);
        let precision = file.as_ref().and_then(|file| file.precision);
        let tag = Arc::new(ModelTag { name: name.clone(), sha256: files[0].sha256.clone(), family, precision });
        let served = Arc::new(ModelFiles {
            key: key.clone(),
            name,
            files,
            cpu_fallback: self.cpu_fallback,
            session_options: self.session_options,
        });
        let id = ModelId(NEXT.fetch_add(1, Ordering::Relaxed));
        let turns = self.concurrency.map(|most| Gate::of_turns(most, policy));
        let (key, isolation, store) = (key.into(), self.isolation, store.clone());
        Ok(ModelRecord { id, key, tag, file, served, isolation, turns, pipeline: None, batched, store, requests })
    }
}

/// Sees whether jobs can run together as asked.
async fn batched(
    batching: Option<Batching>,
    file: Option<&ModelFile>,
    path: &Path,
    in_stages: bool,
) -> Result<Option<BatchedModel>, ModelSpecError> {
    let Some(batching) = batching else { return Ok(None) };
    let refused = |what| ModelSpecError::NotBatched { model: file_name(path), what };
    let file = match (file, in_stages) {
        (_, true) => return Err(refused("it runs in stages, each of which takes one job at a time")),
        (None, false) => return Err(refused("only of ONNX models it is known what goes in and comes out")),
        (Some(file), false) => file.clone(),
    };
    let read = tokio::task::spawn_blocking(move || BatchedModel::of(file, batching)).await;
    let batched = read.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
    tracing::debug!(model = %path.display(), certainty = ?batched.certainty(), "its jobs may run together");
    Ok(Some(batched))
}

async fn serve(store: &ModelStore, path: String, file: &Path) -> Result<ServedFile, ModelSpecError> {
    let (sha256, bytes) = store.publish_file(file).await?;
    Ok(ServedFile { path, sha256, bytes })
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The same for the same files and options, and no other.
fn key(
    files: &[ServedFile],
    cpu_fallback: CpuFallback,
    session_options: &Map<String, Value>,
    isolation: Isolation,
) -> String {
    let mut hash = Sha256::new();
    for file in files {
        hash.update(format!("{}\0{}\0", file.path, file.sha256));
    }
    hash.update(format!("{cpu_fallback:?}\0{isolation}\0{}", Value::Object(session_options.clone())));
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// What all handles of one model share. When the last is gone, its files are withdrawn and its sessions dropped.
pub(super) struct ModelRecord {
    pub id: ModelId,
    pub key: Arc<str>,
    pub tag: Arc<ModelTag>,
    /// What the file declares; `None` when only a custom runtime understands it.
    pub file: Option<ModelFile>,
    pub served: Arc<ModelFiles>,
    pub isolation: Isolation,
    /// To how many jobs at once, if that is limited.
    pub turns: Option<Gate>,
    /// Its stages, when it was cut.
    pub pipeline: Option<Arc<Pipeline>>,
    /// How its jobs run together, when they may.
    pub batched: Option<BatchedModel>,
    store: ModelStore,
    pub requests: mpsc::UnboundedSender<Request>,
}

impl ModelRecord {
    /// Runs it in stages from now on: those of the pipeline file that was named, or those that it is cut into.
    pub async fn in_stages(
        &mut self,
        shards: Shards,
        pipeline: Option<PathBuf>,
        policy: &Policy,
    ) -> Result<(), ModelSpecError> {
        let (file, name) = (self.file.clone(), self.tag.name.clone());
        if self.isolation != Isolation::Shared {
            return Err(ModelSpecError::IsolatedStages { model: name, isolation: self.isolation });
        }
        let read = tokio::task::spawn_blocking(move || match (pipeline, file) {
            (Some(path), _) => Ok(Whole::Models(Box::new(onnx::Pipeline::read(&path)?))),
            (None, Some(file)) => Ok(Whole::Model(Box::new(ModelGraph::of(file)?))),
            (None, None) => Err(ModelSpecError::Opaque { model: name }),
        });
        let whole = read.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
        let origin = Origin {
            name: self.tag.name.clone(),
            family: self.tag.family,
            cpu_fallback: self.served.cpu_fallback,
            session_options: self.served.session_options.clone(),
        };
        self.pipeline = Some(Arc::new(Pipeline::open(whole, shards, origin, policy)?));
        Ok(())
    }
}

impl Drop for ModelRecord {
    fn drop(&mut self) {
        self.served.files.iter().for_each(|file| self.store.withdraw(&file.sha256));
        // A fleet that no longer listens has no session left to drop.
        let _ = self.requests.send(Request::Forget(self.id, self.key.clone()));
    }
}

/// A model the fleet can run anywhere. A cheap handle: clones share the model.
#[derive(Clone)]
pub struct Model {
    pub(super) fleet: Fleet,
    pub(super) record: Arc<ModelRecord>,
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model").field("tag", &self.record.tag).finish_non_exhaustive()
    }
}

impl Model {
    /// The name it is shown under.
    pub fn name(&self) -> &str {
        &self.record.tag.name
    }

    /// Its kind of work.
    pub fn family(&self) -> Family {
        self.record.tag.family
    }

    /// The targets where earlier runs measured it to run best, on machines like this one: its jobs go there while they
    /// can. Empty without a history that knows, and then its family's preferred browser comes first.
    pub fn measured_best(&self) -> Vec<Target> {
        self.fleet.measured_best(self.name())
    }

    /// What its file declares; `None` for a file that only a custom runtime understands.
    pub fn file(&self) -> Option<&ModelFile> {
        self.record.file.as_ref()
    }

    /// The options a job starts from: any target, the fleet's deadline and attempts.
    pub fn options(&self) -> JobOptions {
        JobOptions::new(self.fleet.config())
    }

    /// Runs the model once, on whichever target is best. Waits while the queue is full.
    ///
    /// # Errors
    /// [`JobError`] with the last failure and every attempt. Its cause is
    /// - `bad-input` when the inputs do not fit the model (nothing is sent then), or they or the outputs are more than
    ///   [`max_frame_bytes`](super::FleetConfig::max_frame_bytes),
    /// - `model-limit`, `queue-full`, `tab-limit` or `browser-limit` when it had no turn
    ///   [in time](JobOptions::queue_timeout), by what it waited for,
    /// - `no-target` when nothing can run it, and `circuit-open` when whatever could is behind an open circuit breaker,
    /// - `quarantined` when it ended what ran it again and again,
    /// - `deadline-exceeded`, `cancelled` and `fleet-closed`,
    /// - or what the last attempt failed with: see [`Cause`](crate::types::Cause).
    pub async fn run<'a>(&self, inputs: impl Into<Inputs<'a>>) -> Result<Output, JobError> {
        self.run_with(inputs, self.options()).await
    }

    /// As [`run`](Self::run), with options of its own.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn run_with<'a>(&self, inputs: impl Into<Inputs<'a>>, options: JobOptions) -> Result<Output, JobError> {
        self.submit(inputs, options).await?.await
    }

    /// Takes a job into the queue, without waiting for its result. Waits while the model's [limit](ModelSpec::concurrency)
    /// is reached, and while the queue is full; but not a job of low priority for room in the queue, which is refused
    /// then.
    ///
    /// # Errors
    /// [`JobError`] with `bad-input` when the inputs do not fit the model; with `model-limit` or `queue-full` when it
    /// waited in vain for as long as it may ([`JobOptions::queue_timeout`], else its deadline), with how full it is and
    /// when to try again; `fleet-closed`. The handle resolves to the errors of [`run`](Self::run).
    pub async fn submit<'a>(&self, inputs: impl Into<Inputs<'a>>, options: JobOptions) -> Result<JobHandle, JobError> {
        self.fleet.submit(&self.record, inputs.into(), options).await
    }

    /// As [`submit`](Self::submit), but without waiting.
    ///
    /// # Errors
    /// As [`submit`](Self::submit); `model-limit` or `queue-full` at once when the limit is reached or there is no room.
    pub fn try_submit<'a>(&self, inputs: impl Into<Inputs<'a>>, options: JobOptions) -> Result<JobHandle, JobError> {
        self.fleet.try_submit(&self.record, inputs.into(), options)
    }
}
