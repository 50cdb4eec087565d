//! What a matrix run was about: the suites and their cases, and the job that ran it.

use super::CaseResult;
use crate::types::Target;
use serde::{Deserialize, Serialize};

/// A suite that was run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuiteRow {
    /// Its name.
    pub name: String,
    /// How many of its cases were selected.
    pub cases: usize,
    /// Where its cases come from, as its `suite.json` says: `onnx 1.23.0`.
    pub source: Option<String>,
}

/// A case that was run. What all its results have in common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseRow {
    /// The suite's name.
    pub suite: String,
    /// The case's name in it.
    pub case: String,
    /// The operators its model uses, by name: `Conv`, and with the domain where it is not ONNX's own. Empty when the model
    /// could not be read.
    pub operators: Vec<String>,
    /// The version of ONNX's own operator set that the model imports.
    pub opset: Option<i64>,
    /// The element types of its inputs and outputs.
    pub types: Vec<String>,
}

impl CaseRow {
    /// Its operator, where its model has only one: such a case tells of that operator alone.
    pub(super) fn only_operator(&self) -> Option<&str> {
        match &self.operators[..] {
            [only] => Some(only),
            _ => None,
        }
    }
}

/// A case on a target, by name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PairRow {
    /// The suite's name.
    pub suite: String,
    /// The case's name in it.
    pub case: String,
    /// The target.
    pub target: Target,
    /// In which of several builds of the browser; `None` for the one that is found without naming any.
    pub build: Option<String>,
}

impl From<&CaseResult> for PairRow {
    fn from(result: &CaseResult) -> Self {
        let CaseResult { suite, case, target, build, .. } = result;
        Self { suite: suite.clone(), case: case.clone(), target: *target, build: build.clone() }
    }
}

/// What the environment says of where a run comes from: the commit, and the job of a continuous integration. `tabfleet ci
/// detect` shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CiRun {
    /// The system: `github-actions`, `gitlab-ci`, `jenkins`, or `unknown` for another; `None` outside of any.
    pub system: Option<String>,
    /// The commit that was tested.
    pub commit: Option<String>,
    /// Its branch.
    pub branch: Option<String>,
    /// The job's name.
    pub job: Option<String>,
    /// Where the job can be looked at.
    pub url: Option<String>,
}

impl CiRun {
    /// In a few words to follow others: `; main at 0123456789, job nightly of gitlab-ci`. Empty when nothing is known.
    pub(in crate::report) fn says(&self) -> String {
        let commit = self.commit.as_deref().map(|commit| commit.get(..10).unwrap_or(commit));
        let source = match (self.branch.as_deref(), commit) {
            (Some(branch), Some(commit)) => Some(format!("{branch} at {commit}")),
            (branch, commit) => branch.or(commit).map(str::to_owned),
        };
        let job = self.job.as_ref().map(|job| format!("job {job}"));
        let system = self.system.as_ref().map(|system| format!("of {system}"));
        let job: Vec<String> = [job, system].into_iter().flatten().collect();
        let job = (!job.is_empty()).then(|| job.join(" "));
        let parts: Vec<String> = [source, job].into_iter().flatten().collect();
        if parts.is_empty() { String::new() } else { format!("; {}", parts.join(", ")) }
    }
}
