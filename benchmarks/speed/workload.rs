//! A case of benchmarks/models/speed as a model of a fleet and its inputs.

use crate::Failed;
use futures::{StreamExt, stream};
use std::{
    path::{Path, PathBuf},
    time::Instant,
};
use tabfleet::{
    fleet::{Fleet, Inputs, JobHandle, JobOptions, Model, ModelSpec},
    onnx::{NamedTensor, Suite, Tolerance, compare},
    types::{Backend, Browser, Target, Tensor},
};

/// All measures are of this target.
pub const TARGET: Target = Target::new(Browser::Chrome, Backend::Wasm);

/// A fleet of one Chromium.
pub async fn launch(tabs: usize) -> Result<Fleet, Failed> {
    Ok(Fleet::builder().targets([TARGET]).tabs_per_browser(tabs).launch().await?)
}

/// Where the case lies.
pub fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benchmarks/models/speed").join(name)
}

/// A model with its inputs.
pub struct Workload {
    pub model: Model,
    pub inputs: Vec<NamedTensor>,
    pub expected: Vec<NamedTensor>,
}

impl Workload {
    /// Gets the model and runs it once, so that its session is there and its outputs are known to be right.
    pub async fn ready(fleet: &Fleet, name: &str) -> Result<Self, Failed> {
        Self::ready_in(fleet, &folder(name)).await
    }

    /// As [`ready`](Self::ready), of the case in a folder.
    pub async fn ready_in(fleet: &Fleet, folder: &Path) -> Result<Self, Failed> {
        let workload = Self::unloaded(fleet, folder).await?;
        let output = workload.model.run(workload.inputs()).await?;
        match compare(&workload.expected, &output.tensors, &Tolerance::default()).mismatch {
            Some(mismatch) => Err(format!("{}: {mismatch}", folder.display()).into()),
            None => Ok(workload),
        }
    }

    /// A model that no tab has loaded yet, with its inputs.
    pub async fn unloaded(fleet: &Fleet, folder: &Path) -> Result<Self, Failed> {
        let case = Suite::open(folder)?.cases.into_iter().next().ok_or("no such case")?;
        let mut loaded = case.load()?;
        let (inputs, expected) = loaded.sets.swap_remove(0);
        Ok(Self { model: fleet.get_model(ModelSpec::read(loaded.model)).await?, inputs, expected })
    }

    /// The shape of its one input.
    pub fn shape(&self) -> Vec<usize> {
        self.inputs.first().map(|(_, tensor)| tensor.shape().to_vec()).unwrap_or_default()
    }

    /// Views of the inputs, as a caller with data of its own would give them.
    pub fn inputs(&self) -> Inputs<'_> {
        self.inputs.iter().map(|(name, tensor): &(String, Tensor<'_>)| (name.as_str(), tensor.view())).collect()
    }

    /// Milliseconds of each run as the caller sees it, and as the worker tells of the run itself.
    pub async fn round_trips(&self, count: usize) -> Result<Vec<(f64, f64)>, Failed> {
        let mut times = Vec::with_capacity(count);
        for _ in 0..count {
            let started = Instant::now();
            let output = self.model.run(self.inputs()).await?;
            times.push((started.elapsed().as_secs_f64() * 1e3, output.timings.run_ms));
        }
        Ok(times)
    }

    /// A job in the queue.
    pub fn submit(&self, options: JobOptions) -> Result<JobHandle, Failed> {
        Ok(self.model.try_submit(self.inputs(), options)?)
    }

    /// Runs a second with so many runs under way.
    pub async fn rate(&self, count: usize, under_way: usize) -> Result<f64, Failed> {
        let started = Instant::now();
        let mut runs = stream::iter(0..count).map(|_| self.model.run(self.inputs())).buffer_unordered(under_way);
        while let Some(result) = runs.next().await {
            result?;
        }
        Ok(count as f64 / started.elapsed().as_secs_f64())
    }
}
