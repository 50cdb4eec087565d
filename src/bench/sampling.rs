//! One model on one target: warm-up, samples, and when they are enough.

use super::Failed;
use crate::{
    fleet::{JobError, JobOptions, Model, StageRun},
    report::{BenchSeries, BenchStage},
    stats::{
        self,
        quantiles::{median_interval, quantile},
    },
    types::{TabId, Target, Tensor},
};
use futures::future::join_all;
use std::time::{Duration, Instant};

/// A model with the inputs it is measured with.
#[derive(Clone)]
pub struct BenchModel {
    /// The model.
    pub model: Model,
    /// Its inputs, the same for every run.
    pub inputs: Vec<(String, Tensor<'static>)>,
}

/// How long and how hard to measure.
#[derive(Clone, Debug)]
pub struct BenchOptions {
    /// Runs before those that count: caches, shaders and just-in-time code settle in them.
    pub warmup: usize,
    /// Runs under way at once.
    pub concurrency: usize,
    /// Enough, when the 95% confidence interval of the median is this close to it on both sides: 0.02 is 2%.
    pub precision: f64,
    /// Fewest runs that count.
    pub min_samples: usize,
    /// Most runs that count.
    pub max_samples: usize,
    /// The longest all series together may take; each is measured once in any case.
    pub time_limit: Duration,
    /// How long one run may take, but for the first, which loads the model.
    pub run_timeout: Duration,
}

impl Default for BenchOptions {
    fn default() -> Self {
        Self {
            warmup: 5,
            concurrency: 1,
            precision: 0.02,
            min_samples: 20,
            max_samples: 5_000,
            time_limit: Duration::from_secs(60),
            run_timeout: Duration::from_secs(60),
        }
    }
}

/// The measurement of one model on one target.
pub(super) struct Sampler<'a> {
    model: &'a BenchModel,
    target: Target,
    load_ms: Option<f64>,
    cpu_fallback: Option<bool>,
    samples_ms: Vec<f64>,
    stages: Stages,
    warmed: usize,
    /// Time in which `concurrency` runs were under way.
    busy: Duration,
    stopped_by: Option<&'static str>,
    failure: Option<JobError>,
}

impl<'a> Sampler<'a> {
    pub const fn new(model: &'a BenchModel, target: Target) -> Self {
        Self {
            model,
            target,
            load_ms: None,
            cpu_fallback: None,
            samples_ms: Vec::new(),
            stages: Stages::new(),
            warmed: 0,
            busy: Duration::ZERO,
            stopped_by: None,
            failure: None,
        }
    }

    /// The runs that do not count; the first of them loads the model.
    pub async fn warm_up(&mut self, options: &BenchOptions) {
        for _ in 0..options.warmup.max(1) {
            self.runs(1, options, JobOptions::warm_up).await;
            self.warmed += self.samples_ms.len();
            self.samples_ms.clear();
            self.stages = Stages::new();
        }
        self.busy = Duration::ZERO;
    }

    pub fn wants_more(&mut self, options: &BenchOptions, elapsed: Duration) -> bool {
        if self.failure.is_some() || self.stopped_by.is_some() {
            return false;
        }
        let taken = self.samples_ms.len();
        self.stopped_by = if taken >= options.min_samples && self.is_precise(options.precision) {
            Some("precision")
        } else if taken >= options.max_samples {
            Some("sample-limit")
        } else if taken > 0 && elapsed >= options.time_limit {
            Some("time-limit")
        } else {
            None
        };
        self.stopped_by.is_none()
    }

    fn is_precise(&self, precision: f64) -> bool {
        let sorted = stats::sorted(self.samples_ms.iter().copied());
        let median = quantile(&sorted, 0.5);
        median_interval(&sorted).is_some_and(|[low, high]| (median - low).max(high - median) <= precision * median)
    }

    pub async fn round(&mut self, options: &BenchOptions) {
        // Several at a time, so that at a concurrency above 1 the tab is kept as full as asked.
        let at_once = options.concurrency * if options.concurrency > 1 { 4 } else { 1 };
        self.runs(at_once, options, |job| job).await;
    }

    async fn runs(&mut self, count: usize, options: &BenchOptions, kind: impl Fn(JobOptions) -> JobOptions) {
        if self.failure.is_some() {
            return;
        }
        let started = Instant::now();
        let lane = async |runs: usize| {
            let mut results = Vec::with_capacity(runs);
            for _ in 0..runs {
                let job = kind(self.model.model.options().pin(self.target).attempts(1));
                // The first loads the model, and may take as long as any job of the fleet.
                let job = if self.warmed == 0 { job } else { job.deadline(options.run_timeout) };
                results.push(self.model.model.run_with(self.model.inputs.clone(), job).await);
            }
            results
        };
        let lanes = count.min(options.concurrency);
        let results = join_all((0..lanes).map(|_| lane(count / lanes))).await;
        self.busy += started.elapsed();
        for result in results.into_iter().flatten() {
            match result {
                Ok(output) => {
                    let timings = output.timings;
                    self.samples_ms.push(timings.run_ms + timings.readback_ms.unwrap_or(0.0));
                    self.stages.take_in(&output.stages);
                    if let (Some(download), Some(create)) = (timings.download_ms, timings.create_ms) {
                        self.load_ms = Some(download + create);
                        self.cpu_fallback = output.provenance.browser().and_then(|run| run.cpu_fallback);
                    }
                }
                Err(error) => self.failure = Some(error),
            }
        }
    }

    /// What was measured; `None` when it was ended before the first run that counts.
    pub fn finish(self, options: &BenchOptions) -> Option<Result<BenchSeries, Failed>> {
        let name = self.model.model.name().to_owned();
        if let Some(error) = self.failure {
            let category = error.failure.category();
            return Some(Err(Failed { model: name, target: self.target, category, message: error.failure.message }));
        }
        let sorted = stats::sorted(self.samples_ms.iter().copied());
        let count = sorted.len();
        if count == 0 {
            return None;
        }
        Some(Ok(BenchSeries {
            model: name,
            family: Some(self.model.model.family()),
            target: self.target,
            concurrency: options.concurrency,
            samples: count,
            warmup: self.warmed,
            load_ms: self.load_ms,
            median_ms: quantile(&sorted, 0.5),
            median_ci: median_interval(&sorted),
            // A percentile that fewer than one sample lies beyond is only the maximum by another name.
            p95_ms: (count >= 20).then(|| quantile(&sorted, 0.95)),
            p99_ms: (count >= 100).then(|| quantile(&sorted, 0.99)),
            mean_ms: Some(sorted.iter().sum::<f64>() / count as f64),
            throughput_per_s: Some(count as f64 / self.busy.as_secs_f64()),
            cpu_fallback: self.cpu_fallback,
            stopped_by: self.stopped_by.unwrap_or("interrupted").to_owned(),
            samples_ms: self.samples_ms,
            stages: self.stages.rows(),
        }))
    }
}

/// What the stages of a model took, in the tabs where they are now.
struct Stages {
    seats: Vec<(Target, TabId)>,
    ms: Vec<Vec<f64>>,
    direct_bytes: Vec<usize>,
}

impl Stages {
    const fn new() -> Self {
        Self { seats: Vec::new(), ms: Vec::new(), direct_bytes: Vec::new() }
    }

    /// Takes in one run. When a stage has moved, it begins anew.
    fn take_in(&mut self, runs: &[StageRun]) {
        let seats: Vec<(Target, TabId)> =
            runs.iter().filter_map(|run| run.provenance.browser()).map(|run| (run.target, run.tab)).collect();
        if seats != self.seats {
            (self.ms, self.seats) = (vec![Vec::new(); seats.len()], seats);
        }
        self.direct_bytes = runs.iter().map(|run| run.direct_bytes).collect();
        for (ms, run) in self.ms.iter_mut().zip(runs) {
            ms.push(run.timings.run_ms + run.timings.readback_ms.unwrap_or(0.0));
        }
    }

    fn rows(&self) -> Vec<BenchStage> {
        let rows = self.seats.iter().zip(&self.ms).zip(&self.direct_bytes);
        rows.map(|((&(target, tab), ms), &direct_bytes)| {
            let median_ms = quantile(&stats::sorted(ms.iter().copied()), 0.5);
            BenchStage { target, tab, median_ms, direct_bytes }
        })
        .collect()
    }
}
