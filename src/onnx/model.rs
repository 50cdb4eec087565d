//! Reading a model file: what goes in, what comes out, and what it needs.

use super::external::{ExternalFile, each_node, external_files};
use super::precision;
use super::proto;
use super::value::ValueInfo;
use crate::types::{Dtype, Family};
use prost::Message;
use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fs, io,
    path::{Path, PathBuf},
};

/// The most that a protobuf file may hold; what is larger has to keep its weights in external files.
const LARGEST: u64 = i32::MAX as u64;

/// The first IR version whose initializers are defaults that an input may override; before, they were constants that
/// had to be listed among the inputs.
const IR_WITH_DEFAULTS: i64 = 4;

/// The first IR version that has to import an operator set.
const IR_WITH_OPSETS: i64 = 3;

/// An ONNX model file, read but for its weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelFile {
    /// Where it is.
    pub path: PathBuf,
    /// The file's name without its extension, or the name of its folder when the file is `model.onnx`.
    pub name: String,
    /// The length of the model file, without its external files.
    pub bytes: u64,
    /// The files that hold weights, in the order of their names.
    pub external: Vec<ExternalFile>,
    /// What has to be given, in the graph's order. Inputs with an initializer are not among them.
    pub inputs: Vec<ValueInfo>,
    /// Inputs that may be given to override their initializer (IR version 4 and later).
    pub defaults: Vec<ValueInfo>,
    /// What comes out, in the graph's order.
    pub outputs: Vec<ValueInfo>,
    /// The imported operator sets' versions by domain; ONNX's own domain is `ai.onnx`.
    pub opsets: BTreeMap<String, i64>,
    /// The operators in use, in subgraphs and functions too: `Conv`, and with the domain where it is not ONNX's own:
    /// `com.microsoft.Gelu`. Functions that the model defines itself are told by what they consist of.
    pub operators: BTreeSet<String>,
    /// The element type of its weights, or, where it has none, of its inputs; `None` where that tells no precision, or
    /// one that the runtime does not have.
    pub precision: Option<Dtype>,
    /// The kind of work, where the model's metadata say so under `tabfleet.family`.
    pub family: Option<Family>,
    /// The version of ONNX's intermediate representation.
    pub ir_version: i64,
    /// The tool that made it, as it says; may be empty.
    pub producer: String,
}

/// Why a model file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// There is no file.
    #[error("{} does not exist; give the path of an .onnx file", path.display())]
    Missing {
        /// The path.
        path: PathBuf,
    },
    /// The file has no bytes.
    #[error("{} is empty; fetch or export it again", path.display())]
    Empty {
        /// The path.
        path: PathBuf,
    },
    /// The file is something else.
    #[error("{} is not an ONNX model: {what}", path.display())]
    NotOnnx {
        /// The path.
        path: PathBuf,
        /// What it is or lacks, and what to do.
        what: String,
    },
    /// The file begins as an ONNX model, and ends too early.
    #[error("{} is cut off: {what} after {bytes} bytes; fetch or export it again", path.display())]
    Truncated {
        /// The path.
        path: PathBuf,
        /// How long the file is.
        bytes: u64,
        /// What is missing.
        what: String,
    },
    /// The file is larger than a protobuf message can be.
    #[error(
        "{} has {bytes} bytes, and no runtime reads a model file of more than 2 GiB; \
         export it with its weights in external files",
        path.display()
    )]
    TooLarge {
        /// The path.
        path: PathBuf,
        /// How long the file is.
        bytes: u64,
    },
    /// A file of weights is not there.
    #[error("{} keeps weights in `{external}`, and there is no file {}; put it beside the model", path.display(), file.display())]
    ExternalMissing {
        /// The model.
        path: PathBuf,
        /// The file as the model names it.
        external: String,
        /// Where it was looked for.
        file: PathBuf,
    },
    /// A file of weights is shorter than the model says.
    #[error(
        "{} needs {needed} bytes of `{external}`, which has {bytes}; fetch or export both again, together",
        path.display()
    )]
    ExternalTruncated {
        /// The model.
        path: PathBuf,
        /// The file as the model names it.
        external: String,
        /// How long it is.
        bytes: u64,
        /// Up to where the model reads it.
        needed: u64,
    },
    /// A file of weights lies outside the model's folder, which is refused: a model could name any file of this machine.
    #[error(
        "{} keeps weights in `{external}`, which is outside its folder; export it with its weights beside it",
        path.display()
    )]
    ExternalOutside {
        /// The model.
        path: PathBuf,
        /// The file as the model names it.
        external: String,
    },
    /// The model does not say clearly where its weights are.
    #[error("{} keeps weights in a file, but {what}; export it again", path.display())]
    ExternalUnclear {
        /// The model.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The disk did not give it.
    #[error("{} cannot be read", path.display())]
    Io {
        /// The model, or the external file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl ModelFile {
    /// Reads the model at `path` and finds its external files, whose contents are not read.
    ///
    /// # Errors
    /// See [`ModelError`]; each says what to do next.
    pub fn read(path: &Path) -> Result<Self, ModelError> {
        let io = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound => ModelError::Missing { path: path.to_owned() },
            _ => ModelError::Io { path: path.to_owned(), source },
        };
        let metadata = fs::metadata(path).map_err(io)?;
        if metadata.is_dir() {
            let what = "it is a folder; give the path of the .onnx file in it".to_owned();
            return Err(ModelError::NotOnnx { path: path.to_owned(), what });
        }
        let bytes = metadata.len();
        if bytes > LARGEST {
            return Err(ModelError::TooLarge { path: path.to_owned(), bytes });
        }
        Self::from_bytes(path, &fs::read(path).map_err(io)?)
    }

    fn from_bytes(path: &Path, file: &[u8]) -> Result<Self, ModelError> {
        let model = decode(path, file)?;
        let external = external_files(path, &model)?;
        let operators = operators(&model);
        let weights = precision::of_weights(&model);
        let family = model.metadata_props.iter().find(|entry| entry.key == "tabfleet.family");
        let family = family.and_then(|entry| entry.value.parse().ok());
        let opsets = model.opset_import.into_iter().map(|set| (full_domain(set.domain), set.version)).collect();
        let graph = model.graph.unwrap_or_default();

        let dense = graph.initializer.into_iter().map(|tensor| tensor.name);
        let sparse = graph.sparse_initializer.into_iter().filter_map(|sparse| sparse.values).map(|tensor| tensor.name);
        let initialized: HashSet<String> = dense.chain(sparse).collect();
        let (defaults, inputs): (Vec<_>, Vec<_>) =
            graph.input.into_iter().map(ValueInfo::from).partition(|input| initialized.contains(&input.name));
        let defaults = if model.ir_version < IR_WITH_DEFAULTS { Vec::new() } else { defaults };
        Ok(Self {
            path: path.to_owned(),
            name: name_of(path),
            precision: weights.unwrap_or_else(|| precision::of_inputs(&inputs)),
            bytes: file.len() as u64,
            external,
            inputs,
            defaults,
            outputs: graph.output.into_iter().map(ValueInfo::from).collect(),
            opsets,
            operators,
            family,
            ir_version: model.ir_version,
            producer: model.producer_name,
        })
    }
}

fn decode(path: &Path, file: &[u8]) -> Result<proto::Model, ModelError> {
    let not_onnx = |what: String| ModelError::NotOnnx { path: path.to_owned(), what };
    let truncated =
        |what: &str| ModelError::Truncated { path: path.to_owned(), bytes: file.len() as u64, what: what.to_owned() };
    if file.is_empty() {
        return Err(ModelError::Empty { path: path.to_owned() });
    }
    if let Some(what) = something_else(file) {
        return Err(not_onnx(what.to_owned()));
    }
    match outline(file) {
        Outline::Whole => {}
        Outline::Cut => return Err(truncated("a field is not complete")),
        Outline::Foreign => return Err(not_onnx("its bytes are not those of a model; export it as ONNX".to_owned())),
    }
    let model = proto::Model::decode(file).map_err(|error| not_onnx(format!("{error}; export it again")))?;
    if model.graph.is_none() {
        let what = "it has no graph; if it is a tensor file (.pb), give the model beside it";
        return Err(not_onnx(what.to_owned()));
    }
    if model.ir_version >= IR_WITH_OPSETS && model.opset_import.is_empty() {
        return Err(truncated("its operator sets are missing"));
    }
    Ok(model)
}

/// What people give by mistake, by its first bytes.
fn something_else(file: &[u8]) -> Option<&'static str> {
    let starts = |magic: &[u8]| file.starts_with(magic);
    if starts(b"version https://git-lfs") {
        Some("it is a Git LFS pointer to one; run `git lfs pull`")
    } else if file.get(4..8) == Some(b"ORTM") {
        Some("it is in the .ort format; give the .onnx file it was made from")
    } else if starts(b"PK\x03\x04") || starts(b"\x1f\x8b") {
        Some("it is compressed; unpack it first")
    } else if file.trim_ascii_start().starts_with(b"<") {
        Some("it is a page (HTML or XML), perhaps a failed download; fetch it again")
    } else {
        None
    }
}

/// What the top level of a file looks like.
enum Outline {
    /// Fields of a model, to the end.
    Whole,
    /// Fields of a model, of which the last is not complete.
    Cut,
    /// Something else.
    Foreign,
}

/// Walks the fields of `ModelProto` without looking into them, to tell a model that is cut off from what never was one.
fn outline(mut file: &[u8]) -> Outline {
    use prost::encoding::{WireType, decode_key, decode_varint};
    let mut recognised = false;
    let cut = |recognised| if recognised { Outline::Cut } else { Outline::Foreign };
    while !file.is_empty() {
        // A varint of ten bytes or more is broken, a shorter one was complete if it could be decoded at all.
        let ended = file.len() < 10;
        let Ok((field, wire)) = decode_key(&mut file) else {
            return cut(recognised && ended);
        };
        let text = matches!(field, 2 | 3 | 4 | 6 | 7 | 8 | 14 | 20 | 25 | 26);
        let number = matches!(field, 1 | 5);
        if (text && wire != WireType::LengthDelimited) || (number && wire != WireType::Varint) || !(text || number) {
            return Outline::Foreign;
        }
        let ended = file.len() < 10;
        let Ok(value) = decode_varint(&mut file) else {
            return cut(recognised && ended);
        };
        if text {
            match usize::try_from(value).ok().and_then(|length| file.get(length..)) {
                Some(rest) => file = rest,
                None => return cut(recognised),
            }
        }
        recognised |= field == 1 || field == 7;
    }
    Outline::Whole
}

fn operators(model: &proto::Model) -> BTreeSet<String> {
    let own: HashSet<(&str, &str)> = model.functions.iter().map(|f| (f.domain.as_str(), f.name.as_str())).collect();
    let mut operators = BTreeSet::new();
    each_node(model, &mut |node| {
        if !own.contains(&(node.domain.as_str(), node.op_type.as_str())) {
            operators.insert(match node.domain.as_str() {
                "" | "ai.onnx" => node.op_type.clone(),
                domain => format!("{domain}.{}", node.op_type),
            });
        }
    });
    operators
}

fn full_domain(domain: String) -> String {
    if domain.is_empty() { "ai.onnx".to_owned() } else { domain }
}

fn name_of(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or(path.as_os_str());
    // The folder's name may only show once the path is absolute: `model.onnx`, `../model.onnx`.
    let folder = || path.canonicalize().ok()?.parent()?.file_name().map(|name| name.to_string_lossy().into_owned());
    let named_by_folder = path.file_name().is_some_and(|name| name == "model.onnx");
    let name = if named_by_folder { folder() } else { None };
    name.unwrap_or_else(|| stem.to_string_lossy().into_owned())
}
