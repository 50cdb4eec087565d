//! The work that goes on while things break: cases that are known to work, and whether their answers are right.

use super::{ChaosError, ChaosOptions};
use crate::{
    fleet::{Fleet, JobError, JobOptions, Model, ModelSpec},
    onnx::{Case, NamedTensor, Tolerance, compare},
    report::LeftOut,
    types::{Browser, Target},
};
use std::{sync::Arc, time::Instant};

/// A case and where it works.
pub(super) struct Workload {
    name: String,
    model: Model,
    sets: Vec<(Vec<NamedTensor>, Vec<NamedTensor>)>,
    works_on: Vec<Target>,
}

/// How a job ended.
pub(super) struct Ended {
    pub case: String,
    pub at: Instant,
    pub outcome: Outcome,
}

/// What a job's end is worth.
pub(super) enum Outcome {
    /// The expected answer, after that many failed attempts.
    Right { failed_attempts: usize },
    /// Another answer.
    Wrong { browser: Option<Browser>, mismatch: String },
    /// None.
    Lost(JobError),
}

impl Workload {
    /// Reads a case and runs it once on each target. What does not work where is told in `left_out`.
    async fn of(
        case: &Case,
        fleet: &Fleet,
        targets: &[Target],
        options: &ChaosOptions,
    ) -> (Option<Self>, Vec<LeftOut>) {
        let left_out = |target, reason| LeftOut { case: format!("{}/{}", case.suite, case.name), target, reason };
        let reading = case.clone();
        let loaded = tokio::task::spawn_blocking(move || reading.load()).await;
        let loaded = match loaded.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic())) {
            Ok(loaded) => loaded,
            Err(error) => return (None, vec![left_out(None, error.to_string())]),
        };
        let model = match fleet.get_model(ModelSpec::read(loaded.model).name(&case.name)).await {
            Ok(model) => model,
            Err(error) => return (None, vec![left_out(None, error.to_string())]),
        };
        let mut this = Self { name: case.name.clone(), model, sets: loaded.sets, works_on: Vec::new() };
        let tries = targets.iter().map(|target| this.works(*target, options));
        let (mut works_on, mut left) = (Vec::new(), Vec::new());
        for (target, tried) in targets.iter().zip(futures::future::join_all(tries).await) {
            match tried {
                Ok(()) => works_on.push(*target),
                Err(reason) => left.push(left_out(Some(*target), reason)),
            }
        }
        this.works_on = works_on;
        ((!this.works_on.is_empty()).then_some(this), left)
    }

    /// Whether every data set gets its answer on the target while nothing is broken.
    async fn works(&self, target: Target, options: &ChaosOptions) -> Result<(), String> {
        for (inputs, expected) in &self.sets {
            let job = self.model.options().pin(target).deadline(options.deadline).attempts(1);
            let job = job.attempt_timeout(options.attempt_timeout);
            let output = self.model.run_with(inputs.clone(), job).await.map_err(|error| error.to_string())?;
            if let Some(mismatch) = compare(expected, &output.tensors, &options.tolerance).mismatch {
                return Err(mismatch.to_string());
            }
        }
        Ok(())
    }

    fn options(&self, options: &ChaosOptions) -> JobOptions {
        let job = self.model.options().among(self.works_on.iter().copied());
        job.deadline(options.deadline).attempts(options.attempts).attempt_timeout(options.attempt_timeout)
    }

    /// Runs one data set wherever it works, and judges the answer.
    async fn run(self: Arc<Self>, number: u64, job: JobOptions, tolerance: Tolerance) -> Ended {
        let (inputs, expected) = &self.sets[(number % self.sets.len() as u64) as usize];
        let result = self.model.run_with(inputs.clone(), job).await;
        let at = Instant::now();
        let outcome = match result {
            Ok(output) => match compare(expected, &output.tensors, &tolerance).mismatch {
                None => Outcome::Right { failed_attempts: output.failed_attempts.len() },
                Some(mismatch) => {
                    let browser = output.provenance.browser().map(|run| run.target.browser);
                    Outcome::Wrong { browser, mismatch: format!("on {}: {mismatch}", output.provenance) }
                }
            },
            Err(error) => Outcome::Lost(error),
        };
        Ended { case: self.name.clone(), at, outcome }
    }
}

/// All the cases that can be run.
pub(super) struct Load {
    workloads: Vec<Arc<Workload>>,
}

impl Load {
    /// Reads the cases and runs each once on every target.
    ///
    /// # Errors
    /// [`ChaosError::NothingWorks`] when none works anywhere.
    pub async fn of(
        cases: &[Case],
        fleet: &Fleet,
        targets: &[Target],
        options: &ChaosOptions,
    ) -> Result<(Self, Vec<LeftOut>), ChaosError> {
        let (mut workloads, mut left_out) = (Vec::new(), Vec::new());
        for case in cases {
            let (workload, left) = Workload::of(case, fleet, targets, options).await;
            workloads.extend(workload.map(Arc::new));
            left_out.extend(left);
        }
        match workloads.is_empty() {
            true => Err(ChaosError::NothingWorks(left_out)),
            false => Ok((Self { workloads }, left_out)),
        }
    }

    /// A job of one of the cases, which `number` picks.
    pub fn job(&self, number: u64, options: &ChaosOptions) -> impl Future<Output = Ended> + Send + 'static {
        let count = self.workloads.len() as u64;
        let workload = self.workloads[(number % count) as usize].clone();
        let job = workload.options(options);
        workload.run(number / count, job, options.tolerance)
    }
}
