//! A graph as a line of nodes, any cut of which gives two graphs that can run one after the other.

use super::{
    cost::Costs,
    fusion,
    graph::{ModelGraph, Node, TensorId},
};
use crate::onnx::value::dtype_of;

/// A computed constant crosses instead of being computed in every stage that reads it when what it is computed from is
/// this many times as large, and at least this large. A copy is made once in a session's life, and what crosses is paid
/// in each job; so a copy is dearer only where it keeps large weights in memory twice.
const CROSSES_WHEN_TIMES: u64 = 16;
const CROSSES_WHEN_BYTES: u64 = 1 << 20;

/// The nodes that are divided among stages, in their order, and what else is needed to know what a stage needs.
pub(super) struct Line {
    /// The nodes of the line.
    pub nodes: Vec<usize>,
    /// By node: whether it computes a constant, which every stage that reads it computes for itself.
    pub copied: Vec<bool>,
    /// By place in the line: the tensors that have to be there at run time, each once.
    pub reads: Vec<Vec<TensorId>>,
    /// By place in the line: the initializers that it and the constants it reads are made of, each once.
    pub weights: Vec<Vec<TensorId>>,
    /// By tensor: the place in the line that makes it.
    pub made: Vec<Option<usize>>,
    /// By tensor: the last place in the line that reads it.
    pub last_read: Vec<Option<usize>>,
    /// By tensor: whether it is an output of the model.
    pub leaves: Vec<bool>,
    /// By place in the line: whether a cut before it is possible, and whether one is also good.
    pub cuts: Vec<Cut>,
}

/// What a cut before a node would do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Cut {
    /// What would have to cross is no tensor that the runtime can take or give.
    Impossible,
    /// It would divide what the runtime otherwise computes as one, which is slower and rounds differently.
    Divides,
    /// Nothing speaks against it.
    Good,
}

impl Line {
    pub fn of(graph: &ModelGraph, costs: &Costs) -> Self {
        let copied = copied(graph, costs);
        let nodes: Vec<usize> = (0..graph.nodes.len()).filter(|node| !copied[*node]).collect();
        let tensors = graph.tensors.len();
        let mut line = Self {
            reads: Vec::with_capacity(nodes.len()),
            weights: Vec::with_capacity(nodes.len()),
            made: vec![None; tensors],
            last_read: vec![None; tensors],
            leaves: vec![false; tensors],
            cuts: Vec::new(),
            nodes,
            copied,
        };
        graph.outputs.iter().for_each(|output| line.leaves[*output] = true);
        for (place, node) in line.nodes.iter().enumerate() {
            graph.nodes[*node].makes().for_each(|tensor| line.made[tensor] = Some(place));
            let mut reads = Vec::new();
            let mut weights = Vec::new();
            line.collect(graph, &graph.nodes[*node], &mut reads, &mut weights);
            reads.iter().for_each(|tensor| line.last_read[*tensor] = Some(place));
            line.reads.push(reads);
            line.weights.push(weights);
        }
        line.cuts = line.cuts(graph);
        line
    }

    /// What a node reads, through the constants that are computed for it.
    fn collect(&self, graph: &ModelGraph, node: &Node, reads: &mut Vec<TensorId>, weights: &mut Vec<TensorId>) {
        for id in node.reads() {
            let tensor = &graph.tensors[id];
            match tensor.maker {
                Some(maker) if self.copied[maker] => self.collect(graph, &graph.nodes[maker], reads, weights),
                None if tensor.weight.is_some() => add(weights, id),
                _ => add(reads, id),
            }
        }
    }

    fn cuts(&self, graph: &ModelGraph) -> Vec<Cut> {
        let mut impossible = Spans::new(self.nodes.len());
        let mut dividing = Spans::new(self.nodes.len());
        for (id, tensor) in graph.tensors.iter().enumerate() {
            let Some(made) = self.made[id] else { continue };
            let runs = tensor.elem_type.is_some_and(|number| dtype_of(number).is_ok());
            if let (false, Some(last)) = (runs, self.last_read[id]) {
                impossible.add(made, last);
            }
        }
        for (maker, reader) in fusion::fused(graph, self) {
            dividing.add(maker, reader);
        }
        let (impossible, dividing) = (impossible.covered(), dividing.covered());
        let cut = |place: usize| match (place == 0 || impossible[place], dividing[place]) {
            (true, _) => Cut::Impossible,
            (_, true) => Cut::Divides,
            _ => Cut::Good,
        };
        (0..self.nodes.len()).map(cut).collect()
    }
}

fn add(list: &mut Vec<TensorId>, id: TensorId) {
    if !list.contains(&id) {
        list.push(id);
    }
}

/// Pairs of places in a line, and which cuts they span.
struct Spans(Vec<i64>);

impl Spans {
    fn new(places: usize) -> Self {
        Self(vec![0; places + 1])
    }

    /// Every cut after the first place, up to the one before the second.
    fn add(&mut self, first: usize, second: usize) {
        if first < second {
            self.0[first + 1] += 1;
            self.0[second + 1] -= 1;
        }
    }

    fn covered(self) -> Vec<bool> {
        let sums = self.0.into_iter().scan(0, |sum, step| {
            *sum += step;
            Some(*sum > 0)
        });
        sums.collect()
    }
}

/// Which nodes compute a constant that is to be computed in every stage that reads it.
fn copied(graph: &ModelGraph, costs: &Costs) -> Vec<bool> {
    let mut copied = vec![false; graph.nodes.len()];
    let mut made_of: Vec<u64> = vec![0; graph.tensors.len()];
    let leaves: std::collections::HashSet<_> = graph.outputs.iter().copied().collect();
    for (index, node) in graph.nodes.iter().enumerate() {
        let constant = node.reads().all(|id| match graph.tensors[id].maker {
            Some(maker) => copied[maker],
            None => graph.tensors[id].weight.is_some() && !graph.tensors[id].is_input,
        });
        if !constant || is_random(&node.op) || node.makes().any(|id| leaves.contains(&id)) {
            continue;
        }
        let size = |id: TensorId| if graph.tensors[id].weight.is_some() { costs.bytes[id] } else { made_of[id] };
        let of: u64 = node.reads().map(size).sum();
        let made: u64 = node.makes().map(|id| costs.bytes[id]).sum();
        let crosses = of >= CROSSES_WHEN_BYTES && of >= made.saturating_mul(CROSSES_WHEN_TIMES);
        copied[index] = !crosses;
        node.makes().for_each(|id| made_of[id] = of);
    }
    copied
}

/// Each stage would draw other numbers.
fn is_random(op: &str) -> bool {
    op.starts_with("Random") || matches!(op, "Multinomial" | "Bernoulli")
}
