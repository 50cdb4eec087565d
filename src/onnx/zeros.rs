//! Inputs that are all zeros: nothing is measured with them and no answer is given, they only have a model run once.

use super::{Dim, ModelFile, ValueKind};
use crate::types::{Dtype, TensorInfo};

impl ModelFile {
    /// An input of each name, where every dimension that the model leaves open is 1. `None` when one is no tensor, or
    /// even the number of its dimensions is open.
    pub fn zeros(&self) -> Option<Vec<TensorInfo>> {
        let size = |dim: &Dim| if let Dim::Fixed(size) = dim { *size } else { 1 };
        let of = |input: &super::ValueInfo| {
            let ValueKind::Tensor { dtype, shape: Some(dims) } = &input.kind else { return None };
            let shape: Vec<usize> = dims.iter().map(size).collect();
            let elements = shape.iter().try_fold(1_usize, |product, size| product.checked_mul(*size))?;
            elements.checked_mul(8)?;
            // Texts that are empty: nothing but the table of where each begins.
            let bytes = match dtype {
                Dtype::String => elements.checked_add(1)?.checked_mul(4)?,
                dtype => dtype.byte_len(elements)?,
            };
            Some(TensorInfo { name: input.name.clone(), dtype: *dtype, shape, bytes })
        };
        self.inputs.iter().map(of).collect()
    }
}
