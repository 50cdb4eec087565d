//! A model as a graph of nodes and tensors, each node still as it lies in the file.

use super::{
    error::ShardError,
    reading::Reading,
    shape::{Shapes, Size},
    wire,
};
use crate::onnx::{Dim, ModelFile, ValueInfo, ValueKind, value::dtype_of};
use bytes::Bytes;
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    fmt, fs,
    path::{Path, PathBuf},
};
use tract_onnx::{
    pb::{NodeProto, tensor_proto::DataType},
    tract_hir::internal::SymbolScope,
};

/// A tensor's place in [`ModelGraph::tensors`].
pub(super) type TensorId = usize;

/// A model that can be cut: its nodes in an order in which they can run, their tensors with the shapes that are known
/// before it runs, and its weights, of which only the place and the size are known.
pub struct ModelGraph {
    pub(super) path: PathBuf,
    pub(super) file: ModelFile,
    /// The fields of the model beside the graph, and of the graph beside what is kept in the fields below.
    pub(super) model_fields: Vec<Bytes>,
    pub(super) graph_fields: Vec<Bytes>,
    pub(super) nodes: Vec<Node>,
    pub(super) tensors: Vec<Tensor>,
    /// What comes out.
    pub(super) outputs: Vec<TensorId>,
    pub(super) names: HashSet<String>,
    /// Keeps the names of the symbols in the tensors' shapes.
    pub(super) symbols: SymbolScope,
}

/// One operator of a model.
pub(super) struct Node {
    pub name: String,
    /// `Conv`, and with the domain where it is not ONNX's own.
    pub op: String,
    /// What it reads, in the order of its inputs; `None` for one left out.
    pub inputs: Vec<Option<TensorId>>,
    /// What the bodies in its attributes read of the graph around them.
    pub captures: Vec<TensorId>,
    pub outputs: Vec<Option<TensorId>>,
    /// The node as it lies in the file.
    pub raw: Bytes,
    pub proto: NodeProto,
}

impl Node {
    /// All that it reads.
    pub fn reads(&self) -> impl Iterator<Item = TensorId> + '_ {
        self.inputs.iter().flatten().chain(&self.captures).copied()
    }

    /// All that it makes.
    pub fn makes(&self) -> impl Iterator<Item = TensorId> + '_ {
        self.outputs.iter().flatten().copied()
    }

    /// An attribute that is a number.
    pub fn int(&self, name: &str) -> Option<i64> {
        self.proto.attribute.iter().find(|attribute| attribute.name == name).map(|attribute| attribute.i)
    }

    /// Whether it has a body: those are never cut inside.
    pub fn has_body(&self) -> bool {
        self.proto.attribute.iter().any(|attribute| attribute.g.is_some() || !attribute.graphs.is_empty())
    }
}

/// A tensor of the graph.
#[derive(Default)]
pub(super) struct Tensor {
    pub name: String,
    /// The number of its element type in `TensorProto.DataType`, where it is known.
    pub elem_type: Option<i32>,
    /// Its dimensions; `None` where even their number is open.
    pub shape: Option<Vec<Size>>,
    /// Its data, when it is an initializer.
    pub weight: Option<Weight>,
    /// `ValueInfoProto`s as they lie in the file: that of a graph's input or output, and that of a value within.
    pub declared: Option<Bytes>,
    pub described: Option<Bytes>,
    /// Its quantization annotation, as it lies in the file.
    pub annotation: Option<Bytes>,
    /// Whether it is listed among the graph's inputs.
    pub is_listed: bool,
    /// Whether a caller may give it, be it in place of an initializer.
    pub is_input: bool,
    /// The node that makes it.
    pub maker: Option<usize>,
}

/// An initializer as it lies in the file.
pub(super) struct Weight {
    pub raw: Bytes,
    /// The same without its field's key and length.
    pub content: Bytes,
    pub sparse: bool,
    /// How many bytes its data take, in the model's file or beside it.
    pub bytes: u64,
}

impl fmt::Debug for ModelGraph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModelGraph").field("path", &self.path).field("nodes", &self.len()).finish_non_exhaustive()
    }
}

impl ModelGraph {
    /// Reads a model and infers the shapes of its tensors. Weights are not decoded, and what lies in external files is
    /// not read before stages are written.
    ///
    /// # Errors
    /// [`ShardError::Model`] for what is no readable model, [`ShardError::Broken`] for a graph that contradicts itself.
    pub fn read(path: &Path) -> Result<Self, ShardError> {
        Self::of(ModelFile::read(path)?)
    }

    /// The graph of a model file that was already looked at.
    ///
    /// # Errors
    /// As [`ModelGraph::read`].
    pub fn of(file: ModelFile) -> Result<Self, ShardError> {
        let path = file.path.clone();
        let bytes: Bytes =
            fs::read(&path).map_err(|source| crate::onnx::ModelError::Io { path: path.clone(), source })?.into();
        let mut model_fields = Vec::new();
        let mut graph_bytes = Bytes::new();
        for field in wire::fields(&bytes, &path)? {
            match field.number {
                GRAPH => graph_bytes = field.content,
                // Training trains weights that the stages no longer have in one place.
                TRAINING => {}
                _ => model_fields.push(field.whole),
            }
        }
        let mut reading = Reading::new(&path);
        for field in wire::fields(&graph_bytes, &path)? {
            reading.take(field)?;
        }
        let mut graph = reading.finish(file, model_fields)?;
        graph.sort()?;
        graph.drop_what_nobody_reads();
        graph.note_makers()?;
        Shapes::of(&graph).infer(&mut graph);
        Ok(graph)
    }

    /// The model's file.
    pub const fn file(&self) -> &ModelFile {
        &self.file
    }

    /// How many nodes there are, bodies counted as part of their node and nodes that nobody reads left out.
    pub const fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is no node.
    pub const fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// What a tensor is, as far as it is known before the model runs.
    pub(super) fn info(&self, tensor: TensorId) -> ValueInfo {
        let tensor = &self.tensors[tensor];
        let kind = match tensor.elem_type.map(dtype_of) {
            Some(Ok(dtype)) => {
                ValueKind::Tensor { dtype, shape: tensor.shape.as_ref().map(|s| s.iter().map(Dim::from).collect()) }
            }
            Some(Err(what)) => ValueKind::Unsupported { what: format!("a tensor of {what}") },
            None => ValueKind::Unsupported { what: "a value of unknown type".to_owned() },
        };
        ValueInfo { name: tensor.name.clone(), kind }
    }

    /// Whether a tensor crosses between stages as float32 although the graph has it as float16. The CPU computes float16
    /// in float32 and keeps what it computed from one node to the next; a cut must not round in between. On targets that
    /// compute in float16 it changes nothing.
    pub(super) fn crosses_widened(&self, id: TensorId) -> bool {
        let tensor = &self.tensors[id];
        let is_half = tensor.elem_type == Some(DataType::Float16 as i32);
        is_half && tensor.maker.is_some() && !self.names.contains(&widened_name(&tensor.name))
    }

    /// Puts the nodes into an order in which they can run, which is the file's own where that is one.
    fn sort(&mut self) -> Result<(), ShardError> {
        let mut maker = HashMap::new();
        for (index, node) in self.nodes.iter().enumerate() {
            maker.extend(node.makes().map(|tensor| (tensor, index)));
        }
        let mut waiting_for = vec![0_usize; self.nodes.len()];
        let mut readers = vec![Vec::new(); self.nodes.len()];
        for (index, node) in self.nodes.iter().enumerate() {
            for made_by in node.reads().filter_map(|tensor| maker.get(&tensor)) {
                readers[*made_by].push(index);
                waiting_for[index] += 1;
            }
        }
        let mut ready: BTreeSet<usize> = (0..self.nodes.len()).filter(|index| waiting_for[*index] == 0).collect();
        let mut order = Vec::with_capacity(self.nodes.len());
        while let Some(index) = ready.pop_first() {
            order.push(index);
            for reader in &readers[index] {
                waiting_for[*reader] -= 1;
                if waiting_for[*reader] == 0 {
                    ready.insert(*reader);
                }
            }
        }
        if order.len() < self.nodes.len() {
            return Err(ShardError::broken(&self.path, "its nodes read each other in a circle"));
        }
        let mut nodes: Vec<Option<Node>> = self.nodes.drain(..).map(Some).collect();
        self.nodes = order.into_iter().filter_map(|index| nodes[index].take()).collect();
        Ok(())
    }

    fn drop_what_nobody_reads(&mut self) {
        let mut read: HashSet<TensorId> = self.outputs.iter().copied().collect();
        let mut keep = vec![false; self.nodes.len()];
        for (index, node) in self.nodes.iter().enumerate().rev() {
            keep[index] = node.makes().any(|tensor| read.contains(&tensor));
            if keep[index] {
                read.extend(node.reads());
            }
        }
        let mut keep = keep.into_iter();
        self.nodes.retain(|_| keep.next().unwrap_or(false));
    }

    fn note_makers(&mut self) -> Result<(), ShardError> {
        for (index, node) in self.nodes.iter().enumerate() {
            for tensor in node.makes() {
                let tensor = &mut self.tensors[tensor];
                if tensor.maker.replace(index).is_some() {
                    return Err(ShardError::broken(&self.path, format!("two nodes make `{}`", tensor.name)));
                }
            }
        }
        let known = |tensor: &Tensor| tensor.maker.is_some() || tensor.is_input || tensor.weight.is_some();
        for node in &self.nodes {
            if let Some(lost) = node.reads().map(|tensor| &self.tensors[tensor]).find(|tensor| !known(tensor)) {
                let what = format!("node `{}` ({}) reads `{}`, which nothing makes", node.name, node.op, lost.name);
                return Err(ShardError::broken(&self.path, what));
            }
        }
        match self.outputs.iter().map(|output| &self.tensors[*output]).find(|tensor| !known(tensor)) {
            Some(lost) => Err(ShardError::broken(&self.path, format!("nothing makes its output `{}`", lost.name))),
            None => Ok(()),
        }
    }
}

/// What a float16 tensor is called where it crosses between stages as float32.
pub(super) fn widened_name(name: &str) -> String {
    format!("{name}.float32")
}

/// Field numbers of `ModelProto`.
const GRAPH: u32 = 7;
const TRAINING: u32 = 20;

/// Field numbers of `GraphProto`.
pub(super) const NODE: u32 = 1;
pub(super) const INITIALIZER: u32 = 5;
pub(super) const INPUT: u32 = 11;
pub(super) const OUTPUT: u32 = 12;
pub(super) const VALUE_INFO: u32 = 13;
pub(super) const ANNOTATION: u32 = 14;
pub(super) const SPARSE_INITIALIZER: u32 = 15;
