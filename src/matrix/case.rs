//! One case on one target.

use super::verdict;
use crate::{
    fleet::{Fleet, JobError, Model, ModelSpec, Output},
    onnx::{Case, CaseError, Comparison, LoadedCase, Tolerance, compare},
    report::{CaseResult, ErrorRow},
    types::{Category, Target, Verdict},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::sync::Mutex;

/// A case may wait for its turn this long: behind a browser that is launched again and again, but not for ever.
const PATIENCE: Duration = Duration::from_secs(3600);

/// How cases are run.
#[derive(Clone, Debug)]
pub struct MatrixOptions {
    /// How long one attempt may take, counted from when a tab turns to it.
    pub case_timeout: Duration,
    /// Further attempts after one that failed for another reason than the model.
    pub retries: u32,
    /// When outputs count as equal.
    pub tolerance: Tolerance,
    /// Cases of one target in hand at once: more than it has tabs, so that none waits for the next.
    pub in_hand: usize,
}

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

    async fn ready(&self, fleet: &Fleet) -> Result<Arc<Ready>, NotReady> {
        let mut slot = self.ready.lock().await;
        if let Some(ready) = slot.upgrade() {
            return Ok(ready);
        }
        let case = self.case.clone();
        let loaded = tokio::task::spawn_blocking(move || case.load()).await;
        let loaded = loaded.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
        let spec = ModelSpec::read(loaded.model.clone()).name(&self.case.name);
        let model = fleet.get_model(spec).await.map_err(|error| NotReady::Broken(error.to_string()))?;
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
    pub target: Target,
    /// Why the target does not work, when it does not.
    pub unavailable: Option<&'a str>,
    pub prepared: &'a Prepared,
    pub options: &'a MatrixOptions,
}

impl CaseRun<'_> {
    /// The result, or `None` when the fleet was closed before there was one.
    pub async fn run(self) -> Option<CaseResult> {
        if let Some(reason) = self.unavailable {
            return Some(self.not_tried(Verdict::Unavailable, Category::Initialization, reason.to_owned()));
        }
        let ready = match self.prepared.ready(self.fleet).await {
            Ok(ready) => ready,
            Err(NotReady::Skipped(reason)) => {
                return Some(self.not_tried(Verdict::Skipped, Category::Inference, reason));
            }
            Err(NotReady::Broken(what)) => return Some(self.not_tried(Verdict::LoadError, Category::System, what)),
        };
        let mut result = self.blank(Verdict::Pass);
        result.family = ready.loaded.model.family;
        let last = ready.loaded.sets.len();
        for (number, (inputs, expected)) in ready.loaded.sets.iter().enumerate() {
            let mut options = ready
                .model
                .options()
                .pin(self.target)
                .deadline(PATIENCE)
                .attempt_timeout(self.options.case_timeout)
                .attempts(self.options.retries + 1);
            if number + 1 == last {
                options = options.release_session();
            }
            match ready.model.run_with(inputs.clone(), options).await {
                Ok(output) => {
                    record(&mut result, &output, &compare(expected, &output.tensors, &self.options.tolerance))
                }
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

    fn blank(&self, verdict: Verdict) -> CaseResult {
        CaseResult {
            suite: self.prepared.case.suite.clone(),
            case: self.prepared.case.name.clone(),
            family: None,
            target: self.target,
            verdict,
            attempts: 0,
            build: None,
            failed_attempts: Vec::new(),
            flaky: false,
            repeats: BTreeMap::new(),
            expected: None,
            unexpected: None,
            tolerance: None,
            cpu_fallback: None,
            load_ms: None,
            run_ms: None,
            max_abs_error: None,
            max_rel_error: None,
            error: None,
        }
    }

    fn not_tried(&self, verdict: Verdict, category: Category, message: String) -> CaseResult {
        CaseResult { error: Some(ErrorRow { category, message }), ..self.blank(verdict) }
    }
}

/// Takes one data set's outputs into the case's result: the worst of all sets counts.
fn record(result: &mut CaseResult, output: &Output, comparison: &Comparison) {
    let timings = &output.timings;
    result.attempts = result.attempts.max(output.failed_attempts.len() as u32 + 1);
    result.run_ms = Some(timings.run_ms + timings.readback_ms.unwrap_or(0.0));
    if let (Some(download), Some(create)) = (timings.download_ms, timings.create_ms) {
        result.load_ms = Some(download + create);
    }
    result.cpu_fallback = output.provenance.cpu_fallback.or(result.cpu_fallback);
    result.max_abs_error = larger(result.max_abs_error, comparison.max_abs_error);
    result.max_rel_error = larger(result.max_rel_error, comparison.max_rel_error);
    result.verdict = verdict::of_comparison(comparison);
    if let Some(mismatch) = &comparison.mismatch {
        result.error = Some(ErrorRow { category: Category::Inference, message: mismatch.to_string() });
    }
}

fn fail(result: &mut CaseResult, error: JobError) {
    result.attempts = result.attempts.max(error.attempts.len() as u32);
    result.error = Some(ErrorRow { category: error.failure.category(), message: error.failure.message });
}

fn larger(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.max(b)),
        (a, b) => a.or(b),
    }
}
