//! A plan: which nodes run in which stage, what crosses between them, and what each is estimated to cost.

use super::{
    component::{Component, Mapping, components},
    cost::{Costs, transfer_ms},
    error::ShardError,
    graph::{ModelGraph, TensorId},
    layers,
    line::{Cut, Line},
    partition::{Least, partition},
    shape::Assumed,
    stretch::{Stretch, Stretches},
};
use crate::{
    onnx::ValueInfo,
    types::{Browser, names},
};
use serde::Serialize;
use std::collections::BTreeMap;

/// How a model is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ShardStrategy {
    /// Equal numbers of the blocks that the graph repeats.
    Layers,
    /// The slowest stage, transfer included, is as fast as can be.
    Optimal,
    /// What prefers the same browser stays together.
    Browser,
}
names!(ShardStrategy { Layers = "layers", Optimal = "optimal", Browser = "browser" });

/// How a model is to be cut.
#[derive(Clone, Debug, PartialEq)]
pub struct ShardOptions {
    /// How many stages.
    pub shards: usize,
    /// How they are found.
    pub strategy: ShardStrategy,
    /// The most that a stage's weights and live activations may take together, in bytes.
    pub memory_limit: Option<u64>,
    /// The time of each node in milliseconds, in the order of the graph, where something was measured
    /// ([`ModelGraph::node_ms`]); estimated where not.
    pub node_ms: Option<Vec<f64>>,
    /// How many times as fast each stage's target is, in the order of the stages; 1 for those not given.
    pub speeds: Vec<f64>,
    /// Which browser each component prefers.
    pub mapping: Mapping,
    /// Sizes of the model's symbolic dimensions to estimate with. Without one, a first dimension is taken for 1 and any
    /// other for 64.
    pub dims: BTreeMap<String, usize>,
}

impl ShardOptions {
    /// So many stages, with nothing known but the model.
    pub fn new(shards: usize, strategy: ShardStrategy) -> Self {
        Self {
            shards,
            strategy,
            memory_limit: None,
            node_ms: None,
            speeds: Vec::new(),
            mapping: Mapping::default(),
            dims: BTreeMap::new(),
        }
    }
}

/// A model divided into stages, in the order in which they run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ShardPlan {
    /// How it was found.
    pub strategy: ShardStrategy,
    /// The stages.
    pub stages: Vec<StagePlan>,
    /// How many places there are to cut without dividing what the runtime computes as one.
    pub cut_points: usize,
    /// How many of the plan's cuts do divide such nodes: outputs may then differ from the whole model's in their last
    /// bits.
    pub dividing_cuts: usize,
}

/// One stage of a plan.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StagePlan {
    /// Its nodes, as indices into the graph, in an order in which they can run.
    pub nodes: Vec<usize>,
    /// Nodes that compute constants for them, and do so in each stage that needs them.
    pub copies: Vec<usize>,
    /// What it is given: inputs of the model, and what earlier stages make.
    pub inputs: Vec<StageTensor>,
    /// What it gives: outputs of the model, and what later stages need.
    pub outputs: Vec<StageTensor>,
    /// Floating point operations of a job.
    pub flops: f64,
    /// The weights it reads.
    pub weight_bytes: u64,
    /// The most that is alive at once in the course of a job, beside the weights.
    pub activation_bytes: u64,
    /// Computing a job on the stage's target, as estimated or measured.
    pub compute_ms: f64,
    /// Moving a job's inputs and outputs, as estimated.
    pub transfer_ms: f64,
    /// What most of its time goes to.
    pub component: Option<Component>,
    /// The browser that is preferred for it.
    pub preferred: Option<Browser>,
}

/// A tensor that crosses into or out of a stage.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StageTensor {
    /// The graph's own name for it, its type, and its shape as far as it is known.
    #[serde(flatten)]
    pub info: ValueInfo,
    /// How many bytes it is estimated to take.
    pub bytes: u64,
    /// The stage that makes it; `None` for an input of the model.
    pub from: Option<usize>,
}

impl StagePlan {
    /// Weights and live activations together.
    pub const fn memory_bytes(&self) -> u64 {
        self.weight_bytes + self.activation_bytes
    }

    /// Computing and transfer together.
    pub fn total_ms(&self) -> f64 {
        self.compute_ms + self.transfer_ms
    }
}

impl ShardPlan {
    /// The slowest stage over the mean of all: 1 when all take the same time.
    pub fn balance(&self) -> f64 {
        let times = self.stages.iter().map(StagePlan::total_ms);
        let (sum, slowest) = times.fold((0.0, 0.0_f64), |(sum, slowest), ms| (sum + ms, slowest.max(ms)));
        if sum > 0.0 { slowest * self.stages.len() as f64 / sum } else { 1.0 }
    }

    /// How many bytes cross between stages in a job, each tensor once for every stage that is given it.
    pub fn crossing_bytes(&self) -> u64 {
        let inputs = self.stages.iter().flat_map(|stage| &stage.inputs);
        inputs.filter(|tensor| tensor.from.is_some()).map(|tensor| tensor.bytes).sum()
    }
}

impl ModelGraph {
    /// Divides the model.
    ///
    /// # Errors
    /// [`ShardError::TooManyShards`], [`ShardError::NoCut`] and [`ShardError::OverMemory`] carry the nearest plan that
    /// would work; [`ShardError::Options`] for options that contradict each other.
    pub fn plan(&self, options: &ShardOptions) -> Result<ShardPlan, ShardError> {
        options.check(self)?;
        let costs = Costs::of(self, &Assumed { dims: &options.dims });
        let line = Line::of(self, &costs);
        Planner::new(self, &costs, &line, options).plan()
    }

    /// The time of each node, given what the stages of a plan took: the estimates, scaled so that each stage's sum is
    /// what was measured. For [`ShardOptions::node_ms`] of the next plan.
    ///
    /// `speeds` are those of the targets that the stages were measured on; 1 for those not given.
    pub fn node_ms(&self, plan: &ShardPlan, stage_ms: &[f64], speeds: &[f64]) -> Vec<f64> {
        let mut ms = Costs::of(self, &Assumed { dims: &BTreeMap::new() }).ms;
        for (index, (stage, measured)) in plan.stages.iter().zip(stage_ms).enumerate() {
            let estimated: f64 = stage.nodes.iter().map(|node| ms[*node]).sum();
            let speed = speeds.get(index).copied().unwrap_or(1.0);
            if estimated > 0.0 && *measured > 0.0 {
                stage.nodes.iter().for_each(|node| ms[*node] *= measured * speed / estimated);
            }
        }
        ms
    }
}

impl ShardOptions {
    fn check(&self, graph: &ModelGraph) -> Result<(), ShardError> {
        let wrong = |what: String| Err(ShardError::Options(what));
        if self.shards == 0 {
            return Err(ShardError::NoShards);
        }
        if let Some(ms) = self.node_ms.as_ref().filter(|ms| ms.len() != graph.len()) {
            return wrong(format!("times of {} nodes were given for a graph of {}", ms.len(), graph.len()));
        }
        if self.node_ms.iter().flatten().any(|ms| !ms.is_finite() || *ms < 0.0) {
            return wrong("a node's time is a number of milliseconds, 0 or more".to_owned());
        }
        match self.speeds.iter().find(|speed| !(speed.is_finite() && **speed > 0.0)) {
            Some(speed) => wrong(format!("a target's speed is a number above 0, and {speed} was given")),
            None => Ok(()),
        }
    }
}

struct Planner<'a> {
    graph: &'a ModelGraph,
    line: &'a Line,
    options: &'a ShardOptions,
    stretches: Stretches<'a>,
    /// The bounds of stages, both ends included, where nothing that is computed as one is divided.
    good: Vec<usize>,
    /// Every possible bound.
    possible: Vec<usize>,
}

impl<'a> Planner<'a> {
    fn new(graph: &'a ModelGraph, costs: &'a Costs, line: &'a Line, options: &'a ShardOptions) -> Self {
        let places = line.nodes.len();
        let bounds = |least: Cut| {
            let inner = (1..places).filter(|place| line.cuts[*place] >= least);
            std::iter::once(0).chain(inner).chain([places]).collect()
        };
        let ms =
            line.nodes.iter().map(|node| options.node_ms.as_ref().map_or(costs.ms[*node], |ms| ms[*node])).collect();
        let components = components(graph, line, &options.mapping);
        let stretches = Stretches::new(graph, costs, line, ms, components);
        Self { graph, line, options, stretches, good: bounds(Cut::Good), possible: bounds(Cut::Divides) }
    }

    fn plan(&self) -> Result<ShardPlan, ShardError> {
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
        let work = |browser: Browser| {
            let preferring =
                Component::ALL.iter().filter(|component| self.options.mapping.browser(**component) == browser);
            preferring.map(|component| stretch.ms_by_component[*component as usize]).sum::<f64>()
        };
        let by_browser = Browser::ALL.iter().map(|browser| (*browser, work(*browser)));
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
            strategy: self.options.strategy,
            stages,
            cut_points: self.good.len().saturating_sub(2),
            dividing_cuts: inner.iter().filter(|place| self.line.cuts[**place] == Cut::Divides).count(),
        }
    }

    fn stage(&self, index: usize, bounds: &[usize], begin: usize, end: usize) -> StagePlan {
        let (graph, line) = (self.graph, self.line);
        let is_last = end == line.nodes.len();
        let stretch = self.stretches.between(begin, end);
        let (mut inputs, mut outputs) = (Vec::<TensorId>::new(), Vec::<TensorId>::new());
        for place in begin..end {
            for id in &line.reads[place] {
                if line.made[*id].is_none_or(|made| made < begin) && !inputs.contains(id) {
                    inputs.push(*id);
                }
            }
            let leaves = |id: &TensorId| line.leaves[*id] || line.last_read[*id].is_some_and(|last| last >= end);
            outputs.extend(graph.nodes[line.nodes[place]].makes().filter(leaves));
        }
        if is_last {
            // Outputs of the model that no node makes: what is given or constant.
            for id in graph.outputs.iter().filter(|id| line.made[**id].is_none()) {
                outputs.push(*id);
                if graph.tensors[*id].is_input && graph.tensors[*id].weight.is_none() && !inputs.contains(id) {
                    inputs.push(*id);
                }
            }
        }
        let maker = |id: TensorId| line.made[id].map(|made| bounds.partition_point(|bound| *bound <= made) - 1);
        let tensor =
            |id: TensorId| StageTensor { info: graph.info(id), bytes: self.stretches.costs.bytes[id], from: maker(id) };
        let nodes: Vec<usize> = line.nodes[begin..end].to_vec();
        let component = Component::ALL.iter().copied().max_by(|a, b| {
            let ms = |component: &Component| stretch.ms_by_component[*component as usize];
            ms(a).total_cmp(&ms(b)).then(b.cmp(a))
        });
        StagePlan {
            copies: copies(graph, line, &nodes),
            nodes,
            inputs: inputs.into_iter().map(tensor).collect(),
            outputs: outputs.into_iter().map(tensor).collect(),
            flops: stretch.flops,
            weight_bytes: stretch.weight_bytes,
            activation_bytes: stretch.live_bytes,
            compute_ms: stretch.ms / self.speed(index),
            transfer_ms: transfer_ms(stretch.in_bytes + stretch.out_bytes),
            component: component.filter(|_| stretch.ms > 0.0),
            preferred: (self.options.strategy == ShardStrategy::Browser).then(|| self.home(&stretch).0),
        }
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
