//! A model node by node, as the planner sees it: for reports.

use super::{
    component::{Component, components},
    cost::Costs,
    graph::ModelGraph,
    line::{Cut, Line},
    plan::ShardOptions,
    shape::Assumed,
};
use serde::Serialize;

/// One node of the line that a plan divides.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NodeProfile {
    /// Its place in the graph, as in [`StagePlan::nodes`](super::StagePlan::nodes).
    pub node: usize,
    /// Its name; may be empty.
    pub name: String,
    /// Its operator, with the domain where it is not ONNX's own.
    pub operator: String,
    /// What it belongs to.
    pub component: Component,
    /// Floating point operations, as estimated.
    pub flops: f64,
    /// Its time as it was given in the options, or as estimated, in milliseconds.
    pub ms: f64,
    /// How many bytes that earlier nodes made are read by it or by a later one: what would cross if the model were cut
    /// before it into two.
    pub crossing_bytes: u64,
    /// Whether it can be cut there at all.
    pub can_cut: bool,
    /// Whether a cut there would divide what the runtime computes as one.
    pub divides: bool,
}

impl ModelGraph {
    /// The nodes that a plan with these options divides, in their order.
    pub fn profile(&self, options: &ShardOptions) -> Vec<NodeProfile> {
        let costs = Costs::of(self, &Assumed { dims: &options.dims });
        let line = Line::of(self, &costs);
        let components = components(self, &line, &options.mapping);
        let mut steps = vec![0_i64; line.nodes.len() + 1];
        for id in 0..self.tensors.len() {
            if let (Some(made), Some(last)) = (line.made[id], line.last_read[id]) {
                steps[made + 1] += costs.crossing[id] as i64;
                steps[last + 1] -= costs.crossing[id] as i64;
            }
        }
        let crossing = steps.into_iter().scan(0, |sum, step| {
            *sum += step;
            Some(*sum)
        });
        let places = line.nodes.iter().zip(components).zip(&line.cuts).zip(crossing);
        let profile = places.map(|(((index, component), cut), crossing)| {
            let node = &self.nodes[*index];
            NodeProfile {
                node: *index,
                name: node.name.clone(),
                operator: node.op.clone(),
                component,
                flops: costs.flops[*index],
                ms: options.node_ms.as_ref().map_or(costs.ms[*index], |ms| ms[*index]),
                crossing_bytes: crossing as u64,
                can_cut: *cut != Cut::Impossible,
                divides: *cut == Cut::Divides,
            }
        });
        profile.collect()
    }
}
