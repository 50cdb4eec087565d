//! The element type that a model computes in, as far as its file tells.

use super::{
    external::each_tensor,
    proto::Model,
    value::{ValueInfo, ValueKind, dtype_of},
};
use crate::types::Dtype;
use std::collections::BTreeMap;

/// The numbers in `TensorProto.DataType` of what weights are of: floats of any size, and the integers that they are
/// quantized to. Wider integers are shapes, indices and sums.
const OF_WEIGHTS: [i32; 18] = [1, 2, 3, 10, 11, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26];

/// The element type of most weights, by elements; the inner option is `None` where the runtime does not have it. `None`
/// for a model without weights: a single number, as an epsilon, is not one.
pub(super) fn of_weights(model: &Model) -> Option<Option<Dtype>> {
    let mut elements: BTreeMap<i32, u64> = BTreeMap::new();
    each_tensor(model, &mut |tensor| {
        let count = tensor.dims.iter().fold(1_u64, |count, dim| count.saturating_mul(u64::try_from(*dim).unwrap_or(0)));
        if count > 1 && OF_WEIGHTS.contains(&tensor.data_type) {
            *elements.entry(tensor.data_type).or_default() += count;
        }
    });
    let most = elements.into_iter().max_by_key(|(_, count)| *count);
    most.map(|(number, _)| dtype_of(number).ok())
}

/// The floats that the inputs are of, where all that are floats are of one type.
pub(super) fn of_inputs(inputs: &[ValueInfo]) -> Option<Dtype> {
    let mut floats = inputs.iter().filter_map(|input| match input.kind {
        ValueKind::Tensor { dtype: dtype @ (Dtype::Float16 | Dtype::Float32 | Dtype::Float64), .. } => Some(dtype),
        _ => None,
    });
    let first = floats.next()?;
    floats.all(|dtype| dtype == first).then_some(first)
}
