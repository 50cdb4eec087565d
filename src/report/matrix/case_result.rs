//! What became of one case on one target.

use super::TargetBuild;
use crate::{
    onnx::Tolerance,
    types::{Category, Family, Target, Verdict},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What became of one case on one target. What was not measured is `None`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CaseResult {
    /// The suite's name.
    pub suite: String,
    /// The case's name in it.
    pub case: String,
    /// The model's kind of work.
    #[serde(default)]
    pub family: Option<Family>,
    /// Where it ran.
    pub target: Target,
    /// In which of several builds of the browser; `None` for the one that is found without naming any.
    #[serde(default)]
    pub build: Option<String>,
    /// What became of it.
    pub verdict: Verdict,
    /// How many attempts it took; 0 when it was not tried.
    pub attempts: u32,
    /// The attempts that failed before the last one, in their order.
    #[serde(default)]
    pub failed_attempts: Vec<FailedAttempt>,
    /// Whether it passed at least once, but not each time that it was tried.
    #[serde(default)]
    pub flaky: bool,
    /// When it was run several times on purpose: how often each verdict was given. Empty when it was run once.
    #[serde(default)]
    pub repeats: BTreeMap<Verdict, u32>,
    /// What the expectations file says of it; `None` where it says nothing, or there is none.
    #[serde(default)]
    pub expected: Option<Expected>,
    /// Whether that is not what was expected; `None` without an expectations file.
    #[serde(default)]
    pub unexpected: Option<bool>,
    /// What its outputs were compared with, where that is not the run's tolerance.
    #[serde(default)]
    pub tolerance: Option<Tolerance>,
    /// How long tabs worked on it, all attempts and repeats together, in milliseconds; `None` when none did.
    #[serde(default)]
    pub spent_ms: Option<f64>,
    /// Whether the session needed the CPU for some nodes; `None` where the runtime cannot tell.
    pub cpu_fallback: Option<bool>,
    /// Fetching the model and creating the session, in milliseconds.
    pub load_ms: Option<f64>,
    /// The run itself, in milliseconds.
    pub run_ms: Option<f64>,
    /// The largest absolute difference from the expected outputs. Infinite becomes null in JSON, which has no infinity.
    pub max_abs_error: Option<f64>,
    /// The largest relative difference from the expected outputs, as a share (0.01 is one percent).
    pub max_rel_error: Option<f64>,
    /// What went wrong; of a case that was skipped, why.
    pub error: Option<ErrorRow>,
}

impl CaseResult {
    /// A result of which nothing is known yet but the case, the column and the verdict.
    pub fn new(suite: impl Into<String>, case: impl Into<String>, column: TargetBuild<'_>, verdict: Verdict) -> Self {
        Self {
            suite: suite.into(),
            case: case.into(),
            family: None,
            target: column.target,
            build: column.build.map(str::to_owned),
            verdict,
            attempts: 0,
            failed_attempts: Vec::new(),
            flaky: false,
            repeats: BTreeMap::new(),
            expected: None,
            unexpected: None,
            tolerance: None,
            spent_ms: None,
            cpu_fallback: None,
            load_ms: None,
            run_ms: None,
            max_abs_error: None,
            max_rel_error: None,
            error: None,
        }
    }

    /// Whether it counts as failed: with expectations, what is expected to fail does not, and an unexpected pass does.
    pub fn has_failed(&self) -> bool {
        self.unexpected.unwrap_or(self.verdict.is_failure())
    }

    /// The target and build that it ran in.
    pub fn column(&self) -> TargetBuild<'_> {
        TargetBuild { target: self.target, build: self.build.as_deref() }
    }
}

/// What went wrong with a case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorRow {
    /// The kind of failure.
    pub category: Category,
    /// The words of whoever noticed it first.
    pub message: String,
}

/// An attempt that failed, and after which the case was tried again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FailedAttempt {
    /// What the verdict would have been without another attempt.
    pub verdict: Verdict,
    /// The kind of failure.
    pub category: Category,
    /// The words of whoever noticed it first.
    pub message: String,
    /// How long the tab had worked on it, in milliseconds.
    pub elapsed_ms: f64,
}

/// What an entry of the expectations file says of a case on a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expected {
    /// The verdicts that are expected; any of them will do.
    pub verdicts: Vec<Verdict>,
    /// Why.
    pub reason: Option<String>,
    /// Where there is more about it.
    pub link: Option<String>,
}
