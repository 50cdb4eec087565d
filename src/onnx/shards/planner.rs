//! Finding a plan: the bounds of stages by each strategy, and the nearest plan where none is found.

use super::{
    component::{Component, components},
    cost::{Costs, transfer_ms},
    error::ShardError,
    graph::{ModelGraph, TensorId, widened_name},
    layers,
    line::{Cut, Line},
    partition::{Least, partition},
    plan::{ShardOptions, ShardPlan, ShardStrategy, StagePlan, StageTensor},
    stretch::{Stretch, Stretches},
};
use crate::{
    onnx::ValueKind,
    types::{Browser, Dtype},
};

/// Plans for one model and one set of options.
pub(super) struct Planner<'a> {
    graph: &'a ModelGraph,
    line: &'a Line,
    options: &'a ShardOptions,
    stretches: Stretches<'a>,
    /// By component: the browser that it prefers.
    browsers: Vec<Browser>,
    /// The bounds of stages, both ends included, where nothing that is computed as one is divided.
    good: Vec<usize>,
    /// Every possible bound.
    possible: Vec<usize>,
}

impl<'a> Planner<'a> {
    pub fn new(graph: &'a ModelGraph, costs: &'a Costs, line: &'a Line, options: &'a ShardOptions) -> Self {
        let places = line.nodes.len();
        let bounds = |least: Cut| {
            let inner = (1..places).filter(|place| line.cuts[*place] >= least);
            std::iter::once(0).chain(inner).chain([places]).collect()
        };
        let ms =
            line.nodes.iter().map(|node| options.node_ms.as_ref().map_or(costs.ms[*node], |ms| ms[*node])).collect();
        let components = components(graph, line, &options.mapping);
        let browsers = Component::ALL.iter().map(|component| options.mapping.browser(*component)).collect();
        let stretches = Stretches::new(graph, costs, line, ms, components);
        Self { graph, line, options, stretches, browsers, good: bounds(Cut::Good), possible: bounds(Cut::Divides) }
    }

    pub fn plan(&self) -> Result<ShardPlan, ShardError> {
        let shards = self.options.shards;
        let most = self.possible.len() - 1;
        if shards > most {
            let nearest = Box::new(self.of_bounds(&self.possible));
            return Err(match most {
                1 => ShardError::NoCut { why: self.why_no_cut(), nearest },
                _ => ShardError::TooManyShards { asked: shards, cut_points: most - 1, nearest },
            });
        }
        let bounds = if shards < self.good.len() { &self.good } else { &self.possible };
        let chosen = match self.options.strategy {
            ShardStrategy::Optimal => self.optimal(bounds, shards),
            ShardStrategy::Layers => Some(layers::divide(&self.stretches, bounds, shards)),
            ShardStrategy::Browser => self.by_browser(bounds, shards),
        };
        let plan = chosen.map(|bounds| self.of_bounds(&bounds));
        match plan.filter(|plan| plan.stages.iter().all(|stage| self.fits(stage.memory_bytes()))) {
            Some(plan) => Ok(plan),
            None => Err(self.over_memory()),
        }
    }

    fn fits(&self, bytes: u64) -> bool {
        self.options.memory_limit.is_none_or(|limit| bytes <= limit)
    }

    fn total_ms(&self, stage: usize, stretch: &Stretch) -> f64 {
        stretch.ms / self.speed(stage) + transfer_ms(stretch.in_bytes + stretch.out_bytes)
    }

    fn speed(&self, stage: usize) -> f64 {
        self.options.speeds.get(stage).copied().unwrap_or(1.0)
    }

    fn divide(
        &self,
        bounds: &[usize],
        shards: usize,
        least: Least,
        cost: impl Fn(usize, &Stretch) -> f64,
    ) -> Option<Vec<usize>> {
        let chosen = partition(bounds.len(), shards, least, |from| self.stretches.from(bounds, from), cost)?;
        Some(chosen.into_iter().map(|index| bounds[index]).collect())
    }

    /// The division whose slowest stage is fastest, and of several the one with which fewest bytes cross.
    fn optimal(&self, bounds: &[usize], shards: usize) -> Option<Vec<usize>> {
        let ms = |stage: usize, stretch: &Stretch| match self.fits(stretch.memory_bytes()) {
            true => self.total_ms(stage, stretch),
            false => f64::INFINITY,
        };
        let fastest = self.divide(bounds, shards, Least::Dearest, ms)?;
        let stages = fastest.windows(2).map(|ends| self.stretches.between(ends[0], ends[1])).enumerate();
        let slowest = stages.map(|(stage, stretch)| self.total_ms(stage, &stretch)).fold(0.0, f64::max);
        // Sums of the same numbers in another order differ in their last digits.
        let limit = slowest * (1.0 + 1e-9);
        let crossing = |stage: usize, stretch: &Stretch| match ms(stage, stretch) <= limit {
            true => (stretch.in_bytes + stretch.out_bytes) as f64,
            false => f64::INFINITY,
        };
        self.divide(bounds, shards, Least::Sum, crossing).or(Some(fastest))
    }

    /// The division that puts least work into another browser than the one it prefers, and evens out what is left open.
    fn by_browser(&self, bounds: &[usize], shards: usize) -> Option<Vec<usize>> {
        let all = self.stretches.between(0, self.line.nodes.len()).ms.max(f64::MIN_POSITIVE);
        // Small enough that evening out never outweighs a hundredth of the work being in the wrong browser.
        let cost = |_: usize, stretch: &Stretch| {
            let (_, at_home) = self.home(stretch);
            (stretch.ms - at_home) / all + 0.01 * (stretch.ms / all).powi(2)
        };
        self.divide(bounds, shards, Least::Sum, cost)
    }

    /// The browser that most of a stretch's work prefers, and how much work that is.
    fn home(&self, stretch: &Stretch) -> (Browser, f64) {
        let mut work = [0.0; Browser::ALL.len()];
        for (ms, browser) in stretch.ms_by_component.iter().zip(&self.browsers) {
            work[*browser as usize] += ms;
        }
        let by_browser = Browser::ALL.iter().map(|browser| (*browser, work[*browser as usize]));
        by_browser.max_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((Browser::Chrome, 0.0))
    }

    fn why_no_cut(&self) -> String {
        match self.line.nodes.len() {
            0 | 1 => "all its work is one node, and the bodies of If, Loop and Scan are never divided".to_owned(),
            _ => "wherever it could be, something would cross that the runtime cannot take or give (a sequence, an \
                  optional, a map, a type it lacks, or a value whose type is unknown)"
                .to_owned(),
        }
    }

    fn over_memory(&self) -> ShardError {
        let limit = self.options.memory_limit.unwrap_or(u64::MAX);
        let memory = |_: usize, stretch: &Stretch| stretch.memory_bytes() as f64;
        let largest = |bounds: &[usize]| {
            let stages = bounds.windows(2).map(|ends| self.stretches.between(ends[0], ends[1]).memory_bytes());
            stages.max().unwrap_or(0)
        };
        let shards = self.options.shards;
        let bounds = if shards < self.good.len() { &self.good } else { &self.possible };
        let least = self.divide(bounds, shards, Least::Dearest, memory).map_or(0, |bounds| largest(&bounds));
        let fitting = (shards..self.good.len()).find_map(|n| self.optimal(&self.good, n));
        let fitting = fitting.or_else(|| (shards..self.possible.len()).find_map(|n| self.optimal(&self.possible, n)));
        let nearest = fitting.unwrap_or_else(|| self.possible.clone());
        ShardError::OverMemory { shards, limit, needed: least, nearest: Box::new(self.of_bounds(&nearest)) }
    }

    fn of_bounds(&self, bounds: &[usize]) -> ShardPlan {
        let inner = &bounds[1..bounds.len().max(2) - 1];
        let stages: Vec<StagePlan> =
            bounds.windows(2).enumerate().map(|(stage, ends)| self.stage(stage, bounds, ends[0], ends[1])).collect();
        ShardPlan {
            strategy: Some(self.options.strategy),
            inputs: self.graph.file().inputs.clone(),
            outputs: self.graph.file().outputs.clone(),
            stages,
            cut_points: self.good.len().saturating_sub(2),
            dividing_cuts: inner.iter().filter(|place| self.line.cuts[**place] == Cut::Divides).count(),
        }
    }

    fn stage(&self, index: usize, bounds: &[usize], begin: usize, end: usize) -> StagePlan {
        let (graph, line) = (self.graph, self.line);
        let is_last = end == line.nodes.len();
        let stretch = self.stretches.between(begin, end);
        let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
        for place in begin..end {
            for id in &line.reads[place] {
                if line.made[*id].is_none_or(|made| made < begin) && !inputs.contains(id) {
                    inputs.push(*id);
                }
            }
            outputs.extend(graph.nodes[line.nodes[place]].makes());
        }
        let maker = |id: TensorId| line.made[id].map(|made| bounds.partition_point(|bound| *bound <= made) - 1);
        let end_of_model = |id: TensorId| self.stage_tensor(id, maker(id), false);
        let crossing = |id: TensorId| self.stage_tensor(id, maker(id), graph.crosses_widened(id));
        let mut given: Vec<StageTensor> = inputs.into_iter().map(crossing).collect();
        let mut gives: Vec<StageTensor> = Vec::new();
        for id in outputs {
            let is_read = line.last_read[id].is_some_and(|last| last >= end);
            if line.leaves[id] {
                gives.push(end_of_model(id));
            }
            if is_read && (!line.leaves[id] || graph.crosses_widened(id)) {
                gives.push(crossing(id));
            }
        }
        if is_last {
            // Outputs of the model that no node makes: what is given or constant.
            for id in graph.outputs.iter().copied().filter(|id| line.made[*id].is_none()) {
                gives.push(end_of_model(id));
                if graph.tensors[id].weight.is_none() && given.iter().all(|tensor| tensor.tensor != id) {
                    given.push(end_of_model(id));
                }
            }
        }
        let nodes: Vec<usize> = line.nodes[begin..end].to_vec();
        let component = Component::ALL.iter().copied().max_by(|a, b| {
            let ms = |component: &Component| stretch.ms_by_component[*component as usize];
            ms(a).total_cmp(&ms(b)).then(b.cmp(a))
        });
        StagePlan {
            copies: copies(graph, line, &nodes),
            nodes,
            inputs: given,
            outputs: gives,
            flops: stretch.flops,
            weight_bytes: stretch.weight_bytes,
            activation_bytes: stretch.live_bytes,
            compute_ms: stretch.ms / self.speed(index),
            transfer_ms: transfer_ms(stretch.in_bytes + stretch.out_bytes),
            component: component.filter(|_| stretch.ms > 0.0),
            preferred: (self.options.strategy == ShardStrategy::Browser).then(|| self.home(&stretch).0),
        }
    }

    fn stage_tensor(&self, tensor: TensorId, from: Option<usize>, widened: bool) -> StageTensor {
        let mut info = self.graph.info(tensor);
        let mut bytes = self.stretches.costs.bytes[tensor];
        if let (true, ValueKind::Tensor { dtype, .. }) = (widened, &mut info.kind) {
            *dtype = Dtype::Float32;
            info.name = widened_name(&info.name);
            bytes = self.stretches.costs.crossing[tensor];
        }
        StageTensor { info, bytes, from, tensor, widened }
    }
}

/// The nodes that compute constants for these, in the order of the graph.
fn copies(graph: &ModelGraph, line: &Line, nodes: &[usize]) -> Vec<usize> {
    let mut needed = std::collections::BTreeSet::new();
    let mut open: Vec<usize> = nodes.to_vec();
    while let Some(node) = open.pop() {
        for maker in graph.nodes[node].reads().filter_map(|id| graph.tensors[id].maker) {
            if line.copied[maker] && needed.insert(maker) {
                open.push(maker);
            }
        }
    }
    needed.into_iter().collect()
}
