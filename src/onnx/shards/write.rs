//! Stages as ONNX models of their own.

use super::{
    error::ShardError,
    graph::{INPUT, ModelGraph, NODE, OUTPUT, TensorId, VALUE_INFO},
    plan::{ShardPlan, StagePlan, StageTensor},
    shape::Size,
    weights::Beside,
    wire,
};
use crate::onnx::Dim;
use bytes::Bytes;
use prost::Message;
use std::{
    collections::BTreeSet,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};
use tract_onnx::pb::{
    AttributeProto, NodeProto, TensorShapeProto, TypeProto, ValueInfoProto, attribute_proto::AttributeType,
    tensor_proto::DataType, tensor_shape_proto, type_proto,
};

/// What a stage's file may hold of weights; what is more lies beside it. Protobuf ends at 2 GiB.
const LARGEST_INLINE: u64 = 1 << 30;

impl ModelGraph {
    /// Writes every stage into a folder, which is made if need be, as `NAME.stage-1.onnx` and so on. Weights are within,
    /// or beside it in `NAME.stage-1.onnx.data` where they are more than a protobuf file can hold. Returns the files in
    /// the order of the stages.
    ///
    /// # Errors
    /// As [`ModelGraph::write_stage`].
    pub fn write_stages(&self, plan: &ShardPlan, folder: &Path) -> Result<Vec<PathBuf>, ShardError> {
        let write = |(index, stage)| self.write_stage(stage, &folder.join(self.stage_name(index)));
        plan.stages.iter().enumerate().map(write).collect()
    }

    fn stage_name(&self, index: usize) -> String {
        format!("{}.stage-{}.onnx", self.file.name, index + 1)
    }

    /// Writes one stage as a model of its own: the same operator sets, functions and metadata, its inputs and outputs
    /// under the graph's own names for them.
    ///
    /// # Errors
    /// [`ShardError::Write`] when the disk does not take it, [`ShardError::Model`] when an external file cannot be read.
    pub fn write_stage(&self, stage: &StagePlan, path: &Path) -> Result<PathBuf, ShardError> {
        let failed = |source: io::Error| ShardError::Write { path: path.to_owned(), source };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        let parts = self.parts(stage);
        let inline: u64 =
            parts.weights.iter().filter_map(|id| self.tensors[*id].weight.as_ref()).map(|w| w.bytes).sum();
        let beside = (inline > LARGEST_INLINE).then(|| beside(path));
        let graph = self.graph(stage, &parts, beside)?;
        let mut model = Vec::new();
        self.model_fields.iter().for_each(|field| model.extend_from_slice(field));
        wire::begin(&mut model, 7, graph.len());
        let mut out = fs::File::create(path).map_err(failed)?;
        out.write_all(&model).and_then(|()| out.write_all(&graph)).map_err(failed)?;
        Ok(path.to_owned())
    }

    fn parts(&self, stage: &StagePlan) -> Parts {
        let nodes: BTreeSet<usize> = stage.nodes.iter().chain(&stage.copies).copied().collect();
        let mut parts = Parts::default();
        for node in &nodes {
            let node = &self.nodes[*node];
            parts.weights.extend(node.reads().filter(|id| self.tensors[*id].weight.is_some()));
            parts.made.extend(node.makes());
        }
        let leaving = stage.outputs.iter().map(|output| output.tensor);
        parts.weights.extend(leaving.filter(|id| self.tensors[*id].weight.is_some()));
        parts.nodes = nodes;
        parts
    }

    fn graph(&self, stage: &StagePlan, parts: &Parts, beside: Option<PathBuf>) -> Result<Vec<u8>, ShardError> {
        let mut graph = Vec::new();
        self.graph_fields.iter().for_each(|field| graph.extend_from_slice(field));
        for tensor in stage.inputs.iter().filter(|tensor| self.is_renamed(tensor)) {
            wire::put(
                &mut graph,
                NODE,
                &renaming(tensor, &tensor.info.name, &self.tensors[tensor.tensor].name, DataType::Float16),
            );
        }
        parts.nodes.iter().for_each(|node| graph.extend_from_slice(&self.nodes[*node].raw));
        for tensor in stage.outputs.iter().filter(|tensor| self.is_renamed(tensor)) {
            wire::put(
                &mut graph,
                NODE,
                &renaming(tensor, &self.tensors[tensor.tensor].name, &tensor.info.name, DataType::Float),
            );
        }
        for (number, tensors) in [(INPUT, &stage.inputs), (OUTPUT, &stage.outputs)] {
            for tensor in tensors {
                wire::put(&mut graph, number, &self.value_info(tensor));
            }
        }
        let ends: BTreeSet<&str> = stage.inputs.iter().chain(&stage.outputs).map(|t| t.info.name.as_str()).collect();
        for id in parts.weights.iter().chain(&parts.made) {
            let tensor = &self.tensors[*id];
            if let Some(info) = tensor.described.as_ref().filter(|_| !ends.contains(tensor.name.as_str())) {
                wire::put(&mut graph, VALUE_INFO, info);
            }
            if let Some(annotation) = &tensor.annotation {
                graph.extend_from_slice(annotation);
            }
        }
        let mut beside = beside.map(Beside::create).transpose()?;
        for id in &parts.weights {
            let tensor = &self.tensors[*id];
            let Some(weight) = &tensor.weight else { continue };
            // What was listed among the inputs stays so: before IR version 4 that is the rule, and from then on it says
            // that a caller may give it, which keeps the runtime from computing with it beforehand.
            if let Some(declared) = tensor.declared.as_ref().filter(|_| tensor.is_listed) {
                wire::put(&mut graph, INPUT, declared);
            }
            match weight.sparse {
                true => graph.extend_from_slice(&weight.raw),
                false => self.put_weight(&weight.content, beside.as_mut(), &mut graph)?,
            }
        }
        Ok(graph)
    }

    /// Whether it crosses under another name than the graph's.
    fn is_renamed(&self, tensor: &StageTensor) -> bool {
        tensor.info.name != self.tensors[tensor.tensor].name
    }

    fn value_info(&self, tensor: &StageTensor) -> Bytes {
        let own = &self.tensors[tensor.tensor];
        if let Some(declared) = own.declared.as_ref().filter(|_| !self.is_renamed(tensor)) {
            return declared.clone();
        }
        let dim = |size: &Size| tensor_shape_proto::Dimension {
            value: match Dim::from(size) {
                Dim::Fixed(n) => Some(tensor_shape_proto::dimension::Value::DimValue(n as i64)),
                Dim::Symbol(name) => Some(tensor_shape_proto::dimension::Value::DimParam(name)),
                Dim::Unknown => None,
            },
            ..Default::default()
        };
        let shape = own.shape.as_ref().map(|shape| TensorShapeProto { dim: shape.iter().map(dim).collect() });
        let elem_type = if tensor.widened { DataType::Float as i32 } else { own.elem_type.unwrap_or(0) };
        let kind = type_proto::Tensor { elem_type, shape };
        let kind = TypeProto { value: Some(type_proto::Value::TensorType(kind)), ..TypeProto::default() };
        let info = ValueInfoProto { name: tensor.info.name.clone(), r#type: Some(kind), ..ValueInfoProto::default() };
        info.encode_to_vec().into()
    }
}

/// What goes into a stage's graph.
#[derive(Default)]
struct Parts {
    nodes: BTreeSet<usize>,
    weights: BTreeSet<TensorId>,
    made: BTreeSet<TensorId>,
}

/// A node that gives a tensor another name, and another type where it crosses widened.
fn renaming(tensor: &StageTensor, from: &str, to: &str, narrow_or_wide: DataType) -> Vec<u8> {
    let cast = AttributeProto {
        name: "to".to_owned(),
        r#type: AttributeType::Int as i32,
        i: narrow_or_wide as i64,
        ..AttributeProto::default()
    };
    let node = NodeProto {
        op_type: if tensor.widened { "Cast" } else { "Identity" }.to_owned(),
        name: format!("{to}.renamed"),
        input: vec![from.to_owned()],
        output: vec![to.to_owned()],
        attribute: if tensor.widened { vec![cast] } else { Vec::new() },
        ..NodeProto::default()
    };
    node.encode_to_vec()
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".data");
    name.into()
}
