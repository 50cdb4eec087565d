//! A plan: which nodes run in which stage, what crosses between them, and what each is estimated to cost.

use super::{
    component::{Component, Mapping},
    cost::Costs,
    error::ShardError,
    graph::{ModelGraph, TensorId},
    line::Line,
    planner::Planner,
    shape::Assumed,
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
    /// How it was found; `None` for a pipeline, whose stages were given.
    pub strategy: Option<ShardStrategy>,
    /// What has to be given to the whole.
    pub inputs: Vec<ValueInfo>,
    /// What comes out of the whole, in its order.
    pub outputs: Vec<ValueInfo>,
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
    /// Computing a job on the stage's target, as estimated or measured, in milliseconds.
    pub compute_ms: f64,
    /// Moving a job's inputs and outputs, as estimated, in milliseconds.
    pub transfer_ms: f64,
    /// What most of its time goes to.
    pub component: Option<Component>,
    /// The browser that is preferred for it.
    pub preferred: Option<Browser>,
}

/// A tensor that crosses into or out of a stage.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StageTensor {
    /// The graph's own name for it (with `.float32` after it where a float16 tensor crosses as float32; a pipeline has names
    /// of its own), its type, and its shape as far as it is known.
    #[serde(flatten)]
    pub info: ValueInfo,
    /// How many bytes it is estimated to take.
    pub bytes: u64,
    /// The stage that makes it; `None` for an input of the model.
    pub from: Option<usize>,
    #[serde(skip)]
    pub(super) tensor: TensorId,
    /// Whether it is float16 in the graph, and crosses as float32.
    #[serde(skip)]
    pub(super) widened: bool,
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
