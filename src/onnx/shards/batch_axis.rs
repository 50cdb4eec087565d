//! Whether runs of a model can be put together: whether what goes in and what comes out have rows, as many as one likes.

use super::{
    cost::{Costs, transfer_ms},
    graph::{ModelGraph, TensorId},
    shape::{Assumed, Size},
};
use crate::onnx::{Dim, ValueKind};
use crate::types::Dtype;
use std::{collections::BTreeMap, time::Duration};
use tract_onnx::tract_hir::internal::{Symbol, TDim};

/// The first dimension of every input and output, where it is the same number and may be any.
///
/// That a model has it does not yet mean that it computes each row by itself: one that normalizes over its first
/// dimension has it, too. No file says so; whoever asks for batching does.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchAxis {
    /// What the model calls the number of rows; `None` where it has no name.
    pub symbol: Option<String>,
    /// How it is known that the outputs have as many rows as the inputs.
    pub certainty: BatchCertainty,
    /// Floating point operations that each row costs, as estimated from the graph.
    pub flops_per_row: f64,
    /// What the first row costs beyond the others, in milliseconds, as estimated.
    fixed_ms: f64,
    row_ms: f64,
}

/// How it is known that a model's outputs have as many rows as its inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchCertainty {
    /// The file gives the first dimension of all of them the same name.
    Declared,
    /// The file leaves it open, and it follows from the operators.
    Inferred,
}

/// Why runs of a model cannot be put together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchAxisError {
    /// Nothing goes in, or nothing comes out.
    #[error("it has no inputs or no outputs")]
    Nothing,
    /// Texts cannot be cut into rows, and what the runtime does not take has none.
    #[error("`{name}` is {what}")]
    Kind {
        /// The input or output.
        name: String,
        /// What it is.
        what: String,
    },
    /// A first dimension that is fixed, or not known to be that of the others.
    #[error("the first dimension of `{name}` is {first}, not {wanted}; export the model with a dynamic batch axis")]
    Rows {
        /// The input or output.
        name: String,
        /// What its first dimension is.
        first: String,
        /// What it would have to be.
        wanted: String,
    },
    /// The number of rows is a number of something else, too.
    #[error("the number of rows is another dimension of `{name}`, too")]
    NotOnlyRows {
        /// The input or output.
        name: String,
    },
}

impl BatchAxis {
    /// How long a run of so many rows and bytes of inputs takes, as long as nobody has measured it.
    pub fn estimate(&self, rows: usize, bytes: usize) -> Duration {
        let ms = self.fixed_ms + self.row_ms * rows as f64 + transfer_ms(bytes as u64);
        Duration::try_from_secs_f64(ms / 1e3).unwrap_or_default()
    }
}

impl ModelGraph {
    /// The batch axis of the model.
    ///
    /// # Errors
    /// [`BatchAxisError`] when it has none: each says what fixes it.
    pub fn batch_axis(&self) -> Result<BatchAxis, BatchAxisError> {
        self.check_kinds()?;
        let given = |tensor: &&TensorId| self.tensors[**tensor].is_input && self.tensors[**tensor].weight.is_none();
        let all: Vec<TensorId> = (0..self.tensors.len()).collect();
        let inputs: Vec<TensorId> = all.iter().filter(given).copied().collect();
        let (Some(first), false) = (inputs.first(), self.outputs.is_empty()) else {
            return Err(BatchAxisError::Nothing);
        };
        let rows = self.rows_of(*first, "of any size")?;
        let name = Dim::from(&Size::Of(TDim::Sym(rows.clone())));
        let wanted = match &name {
            Dim::Symbol(name) => format!("`{name}`"),
            _ => format!("that of `{}`", self.tensors[*first].name),
        };
        for tensor in inputs.iter().chain(&self.outputs) {
            if self.rows_of(*tensor, &wanted)? != rows {
                return Err(self.other_rows(*tensor, &wanted));
            }
            self.check_other_dimensions(*tensor, &rows)?;
        }
        let is_said = |output: &crate::onnx::ValueInfo| match &output.kind {
            ValueKind::Tensor { shape: Some(shape), .. } => shape.first() == Some(&name) && name != Dim::Unknown,
            _ => false,
        };
        let certainty = match self.file.outputs.iter().all(is_said) {
            true => BatchCertainty::Declared,
            false => BatchCertainty::Inferred,
        };
        let cost = |count: usize| {
            let dims = BTreeMap::from([(rows.to_string(), count)]);
            let costs = Costs::of(self, &Assumed { dims: &dims });
            (costs.flops.iter().sum::<f64>(), costs.ms.iter().sum::<f64>())
        };
        let ((flops_of_one, ms_of_one), (flops_of_two, ms_of_two)) = (cost(1), cost(2));
        let row_ms = (ms_of_two - ms_of_one).max(0.0);
        let symbol = if let Dim::Symbol(name) = name { Some(name) } else { None };
        let (flops_per_row, fixed_ms) = (flops_of_two - flops_of_one, (ms_of_one - row_ms).max(0.0));
        Ok(BatchAxis { symbol, certainty, flops_per_row, fixed_ms, row_ms })
    }

    fn check_kinds(&self) -> Result<(), BatchAxisError> {
        for info in self.file.inputs.iter().chain(&self.file.outputs) {
            let what = match &info.kind {
                ValueKind::Tensor { dtype: Dtype::String, .. } => "text".to_owned(),
                ValueKind::Tensor { dtype: Dtype::Int4 | Dtype::Uint4, .. } => {
                    "of 4-bit numbers, of which two share a byte".to_owned()
                }
                ValueKind::Tensor { .. } => continue,
                ValueKind::Unsupported { what } => what.clone(),
            };
            return Err(BatchAxisError::Kind { name: info.name.clone(), what });
        }
        Ok(())
    }

    /// The symbol that a tensor's first dimension is.
    fn rows_of(&self, tensor: TensorId, wanted: &str) -> Result<Symbol, BatchAxisError> {
        match self.tensors[tensor].shape.as_ref().and_then(|shape| shape.first()) {
            Some(Size::Of(TDim::Sym(symbol))) => Ok(symbol.clone()),
            _ => Err(self.other_rows(tensor, wanted)),
        }
    }

    fn other_rows(&self, tensor: TensorId, wanted: &str) -> BatchAxisError {
        let first = match self.tensors[tensor].shape.as_deref() {
            Some([]) => "missing".to_owned(),
            Some([Size::Fixed(size), ..]) => size.to_string(),
            Some([size @ Size::Of(TDim::Sym(_)), ..]) if Dim::from(size) == Dim::Unknown => "any number".to_owned(),
            Some([Size::Of(dim), ..]) => dim.to_string(),
            Some([Size::Unknown, ..]) | None => "not known".to_owned(),
        };
        BatchAxisError::Rows { name: self.tensors[tensor].name.clone(), first, wanted: wanted.to_owned() }
    }

    fn check_other_dimensions(&self, tensor: TensorId, rows: &Symbol) -> Result<(), BatchAxisError> {
        let of_rows = |size: &Size| matches!(size, Size::Of(dim) if dim.symbols().contains(rows));
        match self.tensors[tensor].shape.iter().flatten().skip(1).any(of_rows) {
            true => Err(BatchAxisError::NotOnlyRows { name: self.tensors[tensor].name.clone() }),
            false => Ok(()),
        }
    }
}
