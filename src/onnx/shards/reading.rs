//! Reading a graph: its nodes, the names of its tensors, and where its weights lie.

use super::{
    error::ShardError,
    graph::{
        ANNOTATION, INITIALIZER, INPUT, ModelGraph, NODE, Node, OUTPUT, SPARSE_INITIALIZER, Tensor, TensorId,
        VALUE_INFO, Weight,
    },
    shape::Size,
    wire::Field,
};
use crate::onnx::{ModelFile, proto::Entry};
use bytes::Bytes;
use prost::Message;
use std::{
    collections::{BTreeMap, HashSet},
    path::Path,
};
use tract_onnx::{
    pb::{GraphProto, NodeProto},
    tract_hir::internal::SymbolScope,
};

/// A graph while its fields are read.
pub(super) struct Reading<'a> {
    path: &'a Path,
    fields: Vec<Bytes>,
    nodes: Vec<(NodeProto, Bytes)>,
    tensors: Vec<Tensor>,
    ids: BTreeMap<String, TensorId>,
    inputs: Vec<TensorId>,
    outputs: Vec<TensorId>,
}

impl<'a> Reading<'a> {
    pub fn new(path: &'a Path) -> Self {
        Self {
            path,
            fields: Vec::new(),
            nodes: Vec::new(),
            tensors: Vec::new(),
            ids: BTreeMap::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
        }
    }

    fn id(&mut self, name: &str) -> TensorId {
        if let Some(id) = self.ids.get(name) {
            return *id;
        }
        self.tensors.push(Tensor { name: name.to_owned(), ..Tensor::default() });
        self.ids.insert(name.to_owned(), self.tensors.len() - 1);
        self.tensors.len() - 1
    }

    fn optional(&mut self, name: &str) -> Option<TensorId> {
        (!name.is_empty()).then(|| self.id(name))
    }

    pub fn take(&mut self, field: Field) -> Result<(), ShardError> {
        let broken = |error: prost::DecodeError| ShardError::broken(self.path, error.to_string());
        match field.number {
            NODE => {
                let node = NodeProto::decode(field.content.clone()).map_err(broken)?;
                self.nodes.push((node, field.whole));
            }
            INITIALIZER | SPARSE_INITIALIZER => {
                let sparse = field.number == SPARSE_INITIALIZER;
                let header = if sparse {
                    let header = Sparse::decode(field.content.clone()).map_err(broken)?;
                    Header { dims: header.dims, ..header.values.unwrap_or_default() }
                } else {
                    Header::decode(field.content.clone()).map_err(broken)?
                };
                let outside = header.external_data.iter().find(|entry| entry.key == "length");
                let outside = outside.and_then(|entry| entry.value.trim().parse::<u64>().ok());
                let bytes = outside.unwrap_or(field.content.len() as u64);
                let id = self.id(&header.name);
                let tensor = &mut self.tensors[id];
                tensor.elem_type = Some(header.data_type);
                tensor.shape = header.dims.iter().map(|dim| u64::try_from(*dim).ok().map(Size::Fixed)).collect();
                tensor.weight = Some(Weight { raw: field.whole, content: field.content, sparse, bytes });
            }
            INPUT | OUTPUT | VALUE_INFO => {
                let name = Named::decode(field.content.clone()).map_err(broken)?.name;
                let id = self.id(&name);
                match field.number {
                    INPUT => self.inputs.push(id),
                    OUTPUT => self.outputs.push(id),
                    _ => {}
                }
                let place = match field.number {
                    VALUE_INFO => &mut self.tensors[id].described,
                    _ => &mut self.tensors[id].declared,
                };
                *place = Some(field.content);
            }
            ANNOTATION => {
                let name = Named::decode(field.content.clone()).map_err(broken)?.name;
                let id = self.id(&name);
                self.tensors[id].annotation = Some(field.whole);
            }
            _ => self.fields.push(field.whole),
        }
        Ok(())
    }

    pub fn finish(mut self, file: ModelFile, model_fields: Vec<Bytes>) -> Result<ModelGraph, ShardError> {
        for id in self.inputs.clone() {
            // Before IR version 4 every initializer had to be listed among the inputs, and none could be given.
            let tensor = &mut self.tensors[id];
            tensor.is_listed = true;
            tensor.is_input = tensor.weight.is_none() || file.ir_version >= 4;
        }
        let nodes = std::mem::take(&mut self.nodes);
        // A body may read what a node further down makes, since nodes need not be in order.
        nodes.iter().flat_map(|(node, _)| &node.output).for_each(|name| _ = self.optional(name));
        let nodes = nodes.into_iter().map(|(proto, raw)| self.node(proto, raw)).collect();
        Ok(ModelGraph {
            path: self.path.to_owned(),
            file,
            model_fields,
            graph_fields: self.fields,
            nodes,
            names: self.tensors.iter().map(|tensor| tensor.name.clone()).collect(),
            tensors: self.tensors,
            outputs: self.outputs,
            symbols: SymbolScope::default(),
        })
    }

    fn node(&mut self, proto: NodeProto, raw: Bytes) -> Node {
        let mut outside = Vec::new();
        for attribute in &proto.attribute {
            attribute.g.iter().chain(&attribute.graphs).for_each(|body| captures(body, &HashSet::new(), &mut outside));
        }
        let domain = match proto.domain.as_str() {
            "" | "ai.onnx" => String::new(),
            domain => format!("{domain}."),
        };
        Node {
            name: proto.name.clone(),
            op: format!("{domain}{}", proto.op_type),
            inputs: proto.input.iter().map(|name| self.optional(name)).collect(),
            captures: outside.into_iter().filter_map(|name| self.ids.get(name).copied()).collect(),
            outputs: proto.output.iter().map(|name| self.optional(name)).collect(),
            raw,
            proto: NodeProto { doc_string: String::new(), ..proto.clone() },
        }
    }
}

/// The names that a body reads and does not define.
fn captures<'a>(body: &'a GraphProto, around: &HashSet<&'a str>, outside: &mut Vec<&'a str>) {
    let mut within = around.clone();
    within.extend(body.input.iter().map(|value| value.name.as_str()));
    within.extend(body.initializer.iter().map(|tensor| tensor.name.as_str()));
    within.extend(body.sparse_initializer.iter().filter_map(|s| s.values.as_ref()).map(|values| values.name.as_str()));
    within.extend(body.node.iter().flat_map(|node| &node.output).map(String::as_str));
    let mut read = |name: &'a str| {
        if !name.is_empty() && !within.contains(name) && !outside.contains(&name) {
            outside.push(name);
        }
    };
    body.node.iter().flat_map(|node| &node.input).for_each(|name| read(name));
    body.output.iter().for_each(|value| read(&value.name));
    let attributes = body.node.iter().flat_map(|node| &node.attribute);
    attributes.flat_map(|a| a.g.iter().chain(&a.graphs)).for_each(|inner| captures(inner, &within, outside));
}

/// `ValueInfoProto` and `TensorAnnotation`, which both begin with the name.
#[derive(Clone, PartialEq, Message)]
struct Named {
    #[prost(string, tag = "1")]
    name: String,
}

/// `TensorProto` without its data.
#[derive(Clone, PartialEq, Message)]
struct Header {
    #[prost(int64, repeated, tag = "1")]
    dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    data_type: i32,
    #[prost(string, tag = "8")]
    name: String,
    #[prost(message, repeated, tag = "13")]
    external_data: Vec<Entry>,
}

/// `SparseTensorProto` without its data.
#[derive(Clone, PartialEq, Message)]
struct Sparse {
    #[prost(message, optional, tag = "1")]
    values: Option<Header>,
    #[prost(int64, repeated, tag = "3")]
    dims: Vec<i64>,
}
