//! Jobs of one model that run together: which can, and whose rows of the outputs are whose.

use super::{JobOptions, ModelSpecError};
use crate::{
    harness::TensorBatch,
    onnx::{BatchAxis, BatchCertainty, ModelFile, ModelGraph},
    schedule::{BatchSpec, Batching},
    types::{Tensor, TensorInfo},
};
use std::{ops::Range, time::Duration};

/// How jobs of a model are run together, and what for.
pub(super) struct BatchedModel {
    pub batching: Batching,
    axis: BatchAxis,
}

/// A job's rows in a run of several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub rows: Range<usize>,
    /// How many jobs the run is of.
    pub jobs: u32,
}

impl BatchedModel {
    /// Sees whether the model has rows, by its file.
    pub fn of(file: ModelFile, batching: Batching) -> Result<Self, ModelSpecError> {
        let model = file.name.clone();
        let axis = ModelGraph::of(file)?.batch_axis().map_err(|source| ModelSpecError::Batching { model, source })?;
        Ok(Self { batching, axis })
    }

    pub const fn certainty(&self) -> BatchCertainty {
        self.axis.certainty
    }

    /// What a job may run together with; `None` when it has to run alone.
    pub fn spec(
        &self,
        file: &ModelFile,
        inputs: &TensorBatch,
        options: &JobOptions,
        timeout: Duration,
    ) -> Option<BatchSpec> {
        // A session that is dropped after a job is that job's own.
        if options.release {
            return None;
        }
        let rows = *inputs.infos().first()?.shape.first()?;
        let mut alike = vec![timeout.as_nanos() as u64];
        for TensorInfo { name, dtype, shape, .. } in inputs.infos() {
            // What replaces an initializer is nothing that has rows.
            let position = file.inputs.iter().position(|input| input.name == *name)?;
            let (first, rest) = shape.split_first()?;
            if *first != rows {
                return None;
            }
            alike.extend([position as u64, *dtype as u64, rest.len() as u64]);
            alike.extend(rest.iter().map(|size| *size as u64));
        }
        if let Some(names) = &options.outputs {
            let place = |name: &String| file.outputs.iter().position(|output| output.name == *name);
            alike.push(u64::MAX);
            alike.extend(names.iter().map(place).collect::<Option<Vec<_>>>()?.into_iter().map(|place| place as u64));
        }
        let estimate = self.axis.estimate(rows, inputs.body_len());
        (rows > 0).then(|| BatchSpec { alike: alike.into(), rows, estimate, batching: self.batching })
    }
}

/// Which rows belong to whom, one after the other.
pub(super) fn parts(rows: impl ExactSizeIterator<Item = usize>) -> impl Iterator<Item = Part> {
    let jobs = rows.len() as u32;
    rows.scan(0, move |start, rows| {
        let from = *start;
        *start += rows;
        Some(Part { rows: from..*start, jobs })
    })
}

/// A job's rows of the outputs: views, not copies. `None` where an output has no such rows.
pub(super) fn rows_of(outputs: &[(String, Tensor<'static>)], part: &Part) -> Option<Vec<(String, Tensor<'static>)>> {
    outputs.iter().map(|(name, tensor)| Some((name.clone(), tensor.rows(part.rows.clone())?))).collect()
}

/// Why outputs cannot be divided among the jobs of a run of so many rows, if they cannot.
pub(super) fn indivisible(outputs: &TensorBatch, rows: usize) -> Option<String> {
    let other = outputs.infos().iter().find(|info| info.shape.first() != Some(&rows))?;
    Some(format!("output `{}` of a run of {rows} rows has shape {:?}", other.name, other.shape))
}
