//! How what became of a case differs.

use crate::{
    report::{CaseResult, ErrorRow},
    types::{Verdict, names},
};
use serde::{Deserialize, Serialize};

/// How what became of a case differs. In the order in which they want attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChangeKind {
    /// Passed before, fails now.
    Broke,
    /// Was not tried before (there is no result, or it was skipped or unavailable), and fails now.
    NewFailure,
    /// Failed before, and fails with another verdict now.
    FailsOtherwise,
    /// Was tried before, is not now.
    NotTried,
    /// Passed before, and passes now only when it is tried again.
    Flaky,
    /// Passes on both sides; ran on the target's backend before, and needs the CPU for some nodes now.
    ToCpu,
    /// Failed before, passes now.
    Fixed,
    /// Passes on both sides; needed the CPU before, and runs on the backend now.
    OffCpu,
    /// Was not tried before, and passes now.
    NewPass,
}
names!(ChangeKind {
    Broke = "broke",
    NewFailure = "new-failure",
    FailsOtherwise = "fails-otherwise",
    NotTried = "not-tried",
    Flaky = "flaky",
    ToCpu = "to-cpu",
    Fixed = "fixed",
    OffCpu = "off-cpu",
    NewPass = "new-pass",
});

impl ChangeKind {
    /// Whether somebody wants to know of it: all but what got better, and what is new and passes.
    pub const fn is_worse(self) -> bool {
        !matches!(self, Self::Fixed | Self::OffCpu | Self::NewPass)
    }

    /// In a few words.
    pub const fn says(self) -> &'static str {
        match self {
            Self::Broke => "passed before, fails now",
            Self::NewFailure => "was not tried before, fails now",
            Self::FailsOtherwise => "failed before, fails in another way now",
            Self::NotTried => "was tried before, is not now",
            Self::Flaky => "passed before, passes only when it is tried again now",
            Self::ToCpu => "ran on the backend before, needs the CPU for a part now",
            Self::Fixed => "failed before, passes now",
            Self::OffCpu => "needed the CPU before, runs on the backend now",
            Self::NewPass => "was not tried before, passes now",
        }
    }

    /// How these two differ; `None` where they do not, as far as anybody wants to know.
    pub(super) fn between(before: Option<&Outcome>, after: Option<&Outcome>) -> Option<Self> {
        let tried = |outcome: &&Outcome| outcome.verdict.is_tried();
        let (was, is) = match (before.filter(tried), after.filter(tried)) {
            (None, None) => return None,
            (Some(_), None) => return Some(Self::NotTried),
            (None, Some(is)) if is.verdict.is_failure() => return Some(Self::NewFailure),
            (None, Some(_)) => return Some(Self::NewPass),
            (Some(was), Some(is)) => (was, is),
        };
        match (was.verdict.is_failure(), is.verdict.is_failure()) {
            (true, true) => (was.verdict != is.verdict).then_some(Self::FailsOtherwise),
            (false, true) => Some(Self::Broke),
            (true, false) => Some(Self::Fixed),
            // One that passes steadily now has not changed its verdict.
            (false, false) if was.flaky => None,
            (false, false) if is.flaky => Some(Self::Flaky),
            (false, false) => match (was.cpu_fallback == Some(true), is.cpu_fallback == Some(true)) {
                (false, true) => Some(Self::ToCpu),
                (true, false) => Some(Self::OffCpu),
                _ => None,
            },
        }
    }
}

/// What became of a case on one side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The verdict.
    pub verdict: Verdict,
    /// Whether it passed, but not each time that it was tried.
    pub flaky: bool,
    /// Whether the session needed the CPU for some nodes; `None` where the runtime cannot tell.
    pub cpu_fallback: Option<bool>,
    /// The run itself, in milliseconds.
    pub run_ms: Option<f64>,
    /// What went wrong.
    pub error: Option<ErrorRow>,
}

impl From<&CaseResult> for Outcome {
    fn from(result: &CaseResult) -> Self {
        let CaseResult { verdict, flaky, cpu_fallback, run_ms, error, .. } = result;
        Self { verdict: *verdict, flaky: *flaky, cpu_fallback: *cpu_fallback, run_ms: *run_ms, error: error.clone() }
    }
}
