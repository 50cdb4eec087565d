//! What each node of a model costs, estimated from shapes: until stages have been measured, that decides where to cut.

use super::{
    graph::{ModelGraph, Node, TensorId},
    shape::Assumed,
};
use crate::onnx::value::dtype_of;
use crate::types::Dtype;

/// Floating point operations a millisecond, of the wasm backend with one thread: what matters is only how they compare
/// with the two constants below.
const FLOPS_PER_MS: f64 = 4e6;
/// Bytes a millisecond that a node which computes little can read and write.
const MEMORY_BYTES_PER_MS: f64 = 2e6;
/// Calling a node at all.
const NODE_MS: f64 = 0.003;
/// Bytes a millisecond between a tab and the fleet: 4.5 ms for a job with 1 MiB in and out, of which 0.36 ms are the
/// round trip's own (benchmarks/speed/run.sh round-trips).
const TRANSFER_BYTES_PER_MS: f64 = 2.0 * 1024.0 * 1024.0 / 4.1;

/// What a string is taken to be long, its offset included.
const STRING_BYTES: u64 = 20;

/// What the nodes and tensors of a model are estimated to cost.
pub(super) struct Costs {
    /// By node.
    pub flops: Vec<f64>,
    /// By node, on a target of speed 1.
    pub ms: Vec<f64>,
    /// By tensor; 0 where nothing is known.
    pub bytes: Vec<u64>,
    /// By tensor, where it crosses from one stage to another.
    pub crossing: Vec<u64>,
}

/// How long it takes to move bytes between a tab and the fleet.
pub(super) fn transfer_ms(bytes: u64) -> f64 {
    bytes as f64 / TRANSFER_BYTES_PER_MS
}

impl Costs {
    pub fn of(graph: &ModelGraph, assumed: &Assumed<'_>) -> Self {
        let bytes: Vec<u64> = (0..graph.tensors.len()).map(|tensor| bytes(graph, assumed, tensor)).collect();
        let flops: Vec<f64> = graph.nodes.iter().map(|node| flops(graph, assumed, node)).collect();
        let ms = graph.nodes.iter().zip(&flops).map(|(node, flops)| {
            let weights = |tensor: &TensorId| graph.tensors[*tensor].weight.is_some();
            let moved: u64 = match moves_nothing(&node.op) {
                true => 0,
                // A table of weights is looked up, not read through.
                false if node.op == "Gather" => node.makes().map(|tensor| 2 * bytes[tensor]).sum(),
                false => {
                    let read: u64 = node.reads().filter(|tensor| !weights(tensor)).map(|tensor| bytes[tensor]).sum();
                    read + node.makes().map(|tensor| bytes[tensor]).sum::<u64>()
                }
            };
            NODE_MS + flops / FLOPS_PER_MS + moved as f64 / MEMORY_BYTES_PER_MS
        });
        let ms = ms.collect();
        let widened = |(id, bytes): (TensorId, &u64)| if graph.crosses_widened(id) { 2 * bytes } else { *bytes };
        let crossing = bytes.iter().enumerate().map(widened).collect();
        Self { ms, flops, bytes, crossing }
    }
}

fn bytes(graph: &ModelGraph, assumed: &Assumed<'_>, id: TensorId) -> u64 {
    let tensor = &graph.tensors[id];
    if let Some(weight) = &tensor.weight {
        return weight.bytes;
    }
    let Some(elements) = assumed.elements(tensor) else { return 0 };
    match tensor.elem_type.map(dtype_of) {
        Some(Ok(Dtype::String)) => elements * STRING_BYTES,
        Some(Ok(dtype)) => usize::try_from(elements).ok().and_then(|n| dtype.byte_len(n)).unwrap_or(0) as u64,
        // Two bytes: bfloat16 is the only one of those the runtime lacks that models compute with.
        _ => elements * 2,
    }
}

fn moves_nothing(op: &str) -> bool {
    matches!(
        op,
        "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" | "Identity" | "Dropout" | "Shape" | "Size" | "Constant"
    )
}

/// Floating point operations; a multiplication and an addition are two.
fn flops(graph: &ModelGraph, assumed: &Assumed<'_>, node: &Node) -> f64 {
    let shape = |input: usize| {
        let tensor = node.inputs.get(input).copied().flatten()?;
        assumed.shape(&graph.tensors[tensor])
    };
    let elements = |tensor: TensorId| assumed.elements(&graph.tensors[tensor]).unwrap_or(0) as f64;
    let made: f64 = node.makes().map(elements).sum();
    let read = || node.reads().map(elements).fold(0.0, f64::max);
    let product = |sizes: &[u64]| sizes.iter().product::<u64>() as f64;
    let last = |sizes: &[u64]| sizes.last().copied().unwrap_or(1) as f64;
    let name = node.op.rsplit('.').next().unwrap_or(&node.op);
    match name {
        "MatMul" | "MatMulInteger" | "FusedMatMul" | "QLinearMatMul" => shape(0).map_or(0.0, |a| 2.0 * made * last(&a)),
        "Gemm" => shape(0).map_or(0.0, |a| {
            let transposed = node.int("transA").unwrap_or(0) != 0;
            2.0 * made * a.get(usize::from(!transposed)).copied().unwrap_or(1) as f64
        }),
        // Weights are [out, in / group, kernel…].
        "Conv" | "ConvInteger" | "FusedConv" => {
            shape(1).map_or(0.0, |w| 2.0 * made * product(w.get(1..).unwrap_or(&[])))
        }
        "QLinearConv" => shape(3).map_or(0.0, |w| 2.0 * made * product(w.get(1..).unwrap_or(&[]))),
        // Weights are [in, out / group, kernel…], and every input element meets all but the first.
        "ConvTranspose" => match (shape(0), shape(1)) {
            (Some(x), Some(w)) => 2.0 * product(&x) * product(w.get(1..).unwrap_or(&[])),
            _ => 0.0,
        },
        // X is [steps, batch, in], W [directions, gates · hidden, in], R [directions, gates · hidden, hidden].
        "LSTM" | "GRU" | "RNN" => match (shape(0), shape(1), shape(2)) {
            (Some(x), Some(w), Some(r)) => 2.0 * product(x.get(..2).unwrap_or(&[])) * (product(&w) + product(&r)),
            _ => 0.0,
        },
        "Einsum" => 2.0 * made * shape(0).map_or(1.0, |a| last(&a)),
        "Attention" | "MultiHeadAttention" | "GroupQueryAttention" => {
            shape(0).map_or(0.0, |q| 4.0 * product(&q) * q.get(1).copied().unwrap_or(1) as f64)
        }
        "MaxPool" | "AveragePool" | "LpPool" => {
            let kernel = node.proto.attribute.iter().find(|a| a.name == "kernel_shape");
            made * kernel.map_or(1.0, |a| a.ints.iter().product::<i64>() as f64)
        }
        name if name.starts_with("Reduce") || name.starts_with("Global") || name == "TopK" || name == "ArgMax" => {
            read()
        }
        // exp, tanh and erf take some ten operations an element.
        "Softmax"
        | "LogSoftmax"
        | "Tanh"
        | "Sigmoid"
        | "Erf"
        | "Gelu"
        | "FastGelu"
        | "QuickGelu"
        | "Exp"
        | "Log"
        | "Sin"
        | "Cos"
        | "Pow"
        | "LayerNormalization"
        | "SkipLayerNormalization"
        | "InstanceNormalization"
        | "Softplus"
        | "Mish"
        | "GroupNormalization"
        | "RMSNormalization"
        | "SimplifiedLayerNormalization" => 10.0 * made,
        "Transpose" | "Concat" | "Split" | "Slice" | "Gather" | "Expand" | "Cast" | "Pad" | "Tile" | "Where" => 0.0,
        name if moves_nothing(name) => 0.0,
        // How often a body runs is known only once it does.
        _ if node.has_body() => 10.0 * made.max(read()),
        _ => made,
    }
}
