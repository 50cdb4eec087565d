//! What a matrix run was about: the suites and their cases, and the job that ran it.

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

/// The job of a continuous integration that ran it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CiRun {
    /// The system: `github-actions`.
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
