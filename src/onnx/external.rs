//! The files beside a model that hold its weights.

use super::model::ModelError;
use super::proto::{Attribute, Function, Graph, Model, Node, SparseTensor, Tensor};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    io,
    path::{Component, Path, PathBuf},
};

/// A file that holds weights of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExternalFile {
    /// The path as the model names it, which is what the runtime asks for.
    pub path: String,
    /// Where the file is.
    pub file: PathBuf,
    /// How long it is.
    pub bytes: u64,
}

/// Every file that a tensor anywhere in the model names, in the order of their names.
///
/// A path must stay within the model's folder. A symbolic link may lead out of it only to where the model file itself
/// lies, as in download caches whose snapshots are links into one folder of blobs.
pub(super) fn external_files(model_path: &Path, model: &Model) -> Result<Vec<ExternalFile>, ModelError> {
    let mut needed = BTreeMap::<String, u64>::new();
    let mut broken = None;
    each_tensor(model, &mut |tensor| {
        if tensor.data_location == EXTERNAL {
            match location(tensor) {
                Ok((path, end)) => {
                    let longest = needed.entry(path).or_default();
                    *longest = end.max(*longest);
                }
                Err(what) => broken = Some(format!("tensor `{}`: {what}", tensor.name)),
            }
        }
    });
    if let Some(what) = broken {
        return Err(ModelError::ExternalUnclear { path: model_path.to_owned(), what });
    }
    needed.into_iter().map(|(path, end)| find(model_path, path, end)).collect()
}

/// `TensorProto.DataLocation.EXTERNAL`.
const EXTERNAL: i32 = 1;

/// The path that a tensor names, and up to which byte of the file it needs.
fn location(tensor: &Tensor) -> Result<(String, u64), String> {
    let entry = |key: &str| tensor.external_data.iter().find(|e| e.key == key).map(|e| e.value.as_str());
    let number = |key: &str| match entry(key) {
        None => Ok(0),
        Some(text) => text.trim().parse::<u64>().map_err(|_| format!("its external {key} `{text}` is not a number")),
    };
    let path = entry("location").ok_or("its data are external, but it does not say where")?;
    let end = number("offset")?.checked_add(number("length")?).ok_or("its external data end past any file")?;
    Ok((path.to_owned(), end))
}

fn find(model_path: &Path, path: String, end: u64) -> Result<ExternalFile, ModelError> {
    let folder = match model_path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let outside = || ModelError::ExternalOutside { path: model_path.to_owned(), external: path.clone() };
    let file = folder.join(normal(&path).ok_or_else(outside)?);
    let io = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => {
            ModelError::ExternalMissing { path: model_path.to_owned(), external: path.clone(), file: file.clone() }
        }
        _ => ModelError::Io { path: file.clone(), source },
    };
    let real = file.canonicalize().map_err(io)?;
    let within = |folder: &Path| folder.canonicalize().is_ok_and(|folder| real.starts_with(folder));
    let beside_model = || model_path.canonicalize().is_ok_and(|model| model.parent() == real.parent());
    if !within(folder) && !beside_model() {
        return Err(outside());
    }
    let metadata = real.metadata().map_err(io)?;
    let bytes = metadata.len();
    if !metadata.is_file() {
        return Err(ModelError::ExternalMissing { path: model_path.to_owned(), external: path, file });
    }
    if bytes < end {
        return Err(ModelError::ExternalTruncated { path: model_path.to_owned(), external: path, bytes, needed: end });
    }
    Ok(ExternalFile { path, file, bytes })
}

/// A relative path without `.` and `..`; `None` when it is empty, absolute, or leaves the folder it starts in.
fn normal(path: &str) -> Option<PathBuf> {
    let mut normal = PathBuf::new();
    for component in Path::new(path).components() {
        match component {
            Component::Normal(name) => normal.push(name),
            Component::CurDir => {}
            Component::ParentDir if normal.pop() => {}
            _ => return None,
        }
    }
    (normal != Path::new("")).then_some(normal)
}

/// Every tensor that the model brings: initializers and attributes, those of functions and subgraphs too.
pub(super) fn each_tensor(model: &Model, visit: &mut impl FnMut(&Tensor)) {
    each_graph(model, &mut |graph| {
        graph.initializer.iter().for_each(&mut *visit);
        graph.sparse_initializer.iter().for_each(|sparse| each_part(sparse, visit));
    });
    each_node(model, &mut |node| {
        for attribute in &node.attribute {
            attribute.tensor.iter().chain(&attribute.tensors).for_each(&mut *visit);
            let sparse = attribute.sparse_tensor.iter().chain(&attribute.sparse_tensors);
            sparse.for_each(|sparse| each_part(sparse, visit));
        }
    });
}

fn each_part(sparse: &SparseTensor, visit: &mut impl FnMut(&Tensor)) {
    sparse.values.iter().chain(&sparse.indices).for_each(visit);
}

/// Every graph of the model: its own, those of training, and those that are attributes of nodes.
fn each_graph(model: &Model, visit: &mut dyn FnMut(&Graph)) {
    fn below(graph: &Graph, visit: &mut dyn FnMut(&Graph)) {
        visit(graph);
        within_nodes(&graph.node, visit);
    }
    fn within_nodes(nodes: &[Node], visit: &mut dyn FnMut(&Graph)) {
        let attributes = nodes.iter().flat_map(|node| &node.attribute);
        attributes.flat_map(Attribute::subgraphs).for_each(|graph| below(graph, visit));
    }
    model.graph.iter().for_each(|graph| below(graph, visit));
    let training = model.training_info.iter().flat_map(|t| t.initialization.iter().chain(&t.algorithm));
    training.for_each(|graph| below(graph, visit));
    model.functions.iter().for_each(|function| within_nodes(&function.node, visit));
}

/// Every node of the model, those of functions and subgraphs too.
pub(super) fn each_node(model: &Model, visit: &mut dyn FnMut(&Node)) {
    model.functions.iter().flat_map(|function: &Function| &function.node).for_each(&mut *visit);
    each_graph(model, &mut |graph| graph.node.iter().for_each(&mut *visit));
}

impl Attribute {
    fn subgraphs(&self) -> impl Iterator<Item = &Graph> {
        self.graph.iter().chain(&self.graphs)
    }
}
