//! Which nodes ONNX Runtime computes as one. A cut between them costs what the fusion gains, and where the fused kernel
//! rounds otherwise than its parts (a bias added before or after the sum, a decomposed normalization), outputs differ in
//! their last bits.

use super::{
    graph::{ModelGraph, Node},
    line::Line,
};

/// Pairs of places in the line, maker and reader, that should stay together.
///
/// ONNX Runtime fuses along a chain: what makes a tensor, and the node that reads it next. So every node that is not the
/// start of something new stays with what made its input, if it is the next to read it. That covers bias, activation and
/// batch normalization after a convolution or product, decomposed normalizations and activations, and the reshapes and
/// products of attention, whatever their exact shape.
pub(super) fn fused(graph: &ModelGraph, line: &Line) -> Vec<(usize, usize)> {
    let mut pairs = Vec::new();
    let mut read = vec![false; graph.tensors.len()];
    let mut readers = vec![0; graph.tensors.len()];
    line.reads.iter().flatten().for_each(|tensor| readers[*tensor] += 1);
    for (reader, tensors) in line.reads.iter().enumerate() {
        let op = graph.nodes[line.nodes[reader]].op.as_str();
        for tensor in tensors {
            let Some(maker) = line.made[*tensor] else { continue };
            let next = !std::mem::replace(&mut read[*tensor], true);
            let made_by = graph.nodes[line.nodes[maker]].op.as_str();
            if next && (!starts(op) || together(made_by, op, readers[*tensor]) || ends_activation(graph, line, maker)) {
                pairs.push((maker, reader));
            }
        }
    }
    pairs
}

/// Whether it is the last product of a GELU by the hyperbolic tangent, which is fused only while nothing leaves the graph.
fn ends_activation(graph: &ModelGraph, line: &Line, place: usize) -> bool {
    let node = &graph.nodes[line.nodes[place]];
    let makers = |node: &Node| {
        node.reads().filter_map(|id| graph.tensors[id].maker).map(|maker| &graph.nodes[maker]).collect::<Vec<_>>()
    };
    let of_tanh = |node: &&Node| node.op == "Add" && makers(node).iter().any(|node| node.op == "Tanh");
    node.op == "Mul" && makers(node).iter().any(of_tanh)
}

/// Whether something new starts with it, whatever it reads.
fn starts(op: &str) -> bool {
    // What has a domain of its own is fused already.
    op.contains('.')
        || op.starts_with("Global")
        || op.starts_with("QLinear")
        || op.starts_with("DynamicQuantize")
        || matches!(
            op,
            "Conv"
                | "ConvTranspose"
                | "ConvInteger"
                | "MatMul"
                | "MatMulInteger"
                | "Gemm"
                | "Einsum"
                | "LSTM"
                | "GRU"
                | "RNN"
                | "Attention"
                | "RotaryEmbedding"
                | "MaxPool"
                | "AveragePool"
                | "LpPool"
                | "Concat"
                | "Resize"
                | "Upsample"
                | "Gather"
                | "If"
                | "Loop"
                | "Scan"
                | "DequantizeLinear"
                | "ReduceMean"
                | "LayerNormalization"
                | "RMSNormalization"
                | "InstanceNormalization"
                | "GroupNormalization"
                | "BatchNormalization"
                | "Shape"
                | "DFT"
                | "STFT"
                | "Split"
                | "Slice"
        )
}

/// Whether the second, though it starts something new, is fused with what made its input.
fn together(maker: &str, reader: &str, readers: usize) -> bool {
    match reader {
        // A folded normalization.
        "BatchNormalization" => matches!(maker, "Conv" | "ConvTranspose" | "MatMul" | "Gemm"),
        // Products with a transposed or scaled side, the second product of attention, and quantized operators.
        "MatMul" | "Gemm" | "MatMulInteger" => matches!(maker, "Transpose" | "Softmax" | "DequantizeLinear"),
        "Conv" | "ConvTranspose" => matches!(maker, "Pad" | "DequantizeLinear"),
        // A sum that is normalized and read by nothing else.
        "LayerNormalization" | "RMSNormalization" => maker == "Add" && readers == 1,
        // The same, decomposed, where the mean's difference reads it, too; and the second mean.
        "ReduceMean" => (maker == "Add" && readers <= 2) || matches!(maker, "Pow" | "Mul"),
        "Concat" | "MaxPool" | "AveragePool" | "Resize" | "Split" | "Slice" => maker == "DequantizeLinear",
        _ => false,
    }
}
