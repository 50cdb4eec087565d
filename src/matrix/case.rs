//! One case on one target: reading it, running it, comparing what comes.

use super::{
    MatrixOptions, Past, Planned,
    expectations::Subject,
    repeats::{self, RetryOn},
    verdict,
};
use crate::{
    fleet::{Fleet, JobError, Model, ModelSpec, ModelSpecError, Output, Shards},
    onnx::{Case, CaseError, Comparison, LoadedCase, Tolerance, compare},
    report::{CaseResult, CaseRow, ErrorRow, Expected, FailedAttempt, TargetRow},
    types::{Category, Verdict},
};
use std::{
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::sync::Mutex;

/// A case may wait for its turn this long: behind a browser that is launched again and again, but not for ever.
const PATIENCE: Duration = Duration::from_secs(3600);

/// A case that is read once for all the targets that are at it, and forgotten when none is.
pub(super) struct Prepared {
    case: Case,
    ready: Mutex<Weak<Ready>>,
}

struct Ready {
    loaded: LoadedCase,
    model: Model,
}

impl Prepared {
    pub fn new(case: Case) -> Self {
        Self { case, ready: Mutex::new(Weak::new()) }
    }

    async fn ready(&self, fleet: &Fleet, shards: Option<&Shards>) -> Result<Arc<Ready>, NotReady> {
        let mut slot = self.ready.lock().await;
        if let Some(ready) = slot.upgrade() {
            return Ok(ready);
        }
        let case = self.case.clone();
        let loaded = tokio::task::spawn_blocking(move || case.load()).await;
        let loaded = loaded.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
        // Of two suites' cases of one name, each is a model of its own.
        let name = format!("{}/{}", self.case.suite, self.case.name);
        let mut spec = ModelSpec::read(loaded.model.clone()).name(name);
        if let Some(shards) = shards {
            spec = spec.sharded(shards.clone());
        }
        let model = fleet.get_model(spec).await.map_err(|error| match error {
            // It could be run, but not in so many stages.
            ModelSpecError::Shards(error) if error.nearest().is_some() => NotReady::Skipped(error.to_string()),
            error => NotReady::Broken(error.to_string()),
        })?;
        let ready = Arc::new(Ready { loaded, model });
        *slot = Arc::downgrade(&ready);
        Ok(ready)
    }
}

/// Why a case cannot be run at all.
enum NotReady {
    Skipped(String),
    Broken(String),
}

impl From<CaseError> for NotReady {
    fn from(error: CaseError) -> Self {
        match error {
            CaseError::Skipped { reason } => NotReady::Skipped(reason),
            broken => NotReady::Broken(broken.to_string()),
        }
    }
}

/// One case on one target.
pub(super) struct CaseRun<'a> {
    pub fleet: &'a Fleet,
    pub target: &'a TargetRow,
    pub planned: &'a Planned,
    pub prepared: &'a Prepared,
    pub past: &'a Past,
    pub options: &'a MatrixOptions,
}

impl CaseRun<'_> {
    /// The result, or `None` when the fleet was closed before there was one.
    pub async fn run(self) -> Option<CaseResult> {
        let mut result = self.tried().await?;
        if let Some(expectations) = &self.options.expectations {
            expectations.judge(self.subject(), &mut result);
        }
        Some(result)
    }

    async fn tried(&self) -> Option<CaseResult> {
        let ready = match self.prepared.ready(self.fleet, self.options.shards.as_ref()).await {
            Ok(ready) => ready,
            Err(NotReady::Skipped(reason)) => {
                return Some(self.not_tried(Verdict::Skipped, Category::Inference, reason));
            }
            Err(NotReady::Broken(what)) => return Some(self.not_tried(Verdict::LoadError, Category::System, what)),
        };
        let expected = self.options.expectations.as_ref().and_then(|known| known.expected(self.subject()));
        let mut runs = vec![self.with_retries(&ready, expected.as_ref()).await?];
        let is_news = self.is_news(runs[0].verdict, expected.as_ref());
        while runs.len() < repeats::wanted(self.options, &runs[0], is_news) {
            runs.push(self.with_retries(&ready, expected.as_ref()).await?);
        }
        Some(repeats::joined(runs))
    }

    fn subject(&self) -> Subject<'_> {
        Subject { case: &self.planned.row, target: self.target }
    }

    /// Whether a verdict is not the one that is known of the case.
    fn is_news(&self, verdict: Verdict, expected: Option<&Expected>) -> bool {
        match (&self.options.expectations, self.past.verdict(&self.planned.row, self.target.column())) {
            (Some(_), _) => expected.map_or(verdict.is_failure(), |said| !said.verdicts.contains(&verdict)),
            (None, Some(before)) => before != verdict,
            // With nothing to hold it against, every case was chosen to be verified.
            (None, None) => self.past.is_empty(),
        }
    }

    /// One run, tried again after failures that may be the browser's and not the model's.
    async fn with_retries(&self, ready: &Ready, expected: Option<&Expected>) -> Option<CaseResult> {
        let mut failed: Vec<FailedAttempt> = Vec::new();
        loop {
            let result = self.attempt(ready).await?;
            let is_expected = expected.is_some_and(|said| said.verdicts.contains(&result.verdict));
            let may_again = failed.len() < self.options.retries as usize && !is_expected;
            match &result.error {
                Some(error)
                    if may_again && RetryOn::is_among(&self.options.retry_on, result.verdict, error.category) =>
                {
                    failed.push(FailedAttempt {
                        verdict: result.verdict,
                        category: error.category,
                        message: error.message.clone(),
                        elapsed_ms: result.spent_ms.unwrap_or_default(),
                    });
                }
                _ => return Some(repeats::after(failed, result)),
            }
        }
    }

    /// Runs every data set once; the first that does not pass ends it.
    async fn attempt(&self, ready: &Ready) -> Option<CaseResult> {
        let mut result = self.blank(Verdict::Pass);
        result.family = ready.loaded.model.family;
        let tolerance = self.tolerance(ready);
        result.tolerance = (tolerance != self.options.tolerance).then_some(tolerance);
        let last = ready.loaded.sets.len();
        for (number, (inputs, expected)) in ready.loaded.sets.iter().enumerate() {
            let mut options = ready
                .model
                .options()
                .pin(self.target.target)
                .deadline(PATIENCE)
                .attempt_timeout(self.options.case_timeout)
                .attempts(1);
            if number + 1 == last {
                options = options.release_session();
            }
            match ready.model.run_with(inputs.clone(), options).await {
                Ok(output) => record(&mut result, &output, &compare(expected, &output.tensors, &tolerance)),
                Err(error) => {
                    result.verdict = verdict::of_failure(error.failure.cause)?;
                    fail(&mut result, error);
                }
            }
            if result.verdict != Verdict::Pass {
                break;
            }
        }
        Some(result)
    }

    /// The run's tolerance, widened to what the case itself allows, unless the expectations say otherwise.
    fn tolerance(&self, ready: &Ready) -> Tolerance {
        let base = self.options.tolerance.widened(ready.loaded.tolerance);
        self.options.expectations.as_ref().map_or(base, |known| known.tolerance(self.subject(), base))
    }

    fn blank(&self, verdict: Verdict) -> CaseResult {
        let CaseRow { suite, case, .. } = &self.planned.row;
        CaseResult::new(suite, case, self.target.column(), verdict)
    }

    fn not_tried(&self, verdict: Verdict, category: Category, message: String) -> CaseResult {
        CaseResult { error: Some(ErrorRow { category, message }), ..self.blank(verdict) }
    }
}

/// Takes one data set's outputs into the case's result: the worst of all sets counts.
fn record(result: &mut CaseResult, output: &Output, comparison: &Comparison) {
    let timings = &output.timings;
    result.attempts = result.attempts.max(output.failed_attempts.len() as u32 + 1);
    result.spent_ms = Some(result.spent_ms.unwrap_or_default() + timings.total_ms - timings.queue_ms);
    result.run_ms = Some(timings.run_ms + timings.readback_ms.unwrap_or(0.0));
    if let (Some(download), Some(create)) = (timings.download_ms, timings.create_ms) {
        result.load_ms = Some(download + create);
    }
    result.cpu_fallback = output.provenance.browser().and_then(|run| run.cpu_fallback).or(result.cpu_fallback);
    result.max_abs_error = larger(result.max_abs_error, comparison.max_abs_error);
    result.max_rel_error = larger(result.max_rel_error, comparison.max_rel_error);
    result.verdict = verdict::of_comparison(comparison);
    if let Some(mismatch) = &comparison.mismatch {
        result.error = Some(ErrorRow { category: Category::Inference, message: mismatch.to_string() });
    }
}

fn fail(result: &mut CaseResult, error: JobError) {
    result.attempts = result.attempts.max(error.attempts.len() as u32);
    let spent: f64 = error.attempts.iter().map(|attempt| attempt.elapsed_ms).sum();
    result.spent_ms = Some(result.spent_ms.unwrap_or_default() + spent);
    result.error = Some(ErrorRow { category: error.failure.category(), message: error.failure.message });
}

fn larger(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.max(b)),
        (a, b) => a.or(b),
    }
}
