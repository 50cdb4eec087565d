//! What the tensors of a graph are before it runs: element types and shapes, inferred node by node by tract's operators.
//! A node that tract does not know, or contradicts, leaves what it makes open and the rest untouched; what the file says
//! of a tensor (`value_info`) goes before what is inferred.

use super::graph::{ModelGraph, Node, Tensor, TensorId};
use crate::onnx::Dim;
use prost::Message;
use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
};
use tract_onnx::{
    Onnx,
    model::ParsingContext,
    pb::{self, ModelProto, TensorProto, ValueInfoProto, type_proto},
    tensor::{load_tensor, translate_inference_fact},
    tract_hir::internal::{
        DatumType, Factoid, GenericFactoid, InferenceFact, InferenceModel, ShapeFactoid, Symbol, SymbolValues, TDim,
        TVec, ToDim,
    },
};

/// One dimension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Size {
    /// Always this many.
    Fixed(u64),
    /// An expression of the model's own symbols.
    Of(TDim),
    /// Any number.
    Unknown,
}

/// The begin of the symbols that stand for a dimension without a name.
const NAMELESS: &str = "tabfleet_";

impl From<&Size> for Dim {
    fn from(size: &Size) -> Self {
        match size {
            Size::Fixed(n) => usize::try_from(*n).map_or(Dim::Unknown, Dim::Fixed),
            Size::Of(TDim::Sym(symbol)) => match symbol.to_string() {
                name if name.starts_with(NAMELESS) => Dim::Unknown,
                name => Dim::Symbol(name),
            },
            Size::Of(_) | Size::Unknown => Dim::Unknown,
        }
    }
}

/// Sizes assumed for what a model leaves open, to estimate with.
pub(super) struct Assumed<'a> {
    /// By the name of a symbolic dimension.
    pub dims: &'a BTreeMap<String, usize>,
}

/// What is taken for an open dimension nobody gave a size for: one for the first, which is a batch nearly always, and a
/// short sequence for the others.
const ASSUMED_FIRST: u64 = 1;
const ASSUMED_OTHER: u64 = 64;

impl Assumed<'_> {
    /// How many elements a tensor has; `None` where even the number of its dimensions is open.
    pub fn elements(&self, tensor: &Tensor) -> Option<u64> {
        Some(self.shape(tensor)?.iter().product())
    }

    /// The sizes of a tensor's dimensions.
    pub fn shape(&self, tensor: &Tensor) -> Option<Vec<u64>> {
        Some(tensor.shape.as_ref()?.iter().enumerate().map(|(axis, size)| self.size(axis, size)).collect())
    }

    fn size(&self, axis: usize, size: &Size) -> u64 {
        let open = if axis == 0 { ASSUMED_FIRST } else { ASSUMED_OTHER };
        match size {
            Size::Fixed(n) => *n,
            Size::Unknown => open,
            Size::Of(dim) => {
                let size = |symbol: &Symbol| {
                    let given = self.dims.get(&symbol.to_string()).map(|size| *size as i64);
                    given.unwrap_or(if symbol.to_string().ends_with("_0") || matches!(dim, TDim::Sym(_)) {
                        open
                    } else {
                        ASSUMED_OTHER
                    } as i64)
                };
                let values = dim.symbols().into_iter().fold(SymbolValues::default(), |values, symbol| {
                    let size = size(&symbol);
                    values.with(&symbol, size)
                });
                dim.eval(&values).as_i64().and_then(|n| u64::try_from(n).ok()).unwrap_or(open)
            }
        }
    }
}

/// The largest constant whose values are looked at: shapes, axes and scales, not weights.
const LARGEST_VALUE: usize = 4096;

/// Inference under way.
pub(super) struct Shapes {
    onnx: Onnx,
    model: ModelProto,
    template: InferenceModel,
    facts: Vec<InferenceFact>,
    /// What the file itself says of a tensor.
    said: Vec<Option<InferenceFact>>,
}

impl Shapes {
    pub fn of(graph: &ModelGraph) -> Self {
        let opset = graph.file.opsets.get("ai.onnx").copied().unwrap_or(1);
        let import = pb::OperatorSetIdProto { domain: String::new(), version: opset };
        let mut shapes = Self {
            onnx: tract_onnx::onnx(),
            model: ModelProto { opset_import: vec![import], ..ModelProto::default() },
            template: InferenceModel { symbols: graph.symbols.clone(), ..InferenceModel::default() },
            facts: vec![InferenceFact::default(); graph.tensors.len()],
            said: vec![None; graph.tensors.len()],
        };
        for (id, tensor) in graph.tensors.iter().enumerate() {
            shapes.said[id] = shapes.declared(tensor);
            shapes.facts[id] = match &tensor.weight {
                Some(_) => shapes.weight(tensor).unwrap_or_default(),
                None if tensor.is_input => shapes.input(id, tensor),
                None => InferenceFact::default(),
            };
        }
        shapes
    }

    fn context(&self) -> ParsingContext<'_> {
        ParsingContext {
            onnx_operator_set_version: self.model.opset_import[0].version,
            framework: &self.onnx,
            model: &self.model,
            parent_graphs: Vec::new(),
            model_dir: None,
            template: self.template.clone(),
        }
    }

    fn declared(&self, tensor: &Tensor) -> Option<InferenceFact> {
        let info = tensor.declared.as_ref().or(tensor.described.as_ref())?;
        let info = ValueInfoProto::decode(info.clone()).ok()?;
        let type_proto::Value::TensorType(kind) = info.r#type?.value?;
        translate_inference_fact(&self.context(), &kind, true).ok()
    }

    /// A tensor that is given, with a symbol for each dimension without a name, so that what depends on it is known to.
    fn input(&self, id: TensorId, tensor: &Tensor) -> InferenceFact {
        let Some(mut fact) = self.declared(tensor) else { return InferenceFact::default() };
        for axis in 0..fact.shape.rank().concretize().unwrap_or(0) {
            if fact.shape.dim(axis as usize).is_some_and(|dim| dim.concretize().is_none()) {
                let symbol = self.template.symbols.sym(&format!("{NAMELESS}{id}_{axis}"));
                fact.shape.set_dim(axis as usize, symbol.to_dim());
            }
        }
        fact
    }

    fn weight(&self, tensor: &Tensor) -> Option<InferenceFact> {
        let weight = tensor.weight.as_ref()?;
        let sizes = tensor.shape.as_ref()?.iter().map(|size| match size {
            Size::Fixed(n) => Some(n.to_dim()),
            _ => None,
        });
        let sizes: TVec<TDim> = sizes.collect::<Option<_>>()?;
        // An initializer that a caller may replace has no value yet.
        if !weight.sparse && weight.raw.len() <= LARGEST_VALUE && !tensor.is_input {
            let proto = TensorProto::decode(weight.content.clone()).ok()?;
            if proto.external_data.is_empty() {
                return load_tensor(&*self.onnx.provider, &proto, None).ok().map(InferenceFact::from);
            }
        }
        Some(InferenceFact::dt_shape(datum_type(tensor.elem_type?)?, sizes))
    }

    /// Infers node by node, and writes what is known into the graph.
    pub fn infer(mut self, graph: &mut ModelGraph) {
        for node in &graph.nodes {
            for (tensor, mut fact) in node.outputs.iter().flatten().zip(self.made_by(node)) {
                if let Some(said) = &self.said[*tensor] {
                    fact = self.merged(said, fact);
                }
                self.facts[*tensor] = fact;
            }
        }
        for (tensor, fact) in graph.tensors.iter_mut().zip(&self.facts) {
            let type_said = || {
                let info = tensor.declared.as_ref().or(tensor.described.as_ref())?;
                let type_proto::Value::TensorType(kind) = ValueInfoProto::decode(info.clone()).ok()?.r#type?.value?;
                Some(kind.elem_type)
            };
            if tensor.weight.is_none() {
                tensor.elem_type = type_said().or_else(|| fact.datum_type.concretize().and_then(elem_type));
                tensor.shape = (!fact.shape.is_open()).then(|| fact.shape.dims().map(size).collect());
            }
        }
    }

    /// What is said goes before what was inferred, dimension by dimension; a fixed size goes before any symbol.
    fn merged(&self, said: &InferenceFact, inferred: InferenceFact) -> InferenceFact {
        let mut merged = said.clone();
        if let Some(dt) = inferred.datum_type.concretize() {
            // tract has a type of its own for the dimensions that int64 tensors hold.
            if dt == DatumType::TDim || merged.datum_type.concretize().is_none() {
                merged.datum_type = inferred.datum_type;
            }
        }
        if said.shape.is_open() {
            merged.shape = inferred.shape.clone();
        } else if inferred.shape.rank() == said.shape.rank() {
            for axis in 0..said.shape.dims().count() {
                let fixed = |fact: &InferenceFact| fact.shape.dim(axis).and_then(|dim| dim.concretize());
                let choice = match (fixed(said), fixed(&inferred)) {
                    (Some(said), _) if said.as_i64().is_some() => Some(said),
                    // Names that an exporter made up for each tensor say less than an expression of the inputs' own.
                    (_, Some(inferred)) => Some(inferred),
                    (said, None) => said,
                };
                if let Some(dim) = choice {
                    let mut dims: TVec<_> = merged.shape.dims().cloned().collect();
                    dims[axis] = GenericFactoid::Only(dim);
                    merged.shape = ShapeFactoid::closed(dims);
                }
            }
        }
        merged.value = inferred.value;
        merged
    }

    /// What a node makes, in the order of the outputs that it has.
    fn made_by(&self, node: &Node) -> Vec<InferenceFact> {
        let outputs = node.outputs.iter().flatten().count();
        let open = || {
            let said = node.outputs.iter().flatten().map(|tensor| self.said[*tensor].clone().unwrap_or_default());
            said.collect::<Vec<_>>()
        };
        if node.has_body() {
            return open();
        }
        let Some(build) = self.onnx.op_register.0.get(&node.proto.op_type) else { return open() };
        let inferred = catch_unwind(AssertUnwindSafe(|| {
            let (mut op, closures) = build(&self.context(), &node.proto).ok()?;
            let inputs: TVec<&InferenceFact> =
                node.inputs.iter().flatten().map(|tensor| &self.facts[*tensor]).collect();
            let any = InferenceFact::default();
            let (_, made, _) = op.infer(inputs, (0..outputs).map(|_| &any).collect(), TVec::new()).ok()?;
            (closures.is_empty() && made.len() == outputs).then_some(made)
        }));
        match inferred {
            Ok(Some(made)) => made.into_iter().collect(),
            // tract asserts what it believes of models: a model that it is wrong about is not inferred, and still cut.
            Ok(None) | Err(_) => open(),
        }
    }
}

fn size(dim: &GenericFactoid<TDim>) -> Size {
    match dim.concretize() {
        None => Size::Unknown,
        Some(dim) => match dim.as_i64() {
            Some(n) => u64::try_from(n).map_or(Size::Unknown, Size::Fixed),
            None => Size::Of(dim),
        },
    }
}

fn datum_type(elem_type: i32) -> Option<DatumType> {
    pb::tensor_proto::DataType::try_from(elem_type).ok()?.try_into().ok()
}

fn elem_type(dt: DatumType) -> Option<i32> {
    use pb::tensor_proto::DataType;
    let known = match dt {
        DatumType::F32 => DataType::Float,
        DatumType::F16 => DataType::Float16,
        DatumType::F64 => DataType::Double,
        DatumType::I64 | DatumType::TDim => DataType::Int64,
        DatumType::I32 => DataType::Int32,
        DatumType::I16 => DataType::Int16,
        DatumType::I8 => DataType::Int8,
        DatumType::U64 => DataType::Uint64,
        DatumType::U32 => DataType::Uint32,
        DatumType::U16 => DataType::Uint16,
        DatumType::U8 => DataType::Uint8,
        DatumType::Bool => DataType::Bool,
        DatumType::String => DataType::String,
        _ => return None,
    };
    Some(known as i32)
}
