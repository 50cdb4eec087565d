//! The canary: a small model with a known answer, by which a tab is checked for computing rightly.

use crate::{
    harness::{CpuFallback, ModelFiles, ModelStore, RunReport, RunRequest, ServedFile, TensorBatch},
    onnx::{NamedTensor, Tolerance, canary_case, compare},
    types::{Cause, Failure},
};
use bytes::Bytes;
use serde_json::Map;
use std::sync::Arc;

/// A model with inputs and the outputs expected of it. It is run every
/// [`health_check_interval`](crate::schedule::Policy::health_check_interval) in each tab, and first of all where a
/// circuit breaker lets probes through.
#[derive(Clone, Debug)]
pub struct Canary {
    /// The model's file; for ONNX Runtime Web an ONNX model without external data.
    pub model: Bytes,
    /// Its inputs.
    pub inputs: Vec<NamedTensor>,
    /// The outputs expected.
    pub expected: Vec<NamedTensor>,
    /// When outputs count as equal.
    pub tolerance: Tolerance,
}

impl Canary {
    /// The one that is built in: a multilayer perceptron of 28 KB.
    pub fn builtin() -> Option<Self> {
        let (model, inputs, expected) = canary_case()?;
        Some(Self { model, inputs, expected, tolerance: Tolerance::default() })
    }

    /// Makes it known to the tabs.
    pub(super) fn publish(self, store: &ModelStore) -> Published {
        let (sha256, bytes) = store.publish_bytes(self.model);
        let key = format!("canary-{sha256}");
        let served = Arc::new(ModelFiles {
            key,
            name: "canary".to_owned(),
            files: vec![ServedFile { path: "canary.onnx".to_owned(), sha256, bytes }],
            cpu_fallback: CpuFallback::Record,
            session_options: Map::new(),
        });
        let inputs = TensorBatch::encode(self.inputs.iter().map(|(name, tensor)| (name.as_str(), tensor)));
        let run = RunRequest { inputs, outputs: None, release: false, state: None };
        Published { served, run, expected: self.expected, tolerance: self.tolerance }
    }
}

/// A canary that tabs can be asked to run.
pub(super) struct Published {
    pub served: Arc<ModelFiles>,
    pub run: RunRequest,
    expected: Vec<NamedTensor>,
    tolerance: Tolerance,
}

impl Published {
    /// What is wrong with an answer.
    pub fn check(&self, report: &RunReport) -> Option<Failure> {
        let outputs = match report.outputs.tensors() {
            Ok(outputs) => outputs,
            Err(error) => return Some(Failure::new(Cause::BadFrame, format!("the canary's outputs: {error}"))),
        };
        let wrong = compare(&self.expected, &outputs, &self.tolerance).mismatch?;
        Some(Failure::new(Cause::WrongOutput, format!("the canary was answered wrongly: {wrong}")))
    }
}
