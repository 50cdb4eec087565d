//! How a model is cut, and what it is estimated to come to.

use crate::{
    onnx::{Component, NodeProfile, ShardPlan, ShardStrategy, StageTensor},
    types::Browser,
};
use serde::{Deserialize, Serialize};

/// A plan for a model, or a pipeline of several. As JSON it is described field by field in docs/JSON.md. Times, operations
/// and activations are estimates from shapes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShardReport {
    /// The version of tabfleet that planned it.
    pub tabfleet: String,
    /// The model's name, or the pipeline file's.
    pub model: String,
    /// How the plan was found; `None` for a pipeline.
    pub strategy: Option<ShardStrategy>,
    /// What a stage's weights and activations might take.
    pub memory_limit_bytes: Option<u64>,
    /// The stages, in the order in which they run.
    pub stages: Vec<StageRow>,
    /// How many bytes cross between stages in a job.
    pub crossing_bytes: u64,
    /// The slowest stage over the mean of all.
    pub balance: f64,
    /// How many places there were to cut without dividing what the runtime computes as one.
    pub cut_points: usize,
    /// How many cuts do divide such nodes.
    pub dividing_cuts: usize,
    /// Every node that was divided among stages, in order; none for a pipeline.
    pub nodes: Vec<NodeRow>,
}

/// A stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageRow {
    /// Its component's name in a pipeline.
    pub name: Option<String>,
    /// How many nodes it has, those that compute constants in other stages, too, included.
    pub nodes: usize,
    /// Floating point operations in a job.
    pub flops: f64,
    /// Its weights.
    pub weight_bytes: u64,
    /// The most that is alive in the course of a job, beside the weights.
    pub activation_bytes: u64,
    /// Computing a job on the target it is meant for, in milliseconds.
    pub compute_ms: f64,
    /// Moving a job's inputs and outputs, in milliseconds.
    pub transfer_ms: f64,
    /// What most of its work is.
    pub component: Option<Component>,
    /// The browser it is preferred to run in.
    pub preferred: Option<Browser>,
    /// What it is given.
    pub inputs: Vec<CrossingRow>,
    /// What it gives.
    pub outputs: Vec<CrossingRow>,
    /// Where it was written to, if it was.
    pub file: Option<String>,
}

/// A tensor that goes into or comes out of a stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CrossingRow {
    /// Its name.
    pub name: String,
    /// Its type and shape in words: `float32 [batch, 64]`.
    pub kind: String,
    /// How many bytes it is estimated to take.
    pub bytes: u64,
    /// The stage that makes it, counted from 0; `None` for an input of the whole.
    pub from: Option<usize>,
}

/// A node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeRow {
    /// Its name; may be empty.
    pub name: String,
    /// Its operator.
    pub operator: String,
    /// What it belongs to.
    pub component: Component,
    /// The stage that it is in, counted from 0.
    pub stage: usize,
    /// Its time, in milliseconds.
    pub ms: f64,
    /// What would cross if the model were cut before it.
    pub crossing_bytes: u64,
    /// Whether it could have been cut before it without dividing what the runtime computes as one.
    pub cut_point: bool,
}

impl ShardReport {
    /// The report of a plan. `profile` tells of the nodes of a single model.
    pub fn new(model: String, plan: &ShardPlan, profile: &[NodeProfile]) -> Self {
        let stage_of = |node: usize| plan.stages.iter().position(|stage| stage.nodes.contains(&node)).unwrap_or(0);
        let node = |node: &NodeProfile| NodeRow {
            name: node.name.clone(),
            operator: node.operator.clone(),
            component: node.component,
            stage: stage_of(node.node),
            ms: node.ms,
            crossing_bytes: node.crossing_bytes,
            cut_point: node.can_cut && !node.divides,
        };
        let stages = plan.stages.iter().map(|stage| StageRow {
            name: None,
            nodes: stage.nodes.len() + stage.copies.len(),
            flops: stage.flops,
            weight_bytes: stage.weight_bytes,
            activation_bytes: stage.activation_bytes,
            compute_ms: stage.compute_ms,
            transfer_ms: stage.transfer_ms,
            component: stage.component,
            preferred: stage.preferred,
            inputs: stage.inputs.iter().map(CrossingRow::from).collect(),
            outputs: stage.outputs.iter().map(CrossingRow::from).collect(),
            file: None,
        });
        Self {
            tabfleet: env!("CARGO_PKG_VERSION").to_owned(),
            model,
            strategy: plan.strategy,
            memory_limit_bytes: None,
            stages: stages.collect(),
            crossing_bytes: plan.crossing_bytes(),
            balance: plan.balance(),
            cut_points: plan.cut_points,
            dividing_cuts: plan.dividing_cuts,
            nodes: profile.iter().map(node).collect(),
        }
    }
}

impl From<&StageTensor> for CrossingRow {
    fn from(tensor: &StageTensor) -> Self {
        let kind = tensor.info.kind.to_string();
        Self { name: tensor.info.name.clone(), kind, bytes: tensor.bytes, from: tensor.from }
    }
}
